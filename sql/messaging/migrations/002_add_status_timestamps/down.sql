-- windlass: allow silent-drop the phase is undone as a whole, and its plan says that a backup is the way back
-- Takes the five columns away, and with them the times and reasons written since: a backup is the only way back.
-- The messages themselves and their status stay.
DO $do$
DECLARE
    held integer;
BEGIN
    SELECT count(*) INTO held
    FROM pg_catalog.pg_attribute
    WHERE attrelid = to_regclass('public.whatsapp_messages') AND NOT attisdropped
      AND attname IN ('sent_at', 'delivered_at', 'read_at', 'failed_at', 'failed_reason');
    IF held > 0 THEN
        RAISE WARNING 'dropping % columns of public.whatsapp_messages: the times and reasons in them are lost', held;
    END IF;
END
$do$;

ALTER TABLE IF EXISTS public.whatsapp_messages
    DROP COLUMN IF EXISTS sent_at,
    DROP COLUMN IF EXISTS delivered_at,
    DROP COLUMN IF EXISTS read_at,
    DROP COLUMN IF EXISTS failed_at,
    DROP COLUMN IF EXISTS failed_reason;
