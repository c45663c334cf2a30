-- windlass: scratch
--
-- A salon at the size of a real one: 1,299 clients, 63 services, 12 staff, 56 schedules, 38 bookings, 21 dialogue
-- contexts and, spread over the six partitions, as many messages as the setting windlass.sample_messages says
-- (100,000 without it). For a database of its own. By hand, with three million messages:
--
--   PGOPTIONS='-c windlass.sample_messages=3000000' psql -v ON_ERROR_STOP=1 -f volume.sql
--
-- The last statement deletes the company, and everything else goes with it.
DELETE FROM public.companies WHERE name = 'Sample salon at volume';

INSERT INTO public.companies (name, phone) VALUES ('Sample salon at volume', '79000000001');

INSERT INTO public.clients (company_id, phone, name, visit_count)
SELECT c.id, (79100000000 + n)::text, 'Client ' || n, n % 20
FROM public.companies c CROSS JOIN generate_series(1, 1299) AS n
WHERE c.name = 'Sample salon at volume';

INSERT INTO public.services (company_id, title, category, price_min, price_max, duration_minutes)
SELECT c.id, 'Service ' || n, (ARRAY['hair', 'nails', 'face'])[1 + n % 3], 1000 + n * 10, 2000 + n * 10, 30 + n % 4 * 15
FROM public.companies c CROSS JOIN generate_series(1, 63) AS n
WHERE c.name = 'Sample salon at volume';

INSERT INTO public.staff (company_id, name, specialization)
SELECT c.id, 'Staff ' || n, (ARRAY['hair', 'nails', 'face'])[1 + n % 3]
FROM public.companies c CROSS JOIN generate_series(1, 12) AS n
WHERE c.name = 'Sample salon at volume';

INSERT INTO public.staff_schedules (company_id, staff_id, work_date, start_time, end_time)
SELECT s.company_id, s.id, date '2030-03-04' + n, '10:00', '20:00'
FROM public.staff s
JOIN public.companies c ON c.id = s.company_id AND c.name = 'Sample salon at volume'
CROSS JOIN generate_series(0, 4) AS n
ORDER BY n, s.id
LIMIT 56;

INSERT INTO public.bookings (company_id, client_id, service_id, staff_id, starts_at, ends_at, status, price)
SELECT c.id, cl.id, sv.id, st.id, day, day + interval '1 hour', 'confirmed', sv.price_min
FROM public.companies c
CROSS JOIN generate_series(1, 38) AS n
CROSS JOIN LATERAL (SELECT timestamptz '2030-03-04 10:00Z' + make_interval(days => n)) AS at (day)
JOIN public.clients cl ON cl.company_id = c.id AND cl.name = 'Client ' || n * 30
JOIN public.services sv ON sv.company_id = c.id AND sv.title = 'Service ' || 1 + n % 63
JOIN public.staff st ON st.company_id = c.id AND st.name = 'Staff ' || 1 + n % 12
WHERE c.name = 'Sample salon at volume';

INSERT INTO public.dialog_contexts (company_id, client_id, phone, message_count)
SELECT cl.company_id, cl.id, cl.phone, 3
FROM public.clients cl
JOIN public.companies c ON c.id = cl.company_id AND c.name = 'Sample salon at volume'
ORDER BY cl.id
LIMIT 21;

-- Message n belongs to client 1 + n mod 1,299, and lies in the month n mod 6 from now.
INSERT INTO public.messages (company_id, client_id, phone, direction, body, status, created_at)
SELECT cl.company_id, cl.id, cl.phone, CASE WHEN n % 2 = 0 THEN 'incoming' ELSE 'outgoing' END, 'Message ' || n, 'read',
       (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => (n % 6)::integer)) AT TIME ZONE 'UTC'
           + make_interval(secs => n % 2400000)
FROM generate_series(
    1, coalesce(nullif(current_setting('windlass.sample_messages', true), ''), '100000')::bigint) AS n
