-- What the service needs to find: the five columns, the four indexes ready for use, the status function.

-- check: status_columns_stand
SELECT format('column public.whatsapp_messages.%s is missing or not nullable', needed.name) AS failure
FROM unnest(ARRAY['sent_at', 'delivered_at', 'read_at', 'failed_at', 'failed_reason']) AS needed (name)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = to_regclass('public.whatsapp_messages') AND a.attname = needed.name
      AND NOT a.attisdropped AND NOT a.attnotnull
);

-- check: status_indexes_usable
SELECT format('index %s is missing or invalid', needed.name) AS failure
FROM unnest(ARRAY['idx_whatsapp_messages_sent_at', 'idx_whatsapp_messages_delivered_at',
                  'idx_whatsapp_messages_read_at', 'idx_whatsapp_messages_failed_at']) AS needed (name)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_index i
    WHERE i.indexrelid = to_regclass('public.' || needed.name) AND i.indisvalid AND i.indisready
      AND i.indrelid = to_regclass('public.whatsapp_messages')
);

-- check: status_function_executable
SELECT 'public.apply_message_status() is missing, or the current user may not execute it' AS failure
WHERE NOT coalesce(has_function_privilege(
    to_regprocedure('public.apply_message_status(text, text, timestamptz, text, text, text, text)'), 'EXECUTE'), false);
