-- windlass: no-transaction
-- windlass: requires 004_apply_message_status
--
-- Gives the rows that stand the times that their status implies. created_at is the best that is known of them.
-- A time that an event has set is kept, and a message that was read without a delivery event keeps that gap.

-- windlass: backfill table=public.whatsapp_messages key=id batch=5000 pause=50ms
UPDATE public.whatsapp_messages
SET sent_at      = CASE WHEN status <> 'failed' THEN coalesce(sent_at, created_at) ELSE sent_at END,
    delivered_at = CASE WHEN status IN ('delivered', 'read') AND read_at IS NULL
                        THEN coalesce(delivered_at, sent_at, created_at) ELSE delivered_at END,
    read_at      = CASE WHEN status = 'read'
                        THEN coalesce(read_at, delivered_at, sent_at, created_at) ELSE read_at END,
    failed_at    = CASE WHEN status = 'failed' THEN coalesce(failed_at, created_at) ELSE failed_at END
WHERE direction = 'outgoing'
  AND (status IN ('sent', 'delivered', 'read') AND sent_at IS NULL
       OR status = 'delivered' AND delivered_at IS NULL
       OR status = 'read' AND read_at IS NULL
       OR status = 'failed' AND failed_at IS NULL)
  /* windlass: batch */;
