-- windlass: schedule hourly
-- windlass: lock-timeout 200ms
-- windlass: repeat 50ms
--
-- Messages of the last week whose status was set by an application of before, without its time: they get the times that
-- 005_backfill_status_timestamps gave to the rows that stood. When no such application is left there is nothing to do.
-- Rows that somebody works on are passed over. By hand: again until no row was changed.
UPDATE public.whatsapp_messages AS m
SET sent_at      = CASE WHEN m.status <> 'failed' THEN coalesce(m.sent_at, m.created_at) ELSE m.sent_at END,
    delivered_at = CASE WHEN m.status IN ('delivered', 'read') AND m.read_at IS NULL
                        THEN coalesce(m.delivered_at, m.sent_at, m.created_at) ELSE m.delivered_at END,
    read_at      = CASE WHEN m.status = 'read'
                        THEN coalesce(m.read_at, m.delivered_at, m.sent_at, m.created_at) ELSE m.read_at END,
    failed_at    = CASE WHEN m.status = 'failed' THEN coalesce(m.failed_at, m.created_at) ELSE m.failed_at END
FROM (
    SELECT id
    FROM public.whatsapp_messages
    WHERE created_at >= now() - interval '7 days' AND direction = 'outgoing'
      AND (status IN ('sent', 'delivered', 'read') AND sent_at IS NULL
           OR status = 'delivered' AND delivered_at IS NULL
           OR status = 'read' AND read_at IS NULL
           OR status = 'failed' AND failed_at IS NULL)
    ORDER BY created_at
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
) AS late
WHERE m.id = late.id;
