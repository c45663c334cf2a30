-- Checks 4, 5, 7 and 8 of salon's nine, on a test company. They write, so they run in a transaction that is
-- rolled back, and nothing is left behind, in a production database either. By hand:
--
--   psql -v ON_ERROR_STOP=1 -c BEGIN -f sample_data.sql -c ROLLBACK
--
-- The first two statements make a commit impossible: outside a transaction the INSERT fails before any
-- sample row is written, and inside one the COMMIT does.
CREATE TEMP TABLE sample_data_must_be_rolled_back (
    id      integer PRIMARY KEY,
    refused integer REFERENCES sample_data_must_be_rolled_back (id) DEFERRABLE INITIALLY DEFERRED
);

INSERT INTO sample_data_must_be_rolled_back VALUES (1, 0);

-- What the tests below find wrong, read by the checks at the end.
CREATE TEMP TABLE sample_failure (check_name text NOT NULL, failure text NOT NULL);

CREATE TEMP TABLE sample_company AS
SELECT nextval(pg_get_serial_sequence('public.companies', 'id')) AS id, label
FROM (VALUES ('salon'), ('neighbour')) AS named (label);

-- Every row is older than the trigger's clock, so that an update can be seen.
INSERT INTO public.companies (id, name, phone, settings, created_at, updated_at)
OVERRIDING SYSTEM VALUE
SELECT id, 'Sample ' || label, '79000000000', '{"language": "ru"}', '2001-01-01 00:00Z', '2001-01-01 00:00Z'
FROM sample_company;

INSERT INTO public.clients (company_id, phone, name, tags, created_at, updated_at)
SELECT c.id, phone, name, tags, '2001-01-01 00:00Z', '2001-01-01 00:00Z'
FROM sample_company c
JOIN (VALUES
    ('salon', '79001234567', 'Anna', ARRAY['regular']),
    ('salon', '79001234568', 'Boris', ARRAY['new', 'colour']),
    ('salon', '79001234569', 'Vera', ARRAY[]::text[]),
    ('neighbour', '79001234567', 'Anna', ARRAY[]::text[])
) AS v (label, phone, name, tags) USING (label);

INSERT INTO public.services (company_id, title, category, price_min, price_max, duration_minutes, created_at,
                             updated_at)
SELECT c.id, title, category, price, price, minutes, '2001-01-01 00:00Z', '2001-01-01 00:00Z'
FROM sample_company c
JOIN (VALUES
    ('salon', 'Haircut', 'hair', 1500.00, 60),
    ('salon', 'Colouring', 'hair', 4200.00, 120),
    ('salon', 'Manicure', 'nails', 1800.00, 90),
    ('neighbour', 'Haircut', 'hair', 1000.00, 45)
) AS v (label, title, category, price, minutes) USING (label);

INSERT INTO public.staff (company_id, name, specialization, rating, created_at, updated_at)
SELECT c.id, name, specialization, 4.80, '2001-01-01 00:00Z', '2001-01-01 00:00Z'
FROM sample_company c
JOIN (VALUES
    ('salon', 'Galina', 'hair'),
    ('salon', 'Daria', 'nails'),
    ('neighbour', 'Elena', 'hair')
) AS v (label, name, specialization) USING (label);

INSERT INTO public.staff_schedules (company_id, staff_id, work_date, is_working, start_time, end_time, created_at,
                                    updated_at)
SELECT s.company_id, s.id, date '2030-03-04' + n, n < 5,
       CASE WHEN n < 5 THEN time '10:00' END, CASE WHEN n < 5 THEN time '20:00' END,
       '2001-01-01 00:00Z', '2001-01-01 00:00Z'
FROM public.staff s
JOIN sample_company c ON c.id = s.company_id AND c.label = 'salon'
CROSS JOIN generate_series(0, 6) AS n;

INSERT INTO public.bookings (company_id, client_id, service_id, staff_id, starts_at, ends_at, status, price,
                             cancelled_at, booking_data, created_at, updated_at)
SELECT c.id, cl.id, sv.id, st.id, v.starts_at, v.starts_at + make_interval(mins => sv.duration_minutes), v.status,
       sv.price_min, CASE WHEN v.status = 'cancelled' THEN v.starts_at - interval '1 day' END,
       jsonb_build_object('seats', 1), '2001-01-01 00:00Z', '2001-01-01 00:00Z'
