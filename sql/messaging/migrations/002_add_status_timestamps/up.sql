-- windlass: requires 001_standing_tables
--
-- The time of each status, as in campaign_recipients. Nullable and without a default: the catalogue changes and no
-- row is rewritten, so the lock lasts for a moment only.
ALTER TABLE public.whatsapp_messages
    ADD COLUMN IF NOT EXISTS sent_at timestamptz,
    ADD COLUMN IF NOT EXISTS delivered_at timestamptz,
    ADD COLUMN IF NOT EXISTS read_at timestamptz,
    ADD COLUMN IF NOT EXISTS failed_at timestamptz,
    ADD COLUMN IF NOT EXISTS failed_reason text;

COMMENT ON COLUMN public.whatsapp_messages.sent_at IS 'When the message was taken by the provider.';
COMMENT ON COLUMN public.whatsapp_messages.delivered_at IS 'When it reached the phone.';
COMMENT ON COLUMN public.whatsapp_messages.read_at IS 'When it was read.';
COMMENT ON COLUMN public.whatsapp_messages.failed_at IS 'When the provider gave it up.';
COMMENT ON COLUMN public.whatsapp_messages.failed_reason IS 'Error {code}: {title} - {message} ({details})';
