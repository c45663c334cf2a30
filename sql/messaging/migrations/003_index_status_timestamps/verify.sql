-- check: status_indexes
SELECT CASE WHEN i.indexrelid IS NULL
            THEN format('index idx_whatsapp_messages_%1$s on public.whatsapp_messages (%1$s) is missing', needed.name)
            ELSE format('index idx_whatsapp_messages_%s is invalid: drop it CONCURRENTLY and build it again',
                        needed.name)
       END AS failure
FROM (VALUES ('sent_at'), ('delivered_at'), ('read_at'), ('failed_at')) AS needed (name)
LEFT JOIN pg_catalog.pg_attribute a
       ON a.attrelid = to_regclass('public.whatsapp_messages') AND a.attname = needed.name
LEFT JOIN pg_catalog.pg_index i
       ON i.indexrelid = to_regclass('public.idx_whatsapp_messages_' || needed.name)
      AND i.indrelid = a.attrelid AND i.indkey[0] = a.attnum
WHERE (i.indisvalid AND i.indisready) IS NOT TRUE;
