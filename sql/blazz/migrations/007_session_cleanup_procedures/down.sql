-- Takes the clean-up procedure away. What it has cleaned up stays so, and so does its log.
DROP PROCEDURE IF EXISTS clean_up_whatsapp_accounts;