FROM sample_company c
JOIN (VALUES
    ('salon', 'Anna', 'Haircut', 'Galina', timestamptz '2030-03-04 10:00Z', 'completed'),
    ('salon', 'Anna', 'Colouring', 'Galina', timestamptz '2030-03-05 10:00Z', 'confirmed'),
    ('salon', 'Boris', 'Haircut', 'Galina', timestamptz '2030-03-05 13:00Z', 'cancelled'),
    ('salon', 'Boris', 'Manicure', 'Daria', timestamptz '2030-04-01 00:00Z', 'confirmed'),
    ('neighbour', 'Anna', 'Haircut', 'Elena', timestamptz '2030-03-05 10:00Z', 'confirmed')
) AS v (label, client, service, staff, starts_at, status) USING (label)
JOIN public.clients cl ON cl.company_id = c.id AND cl.name = v.client
JOIN public.services sv ON sv.company_id = c.id AND sv.title = v.service
JOIN public.staff st ON st.company_id = c.id AND st.name = v.staff;

INSERT INTO public.reminders (company_id, booking_id, kind, phone, scheduled_for, created_at, updated_at)
SELECT b.company_id, b.id, 'day_before', cl.phone, b.starts_at - interval '1 day',
       '2001-01-01 00:00Z', '2001-01-01 00:00Z'
FROM public.bookings b
JOIN sample_company c ON c.id = b.company_id
JOIN public.clients cl ON cl.id = b.client_id
WHERE b.status = 'confirmed';

INSERT INTO public.dialog_contexts (company_id, client_id, phone, context, expires_at, created_at, updated_at)
SELECT cl.company_id, cl.id, cl.phone, '{"step": "choose_time"}',
       CASE cl.name WHEN 'Boris' THEN now() - interval '1 minute' ELSE now() + interval '1 hour' END,
       '2001-01-01 00:00Z', '2001-01-01 00:00Z'
FROM public.clients cl
JOIN sample_company c ON c.id = cl.company_id;

INSERT INTO public.appointments_cache (company_id, cache_key, appointment_date, appointment_data, cached_at, expires_at)
SELECT id, key, '2030-03-05', '["10:00", "11:30"]', now() - interval '1 hour', now() + valid_for
FROM sample_company
CROSS JOIN (VALUES ('slots:fresh', interval '10 minutes'), ('slots:stale', interval '-10 minutes'))
    AS v (key, valid_for)
WHERE label = 'salon';

INSERT INTO public.sync_status (company_id, entity, created_at, updated_at)
SELECT id, 'clients', '2001-01-01 00:00Z', '2001-01-01 00:00Z' FROM sample_company;

-- One hour into this month and the four after it (the sixth partition may be a day late), and the very first and
-- last moment of next month.
INSERT INTO public.messages (company_id, client_id, phone, direction, body, status, created_at)
SELECT cl.company_id, cl.id, cl.phone, CASE WHEN n % 2 = 0 THEN 'incoming' ELSE 'outgoing' END,
       'message ' || n, 'read',
       (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n, hours => 1)) AT TIME ZONE 'UTC'
