-- check: status_columns
SELECT format('column public.whatsapp_messages.%s is missing, not nullable or not %s', needed.name, needed.kind)
           AS failure
FROM (VALUES
    ('sent_at', 'timestamp with time zone'),
    ('delivered_at', 'timestamp with time zone'),
    ('read_at', 'timestamp with time zone'),
    ('failed_at', 'timestamp with time zone'),
    ('failed_reason', 'text')
) AS needed (name, kind)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = to_regclass('public.whatsapp_messages') AND a.attname = needed.name
      AND NOT a.attisdropped AND NOT a.attnotnull AND format_type(a.atttypid, a.atttypmod) = needed.kind
);
