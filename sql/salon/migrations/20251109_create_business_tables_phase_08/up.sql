-- The ten business tables. A company is the tenant: every row belongs to one and goes with it (CASCADE), while
-- a client, a service or a staff member that a booking depends on cannot be deleted (RESTRICT). References
-- between a company's rows carry company_id, so a row can never point into another company.
--
-- Phones are digits only (79001234567). Keys of the external booking system sit beside our own, in yclients_*.

CREATE TABLE IF NOT EXISTS public.companies (
    id                  bigint      GENERATED ALWAYS AS IDENTITY,
    yclients_company_id bigint,
    name                text        NOT NULL,
    phone               text,
    email               text,
    address             text,
    timezone            text        NOT NULL DEFAULT 'Europe/Moscow',
    currency            text        NOT NULL DEFAULT 'RUB',
    settings            jsonb       NOT NULL DEFAULT '{}',
    is_active           boolean     NOT NULL DEFAULT true,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT companies_pkey PRIMARY KEY (id),
    CONSTRAINT companies_yclients_company_id_key UNIQUE (yclients_company_id),
    CONSTRAINT companies_name_check CHECK (btrim(name) <> ''),
    CONSTRAINT companies_phone_check CHECK (phone ~ '^[0-9]{7,15}$'),
    CONSTRAINT companies_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT companies_settings_check CHECK (jsonb_typeof(settings) = 'object')
);

CREATE TABLE IF NOT EXISTS public.clients (
    id                 bigint        GENERATED ALWAYS AS IDENTITY,
    company_id         bigint        NOT NULL,
    yclients_client_id bigint,
    phone              text          NOT NULL,
    name               text,
    email              text,
    birth_date         date,
    tags               text[]        NOT NULL DEFAULT '{}',
    preferences        jsonb         NOT NULL DEFAULT '{}',
    notes              text,
    visit_count        integer       NOT NULL DEFAULT 0,
    total_spent        numeric(12,2) NOT NULL DEFAULT 0,
    last_visit_at      timestamptz,
    is_blocked         boolean       NOT NULL DEFAULT false,
    created_at         timestamptz   NOT NULL DEFAULT now(),
    updated_at         timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT clients_pkey PRIMARY KEY (id),
    CONSTRAINT clients_company_id_id_key UNIQUE (company_id, id),
    CONSTRAINT clients_company_id_phone_key UNIQUE (company_id, phone),
    CONSTRAINT clients_company_id_yclients_client_id_key UNIQUE (company_id, yclients_client_id),
    CONSTRAINT clients_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.companies (id) ON DELETE CASCADE,
    CONSTRAINT clients_phone_check CHECK (phone ~ '^[0-9]{7,15}$'),
    CONSTRAINT clients_preferences_check CHECK (jsonb_typeof(preferences) = 'object'),
    CONSTRAINT clients_visit_count_check CHECK (visit_count >= 0),
    CONSTRAINT clients_total_spent_check CHECK (total_spent >= 0)
);

CREATE TABLE IF NOT EXISTS public.services (
    id                  bigint        GENERATED ALWAYS AS IDENTITY,
    company_id          bigint        NOT NULL,
    yclients_service_id bigint,
    title               text          NOT NULL,
    category            text,
    description         text,
    price_min           numeric(10,2) NOT NULL DEFAULT 0,
    price_max           numeric(10,2),
    duration_minutes    integer       NOT NULL,
    is_active           boolean       NOT NULL DEFAULT true,
    settings            jsonb         NOT NULL DEFAULT '{}',
    created_at          timestamptz   NOT NULL DEFAULT now(),
    updated_at          timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT services_pkey PRIMARY KEY (id),
    CONSTRAINT services_company_id_id_key UNIQUE (company_id, id),
    CONSTRAINT services_company_id_yclients_service_id_key UNIQUE (company_id, yclients_service_id),
    CONSTRAINT services_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.companies (id) ON DELETE CASCADE,
    CONSTRAINT services_title_check CHECK (btrim(title) <> ''),
    CONSTRAINT services_price_check CHECK (price_min >= 0 AND price_max >= price_min),
    CONSTRAINT services_duration_minutes_check CHECK (duration_minutes BETWEEN 1 AND 1440),
    CONSTRAINT services_settings_check CHECK (jsonb_typeof(settings) = 'object')
);

