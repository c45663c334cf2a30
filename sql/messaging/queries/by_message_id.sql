-- A status event comes in and looks for its message.
SELECT id, status FROM public.whatsapp_messages WHERE message_id = 'wamid.none';
