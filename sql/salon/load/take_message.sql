-- A message of a client comes in and is answered.
INSERT INTO public.messages (company_id, phone, direction, body, status)
SELECT id, '79001234567', 'incoming', 'Is there a place tomorrow?', 'received' FROM public.companies ORDER BY id LIMIT 1;
INSERT INTO public.messages (company_id, phone, direction, body)
SELECT id, '79001234567', 'outgoing', 'There is one at 10:00.' FROM public.companies ORDER BY id LIMIT 1;
