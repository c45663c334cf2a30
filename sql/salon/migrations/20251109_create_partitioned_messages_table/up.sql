-- windlass: requires 20251109_create_business_tables_phase_08
--
-- The message history, one partition a month: the current month and the five after it now, later ones by
-- maintain_messages_partitions(), which also drops those in which every message is older than six months.
-- A month begins at midnight UTC, whatever the time zone of the session that makes the partition.

CREATE TABLE IF NOT EXISTS public.messages (
    id                  bigint      GENERATED ALWAYS AS IDENTITY,
    created_at          timestamptz NOT NULL DEFAULT now(),
    company_id          bigint      NOT NULL,
    client_id           bigint,
    phone               text        NOT NULL,
    direction           text        NOT NULL,
    message_type        text        NOT NULL DEFAULT 'text',
    body                text,
    status              text        NOT NULL DEFAULT 'pending',
    external_message_id text,
    metadata            jsonb       NOT NULL DEFAULT '{}',
    CONSTRAINT messages_pkey PRIMARY KEY (id, created_at),
    CONSTRAINT messages_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.companies (id) ON DELETE CASCADE,
    CONSTRAINT messages_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.clients (id) ON DELETE SET NULL,
    CONSTRAINT messages_phone_check CHECK (phone ~ '^[0-9]{7,15}$'),
    CONSTRAINT messages_direction_check CHECK (direction IN ('incoming', 'outgoing')),
    CONSTRAINT messages_message_type_check
        CHECK (message_type IN ('text', 'image', 'audio', 'video', 'document', 'location', 'reaction')),
    CONSTRAINT messages_status_check
        CHECK (status IN ('pending', 'received', 'sent', 'delivered', 'read', 'failed')),
    CONSTRAINT messages_metadata_check CHECK (jsonb_typeof(metadata) = 'object')
) PARTITION BY RANGE (created_at);

COMMENT ON TABLE public.messages IS
    'Every message in and out. Partitioned by month of created_at (UTC); kept for six months.';
COMMENT ON COLUMN public.messages.phone IS 'The other side; digits only, with country code: 79001234567.';
COMMENT ON COLUMN public.messages.external_message_id IS 'Key the messenger gave; not unique across partitions.';