CREATE TABLE IF NOT EXISTS public.staff (
    id                bigint       GENERATED ALWAYS AS IDENTITY,
    company_id        bigint       NOT NULL,
    yclients_staff_id bigint,
    name              text         NOT NULL,
    specialization    text,
    phone             text,
    rating            numeric(3,2),
    is_active         boolean      NOT NULL DEFAULT true,
    settings          jsonb        NOT NULL DEFAULT '{}',
    created_at        timestamptz  NOT NULL DEFAULT now(),
    updated_at        timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT staff_pkey PRIMARY KEY (id),
    CONSTRAINT staff_company_id_id_key UNIQUE (company_id, id),
    CONSTRAINT staff_company_id_yclients_staff_id_key UNIQUE (company_id, yclients_staff_id),
    CONSTRAINT staff_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.companies (id) ON DELETE CASCADE,
    CONSTRAINT staff_name_check CHECK (btrim(name) <> ''),
    CONSTRAINT staff_phone_check CHECK (phone ~ '^[0-9]{7,15}$'),
    CONSTRAINT staff_rating_check CHECK (rating BETWEEN 0 AND 5),
    CONSTRAINT staff_settings_check CHECK (jsonb_typeof(settings) = 'object')
);

CREATE TABLE IF NOT EXISTS public.staff_schedules (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    company_id bigint      NOT NULL,
    staff_id   bigint      NOT NULL,
    work_date  date        NOT NULL,
    is_working boolean     NOT NULL DEFAULT true,
    start_time time,
    end_time   time,
    breaks     jsonb       NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT staff_schedules_pkey PRIMARY KEY (id),
    CONSTRAINT staff_schedules_staff_id_work_date_key UNIQUE (staff_id, work_date),
    CONSTRAINT staff_schedules_company_id_fkey
        FOREIGN KEY (company_id) REFERENCES public.companies (id) ON DELETE CASCADE,
    CONSTRAINT staff_schedules_staff_id_fkey
        FOREIGN KEY (company_id, staff_id) REFERENCES public.staff (company_id, id) ON DELETE CASCADE,
    CONSTRAINT staff_schedules_hours_check
        CHECK (NOT is_working OR (start_time IS NOT NULL AND end_time IS NOT NULL AND end_time > start_time)),
    CONSTRAINT staff_schedules_breaks_check CHECK (jsonb_typeof(breaks) = 'array')
);

CREATE TABLE IF NOT EXISTS public.bookings (
    id                 bigint        GENERATED ALWAYS AS IDENTITY,
    company_id         bigint        NOT NULL,
    client_id          bigint        NOT NULL,
    service_id         bigint        NOT NULL,
    staff_id           bigint        NOT NULL,
    yclients_record_id bigint,
    starts_at          timestamptz   NOT NULL,
    ends_at            timestamptz   NOT NULL,
    status             text          NOT NULL DEFAULT 'pending',
    price              numeric(10,2) NOT NULL DEFAULT 0,
    source             text          NOT NULL DEFAULT 'assistant',
    comment            text,
    booking_data       jsonb         NOT NULL DEFAULT '{}',
    cancelled_at       timestamptz,
    created_at         timestamptz   NOT NULL DEFAULT now(),
    updated_at         timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT bookings_pkey PRIMARY KEY (id),
    CONSTRAINT bookings_company_id_id_key UNIQUE (company_id, id),
    CONSTRAINT bookings_company_id_yclients_record_id_key UNIQUE (company_id, yclients_record_id),
    CONSTRAINT bookings_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.companies (id) ON DELETE CASCADE,
    CONSTRAINT bookings_client_id_fkey
        FOREIGN KEY (company_id, client_id) REFERENCES public.clients (company_id, id) ON DELETE RESTRICT,
    CONSTRAINT bookings_service_id_fkey
        FOREIGN KEY (company_id, service_id) REFERENCES public.services (company_id, id) ON DELETE RESTRICT,
    CONSTRAINT bookings_staff_id_fkey
        FOREIGN KEY (company_id, staff_id) REFERENCES public.staff (company_id, id) ON DELETE RESTRICT,
    CONSTRAINT bookings_period_check CHECK (ends_at > starts_at),
    CONSTRAINT bookings_status_check
        CHECK (status IN ('pending', 'confirmed', 'arrived', 'completed', 'cancelled', 'no_show')),
    CONSTRAINT bookings_cancelled_at_check CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL)),
    CONSTRAINT bookings_price_check CHECK (price >= 0),
    CONSTRAINT bookings_source_check CHECK (source IN ('assistant', 'yclients', 'staff', 'website')),
    CONSTRAINT bookings_booking_data_check CHECK (jsonb_typeof(booking_data) = 'object')
);

