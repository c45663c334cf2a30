-- check: status_functions
SELECT format('function public.%s is missing or does not return %s', needed.signature, needed.returns) AS failure
FROM (VALUES
    ('message_failed_reason(text, text, text, text)', 'text'),
    ('apply_message_status(text, text, timestamptz, text, text, text, text)', 'text'),
    ('get_failed_messages(timestamptz, timestamptz)', 'record'),
    ('get_message_rates(timestamptz, timestamptz)', 'record')
) AS needed (signature, returns)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_proc p
    WHERE p.oid = to_regprocedure('public.' || needed.signature)
      AND p.prorettype = to_regtype(needed.returns)
);
