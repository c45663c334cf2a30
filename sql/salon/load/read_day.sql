-- The bookings of the next days, as the assistant shows them.
SELECT b.id, b.starts_at, c.name, s.title
FROM public.bookings b
JOIN public.clients c ON c.id = b.client_id
JOIN public.services s ON s.id = b.service_id
WHERE b.starts_at BETWEEN now() AND now() + interval '3 days'
ORDER BY b.starts_at
LIMIT 100;