CREATE TABLE IF NOT EXISTS public.appointments_cache (
    id               bigint      GENERATED ALWAYS AS IDENTITY,
    company_id       bigint      NOT NULL,
    client_id        bigint,
    staff_id         bigint,
    cache_key        text        NOT NULL,
    appointment_date date        NOT NULL,
    appointment_data jsonb       NOT NULL,
    cached_at        timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz NOT NULL DEFAULT now() + interval '15 minutes',
    CONSTRAINT appointments_cache_pkey PRIMARY KEY (id),
    CONSTRAINT appointments_cache_company_id_cache_key_key UNIQUE (company_id, cache_key),
    CONSTRAINT appointments_cache_company_id_fkey
        FOREIGN KEY (company_id) REFERENCES public.companies (id) ON DELETE CASCADE,
    CONSTRAINT appointments_cache_client_id_fkey
        FOREIGN KEY (company_id, client_id) REFERENCES public.clients (company_id, id) ON DELETE CASCADE,
    CONSTRAINT appointments_cache_staff_id_fkey
        FOREIGN KEY (company_id, staff_id) REFERENCES public.staff (company_id, id) ON DELETE CASCADE,
    CONSTRAINT appointments_cache_expires_at_check CHECK (expires_at > cached_at)
);

CREATE TABLE IF NOT EXISTS public.dialog_contexts (
    id              bigint      GENERATED ALWAYS AS IDENTITY,
    company_id      bigint      NOT NULL,
    client_id       bigint,
    phone           text        NOT NULL,
    state           text        NOT NULL DEFAULT 'active',
    context         jsonb       NOT NULL DEFAULT '{}',
    message_count   integer     NOT NULL DEFAULT 0,
    last_message_at timestamptz,
    expires_at      timestamptz NOT NULL DEFAULT now() + interval '24 hours',
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT dialog_contexts_pkey PRIMARY KEY (id),
    CONSTRAINT dialog_contexts_company_id_phone_key UNIQUE (company_id, phone),
    CONSTRAINT dialog_contexts_company_id_fkey
        FOREIGN KEY (company_id) REFERENCES public.companies (id) ON DELETE CASCADE,
    CONSTRAINT dialog_contexts_client_id_fkey
        FOREIGN KEY (company_id, client_id) REFERENCES public.clients (company_id, id) ON DELETE CASCADE,
    CONSTRAINT dialog_contexts_phone_check CHECK (phone ~ '^[0-9]{7,15}$'),
    CONSTRAINT dialog_contexts_state_check CHECK (state IN ('active', 'waiting_client', 'handed_over', 'closed')),
    CONSTRAINT dialog_contexts_context_check CHECK (jsonb_typeof(context) = 'object'),
    CONSTRAINT dialog_contexts_message_count_check CHECK (message_count >= 0)
);

