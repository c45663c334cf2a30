-- A message comes in: whose phone is it?
SELECT id, name FROM public.clients WHERE company_id = 1 AND phone = '79001234567';
