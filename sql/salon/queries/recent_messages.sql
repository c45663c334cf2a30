-- The last messages with one phone, of this month.
SELECT id, direction, body FROM public.messages
WHERE company_id = 1 AND phone = '79001234567' AND created_at >= date_trunc('month', now())
ORDER BY created_at DESC LIMIT 20;