CREATE TABLE IF NOT EXISTS public.reminders (
    id            bigint      GENERATED ALWAYS AS IDENTITY,
    company_id    bigint      NOT NULL,
    booking_id    bigint      NOT NULL,
    kind          text        NOT NULL,
    phone         text        NOT NULL,
    scheduled_for timestamptz NOT NULL,
    status        text        NOT NULL DEFAULT 'pending',
    attempts      integer     NOT NULL DEFAULT 0,
    sent_at       timestamptz,
    last_error    text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reminders_pkey PRIMARY KEY (id),
    CONSTRAINT reminders_booking_id_kind_key UNIQUE (booking_id, kind),
    CONSTRAINT reminders_company_id_fkey
        FOREIGN KEY (company_id) REFERENCES public.companies (id) ON DELETE CASCADE,
    CONSTRAINT reminders_booking_id_fkey
        FOREIGN KEY (company_id, booking_id) REFERENCES public.bookings (company_id, id) ON DELETE CASCADE,
    CONSTRAINT reminders_kind_check CHECK (kind IN ('day_before', 'hours_before', 'follow_up')),
    CONSTRAINT reminders_phone_check CHECK (phone ~ '^[0-9]{7,15}$'),
    CONSTRAINT reminders_status_check CHECK (status IN ('pending', 'sent', 'failed', 'cancelled')),
    CONSTRAINT reminders_sent_at_check CHECK (status <> 'sent' OR sent_at IS NOT NULL),
    CONSTRAINT reminders_attempts_check CHECK (attempts >= 0)
);

CREATE TABLE IF NOT EXISTS public.sync_status (
    id               bigint      GENERATED ALWAYS AS IDENTITY,
    company_id       bigint      NOT NULL,
    entity           text        NOT NULL,
    status           text        NOT NULL DEFAULT 'idle',
    records_synced   integer     NOT NULL DEFAULT 0,
    sync_position    jsonb       NOT NULL DEFAULT '{}',
    last_started_at  timestamptz,
    last_finished_at timestamptz,
    next_run_at      timestamptz,
    last_error       text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sync_status_pkey PRIMARY KEY (id),
    CONSTRAINT sync_status_company_id_entity_key UNIQUE (company_id, entity),
    CONSTRAINT sync_status_company_id_fkey
        FOREIGN KEY (company_id) REFERENCES public.companies (id) ON DELETE CASCADE,
    CONSTRAINT sync_status_entity_check CHECK (entity IN ('clients', 'services', 'staff', 'schedules', 'bookings')),
    CONSTRAINT sync_status_status_check CHECK (status IN ('idle', 'running', 'succeeded', 'failed')),
    CONSTRAINT sync_status_records_synced_check CHECK (records_synced >= 0)
);

COMMENT ON TABLE public.companies IS 'Tenant root: everything else belongs to a company and is deleted with it.';
COMMENT ON TABLE public.clients IS 'People who book, one row per phone and company.';
COMMENT ON TABLE public.services IS 'What can be booked.';
COMMENT ON TABLE public.staff IS 'Who does the work.';
COMMENT ON TABLE public.staff_schedules IS 'Working hours of one staff member on one day, in the company''s time zone.';
COMMENT ON TABLE public.bookings IS 'Appointments. The client, service and staff member of a booking cannot be deleted.';
COMMENT ON TABLE public.appointments_cache IS 'Answers of the external booking system, kept until expires_at.';
COMMENT ON TABLE public.dialog_contexts IS 'What the assistant knows of a running conversation, kept until expires_at.';
COMMENT ON TABLE public.reminders IS 'Messages to send about a booking, each kind once per booking.';
COMMENT ON TABLE public.sync_status IS 'State of the exchange with the external booking system, per kind of record.';
COMMENT ON COLUMN public.companies.yclients_company_id IS 'Key in the external booking system; null where unknown.';
COMMENT ON COLUMN public.companies.timezone IS 'IANA name; schedules and reminders are meant in it.';
COMMENT ON COLUMN public.clients.phone IS 'Digits only, with country code: 79001234567.';
COMMENT ON COLUMN public.bookings.booking_data IS 'The record as the external booking system gave it.';
COMMENT ON COLUMN public.sync_status.sync_position IS 'Where the next run goes on: last change seen, page, token.';

