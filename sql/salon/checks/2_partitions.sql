-- Check 2 of salon's nine: messages has the partitions of this month and the five after it, by the database's
-- clock, with the right bounds, and none past retention. The daily maintenance has two days to follow the calendar.

-- check: six_partitions
WITH clock AS (
    SELECT now() AT TIME ZONE 'UTC' AS utc_now
), needed AS (
    SELECT month_start, 'messages_' || to_char(month_start, 'YYYY_MM') AS name,
           format('FOR VALUES FROM (%L) TO (%L)', month_start AT TIME ZONE 'UTC',
                  (month_start + interval '1 month') AT TIME ZONE 'UTC') AS bounds
    FROM clock, generate_series(
        date_trunc('month', utc_now),
        date_trunc('month', utc_now - interval '2 days') + interval '5 months',
        interval '1 month') AS month_start
), standing AS (
    SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
    FROM pg_catalog.pg_inherits i
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass('public.messages')
)
SELECT CASE WHEN standing.name IS NULL
            THEN format('partition public.%s is missing: SELECT * FROM public.maintain_messages_partitions()',
                        needed.name)
            ELSE format('partition public.%s is %s, not %s', needed.name, standing.bounds, needed.bounds)
       END AS failure
FROM needed
LEFT JOIN standing ON standing.name = needed.name
WHERE standing.bounds IS DISTINCT FROM needed.bounds
UNION ALL
SELECT format('partition public.%s is past the six months of retention: '
              'SELECT * FROM public.maintain_messages_partitions()', standing.name)
FROM standing, clock
WHERE standing.name ~ '^messages_[0-9]{4}_(0[1-9]|1[0-2])$'
  AND standing.name < 'messages_' || to_char(utc_now - interval '6 months 2 days', 'YYYY_MM');
