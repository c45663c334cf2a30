-- The life of webhooks in the retry queue: claimed once, tried with back-off, failed past max_retries, lost by a worker.
-- Sample rows belong to a workspace of their own, and the procedures are told to work for that one alone. Windlass rolls
-- everything back; by hand: START TRANSACTION, this file, ROLLBACK. The last statement takes the sample rows away too.
INSERT INTO workspaces (name) VALUES ('windlass-sample-webhooks');
SET @sample_workspace = LAST_INSERT_ID();

INSERT INTO webhook_retry_queue (uuid, workspace_id, event_type, endpoint, payload, next_retry_at, max_retries, status)
VALUES
    ('windlass-sample-due', @sample_workspace, 'message', 'https://example.org/a', '{}', '2001-01-01 10:00:00', 3, 'pending'),
    ('windlass-sample-at-once', @sample_workspace, 'message', 'https://example.org/b', '{}', NULL, 2, 'pending'),
    ('windlass-sample-later', @sample_workspace, 'status', 'https://example.org/c', '{}', NOW() + INTERVAL 1 DAY, 3, 'pending'),
    ('windlass-sample-done', @sample_workspace, 'status', 'https://example.org/d', '{}', NULL, 3, 'success');

SELECT id INTO @sample_due FROM webhook_retry_queue WHERE uuid = 'windlass-sample-due';
SELECT id INTO @sample_at_once FROM webhook_retry_queue WHERE uuid = 'windlass-sample-at-once';

CALL claim_webhook_retries(@sample_workspace, 10, 300);

-- check: due_webhooks_are_claimed
SELECT CONCAT(needed.uuid, ' should be ', needed.life, ', is ', COALESCE(got.life, 'missing')) AS failure
FROM (
    SELECT 'windlass-sample-due' AS uuid, 'retrying 1 leased' AS life
    UNION ALL SELECT 'windlass-sample-at-once', 'retrying 1 leased'
    UNION ALL SELECT 'windlass-sample-later', 'pending 0 leased'
    UNION ALL SELECT 'windlass-sample-done', 'success 0'
) AS needed
LEFT JOIN (
    SELECT uuid, CONCAT_WS(' ', status, retry_count, IF(next_retry_at > NOW(), 'leased', NULL)) AS life
    FROM webhook_retry_queue
    WHERE workspace_id = @sample_workspace
) AS got ON got.uuid COLLATE utf8mb4_bin = needed.uuid
WHERE got.life IS NULL OR got.life COLLATE utf8mb4_bin <> needed.life;

-- A second claim finds nothing: both are taken, and the others are not due.
CALL claim_webhook_retries(@sample_workspace, 10, 300);

-- check: a_claimed_webhook_is_not_claimed_again
SELECT CONCAT(uuid, ' was claimed ', retry_count, ' times') AS failure
FROM webhook_retry_queue
WHERE workspace_id = @sample_workspace AND retry_count > 1;

-- One succeeds and is then reported a second time; one fails, waits a minute, fails again, and has used its two tries up.
CALL finish_webhook_retry(@sample_due, 1, true, NULL, @sample_first);
CALL finish_webhook_retry(@sample_due, 1, false, 'too late', @sample_second);
CALL finish_webhook_retry(@sample_at_once, 1, false, 'HTTP 503 ☎', @sample_third);
SELECT TIMESTAMPDIFF(SECOND, NOW(), next_retry_at), last_error INTO @sample_wait, @sample_error
FROM webhook_retry_queue WHERE id = @sample_at_once;
UPDATE webhook_retry_queue SET next_retry_at = '2001-01-01 10:00:00' WHERE id = @sample_at_once;
CALL claim_webhook_retries(@sample_workspace, 10, 300);
CALL finish_webhook_retry(@sample_at_once, 1, true, NULL, @sample_fourth);
CALL finish_webhook_retry(@sample_at_once, 2, false, 'HTTP 503', @sample_fifth);

-- check: tries_end_as_reported
SELECT CONCAT(needed.step, ': expected ', needed.answer, ', got ', COALESCE(needed.got, 'nothing')) AS failure
FROM (
    SELECT 'a success' AS step, 'success' AS answer, CONVERT(@sample_first USING utf8mb4) AS got
    UNION ALL SELECT 'a report after the success', 'stale', CONVERT(@sample_second USING utf8mb4)
    UNION ALL SELECT 'a failure with tries left', 'pending', CONVERT(@sample_third USING utf8mb4)
    UNION ALL SELECT 'a report of an older try', 'stale', CONVERT(@sample_fourth USING utf8mb4)
    UNION ALL SELECT 'a failure of the last try', 'failed', CONVERT(@sample_fifth USING utf8mb4)
    UNION ALL SELECT 'the reason of the failure', 'HTTP 503 ☎', CONVERT(@sample_error USING utf8mb4)
) AS needed
WHERE needed.got IS NULL OR needed.got COLLATE utf8mb4_bin <> needed.answer;

-- check: the_first_back_off_is_a_minute
SELECT CONCAT('expected 60 seconds, got ', COALESCE(@sample_wait, 'none')) AS failure
FROM (SELECT 1 AS one) AS once
WHERE @sample_wait IS NULL OR @sample_wait NOT BETWEEN 50 AND 60;

-- Two workers die: one row has tries left and comes back with its back-off, doubled once; one has none.
INSERT INTO webhook_retry_queue (uuid, workspace_id, event_type, endpoint, payload, next_retry_at, retry_count,
                                 max_retries, status)
VALUES
    ('windlass-sample-lost', @sample_workspace, 'message', 'https://example.org/e', '{}', '2001-01-01 10:00:00',
     2, 3, 'retrying'),
    ('windlass-sample-lost-last', @sample_workspace, 'message', 'https://example.org/f', '{}', '2001-01-01 10:00:00',
     3, 3, 'retrying');
CALL expire_webhook_retries(@sample_workspace, 1, @sample_expired);

-- check: lost_webhooks_come_back_or_fail
SELECT CONCAT(needed.uuid, ' should be ', needed.life, ', is ', COALESCE(got.life, 'missing')) AS failure
FROM (
    SELECT 'windlass-sample-lost' AS uuid, 'pending 2 in 2 minutes' AS life
    UNION ALL SELECT 'windlass-sample-lost-last', 'failed 3'
) AS needed
LEFT JOIN (
    SELECT uuid, CONCAT_WS(' ', status, retry_count,
                           CONCAT('in ', ROUND(TIMESTAMPDIFF(SECOND, NOW(), next_retry_at) / 60), ' minutes')) AS life
    FROM webhook_retry_queue
    WHERE workspace_id = @sample_workspace
) AS got ON got.uuid COLLATE utf8mb4_bin = needed.uuid
WHERE got.life IS NULL OR got.life COLLATE utf8mb4_bin <> needed.life
UNION ALL
SELECT CONVERT(CONCAT('2 webhooks were lost, ', COALESCE(@sample_expired, 'none'), ' taken back') USING utf8mb4)
       COLLATE utf8mb4_bin
FROM (SELECT 1 AS one) AS once
WHERE @sample_expired IS NULL OR @sample_expired <> 2;

DELETE FROM workspaces WHERE id = @sample_workspace;

-- check: a_workspace_takes_its_webhooks_along
SELECT CONCAT('webhook ', id, ' outlived its workspace') AS failure
FROM webhook_retry_queue
WHERE workspace_id = @sample_workspace;
