-- What the workers and the hourly jobs should have done: something that stands still shows here.

-- check: webhooks_are_not_stuck
SELECT CONCAT('webhook ', id, ' is being tried since ', updated_at, ', and its worker was given up for lost at ',
              next_retry_at) AS failure
FROM webhook_retry_queue
WHERE status = 'retrying' AND next_retry_at < NOW() - INTERVAL 2 HOUR
LIMIT 10;

-- check: webhooks_are_claimed
SELECT CONCAT('webhook ', id, ' is due since ', COALESCE(next_retry_at, created_at), ' and no worker claims it') AS failure
FROM webhook_retry_queue
WHERE status = 'pending' AND COALESCE(next_retry_at, created_at) < NOW() - INTERVAL 2 HOUR
LIMIT 10;

-- check: retries_end_at_their_maximum
SELECT CONCAT('webhook ', id, ' is pending after ', retry_count, ' of ', max_retries, ' tries') AS failure
FROM webhook_retry_queue
WHERE status = 'pending' AND retry_count >= max_retries AND retry_count > 0
LIMIT 10;

-- check: stale_sessions_are_cleaned_up
SELECT CONCAT('account ', id, ' is ', status, ' and untouched since ', updated_at) AS failure
FROM whatsapp_accounts
WHERE deleted_at IS NULL
  AND (status = 'qr_scanning' AND updated_at < NOW() - INTERVAL 150 MINUTE
       OR status = 'disconnected' AND updated_at < NOW() - INTERVAL 26 HOUR)
  AND COALESCE(last_activity_at, updated_at) <= updated_at
  AND COALESCE(last_connected_at, updated_at) <= updated_at
LIMIT 10;

-- check: cleaned_up_accounts_are_logged
SELECT CONCAT('account ', a.id, ' was cleaned up at ', a.last_cleanup_at, ' without a row in session_cleanup_logs') AS failure
FROM whatsapp_accounts a
WHERE a.last_cleanup_at >= NOW() - INTERVAL 1 DAY AND a.deleted_at IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM session_cleanup_logs l WHERE l.whatsapp_account_id = a.id)
LIMIT 10;
