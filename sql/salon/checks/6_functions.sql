-- Check 6 of salon's nine: the eight functions can be called. Every call is made read-only: a function that
-- reads must answer, one that writes must come as far as its first write.
DO $do$
DECLARE
    call     text;
    failures text[] := '{}';
BEGIN
    PERFORM set_config('transaction_read_only', 'on', true);
    FOREACH call IN ARRAY ARRAY[
        'SELECT count(*) FROM public.get_database_stats()',
        'SELECT count(*) FROM public.get_messages_stats()',
        'SELECT count(*) FROM public.get_recent_messages(''79001234567'', 1, 10)',
        'SELECT public.create_messages_partition((now() AT TIME ZONE ''UTC'')::date)',
        'SELECT count(*) FROM public.maintain_messages_partitions()',
        'SELECT public.cleanup_expired_dialog_contexts()',
        'SELECT public.cleanup_expired_appointments_cache()'
    ] LOOP
        BEGIN
            EXECUTE call;
        EXCEPTION
            WHEN read_only_sql_transaction THEN
                NULL;
            WHEN OTHERS THEN
                failures := failures || format('%s: %s', call, SQLERRM);
        END;
    END LOOP;
    PERFORM set_config('windlass.salon_function_failures', array_to_json(failures)::text, false);
END
$do$;

-- check: functions_callable
SELECT failure
FROM json_array_elements_text(
    coalesce(nullif(current_setting('windlass.salon_function_failures', true), ''),
             '["the functions were not called"]')::json
) AS failure
UNION ALL
SELECT 'trigger function public.set_updated_at() is missing, or the current user may not execute it'
WHERE NOT coalesce(has_function_privilege(to_regprocedure('public.set_updated_at()'), 'EXECUTE'), false);
