-- Rows of the last day are left out: the application of before may still be writing them, without times.
-- check: status_times_filled
SELECT format('message %s is %s, but no status time is set: run up.sql again', id, status) AS failure
FROM public.whatsapp_messages
WHERE direction = 'outgoing' AND status IN ('sent', 'delivered', 'read', 'failed')
  AND sent_at IS NULL AND delivered_at IS NULL AND read_at IS NULL AND failed_at IS NULL
  AND created_at < now() - interval '1 day'
ORDER BY id
LIMIT 10;