FROM public.clients cl
JOIN sample_company c ON c.id = cl.company_id AND c.label = 'salon'
CROSS JOIN generate_series(0, 4) AS n
WHERE cl.name = 'Anna'
UNION ALL
SELECT c.id, NULL, '79001234568', 'incoming', body, 'received', at AT TIME ZONE 'UTC'
FROM sample_company c
CROSS JOIN (SELECT date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AS next (month_start)
CROSS JOIN LATERAL (VALUES
    ('first moment', next.month_start),
    ('last moment', next.month_start + interval '1 month' - interval '1 microsecond')
) AS v (body, at)
WHERE c.label = 'salon';

-- Check 8: what is asked of the sample data, and the answers known beforehand.
INSERT INTO sample_failure
SELECT 'queries', format('%s: expected %s, got %s', question, expected, coalesce(answer, 'nothing'))
FROM (
    SELECT 'join of bookings, clients, services and staff', 'Anna/Haircut/Galina, Anna/Colouring/Galina, '
           'Boris/Haircut/Galina, Boris/Manicure/Daria',
           (SELECT string_agg(concat_ws('/', cl.name, sv.title, st.name), ', ' ORDER BY b.starts_at)
            FROM public.bookings b
            JOIN sample_company c ON c.id = b.company_id AND c.label = 'salon'
            JOIN public.clients cl ON cl.id = b.client_id
            JOIN public.services sv ON sv.id = b.service_id
            JOIN public.staff st ON st.id = b.staff_id)
    UNION ALL
    SELECT 'clients without a booking (outer join)', 'Vera',
           (SELECT string_agg(cl.name, ', ' ORDER BY cl.name)
            FROM public.clients cl
            JOIN sample_company c ON c.id = cl.company_id AND c.label = 'salon'
            LEFT JOIN public.bookings b ON b.client_id = cl.id
            WHERE b.id IS NULL)
    UNION ALL
    SELECT 'takings per staff member', 'Daria 1800.00, Galina 5700.00',
           (SELECT string_agg(name || ' ' || taken, ', ' ORDER BY name)
            FROM (SELECT st.name, sum(b.price) FILTER (WHERE b.status <> 'cancelled') AS taken
                  FROM public.bookings b
                  JOIN sample_company c ON c.id = b.company_id AND c.label = 'salon'
                  JOIN public.staff st ON st.id = b.staff_id
                  GROUP BY st.name) AS takings)
    UNION ALL
    SELECT 'bookings in March (half-open range: the one at midnight of 1 April is not in it)', '3',
           (SELECT count(*)::text
            FROM public.bookings b
            JOIN sample_company c ON c.id = b.company_id AND c.label = 'salon'
            WHERE b.starts_at >= '2030-03-01 00:00Z' AND b.starts_at < '2030-04-01 00:00Z')
    UNION ALL
    SELECT 'working days from 4 to 10 March', 'Daria 5, Galina 5',
           (SELECT string_agg(name || ' ' || days, ', ' ORDER BY name)
            FROM (SELECT st.name, count(*) AS days
                  FROM public.staff_schedules sc
                  JOIN public.staff st ON st.id = sc.staff_id
                  JOIN sample_company c ON c.id = sc.company_id AND c.label = 'salon'
                  WHERE sc.is_working AND sc.work_date BETWEEN '2030-03-04' AND '2030-03-10'
                  GROUP BY st.name) AS working)
    UNION ALL
    SELECT 'messages of next month, first and last moment included', '3',
           (SELECT count(*)::text
            FROM public.messages m
            JOIN sample_company c ON c.id = m.company_id AND c.label = 'salon'
            CROSS JOIN (SELECT date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month')
                AS next (month_start)
            WHERE m.created_at >= next.month_start AT TIME ZONE 'UTC'
              AND m.created_at < (next.month_start + interval '1 month') AT TIME ZONE 'UTC')
    UNION ALL
    SELECT 'the two newest messages of a phone', 'message 4, message 3',
           (SELECT string_agg(m.body, ', ' ORDER BY m.created_at DESC)
            FROM sample_company c
            CROSS JOIN LATERAL public.get_recent_messages('+7 900 123-45-67', c.id, 2) AS m
            WHERE c.label = 'salon')
    UNION ALL
    SELECT 'clients by tag', 'Boris',
           (SELECT string_agg(cl.name, ', ' ORDER BY cl.name)
            FROM public.clients cl
            JOIN sample_company c ON c.id = cl.company_id
            WHERE cl.tags @> ARRAY['colour'])
) AS asked (question, expected, answer)
WHERE answer IS DISTINCT FROM expected;

-- Check 7: the rows went where they belong, and the functions work on them.
INSERT INTO sample_failure
SELECT 'sample_data', format('message of %s is in %s', m.created_at, m.tableoid::regclass)
FROM public.messages m
JOIN sample_company c ON c.id = m.company_id
WHERE m.tableoid IS DISTINCT FROM
      to_regclass('public.messages_' || to_char(m.created_at AT TIME ZONE 'UTC', 'YYYY_MM'))::oid;

DO $do$
DECLARE
    target   text;
    expected bigint;
    counted  bigint;
BEGIN
    FOR target, expected IN VALUES ('clients', 4), ('services', 4), ('staff', 3), ('staff_schedules', 14),
                                   ('bookings', 5), ('reminders', 3), ('dialog_contexts', 4),
                                   ('appointments_cache', 2), ('sync_status', 2), ('messages', 7) LOOP
        EXECUTE format('SELECT count(*) FROM public.%I WHERE company_id IN (SELECT id FROM sample_company)', target)
        INTO counted;
        IF counted <> expected THEN
            INSERT INTO sample_failure
            VALUES ('sample_data', format('%s sample rows in public.%s, expected %s', counted, target, expected));
        END IF;
    END LOOP;
END
$do$;

DO $do$
DECLARE
    salon  bigint := (SELECT id FROM sample_company WHERE label = 'salon');
    client bigint := (SELECT id FROM public.clients WHERE company_id = salon AND name = 'Anna');
    tried  text;
BEGIN
    FOREACH tried IN ARRAY ARRAY[
        format('INSERT INTO public.clients (company_id, phone) VALUES (%s, ''+7 900 123-45-67'')', salon),
        format('INSERT INTO public.messages (company_id, phone, direction) '
               'VALUES (%s, ''8-900'', ''incoming'')', salon),
        format('INSERT INTO public.clients (company_id, phone) VALUES (%s, ''79001234567'')', salon),
        format('UPDATE public.bookings SET status = ''lost'' WHERE client_id = %s', client),
        format('UPDATE public.bookings SET ends_at = starts_at WHERE client_id = %s', client),
        format('UPDATE public.bookings SET status = ''cancelled'' WHERE client_id = %s', client)
    ] LOOP
        BEGIN
            EXECUTE tried;
            RAISE SQLSTATE 'WL001';  -- so that what was wrongly accepted is undone
        EXCEPTION
            WHEN check_violation OR unique_violation THEN
                NULL;
            WHEN SQLSTATE 'WL001' THEN
                INSERT INTO sample_failure VALUES ('sample_data', 'was accepted: ' || tried);
        END;
    END LOOP;

    PERFORM public.cleanup_expired_dialog_contexts(), public.cleanup_expired_appointments_cache();
    INSERT INTO sample_failure
    SELECT 'sample_data', format('after the clean-up there are %s, not Anna and Vera, among the contexts', names)
    FROM (SELECT coalesce(string_agg(cl.name, ', ' ORDER BY cl.name), 'none') AS names
          FROM public.dialog_contexts d
          JOIN public.clients cl ON cl.id = d.client_id
          WHERE d.company_id = salon) AS kept
    WHERE names <> 'Anna, Vera';
    INSERT INTO sample_failure
    SELECT 'sample_data', format('after the clean-up there are %s, not slots:fresh, in the cache', keys)
    FROM (SELECT coalesce(string_agg(cache_key, ', '), 'none') AS keys
          FROM public.appointments_cache WHERE company_id = salon) AS kept
    WHERE keys <> 'slots:fresh';
END
$do$;

-- Check 5: an update of a row stamps updated_at, and one that changes nothing does not.
DO $do$
DECLARE
    target  text;
    stamped boolean;
BEGIN
    FOREACH target IN ARRAY ARRAY['companies', 'clients', 'services', 'staff', 'staff_schedules', 'bookings',
                                  'dialog_contexts', 'reminders', 'sync_status'] LOOP
        EXECUTE format('UPDATE public.%I SET created_at = created_at WHERE %I IN (SELECT id FROM sample_company)',
                       target, CASE target WHEN 'companies' THEN 'id' ELSE 'company_id' END);
        EXECUTE format('SELECT bool_or(updated_at <> ''2001-01-01 00:00Z'') FROM public.%I '
                       'WHERE %I IN (SELECT id FROM sample_company)',
                       target, CASE target WHEN 'companies' THEN 'id' ELSE 'company_id' END) INTO stamped;
        IF stamped IS DISTINCT FROM false THEN
            INSERT INTO sample_failure
            VALUES ('triggers', format('an update of public.%s that changes nothing sets updated_at', target));
        END IF;

        EXECUTE format('UPDATE public.%I SET created_at = created_at + interval ''1 second'' '
                       'WHERE %I IN (SELECT id FROM sample_company)',
                       target, CASE target WHEN 'companies' THEN 'id' ELSE 'company_id' END);
        EXECUTE format('SELECT bool_and(updated_at = now()) FROM public.%I WHERE %I IN (SELECT id FROM sample_company)',
                       target, CASE target WHEN 'companies' THEN 'id' ELSE 'company_id' END) INTO stamped;
        IF stamped IS DISTINCT FROM true THEN
            INSERT INTO sample_failure
            VALUES ('triggers', format('an update of public.%s does not set updated_at', target));
        END IF;
    END LOOP;
END
$do$;

-- Check 4: what a foreign key must refuse, then what it must take along.
DO $do$
DECLARE
    salon     bigint := (SELECT id FROM sample_company WHERE label = 'salon');
    neighbour bigint := (SELECT id FROM sample_company WHERE label = 'neighbour');
    booked    public.bookings := (SELECT b FROM public.bookings b WHERE company_id = salon ORDER BY starts_at LIMIT 1);
    tried     text;
    rest      bigint;
    target    text;
BEGIN
    FOREACH tried IN ARRAY ARRAY[
        -- RESTRICT: a booking depends on them
        format('DELETE FROM public.clients WHERE id = %s', booked.client_id),
        format('DELETE FROM public.services WHERE id = %s', booked.service_id),
        format('DELETE FROM public.staff WHERE id = %s', booked.staff_id),
        -- no such row, and a row of another company
        format('UPDATE public.bookings SET client_id = -1 WHERE id = %s', booked.id),
        format('UPDATE public.bookings SET client_id = (SELECT id FROM public.clients WHERE company_id = %s) '
               'WHERE id = %s', neighbour, booked.id),
        'INSERT INTO public.clients (company_id, phone) VALUES (-1, ''79001234567'')',
        'INSERT INTO public.messages (company_id, phone, direction) VALUES (-1, ''79001234567'', ''incoming'')',
        format('INSERT INTO public.messages (company_id, client_id, phone, direction) VALUES (%s, -1, ''79001234567'', '
               '''incoming'')', salon)
    ] LOOP
        BEGIN
            EXECUTE tried;
            RAISE SQLSTATE 'WL001';
        EXCEPTION
            WHEN foreign_key_violation OR restrict_violation THEN
                NULL;
            WHEN SQLSTATE 'WL001' THEN
                INSERT INTO sample_failure VALUES ('foreign_keys', 'was accepted: ' || tried);
        END;
    END LOOP;

    BEGIN
        -- CASCADE from a booking to its reminders, then from a client to its context; its messages stay.
        DELETE FROM public.bookings WHERE company_id = salon AND client_id = booked.client_id;
        DELETE FROM public.clients WHERE id = booked.client_id;
        SELECT count(*) INTO rest FROM public.reminders WHERE company_id = salon;
        IF rest <> 1 THEN
            INSERT INTO sample_failure
            VALUES ('foreign_keys', format('%s reminders after their bookings were deleted, expected 1', rest));
        END IF;
        SELECT count(*) INTO rest FROM public.dialog_contexts WHERE company_id = salon AND phone = '79001234567';
        IF rest <> 0 THEN
            INSERT INTO sample_failure VALUES ('foreign_keys', 'a dialogue context outlived its client');
        END IF;
        SELECT count(*) INTO rest
        FROM public.messages WHERE company_id = salon AND phone = '79001234567' AND client_id IS NULL;
        IF rest <> 5 THEN
            INSERT INTO sample_failure
            VALUES ('foreign_keys', format('%s messages without a client after it was deleted, expected 5', rest));
        END IF;

        -- CASCADE from the company, though RESTRICT holds between the rows that go with it. Nothing is left.
        DELETE FROM public.companies WHERE id IN (SELECT id FROM sample_company);
        FOREACH target IN ARRAY ARRAY['clients', 'services', 'staff', 'staff_schedules', 'bookings',
                                      'appointments_cache', 'dialog_contexts', 'reminders', 'sync_status',
                                      'messages'] LOOP
            EXECUTE format('SELECT count(*) FROM public.%I WHERE company_id IN (SELECT id FROM sample_company)',
                           target) INTO rest;
            IF rest <> 0 THEN
                INSERT INTO sample_failure
                VALUES ('foreign_keys', format('%s rows of public.%s outlived their company', rest, target));
            END IF;
        END LOOP;
    EXCEPTION WHEN foreign_key_violation OR restrict_violation THEN
        INSERT INTO sample_failure VALUES ('foreign_keys', 'a delete that should cascade was refused: ' || SQLERRM);
    END;
END
$do$;

-- check: foreign_keys_enforced
SELECT failure FROM sample_failure WHERE check_name = 'foreign_keys';

-- check: triggers_fire_on_update
SELECT failure FROM sample_failure WHERE check_name = 'triggers';

-- check: sample_data_passes
SELECT failure FROM sample_failure WHERE check_name = 'sample_data';

-- check: joins_aggregates_date_ranges
SELECT failure FROM sample_failure WHERE check_name = 'queries';
