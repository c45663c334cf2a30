-- windlass: schedule hourly
--
-- Accounts that are disconnected for over 24 hours: soft-deleted, each with a row in session_cleanup_logs.
CALL clean_up_whatsapp_accounts('disconnected_24h', 'scheduled', NULL, NULL, 500, @blazz_cleaned);

SELECT @blazz_cleaned AS disconnected_accounts_cleaned_up;
