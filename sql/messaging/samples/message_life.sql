-- The life of messages, in order and out of order, on sample rows. It runs in a transaction that is rolled back, so
-- nothing is left behind, in a production database either. By hand:
--
--   psql -v ON_ERROR_STOP=1 -c BEGIN -f message_life.sql -c ROLLBACK
--
-- The first two statements make a commit impossible: outside a transaction the INSERT fails before any
-- sample row is written, and inside one the COMMIT does.
CREATE TEMP TABLE sample_data_must_be_rolled_back (
    id      integer PRIMARY KEY,
    refused integer REFERENCES sample_data_must_be_rolled_back (id) DEFERRABLE INITIALLY DEFERRED
);

INSERT INTO sample_data_must_be_rolled_back VALUES (1, 0);

-- Far from the present, so that the rates below are of these rows alone.
INSERT INTO public.whatsapp_messages (message_id, to_phone, from_phone, direction, status, body, created_at)
SELECT 'windlass-sample-' || name, '79001234567', '79007654321', direction, status, 'sample', '2001-01-01 10:00Z'
FROM (VALUES
    ('in-order', 'outgoing', 'pending'),
    ('out-of-order', 'outgoing', 'pending'),
    ('failed', 'outgoing', 'pending'),
    ('failed-after-read', 'outgoing', 'pending'),
    ('twice', 'outgoing', 'pending'),
    ('sent-only', 'outgoing', 'pending'),
    ('old-row', 'outgoing', 'sent'),
    ('incoming', 'incoming', 'received')
) AS v (name, direction, status);

-- The events in the order in which they arrive, and what the function answered.
CREATE TEMP TABLE sample_event (
    arrival     integer GENERATED ALWAYS AS IDENTITY,
    name        text NOT NULL,
    status      text NOT NULL,
    occurred_at timestamptz NOT NULL,
    expected    text NOT NULL,
    answer      text
);

INSERT INTO sample_event (name, status, occurred_at, expected)
VALUES
    ('in-order', 'sent', '2001-01-01 10:00:00Z', 'applied'),
    ('in-order', 'delivered', '2001-01-01 10:00:07.5Z', 'applied'),
    ('in-order', 'read', '2001-01-01 10:03:00Z', 'applied'),
    ('out-of-order', 'sent', '2001-01-01 10:00:00Z', 'applied'),
    ('out-of-order', 'read', '2001-01-01 10:00:20Z', 'applied'),
    ('out-of-order', 'delivered', '2001-01-01 10:00:10Z', 'ignored'),
    ('out-of-order', 'sent', '2001-01-01 10:00:00Z', 'ignored'),
    ('failed', 'sent', '2001-01-01 10:00:00Z', 'applied'),
    ('failed', 'failed', '2001-01-01 10:00:02Z', 'applied'),
    ('failed', 'delivered', '2001-01-01 10:00:03Z', 'ignored'),
    ('failed-after-read', 'sent', '2001-01-01 10:00:00Z', 'applied'),
    ('failed-after-read', 'delivered', '2001-01-01 10:00:02.5Z', 'applied'),
    ('failed-after-read', 'read', '2001-01-01 10:00:04Z', 'applied'),
    ('failed-after-read', 'failed', '2001-01-01 10:00:05Z', 'applied'),
    ('twice', 'sent', '2001-01-01 10:00:00Z', 'applied'),
    ('twice', 'sent', '2001-01-01 10:00:30Z', 'applied'),
    ('sent-only', 'sent', '2001-01-01 10:00:00Z', 'applied'),
    ('old-row', 'sent', '2001-01-01 10:00:00Z', 'applied'),
    ('nobody', 'sent', '2001-01-01 10:00:00Z', 'unknown');

DO $do$
DECLARE
    event sample_event;
BEGIN
    FOR event IN SELECT * FROM sample_event ORDER BY arrival LOOP
        UPDATE sample_event
        SET answer = CASE event.status
                WHEN 'failed' THEN public.apply_message_status(
                    'windlass-sample-' || event.name, 'failed', event.occurred_at, '131047', 'Re-engagement message',
                    'More than 24 hours have passed', 'since the customer last replied')
                ELSE public.apply_message_status(
                    'windlass-sample-' || event.name, event.status, event.occurred_at)
            END
        WHERE arrival = event.arrival;
    END LOOP;
END
$do$;

-- check: status_events_answered
SELECT format('event %s (%s of %s) was %s, expected %s', arrival, status, name,
              coalesce(answer, 'not answered'), expected) AS failure
FROM sample_event
WHERE answer IS DISTINCT FROM expected;

