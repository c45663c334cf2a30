-- What the last day wrote, found through the indexes: something that goes round the status function shows here.

-- check: status_never_goes_back
SELECT format('message %s is %s, though it %s at %s', m.id, m.status, went.what, went.at) AS failure
FROM (
    (SELECT id, 'failed' AS what, failed_at AS at
     FROM public.whatsapp_messages
     WHERE failed_at >= now() - interval '1 day' AND status <> 'failed'
     LIMIT 10)
    UNION ALL
    (SELECT id, 'was read', read_at
     FROM public.whatsapp_messages
     WHERE read_at >= now() - interval '1 day' AND status NOT IN ('read', 'failed')
     LIMIT 10)
    UNION ALL
    (SELECT id, 'was delivered', delivered_at
     FROM public.whatsapp_messages
     WHERE delivered_at >= now() - interval '1 day' AND status NOT IN ('delivered', 'read', 'failed')
     LIMIT 10)
) AS went
JOIN public.whatsapp_messages m ON m.id = went.id;

-- check: failures_have_reasons
SELECT format('message %s failed at %s without a reason of the form Error {code}: {title}', id, failed_at) AS failure
FROM public.whatsapp_messages
WHERE failed_at >= now() - interval '1 day' AND created_at >= now() - interval '1 day'
  AND failed_reason !~ '^Error .+: .+'
LIMIT 10;