CREATE INDEX IF NOT EXISTS idx_companies_phone ON public.companies (phone);
CREATE INDEX IF NOT EXISTS idx_companies_active_name ON public.companies (name) WHERE is_active;
CREATE INDEX IF NOT EXISTS idx_companies_created_at ON public.companies (created_at);

CREATE INDEX IF NOT EXISTS idx_clients_phone ON public.clients (phone);
CREATE INDEX IF NOT EXISTS idx_clients_company_name ON public.clients (company_id, lower(name));
CREATE INDEX IF NOT EXISTS idx_clients_company_last_visit
    ON public.clients (company_id, last_visit_at DESC NULLS LAST);
CREATE INDEX IF NOT EXISTS idx_clients_company_updated ON public.clients (company_id, updated_at);
CREATE INDEX IF NOT EXISTS idx_clients_tags ON public.clients USING gin (tags);

CREATE INDEX IF NOT EXISTS idx_services_company_category ON public.services (company_id, category);
CREATE INDEX IF NOT EXISTS idx_services_company_title ON public.services (company_id, lower(title));
CREATE INDEX IF NOT EXISTS idx_services_active ON public.services (company_id, price_min) WHERE is_active;

CREATE INDEX IF NOT EXISTS idx_staff_company_name ON public.staff (company_id, lower(name));
CREATE INDEX IF NOT EXISTS idx_staff_active ON public.staff (company_id, specialization) WHERE is_active;
CREATE INDEX IF NOT EXISTS idx_staff_phone ON public.staff (phone);

CREATE INDEX IF NOT EXISTS idx_staff_schedules_company_date ON public.staff_schedules (company_id, work_date);
CREATE INDEX IF NOT EXISTS idx_staff_schedules_company_staff ON public.staff_schedules (company_id, staff_id);
CREATE INDEX IF NOT EXISTS idx_staff_schedules_working
    ON public.staff_schedules (work_date, staff_id) WHERE is_working;

CREATE INDEX IF NOT EXISTS idx_bookings_company_starts ON public.bookings (company_id, starts_at);
CREATE INDEX IF NOT EXISTS idx_bookings_company_client
    ON public.bookings (company_id, client_id, starts_at DESC);
CREATE INDEX IF NOT EXISTS idx_bookings_company_staff ON public.bookings (company_id, staff_id, starts_at);
CREATE INDEX IF NOT EXISTS idx_bookings_company_service ON public.bookings (company_id, service_id);
CREATE INDEX IF NOT EXISTS idx_bookings_company_status ON public.bookings (company_id, status, starts_at);
CREATE INDEX IF NOT EXISTS idx_bookings_upcoming
    ON public.bookings (starts_at) WHERE status IN ('pending', 'confirmed');
CREATE INDEX IF NOT EXISTS idx_bookings_booking_data
    ON public.bookings USING gin (booking_data jsonb_path_ops);

CREATE INDEX IF NOT EXISTS idx_appointments_cache_expires ON public.appointments_cache (expires_at);
CREATE INDEX IF NOT EXISTS idx_appointments_cache_company_date
    ON public.appointments_cache (company_id, appointment_date);
CREATE INDEX IF NOT EXISTS idx_appointments_cache_company_client
    ON public.appointments_cache (company_id, client_id);
CREATE INDEX IF NOT EXISTS idx_appointments_cache_company_staff
    ON public.appointments_cache (company_id, staff_id, appointment_date);

CREATE INDEX IF NOT EXISTS idx_dialog_contexts_expires ON public.dialog_contexts (expires_at);
CREATE INDEX IF NOT EXISTS idx_dialog_contexts_company_last_message
    ON public.dialog_contexts (company_id, last_message_at DESC NULLS LAST);
CREATE INDEX IF NOT EXISTS idx_dialog_contexts_company_client
    ON public.dialog_contexts (company_id, client_id);
CREATE INDEX IF NOT EXISTS idx_dialog_contexts_handed_over ON public.dialog_contexts (company_id, updated_at)
    WHERE state = 'handed_over';