-- check: status_and_times_after_events
SELECT format('%s: expected %s, got %s', needed.name, needed.life, coalesce(got.life, 'no row')) AS failure
FROM (VALUES
    ('in-order', 'read sent 10:00:00 delivered 10:00:07 read 10:03:00'),
    ('out-of-order', 'read sent 10:00:00 read 10:00:20'),
    ('failed', 'failed sent 10:00:00 failed 10:00:02'),
    ('failed-after-read', 'failed sent 10:00:00 delivered 10:00:02 read 10:00:04 failed 10:00:05'),
    ('twice', 'sent sent 10:00:00'),
    ('sent-only', 'sent sent 10:00:00'),
    ('old-row', 'sent sent 10:00:00'),
    ('incoming', 'received')
) AS needed (name, life)
LEFT JOIN LATERAL (
    SELECT concat_ws(' ', m.status,
                     to_char(m.sent_at AT TIME ZONE 'UTC', '"sent" HH24:MI:SS'),
                     to_char(m.delivered_at AT TIME ZONE 'UTC', '"delivered" HH24:MI:SS'),
                     to_char(m.read_at AT TIME ZONE 'UTC', '"read" HH24:MI:SS'),
                     to_char(m.failed_at AT TIME ZONE 'UTC', '"failed" HH24:MI:SS')) AS life
    FROM public.whatsapp_messages m
    WHERE m.message_id = 'windlass-sample-' || needed.name
) AS got ON true
WHERE got.life IS DISTINCT FROM needed.life;

-- check: delivery_time_in_seconds
SELECT format('%s was delivered in %s seconds, expected %s', needed.name,
              coalesce(got.seconds::text, 'no'), needed.seconds) AS failure
FROM (VALUES ('in-order', 7.5), ('failed-after-read', 2.5)) AS needed (name, seconds)
LEFT JOIN LATERAL (
    SELECT extract(epoch FROM m.delivered_at - m.sent_at) AS seconds
    FROM public.whatsapp_messages m
    WHERE m.message_id = 'windlass-sample-' || needed.name
) AS got ON true
WHERE got.seconds IS DISTINCT FROM needed.seconds;

-- check: failed_messages_with_reasons
WITH needed (message_id, failed_reason) AS (
    VALUES
        ('windlass-sample-failed', 'Error 131047: Re-engagement message - More than 24 hours have passed '
                                   '(since the customer last replied)'),
        ('windlass-sample-failed-after-read', 'Error 131047: Re-engagement message - More than 24 hours have passed '
                                              '(since the customer last replied)')
), got AS (
    SELECT message_id, failed_reason
    FROM public.get_failed_messages('2001-01-01 10:00Z', '2001-01-01 11:00Z')
    WHERE message_id LIKE 'windlass-sample-%'
)
SELECT format('%s is not in the failed list with the reason "%s"', message_id, failed_reason) AS failure
FROM (SELECT * FROM needed EXCEPT SELECT * FROM got) AS missing
UNION ALL
SELECT format('%s is in the failed list with the reason "%s"', message_id, coalesce(failed_reason, 'NULL'))
FROM (SELECT * FROM got EXCEPT SELECT * FROM needed) AS extra
UNION ALL
SELECT format('%s is in the failed list of a time that ends before it failed', message_id)
FROM public.get_failed_messages('2001-01-01 10:00Z', '2001-01-01 10:00:02Z')
WHERE message_id LIKE 'windlass-sample-%';

-- check: failed_reason_without_parts
SELECT format('expected "%s", got "%s"', expected, coalesce(got, 'NULL')) AS failure
FROM (VALUES
    ('Error 470: Expired - too late (24 h)', public.message_failed_reason('470', 'Expired', 'too late', '24 h')),
    ('Error 470: Expired - too late', public.message_failed_reason('470', 'Expired', 'too late', NULL)),
    ('Error 470: Expired', public.message_failed_reason('470', 'Expired', NULL, NULL)),
    ('Error unknown: unknown', public.message_failed_reason(NULL, NULL, NULL, NULL))
) AS reason (expected, got)
WHERE got IS DISTINCT FROM expected;

-- Seven sample rows are outgoing and have sent_at: two of them were delivered, three read.
-- check: delivery_and_read_rate
SELECT format('expected 7 sent, delivery rate 28.57, read rate 42.86, 5.00 s; got %s, %s, %s, %s s', r.sent,
              coalesce(r.delivery_rate::text, 'none'), coalesce(r.read_rate::text, 'none'),
              coalesce(r.average_delivery_seconds::text, 'no')) AS failure
FROM public.get_message_rates('2001-01-01 10:00Z', '2001-01-01 10:01Z') AS r
WHERE (r.sent, r.delivery_rate, r.read_rate, r.average_delivery_seconds) IS DISTINCT FROM (7, 28.57, 42.86, 5.00);

DO $do$
BEGIN
    PERFORM public.apply_message_status('windlass-sample-in-order', 'lost');
    PERFORM set_config('windlass.messaging_wrong_status', 'accepted', true);
EXCEPTION WHEN invalid_parameter_value THEN
    PERFORM set_config('windlass.messaging_wrong_status', 'refused', true);
END
$do$;

-- check: wrong_status_is_refused
SELECT 'apply_message_status() took the status "lost"' AS failure
WHERE current_setting('windlass.messaging_wrong_status', true) IS DISTINCT FROM 'refused';
