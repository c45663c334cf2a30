-- Check 9 of salon's nine: EXPLAIN shows that a query for a range of time reads the partitions of that range and
-- no other. The plans are made here and kept in a setting, because EXPLAIN cannot stand inside a query.
DO $do$
DECLARE
    this_month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    first_one  integer;
    months     integer;
    plan       json;
    expected   text;
    seen       text;
    failures   text[] := '{}';
BEGIN
    FOR first_one, months IN VALUES (0, 1), (1, 1), (0, 2), (2, 3) LOOP
        BEGIN
            EXECUTE format(
                'EXPLAIN (FORMAT JSON, COSTS OFF) '
                'SELECT * FROM public.messages WHERE created_at >= %L AND created_at < %L',
                (this_month + make_interval(months => first_one)) AT TIME ZONE 'UTC',
                (this_month + make_interval(months => first_one + months)) AT TIME ZONE 'UTC') INTO plan;
            SELECT string_agg(DISTINCT name #>> '{}', ', ' ORDER BY name #>> '{}') INTO seen
            FROM jsonb_path_query(plan::jsonb, '$.**."Relation Name"') AS name;
            SELECT string_agg('messages_' || to_char(this_month + make_interval(months => n), 'YYYY_MM'), ', '
                              ORDER BY n) INTO expected
            FROM generate_series(first_one, first_one + months - 1) AS n;
            IF seen IS DISTINCT FROM expected THEN
                failures := failures || format('a query for %s reads %s', expected, coalesce(seen, 'no partition'));
            END IF;
        EXCEPTION WHEN OTHERS THEN
            failures := failures || format('EXPLAIN of a query for %s month(s): %s', months, SQLERRM);
        END;
    END LOOP;
    PERFORM set_config('windlass.salon_pruning_failures', array_to_json(failures)::text, false);
END
$do$;

-- check: partition_pruning_in_explain
SELECT failure
FROM json_array_elements_text(
    coalesce(nullif(current_setting('windlass.salon_pruning_failures', true), ''), '["no plan was made"]')::json
) AS failure;
