-- Takes the three procedures away. The queue and its rows stay; nothing is claimed until they are back.
DROP PROCEDURE IF EXISTS expire_webhook_retries;
DROP PROCEDURE IF EXISTS finish_webhook_retry;
DROP PROCEDURE IF EXISTS claim_webhook_retries;
