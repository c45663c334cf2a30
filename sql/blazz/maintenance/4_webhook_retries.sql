-- windlass: schedule hourly
--
-- Webhooks whose worker died with them: back into the queue with their back-off, or failed past max_retries. Workers
-- call the same procedure when they find nothing to claim, so the hour is only the longest that such a row can wait.
CALL expire_webhook_retries(NULL, 500, @blazz_expired);

SELECT @blazz_expired AS webhook_retries_taken_back;