CREATE INDEX IF NOT EXISTS idx_messages_created_at ON public.messages USING brin (created_at);
CREATE INDEX IF NOT EXISTS idx_messages_company_created ON public.messages (company_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_messages_company_phone_created
    ON public.messages (company_id, phone, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_messages_client_created ON public.messages (client_id, created_at DESC)
    WHERE client_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_messages_external_id ON public.messages (external_message_id)
    WHERE external_message_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_messages_failed
    ON public.messages (company_id, created_at DESC) WHERE status = 'failed';
CREATE INDEX IF NOT EXISTS idx_messages_unsent ON public.messages (created_at)
    WHERE direction = 'outgoing' AND status = 'pending';

CREATE OR REPLACE FUNCTION public.create_messages_partition(p_month date) RETURNS text
    LANGUAGE plpgsql STRICT SET search_path = pg_catalog, public SET timezone = 'UTC' SET datestyle = 'ISO'
AS $body$
DECLARE
    month_start timestamp := date_trunc('month', p_month::timestamp);
    partition   text := 'messages_' || to_char(month_start, 'YYYY_MM');
    standing    regclass := to_regclass('public.' || partition);
BEGIN
    IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = standing AND inhparent = 'public.messages'::regclass) THEN
        RETURN partition;
    END IF;
    IF standing IS NOT NULL THEN
        RAISE EXCEPTION 'table public.% stands, but is not a partition of public.messages', partition
            USING ERRCODE = 'duplicate_table', HINT = 'Attach it to public.messages, or rename it.';
    END IF;
    -- CREATE TABLE … PARTITION OF would lock out every reader and writer of messages; ATTACH lets them go on.
    EXECUTE format('CREATE TABLE public.%I (LIKE public.messages INCLUDING DEFAULTS INCLUDING CONSTRAINTS '
                   'INCLUDING STORAGE)', partition);
    EXECUTE format('ALTER TABLE public.messages ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                   partition, month_start AT TIME ZONE 'UTC', (month_start + interval '1 month') AT TIME ZONE 'UTC');
    RETURN partition;
END
$body$;
COMMENT ON FUNCTION public.create_messages_partition(date) IS
    'Makes the partition for the month of the given day where it is missing; returns its name.';

CREATE OR REPLACE FUNCTION public.maintain_messages_partitions()
    RETURNS TABLE (action text, partition_name text)
    LANGUAGE plpgsql SET search_path = pg_catalog, public SET timezone = 'UTC' SET datestyle = 'ISO'
AS $body$
DECLARE
    utc_now    timestamp := now() AT TIME ZONE 'UTC';
    month_date date;
BEGIN
    FOR month_date IN
        SELECT date_trunc('month', utc_now) + make_interval(months => n) FROM generate_series(0, 5) AS n
    LOOP
        partition_name := 'messages_' || to_char(month_date, 'YYYY_MM');
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_inherits i
            WHERE i.inhparent = 'public.messages'::regclass
              AND i.inhrelid = to_regclass('public.' || partition_name)
        );
        action := 'created';
        PERFORM public.create_messages_partition(month_date);
        RETURN NEXT;
    END LOOP;

    -- A partition goes only when its name and its bounds say the same month: one that somebody made by hand for
    -- another range is left alone.
    FOR partition_name IN
        SELECT c.relname
        FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        CROSS JOIN LATERAL (SELECT to_date(substr(c.relname, 10), 'YYYY_MM')::timestamp AS month_start) AS named
        WHERE i.inhparent = 'public.messages'::regclass
          AND c.relname ~ '^messages_[0-9]{4}_(0[1-9]|1[0-2])$'
          AND month_start + interval '1 month' <= utc_now - interval '6 months'
          AND pg_get_expr(c.relpartbound, c.oid) = format(
                  'FOR VALUES FROM (%L) TO (%L)',
                  month_start AT TIME ZONE 'UTC', (month_start + interval '1 month') AT TIME ZONE 'UTC')
        ORDER BY c.relname
    LOOP
        action := 'dropped';
        EXECUTE format('ALTER TABLE public.messages DETACH PARTITION public.%I', partition_name);
        EXECUTE format('DROP TABLE public.%I', partition_name);
        RETURN NEXT;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION public.maintain_messages_partitions() IS
    'Makes the partitions of this month and the five after it, drops those past six months; returns what it did.';

CREATE OR REPLACE FUNCTION public.get_messages_stats()
    RETURNS TABLE (partition_name text, bounds text, estimated_rows bigint, total_bytes bigint)
    LANGUAGE sql STABLE SET search_path = pg_catalog, public
AS $body$
    SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid),
           CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END, pg_total_relation_size(c.oid)
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass('public.messages')
    ORDER BY c.relname
$body$;
COMMENT ON FUNCTION public.get_messages_stats() IS
    'Per partition of messages: bounds, estimated rows (null before the first ANALYZE), bytes with indexes.';

CREATE OR REPLACE FUNCTION public.get_recent_messages(p_phone text, p_company_id bigint, p_limit integer DEFAULT 50)
    RETURNS TABLE (id bigint, created_at timestamptz, direction text, message_type text, body text, status text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, public
AS $body$
    SELECT m.id, m.created_at, m.direction, m.message_type, m.body, m.status
    FROM public.messages m
    WHERE m.company_id = p_company_id AND m.phone = regexp_replace(p_phone, '[^0-9]', '', 'g')
    ORDER BY m.created_at DESC, m.id DESC
    LIMIT greatest(p_limit, 0)
$body$;
COMMENT ON FUNCTION public.get_recent_messages(text, bigint, integer) IS
    'The newest messages of one phone in one company, newest first. The phone may be written +7 900 123-45-67.';

DO $do$
BEGIN
    PERFORM public.create_messages_partition(
        (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n))::date)
    FROM generate_series(0, 5) AS n;
END
$do$;
