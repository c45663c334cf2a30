-- windlass: schedule hourly
--
-- Accounts that show their QR code for over 30 minutes: soft-deleted, each with a row in session_cleanup_logs.
CALL clean_up_whatsapp_accounts('stale_qr', 'scheduled', NULL, NULL, 500, @blazz_cleaned);

SELECT @blazz_cleaned AS stale_qr_accounts_cleaned_up;
