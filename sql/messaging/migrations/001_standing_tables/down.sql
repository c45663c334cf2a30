-- Takes the two tables away, and refuses while one of them holds rows: on a live server they stood before
-- this migration, and their rows are the service itself.
-- The explicit word, after a backup: PGOPTIONS='-c windlass.allow_data_loss=on'
DO $do$
DECLARE
    target     text;
    holds_rows boolean;
BEGIN
    FOREACH target IN ARRAY ARRAY['campaign_recipients', 'whatsapp_messages'] LOOP
        CONTINUE WHEN to_regclass('public.' || target) IS NULL;
        EXECUTE format('LOCK TABLE public.%I IN ACCESS EXCLUSIVE MODE', target);
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', target) INTO holds_rows;
        IF holds_rows AND coalesce(current_setting('windlass.allow_data_loss', true), '') <> 'on' THEN
            RAISE EXCEPTION 'table public.% holds rows, which dropping it would lose', target
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = 'Nothing was dropped. To lose the rows on purpose, take a backup and run this again '
                             'with the setting windlass.allow_data_loss = on.';
        END IF;
        EXECUTE format('DROP TABLE public.%I', target);
    END LOOP;
END
$do$;
