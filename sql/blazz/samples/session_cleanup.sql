-- What the clean-up jobs take and what they leave, on the accounts of a sample workspace, which alone they are told to
-- look at. Windlass rolls everything back; by hand: START TRANSACTION, this file, ROLLBACK. The last statements take the
-- sample rows away too.
INSERT INTO workspaces (name) VALUES ('windlass-sample-sessions');
SET @sample_workspace = LAST_INSERT_ID();
INSERT INTO users (name, email) VALUES ('Sample', CONCAT(UUID(), '@sample.example.org'));
SET @sample_user = LAST_INSERT_ID();

INSERT INTO whatsapp_accounts (uuid, session_id, workspace_id, created_by, status, phone_number, last_activity_at,
                               last_connected_at, created_at, updated_at)
VALUES
    ('sample-qr-31', 'windlass-sample-1', @sample_workspace, @sample_user, 'qr_scanning', NULL,
     NULL, NULL, NOW() - INTERVAL 31 MINUTE, NOW() - INTERVAL 31 MINUTE),
    ('sample-qr-29', 'windlass-sample-2', @sample_workspace, @sample_user, 'qr_scanning', NULL,
     NULL, NULL, NOW() - INTERVAL 29 MINUTE, NOW() - INTERVAL 29 MINUTE),
    ('sample-qr-again', 'windlass-sample-3', @sample_workspace, @sample_user, 'qr_scanning', NULL,
     NOW() - INTERVAL 3 DAY, NOW() - INTERVAL 3 DAY, NOW() - INTERVAL 9 DAY, NOW() - INTERVAL 5 MINUTE),
    ('sample-off-25', 'windlass-sample-4', @sample_workspace, @sample_user, 'disconnected', '15550001',
     NOW() - INTERVAL 25 HOUR, NOW() - INTERVAL 30 HOUR, NOW() - INTERVAL 9 DAY, NOW() - INTERVAL 25 HOUR),
    ('sample-off-23', 'windlass-sample-5', @sample_workspace, @sample_user, 'disconnected', '15550002',
     NOW() - INTERVAL 25 HOUR, NOW() - INTERVAL 30 HOUR, NOW() - INTERVAL 9 DAY, NOW() - INTERVAL 23 HOUR),
    ('sample-old', 'windlass-sample-6', @sample_workspace, @sample_user, 'connected', '15550003',
     NOW() - INTERVAL 1 MINUTE, NOW() - INTERVAL 2 DAY, NOW() - INTERVAL 9 DAY, NOW()),
    ('sample-newest', 'windlass-sample-7', @sample_workspace, @sample_user, 'connected', '15550003',
     NOW() - INTERVAL 1 HOUR, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 9 DAY, NOW()),
    ('sample-failed', 'windlass-sample-8', @sample_workspace, @sample_user, 'failed', '15550003',
     NOW(), NOW() - INTERVAL 1 HOUR, NOW(), NOW()),
    ('sample-alone', 'windlass-sample-9', @sample_workspace, @sample_user, 'failed', '15550004',
     NOW(), NULL, NOW(), NOW());

CALL clean_up_whatsapp_accounts('stale_qr', 'scheduled', NULL, @sample_workspace, 1, @sample_qr);
CALL clean_up_whatsapp_accounts('disconnected_24h', 'scheduled', NULL, @sample_workspace, 1, @sample_disconnected);
CALL clean_up_whatsapp_accounts('duplicate', 'manual', @sample_user, @sample_workspace, 1, @sample_duplicates);

-- check: the_jobs_take_what_they_should
SELECT CONCAT(needed.uuid, ' should be ', needed.fate, ', is ', COALESCE(got.fate, 'missing')) AS failure
FROM (
    SELECT 'sample-qr-31' AS uuid, 'deleted, scheduled stale_qr' AS fate
    UNION ALL SELECT 'sample-qr-29', 'live'
    UNION ALL SELECT 'sample-qr-again', 'live'
    UNION ALL SELECT 'sample-off-25', 'deleted, scheduled disconnected_24h'
    UNION ALL SELECT 'sample-off-23', 'live'
    UNION ALL SELECT 'sample-old', 'deleted, manual duplicate of sample-newest'
    UNION ALL SELECT 'sample-newest', 'live'
    UNION ALL SELECT 'sample-failed', 'deleted, manual duplicate of sample-newest'
    UNION ALL SELECT 'sample-alone', 'live'
) AS needed
LEFT JOIN (
    SELECT a.uuid, CONCAT(IF(a.deleted_at IS NULL, 'live', 'deleted'),
                          COALESCE(CONCAT(', ', l.cleanup_type, ' ', l.reason), ''),
                          COALESCE(CONCAT(' of ', kept.uuid), '')) AS fate
    FROM whatsapp_accounts a
    LEFT JOIN session_cleanup_logs l ON l.whatsapp_account_id = a.id
    LEFT JOIN whatsapp_accounts kept ON kept.id = JSON_EXTRACT(l.details, '$.kept_account')
    WHERE a.workspace_id = @sample_workspace
) AS got ON got.uuid COLLATE utf8mb4_bin = needed.uuid
WHERE got.fate IS NULL OR got.fate COLLATE utf8mb4_bin <> needed.fate;

-- check: the_jobs_count_what_they_took
SELECT CONCAT('expected 1, 1, 2; got ', CONCAT_WS(', ', @sample_qr, @sample_disconnected, @sample_duplicates)) AS failure
FROM (SELECT 1 AS one) AS once
WHERE NOT (@sample_qr <=> 1 AND @sample_disconnected <=> 1 AND @sample_duplicates <=> 2);

-- check: a_second_run_finds_nothing
SELECT CONCAT('account ', whatsapp_account_id, ' was logged ', COUNT(*), ' times') AS failure
FROM session_cleanup_logs
WHERE workspace_id = @sample_workspace
GROUP BY whatsapp_account_id
HAVING COUNT(*) > 1;

DELETE FROM workspaces WHERE id = @sample_workspace;
DELETE FROM users WHERE id = @sample_user;

-- check: a_workspace_takes_its_accounts_and_logs_along
SELECT CONCAT('account ', id, ' outlived its workspace') AS failure
FROM whatsapp_accounts
WHERE workspace_id = @sample_workspace
UNION ALL
SELECT CONCAT('log row ', id, ' outlived its workspace')
FROM session_cleanup_logs
WHERE workspace_id = @sample_workspace;
