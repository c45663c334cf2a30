-- Check 1 of salon's nine: the eleven tables.

-- check: eleven_tables
SELECT CASE WHEN c.oid IS NULL THEN format('table public.%s is missing', needed.relation)
            ELSE format('public.%s is not %s', needed.relation,
                        CASE needed.kind WHEN 'p' THEN 'a partitioned table' ELSE 'an ordinary table' END)
       END AS failure
FROM (VALUES
    ('companies', 'r'), ('clients', 'r'), ('services', 'r'), ('staff', 'r'), ('staff_schedules', 'r'),
    ('bookings', 'r'), ('appointments_cache', 'r'), ('dialog_contexts', 'r'), ('reminders', 'r'),
    ('sync_status', 'r'), ('messages', 'p')
) AS needed (relation, kind)
LEFT JOIN pg_catalog.pg_class c ON c.oid = to_regclass('public.' || needed.relation)
WHERE c.relkind IS DISTINCT FROM needed.kind::"char";
