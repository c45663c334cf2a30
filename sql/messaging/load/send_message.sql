-- A message goes out, and its status comes back.
INSERT INTO public.whatsapp_messages (message_id, to_phone, from_phone, direction, body)
VALUES ('load-' || gen_random_uuid(), '79001234567', '79007654321', 'outgoing', 'Your table is ready.');
UPDATE public.whatsapp_messages SET status = 'sent' WHERE id = currval('public.whatsapp_messages_id_seq');
