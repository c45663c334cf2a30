-- windlass: requires 002_add_status_timestamps
--
-- The one way in which a status event changes a message, whichever worker receives it and in whichever order the
-- events come. A migration and not a repeatable script: it goes when the columns that it writes go.

CREATE OR REPLACE FUNCTION public.message_failed_reason(p_code text, p_title text, p_message text, p_details text)
    RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog
AS $body$
    SELECT 'Error ' || coalesce(p_code, 'unknown') || ': ' || coalesce(p_title, 'unknown')
           || coalesce(' - ' || p_message, '') || coalesce(' (' || p_details || ')', '')
$body$;
COMMENT ON FUNCTION public.message_failed_reason(text, text, text, text) IS
    'Error {code}: {title} - {message} ({details}); a message or details that were not given are left out.';

CREATE OR REPLACE FUNCTION public.apply_message_status(
    p_message_id  text,
    p_status      text,
    p_occurred_at timestamptz DEFAULT now(),
    p_code        text DEFAULT NULL,
    p_title       text DEFAULT NULL,
    p_message     text DEFAULT NULL,
    p_details     text DEFAULT NULL
) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, public
AS $body$
DECLARE
    statuses  CONSTANT text[] := ARRAY['sent', 'delivered', 'read', 'failed'];
    rank      CONSTANT integer := array_position(statuses, p_status);
    event_at  CONSTANT timestamptz := coalesce(p_occurred_at, now());
BEGIN
    IF rank IS NULL THEN
        RAISE EXCEPTION 'status % is not one of sent, delivered, read, failed', quote_nullable(p_status)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- One statement: of two workers with events for one message the second sees the row as the first left it.
    -- The time of a status that was reached before is kept, so an event that is delivered twice changes nothing.
    UPDATE public.whatsapp_messages
    SET status        = p_status,
        sent_at       = CASE p_status WHEN 'sent' THEN coalesce(sent_at, event_at) ELSE sent_at END,
        delivered_at  = CASE p_status WHEN 'delivered' THEN coalesce(delivered_at, event_at) ELSE delivered_at END,
        read_at       = CASE p_status WHEN 'read' THEN coalesce(read_at, event_at) ELSE read_at END,
        failed_at     = CASE p_status WHEN 'failed' THEN coalesce(failed_at, event_at) ELSE failed_at END,
        failed_reason = CASE p_status
                            WHEN 'failed' THEN public.message_failed_reason(p_code, p_title, p_message, p_details)
                            ELSE failed_reason
                        END
    WHERE message_id = p_message_id
      AND rank >= coalesce(array_position(statuses, status::text), 0);
    IF FOUND THEN
        RETURN 'applied';
    END IF;

    IF EXISTS (SELECT FROM public.whatsapp_messages WHERE message_id = p_message_id) THEN
        RETURN 'ignored';
    END IF;
    RETURN 'unknown';
END
$body$;
COMMENT ON FUNCTION public.apply_message_status(text, text, timestamptz, text, text, text, text) IS
    'Applies a status event: sent < delivered < read, and failed is always taken. Returns applied; ignored, when the '
    'message is further already; or unknown, when there is no such message (yet).';

CREATE OR REPLACE FUNCTION public.get_failed_messages(p_since timestamptz, p_until timestamptz DEFAULT 'infinity')
    RETURNS TABLE (message_id text, to_phone text, failed_at timestamptz, failed_reason text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, public
AS $body$
    SELECT m.message_id, m.to_phone, m.failed_at, m.failed_reason
    FROM public.whatsapp_messages m
    WHERE m.failed_at >= p_since AND m.failed_at < p_until
    ORDER BY m.failed_at DESC, m.message_id
$body$;
COMMENT ON FUNCTION public.get_failed_messages(timestamptz, timestamptz) IS
    'The messages that failed in [since, until), latest first, with their reasons.';

CREATE OR REPLACE FUNCTION public.get_message_rates(p_since timestamptz, p_until timestamptz DEFAULT 'infinity')
    RETURNS TABLE (sent bigint, delivered bigint, read bigint, delivery_rate numeric, read_rate numeric,
                   average_delivery_seconds numeric)
    LANGUAGE sql STABLE SET search_path = pg_catalog, public
AS $body$
    SELECT count(*), count(m.delivered_at), count(m.read_at),
           round(100.0 * count(m.delivered_at) / nullif(count(*), 0), 2),
           round(100.0 * count(m.read_at) / nullif(count(*), 0), 2),
           round(avg(extract(epoch FROM m.delivered_at - m.sent_at))::numeric, 2)
    FROM public.whatsapp_messages m
    WHERE m.direction = 'outgoing' AND m.sent_at >= p_since AND m.sent_at < p_until
$body$;
COMMENT ON FUNCTION public.get_message_rates(timestamptz, timestamptz) IS
    'Of the outgoing messages sent in [since, until): how many per cent were delivered and read (two decimals), and '
    'how many seconds delivery took. Rates are null where nothing was sent.';
