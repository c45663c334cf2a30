-- The inbox: the last messages with one phone.
SELECT id, direction, status, body, created_at FROM public.whatsapp_messages
WHERE to_phone = '79001234567' ORDER BY created_at DESC LIMIT 50;
