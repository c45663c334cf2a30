-- windlass: no-transaction
DROP INDEX CONCURRENTLY IF EXISTS public.idx_whatsapp_messages_failed_at;

DROP INDEX CONCURRENTLY IF EXISTS public.idx_whatsapp_messages_read_at;

DROP INDEX CONCURRENTLY IF EXISTS public.idx_whatsapp_messages_delivered_at;

DROP INDEX CONCURRENTLY IF EXISTS public.idx_whatsapp_messages_sent_at;
