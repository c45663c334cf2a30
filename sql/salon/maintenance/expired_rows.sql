-- windlass: schedule hourly
--
-- Deletes what has outlived its time: dialogue contexts, cached answers of the booking system, messenger keys.
SELECT public.cleanup_expired_dialog_contexts() AS dialog_contexts_deleted;

SELECT public.cleanup_expired_appointments_cache() AS appointments_deleted;

SELECT public.cleanup_expired_whatsapp_keys() AS whatsapp_keys_deleted;
