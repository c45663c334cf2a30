-- Takes the message history and its functions away, and refuses while there is a message.
-- The explicit word, after a backup: PGOPTIONS='-c windlass.allow_data_loss=on'
DO $do$
DECLARE
    holds_rows boolean;
BEGIN
    IF to_regclass('public.messages') IS NULL THEN
        RETURN;
    END IF;
    LOCK TABLE public.messages IN ACCESS EXCLUSIVE MODE;
    SELECT EXISTS (SELECT FROM public.messages) INTO holds_rows;
    IF holds_rows AND coalesce(current_setting('windlass.allow_data_loss', true), '') <> 'on' THEN
        RAISE EXCEPTION 'table public.messages holds rows, which dropping it would lose'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Nothing was dropped. To lose the rows on purpose, take a backup and run this again '
                         'with the setting windlass.allow_data_loss = on.';
    END IF;
    DROP TABLE public.messages;
END
$do$;

DROP FUNCTION IF EXISTS public.get_recent_messages(text, bigint, integer);
DROP FUNCTION IF EXISTS public.get_messages_stats();
DROP FUNCTION IF EXISTS public.maintain_messages_partitions();
DROP FUNCTION IF EXISTS public.create_messages_partition(date);
