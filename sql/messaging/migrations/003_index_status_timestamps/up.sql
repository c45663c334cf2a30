-- windlass: no-transaction
-- windlass: requires 002_add_status_timestamps
--
-- One index a time, built while the service goes on writing. Only the rows that have the time are in it: every
-- question asked of it (a range, or "is it there") leaves the others out.
-- By hand: a build that was broken off leaves an invalid index, which IF NOT EXISTS takes for done. verify.sql says
-- so; drop it CONCURRENTLY and run this again.
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_whatsapp_messages_sent_at
    ON public.whatsapp_messages (sent_at) WHERE sent_at IS NOT NULL;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_whatsapp_messages_delivered_at
    ON public.whatsapp_messages (delivered_at) WHERE delivered_at IS NOT NULL;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_whatsapp_messages_read_at
    ON public.whatsapp_messages (read_at) WHERE read_at IS NOT NULL;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_whatsapp_messages_failed_at
    ON public.whatsapp_messages (failed_at) WHERE failed_at IS NOT NULL;
