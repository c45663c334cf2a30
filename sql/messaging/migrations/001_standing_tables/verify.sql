-- Passes on a database that was built by up.sql and on a live one that is to be adopted: a live table may have
-- more columns, or other widths, but not less than the later migrations and the status function need.

-- check: standing_columns
SELECT format('column public.%s.%s is missing or not %s', needed.relation, needed.name,
              array_to_string(needed.kinds, ' or ')) AS failure
FROM (VALUES
    ('whatsapp_messages', 'id', ARRAY['int8', 'int4']),
    ('whatsapp_messages', 'message_id', ARRAY['text', 'varchar']),
    ('whatsapp_messages', 'to_phone', ARRAY['text', 'varchar']),
    ('whatsapp_messages', 'from_phone', ARRAY['text', 'varchar']),
    ('whatsapp_messages', 'direction', ARRAY['text', 'varchar']),
    ('whatsapp_messages', 'status', ARRAY['text', 'varchar']),
    ('whatsapp_messages', 'body', ARRAY['text', 'varchar']),
    ('whatsapp_messages', 'created_at', ARRAY['timestamptz', 'timestamp']),
    ('campaign_recipients', 'status', ARRAY['text', 'varchar']),
    ('campaign_recipients', 'sent_at', ARRAY['timestamptz', 'timestamp']),
    ('campaign_recipients', 'delivered_at', ARRAY['timestamptz', 'timestamp']),
    ('campaign_recipients', 'read_at', ARRAY['timestamptz', 'timestamp']),
    ('campaign_recipients', 'failed_at', ARRAY['timestamptz', 'timestamp']),
    ('campaign_recipients', 'failed_reason', ARRAY['text', 'varchar'])
) AS needed (relation, name, kinds)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass('public.' || needed.relation)
      AND a.attname = needed.name AND NOT a.attisdropped AND t.typname = ANY (needed.kinds)
);

-- The function finds its row by message_id, the back-fill goes along id.
-- check: standing_keys
SELECT format('public.whatsapp_messages has no unique index on %s alone', needed.name) AS failure
FROM (VALUES ('id'), ('message_id')) AS needed (name)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = to_regclass('public.whatsapp_messages') AND i.indisunique AND i.indisvalid
      AND i.indnkeyatts = 1 AND i.indpred IS NULL AND a.attname = needed.name
);
