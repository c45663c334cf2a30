-- The last messages with one phone, as the inbox asks for them.
SELECT id, direction, status, body, created_at
FROM public.whatsapp_messages
WHERE to_phone = (SELECT to_phone FROM public.whatsapp_messages ORDER BY created_at DESC LIMIT 1)
ORDER BY created_at DESC
LIMIT 50;