CREATE INDEX IF NOT EXISTS idx_reminders_due ON public.reminders (scheduled_for) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS idx_reminders_company_booking ON public.reminders (company_id, booking_id);
CREATE INDEX IF NOT EXISTS idx_reminders_company_status
    ON public.reminders (company_id, status, scheduled_for);
CREATE INDEX IF NOT EXISTS idx_reminders_phone ON public.reminders (phone);

CREATE INDEX IF NOT EXISTS idx_sync_status_next_run
    ON public.sync_status (next_run_at) WHERE status <> 'running';
CREATE INDEX IF NOT EXISTS idx_sync_status_failed ON public.sync_status (company_id, last_finished_at)
    WHERE status = 'failed';

CREATE OR REPLACE FUNCTION public.set_updated_at() RETURNS trigger
    LANGUAGE plpgsql
AS $body$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$body$;
COMMENT ON FUNCTION public.set_updated_at() IS 'Trigger function: stamps updated_at on a row that changes.';

-- A trigger is made only where it is missing, so a second run takes no lock on the tables. An update that
-- changes nothing does not fire it.
DO $do$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['companies', 'clients', 'services', 'staff', 'staff_schedules', 'bookings',
                                  'dialog_contexts', 'reminders', 'sync_status'] LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_catalog.pg_trigger
            WHERE tgrelid = to_regclass('public.' || target) AND tgname = target || '_set_updated_at'
        );
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE UPDATE ON public.%I FOR EACH ROW '
            'WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION public.set_updated_at()',
            target || '_set_updated_at', target);
    END LOOP;
END
$do$;

-- Rows that another session works on are passed over: the next clean-up takes them.
CREATE OR REPLACE FUNCTION public.cleanup_expired_dialog_contexts() RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, public
AS $body$
DECLARE
    deleted integer;
BEGIN
    DELETE FROM public.dialog_contexts
    WHERE id IN (SELECT id FROM public.dialog_contexts WHERE expires_at <= now() FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$body$;
COMMENT ON FUNCTION public.cleanup_expired_dialog_contexts() IS
    'Deletes the dialogue contexts whose time is over; returns how many.';

CREATE OR REPLACE FUNCTION public.cleanup_expired_appointments_cache() RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, public
AS $body$
DECLARE
    deleted integer;
BEGIN
    DELETE FROM public.appointments_cache
    WHERE id IN (SELECT id FROM public.appointments_cache WHERE expires_at <= now() FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$body$;
COMMENT ON FUNCTION public.cleanup_expired_appointments_cache() IS
    'Deletes the cached answers whose time is over; returns how many.';

-- Rows are the planner's estimate (null before the first ANALYZE): counting millions would cost more than it tells.
CREATE OR REPLACE FUNCTION public.get_database_stats()
    RETURNS TABLE (table_name text, estimated_rows bigint, table_bytes bigint, index_bytes bigint, indexes bigint)
    LANGUAGE sql STABLE SET search_path = pg_catalog, public
AS $body$
    SELECT root.relname::text,
           sum(leaf.reltuples) FILTER (WHERE leaf.reltuples >= 0)::bigint,
           coalesce(sum(pg_table_size(leaf.oid)), 0)::bigint,
           coalesce(sum(pg_indexes_size(leaf.oid)), 0)::bigint,
           (SELECT count(*) FROM pg_index i WHERE i.indrelid = root.oid)
    FROM pg_class root
    LEFT JOIN pg_inherits part ON part.inhparent = root.oid
    JOIN pg_class leaf ON leaf.oid = coalesce(part.inhrelid, root.oid)
    WHERE root.relnamespace = 'public'::regnamespace AND root.relkind IN ('r', 'p') AND NOT root.relispartition
      AND root.relname IN ('companies', 'clients', 'services', 'staff', 'staff_schedules', 'bookings',
                           'appointments_cache', 'dialog_contexts', 'reminders', 'sync_status', 'messages')
    GROUP BY root.oid, root.relname
    ORDER BY root.relname
$body$;
COMMENT ON FUNCTION public.get_database_stats() IS
    'Per business table: estimated rows, bytes of table and indexes (partitions included), number of indexes.';