JOIN (SELECT cl.*, row_number() OVER (ORDER BY cl.id) AS place
      FROM public.clients cl
      JOIN public.companies c ON c.id = cl.company_id AND c.name = 'Sample salon at volume') AS cl
  ON cl.place = 1 + n % 1299;

ANALYZE public.messages;

-- check: volume_row_counts
SELECT format('%s rows in public.%s, expected %s', counted, relation, expected) AS failure
FROM public.companies c
CROSS JOIN LATERAL (VALUES
    ('clients', 1299::bigint, (SELECT count(*) FROM public.clients x WHERE x.company_id = c.id)),
    ('services', 63, (SELECT count(*) FROM public.services x WHERE x.company_id = c.id)),
    ('staff', 12, (SELECT count(*) FROM public.staff x WHERE x.company_id = c.id)),
    ('staff_schedules', 56, (SELECT count(*) FROM public.staff_schedules x WHERE x.company_id = c.id)),
    ('bookings', 38, (SELECT count(*) FROM public.bookings x WHERE x.company_id = c.id)),
    ('dialog_contexts', 21, (SELECT count(*) FROM public.dialog_contexts x WHERE x.company_id = c.id)),
    ('messages', coalesce(nullif(current_setting('windlass.sample_messages', true), ''), '100000')::bigint,
     (SELECT count(*) FROM public.messages x WHERE x.company_id = c.id))
) AS tally (relation, expected, counted)
WHERE c.name = 'Sample salon at volume' AND counted IS DISTINCT FROM expected;

-- check: volume_every_partition_filled
SELECT format('the messages lie in %s partitions, expected 6', count(DISTINCT m.tableoid)) AS failure
FROM public.messages m
JOIN public.companies c ON c.id = m.company_id AND c.name = 'Sample salon at volume'
HAVING count(DISTINCT m.tableoid) <> 6;

-- check: volume_recent_messages
SELECT 'get_recent_messages() does not give the twenty newest messages of a phone, newest first' AS failure
FROM public.companies c
WHERE c.name = 'Sample salon at volume'
  AND ARRAY(SELECT r.id FROM public.get_recent_messages('79100000007', c.id, 20) AS r)
      IS DISTINCT FROM
      ARRAY(SELECT m.id FROM public.messages m
            WHERE m.phone = '79100000007' AND m.company_id = c.id
            ORDER BY m.created_at DESC, m.id DESC LIMIT 20);

-- The plan of the assistant's commonest question, kept in a setting for the check below it.
DO $do$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT JSON, COSTS OFF) SELECT * FROM public.messages WHERE company_id = %s '
                   'AND phone = ''79100000007'' ORDER BY created_at DESC LIMIT 20',
                   (SELECT id FROM public.companies WHERE name = 'Sample salon at volume')) INTO plan;
    PERFORM set_config('windlass.salon_volume_plan', plan::text, false);
END
$do$;

-- check: volume_index_serves_recent_messages
SELECT format('partition %s is read by a %s', node ->> 'Relation Name', node ->> 'Node Type') AS failure
FROM jsonb_path_query(
    nullif(current_setting('windlass.salon_volume_plan', true), '')::jsonb,
    '$.** ? (exists (@."Relation Name"))') AS node
WHERE node ->> 'Node Type' = 'Seq Scan'
UNION ALL
SELECT 'no plan was made'
WHERE coalesce(current_setting('windlass.salon_volume_plan', true), '') = '';

DELETE FROM public.companies WHERE name = 'Sample salon at volume';

-- check: volume_nothing_left_behind
SELECT format('%s rows are left in public.%s', counted, relation) AS failure
FROM (
    SELECT 'clients', count(*) FROM public.clients WHERE phone BETWEEN '79100000001' AND '79100001299'
    UNION ALL
    SELECT 'messages', count(*) FROM public.messages WHERE phone BETWEEN '79100000001' AND '79100001299'
) AS tally (relation, counted)
WHERE counted <> 0;
