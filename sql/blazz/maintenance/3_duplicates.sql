-- windlass: schedule hourly
--
-- Several accounts with one phone in one workspace: the most recent connected one stays, the others are soft-deleted,
-- each with a row in session_cleanup_logs.
CALL clean_up_whatsapp_accounts('duplicate', 'scheduled', NULL, NULL, 500, @blazz_cleaned);

SELECT @blazz_cleaned AS duplicate_accounts_cleaned_up;
