-- Passes on a database that was built by up.sql and on a live one that is to be adopted: a live table may have
-- more columns, or text in another width, but not less than the messenger client and the functions need.

-- check: session_store_columns
SELECT format('column public.%s.%s is missing or not %s', needed.relation, needed.name,
              array_to_string(needed.kinds, ' or ')) AS failure
FROM (VALUES
    ('whatsapp_auth', 'company_id', ARRAY['text', 'varchar', 'int4', 'int8']),
    ('whatsapp_auth', 'creds',      ARRAY['jsonb', 'json', 'text']),
    ('whatsapp_auth', 'updated_at', ARRAY['timestamptz', 'timestamp']),
    ('whatsapp_keys', 'company_id', ARRAY['text', 'varchar', 'int4', 'int8']),
    ('whatsapp_keys', 'key_type',   ARRAY['text', 'varchar']),
    ('whatsapp_keys', 'key_id',     ARRAY['text', 'varchar']),
    ('whatsapp_keys', 'value',      ARRAY['jsonb', 'json', 'text']),
    ('whatsapp_keys', 'expires_at', ARRAY['timestamptz', 'timestamp'])
) AS needed (relation, name, kinds)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass('public.' || needed.relation)
      AND a.attname = needed.name AND NOT a.attisdropped AND t.typname = ANY (needed.kinds)
);

-- check: session_store_keys
SELECT format('table public.%s has no primary key', relation) AS failure
FROM (VALUES ('whatsapp_auth'), ('whatsapp_keys')) AS needed (relation)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint c
    WHERE c.conrelid = to_regclass('public.' || needed.relation) AND c.contype = 'p'
);

-- check: session_store_functions
SELECT format('function public.%s is missing', signature) AS failure
FROM (VALUES ('cleanup_expired_whatsapp_keys()'), ('get_whatsapp_auth_stats()')) AS needed (signature)
WHERE to_regprocedure('public.' || needed.signature) IS NULL;
