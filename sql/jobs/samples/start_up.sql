-- What the application writes and reads when it starts and works, on sample rows. Windlass rolls everything back; by hand:
-- START TRANSACTION, this file, ROLLBACK. The last statements take the sample rows away too. Rows are found by their id
-- alone: a search along other columns would lock every row that it passes.

-- A worker takes a job, fails, writes a log row, and leaves the job to be tried again.
INSERT INTO processing_jobs (job_type, status, created_at) VALUES ('windlass-sample', 'PENDING', '2001-01-01 10:00:00');
SET @sample_job = LAST_INSERT_ID();
UPDATE processing_jobs
SET locked_by = 'host:4711', locked_until = NOW() + INTERVAL 5 MINUTE, attempts = attempts + 1
WHERE id = @sample_job AND status = 'PENDING' AND (locked_until IS NULL OR locked_until < NOW());
UPDATE processing_jobs
SET locked_by = 'host:4712', locked_until = NOW() + INTERVAL 5 MINUTE, attempts = attempts + 1
WHERE id = @sample_job AND status = 'PENDING' AND (locked_until IS NULL OR locked_until < NOW());
SELECT locked_by, attempts INTO @sample_holder, @sample_attempts FROM processing_jobs WHERE id = @sample_job;
UPDATE processing_jobs
SET locked_by = NULL, locked_until = NULL, last_error = 'no answer', finished_at = NOW()
WHERE id = @sample_job AND locked_by = 'host:4711';
INSERT INTO processing_job_logs (job_id, level, category, message, details, created_at)
VALUES (@sample_job, 'ERROR', 'worker', 'no answer', '{"attempt": 1}', NOW());
SET @sample_log = LAST_INSERT_ID();

-- check: a_job_is_locked_by_one_worker
SELECT CONCAT('job ', @sample_job, ' is held by ', COALESCE(@sample_holder, 'nobody'), ' after ', @sample_attempts,
              ' tries, expected host:4711 after 1') AS failure
FROM (SELECT 1 AS one) AS once
WHERE NOT (CONVERT(@sample_holder USING utf8mb4) COLLATE utf8mb4_bin <=> 'host:4711' AND @sample_attempts <=> 1);

-- check: a_job_keeps_its_tries_and_error
SELECT CONCAT('job ', @sample_job, ' is not there with its one try, its error and its log row') AS failure
FROM (SELECT 1 AS one) AS once
WHERE NOT EXISTS (
    SELECT 1
    FROM processing_jobs j
    JOIN processing_job_logs l ON l.id = @sample_log AND l.job_id = j.id AND JSON_EXTRACT(l.details, '$.attempt') = 1
    WHERE j.id = @sample_job AND j.attempts = 1 AND j.last_error = 'no answer' AND j.finished_at IS NOT NULL
      AND j.locked_by IS NULL
);

INSERT INTO user_sessions (phone, contact_status, cooldown_until, last_activity)
VALUES
    ('windlass-sample-1', 'ACTIVE', NULL, NOW()),
    ('windlass-sample-2', 'BLOCKED', NULL, NOW()),
    ('windlass-sample-3', 'PAUSED', NOW() + INTERVAL 1 DAY, NOW()),
    ('windlass-sample-4', 'OPT_OUT', NULL, NOW()),
    ('windlass-sample-5', 'CLOSED', NULL, NOW());
SET @sample_session = LAST_INSERT_ID();

-- check: all_five_statuses_are_kept
SELECT CONCAT('expected ACTIVE BLOCKED PAUSED OPT_OUT CLOSED with 0 follow-ups, got ', COALESCE(got.statuses, 'nothing'))
           AS failure
FROM (
    SELECT GROUP_CONCAT(CONCAT(contact_status, ' ', follow_up_attempts) ORDER BY phone SEPARATOR ', ') AS statuses
    FROM user_sessions
    WHERE id >= @sample_session AND phone LIKE 'windlass-sample-%'
) AS got
WHERE NOT (got.statuses COLLATE utf8mb4_bin <=> 'ACTIVE 0, BLOCKED 0, PAUSED 0, OPT_OUT 0, CLOSED 0');

INSERT INTO analytics_watermarks (name, last_event_id, last_processed_at, updated_at)
VALUES ('windlass-sample', 9000000000, NOW(), NOW());
SET @sample_watermark = LAST_INSERT_ID();
INSERT INTO sync_runs (source_type, source_identifier, status, started_at, sync_metadata, `cursor`)
VALUES ('windlass-sample', 'sheet 1', 'RUNNING', NOW(), '{}', '{"page": 7}');
SET @sample_run = LAST_INSERT_ID();
UPDATE sync_runs SET `cursor` = '{"page": 8}', completed_at = NOW() WHERE id = @sample_run;
INSERT INTO conversation_analysis (phone, status, objections, purchase_probability, result_json, finished_at)
VALUES ('windlass-sample', 'DONE', '["price"]', 42.50, '{"intent": "buy"}', NOW());
SET @sample_analysis = LAST_INSERT_ID();

-- check: positions_and_results_are_kept
SELECT CONCAT('not found again: ', kept.what) AS failure
FROM (
    SELECT 'the watermark' AS what,
           EXISTS (SELECT 1 FROM analytics_watermarks
                   WHERE id = @sample_watermark AND last_event_id = 9000000000) AS found
    UNION ALL
    SELECT 'the cursor of a sync run',
           EXISTS (SELECT 1 FROM sync_runs
                   WHERE id = @sample_run AND JSON_EXTRACT(`cursor`, '$.page') = 8)
    UNION ALL
    SELECT 'the result of an analysis',
           EXISTS (SELECT 1 FROM conversation_analysis
                   WHERE id = @sample_analysis AND finished_at IS NOT NULL
                     AND JSON_UNQUOTE(JSON_EXTRACT(result_json, '$.intent')) = 'buy')
) AS kept
WHERE NOT kept.found;

DELETE FROM processing_job_logs WHERE id = @sample_log;
DELETE FROM processing_jobs WHERE id = @sample_job;
DELETE FROM user_sessions WHERE id >= @sample_session AND phone LIKE 'windlass-sample-%';
DELETE FROM analytics_watermarks WHERE id = @sample_watermark;
DELETE FROM sync_runs WHERE id = @sample_run;
DELETE FROM conversation_analysis WHERE id = @sample_analysis;
