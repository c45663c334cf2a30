-- check: business_columns
SELECT format('column public.%s.%s is missing or not "%s"', needed.relation, split_part(wanted, ' ', 1), wanted)
           AS failure
FROM (VALUES
    ('companies', 'id bigint not null, yclients_company_id bigint, name text not null, phone text, email text,
        address text, timezone text not null, currency text not null, settings jsonb not null,
        is_active boolean not null, created_at timestamptz not null, updated_at timestamptz not null'),
    ('clients', 'id bigint not null, company_id bigint not null, yclients_client_id bigint, phone text not null,
        name text, email text, birth_date date, tags text[] not null, preferences jsonb not null, notes text,
        visit_count integer not null, total_spent numeric(12,2) not null, last_visit_at timestamptz,
        is_blocked boolean not null, created_at timestamptz not null, updated_at timestamptz not null'),
    ('services', 'id bigint not null, company_id bigint not null, yclients_service_id bigint, title text not null,
        category text, description text, price_min numeric(10,2) not null, price_max numeric(10,2),
        duration_minutes integer not null, is_active boolean not null, settings jsonb not null,
        created_at timestamptz not null, updated_at timestamptz not null'),
    ('staff', 'id bigint not null, company_id bigint not null, yclients_staff_id bigint, name text not null,
        specialization text, phone text, rating numeric(3,2), is_active boolean not null, settings jsonb not null,
        created_at timestamptz not null, updated_at timestamptz not null'),
    ('staff_schedules', 'id bigint not null, company_id bigint not null, staff_id bigint not null,
        work_date date not null, is_working boolean not null, start_time time, end_time time, breaks jsonb not null,
        created_at timestamptz not null, updated_at timestamptz not null'),
    ('bookings', 'id bigint not null, company_id bigint not null, client_id bigint not null,
        service_id bigint not null, staff_id bigint not null, yclients_record_id bigint,
        starts_at timestamptz not null, ends_at timestamptz not null, status text not null,
        price numeric(10,2) not null, source text not null, comment text, booking_data jsonb not null,
        cancelled_at timestamptz, created_at timestamptz not null, updated_at timestamptz not null'),
    ('appointments_cache', 'id bigint not null, company_id bigint not null, client_id bigint, staff_id bigint,
        cache_key text not null, appointment_date date not null, appointment_data jsonb not null,
        cached_at timestamptz not null, expires_at timestamptz not null'),
    ('dialog_contexts', 'id bigint not null, company_id bigint not null, client_id bigint, phone text not null,
        state text not null, context jsonb not null, message_count integer not null, last_message_at timestamptz,
        expires_at timestamptz not null, created_at timestamptz not null, updated_at timestamptz not null'),
    ('reminders', 'id bigint not null, company_id bigint not null, booking_id bigint not null, kind text not null,
        phone text not null, scheduled_for timestamptz not null, status text not null, attempts integer not null,
        sent_at timestamptz, last_error text, created_at timestamptz not null, updated_at timestamptz not null'),
    ('sync_status', 'id bigint not null, company_id bigint not null, entity text not null, status text not null,
        records_synced integer not null, sync_position jsonb not null, last_started_at timestamptz,
        last_finished_at timestamptz, next_run_at timestamptz, last_error text,
        created_at timestamptz not null, updated_at timestamptz not null')
) AS needed (relation, columns)
CROSS JOIN regexp_split_to_table(needed.columns, ',\s+') AS wanted
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = to_regclass('public.' || needed.relation) AND a.attnum > 0 AND NOT a.attisdropped
      AND wanted = concat(
              a.attname, ' ',
              replace(replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz'),
                      'time without time zone', 'time'),
              CASE WHEN a.attnotnull THEN ' not null' END)
);

-- check: business_keys
SELECT format('public.%s has no %s', needed.relation, needed.definition) AS failure
FROM (VALUES
    ('companies', 'PRIMARY KEY (id)'),
    ('companies', 'UNIQUE (yclients_company_id)'),
    ('clients', 'PRIMARY KEY (id)'),
    ('clients', 'UNIQUE (company_id, id)'),
    ('clients', 'UNIQUE (company_id, phone)'),
    ('clients', 'UNIQUE (company_id, yclients_client_id)'),
    ('services', 'PRIMARY KEY (id)'),
    ('services', 'UNIQUE (company_id, id)'),
    ('services', 'UNIQUE (company_id, yclients_service_id)'),
    ('staff', 'PRIMARY KEY (id)'),
    ('staff', 'UNIQUE (company_id, id)'),
    ('staff', 'UNIQUE (company_id, yclients_staff_id)'),
    ('staff_schedules', 'PRIMARY KEY (id)'),
    ('staff_schedules', 'UNIQUE (staff_id, work_date)'),
    ('bookings', 'PRIMARY KEY (id)'),
    ('bookings', 'UNIQUE (company_id, id)'),
    ('bookings', 'UNIQUE (company_id, yclients_record_id)'),
    ('appointments_cache', 'PRIMARY KEY (id)'),
    ('appointments_cache', 'UNIQUE (company_id, cache_key)'),
    ('dialog_contexts', 'PRIMARY KEY (id)'),
    ('dialog_contexts', 'UNIQUE (company_id, phone)'),
    ('reminders', 'PRIMARY KEY (id)'),
    ('reminders', 'UNIQUE (booking_id, kind)'),
    ('sync_status', 'PRIMARY KEY (id)'),
    ('sync_status', 'UNIQUE (company_id, entity)')
) AS needed (relation, definition)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint c
    WHERE c.conrelid = to_regclass('public.' || needed.relation) AND c.contype IN ('p', 'u')
      AND pg_get_constraintdef(c.oid) = needed.definition
);

-- check: business_foreign_keys
SELECT format('public.%s has no valid FOREIGN KEY (%s) REFERENCES %s ON DELETE %s',
              needed.relation, needed.columns, needed.target, needed.action) AS failure
FROM (VALUES
    ('clients', 'company_id', 'companies(id)', 'CASCADE'),
    ('services', 'company_id', 'companies(id)', 'CASCADE'),
    ('staff', 'company_id', 'companies(id)', 'CASCADE'),
    ('staff_schedules', 'company_id', 'companies(id)', 'CASCADE'),
    ('staff_schedules', 'company_id, staff_id', 'staff(company_id, id)', 'CASCADE'),
    ('bookings', 'company_id', 'companies(id)', 'CASCADE'),
    ('bookings', 'company_id, client_id', 'clients(company_id, id)', 'RESTRICT'),
    ('bookings', 'company_id, service_id', 'services(company_id, id)', 'RESTRICT'),
    ('bookings', 'company_id, staff_id', 'staff(company_id, id)', 'RESTRICT'),
    ('appointments_cache', 'company_id', 'companies(id)', 'CASCADE'),
    ('appointments_cache', 'company_id, client_id', 'clients(company_id, id)', 'CASCADE'),
    ('appointments_cache', 'company_id, staff_id', 'staff(company_id, id)', 'CASCADE'),
    ('dialog_contexts', 'company_id', 'companies(id)', 'CASCADE'),
    ('dialog_contexts', 'company_id, client_id', 'clients(company_id, id)', 'CASCADE'),
    ('reminders', 'company_id', 'companies(id)', 'CASCADE'),
    ('reminders', 'company_id, booking_id', 'bookings(company_id, id)', 'CASCADE'),
    ('sync_status', 'company_id', 'companies(id)', 'CASCADE')
) AS needed (relation, columns, target, action)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint c
    WHERE c.conrelid = to_regclass('public.' || needed.relation) AND c.contype = 'f' AND c.convalidated
      AND replace(pg_get_constraintdef(c.oid), ' public.', ' ') = format(
              'FOREIGN KEY (%s) REFERENCES %s ON DELETE %s', needed.columns, needed.target, needed.action)
);

-- check: business_triggers
SELECT format('public.%s has no enabled trigger that sets updated_at', needed.relation) AS failure
FROM unnest(ARRAY['companies', 'clients', 'services', 'staff', 'staff_schedules', 'bookings', 'dialog_contexts',
                  'reminders', 'sync_status']) AS needed (relation)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_trigger t
    WHERE t.tgrelid = to_regclass('public.' || needed.relation) AND t.tgenabled IN ('O', 'A')
      AND t.tgfoid = to_regprocedure('public.set_updated_at()')
);

-- check: business_functions
SELECT format('function public.%s is missing or does not return %s', needed.signature, needed.returns) AS failure
FROM (VALUES
    ('set_updated_at()', 'trigger'),
    ('cleanup_expired_dialog_contexts()', 'integer'),
    ('cleanup_expired_appointments_cache()', 'integer'),
    ('get_database_stats()', 'record')
) AS needed (signature, returns)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_proc p
    WHERE p.oid = to_regprocedure('public.' || needed.signature)
      AND p.prorettype = to_regtype(needed.returns)
);
