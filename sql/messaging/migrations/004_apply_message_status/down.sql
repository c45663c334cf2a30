-- No data is lost. The application must not call these any more.
DROP FUNCTION IF EXISTS public.get_message_rates(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS public.get_failed_messages(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS public.apply_message_status(text, text, timestamptz, text, text, text, text);
DROP FUNCTION IF EXISTS public.message_failed_reason(text, text, text, text);
