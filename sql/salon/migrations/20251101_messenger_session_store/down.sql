-- Takes the session store away, and refuses while it holds rows: without its credentials every company would
-- have to pair its phone again, and these tables may have stood before this migration was ever run.
-- The explicit word, after a backup: PGOPTIONS='-c windlass.allow_data_loss=on'
DO $do$
DECLARE
    store      text;
    holds_rows boolean;
BEGIN
    FOREACH store IN ARRAY ARRAY['whatsapp_keys', 'whatsapp_auth'] LOOP
        CONTINUE WHEN to_regclass('public.' || store) IS NULL;
        EXECUTE format('LOCK TABLE public.%I IN ACCESS EXCLUSIVE MODE', store);
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', store) INTO holds_rows;
        IF holds_rows AND coalesce(current_setting('windlass.allow_data_loss', true), '') <> 'on' THEN
            RAISE EXCEPTION 'table public.% holds rows, which dropping it would lose', store
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = 'Nothing was dropped. To lose the rows on purpose, take a backup and run this again '
                             'with the setting windlass.allow_data_loss = on.';
        END IF;
        EXECUTE format('DROP TABLE public.%I', store);
    END LOOP;
END
$do$;

DROP FUNCTION IF EXISTS public.get_whatsapp_auth_stats();
DROP FUNCTION IF EXISTS public.cleanup_expired_whatsapp_keys();
