-- The statements with which the application starts: each must run, and returns no row here.

-- check: start_up_claims_a_job
SELECT CONCAT('job ', j.id, ' has no id') AS failure
FROM (
    SELECT id, status, locked_by, locked_until, attempts, last_error, finished_at, created_at
    FROM processing_jobs
    WHERE locked_until IS NULL OR locked_until < NOW()
    ORDER BY created_at
    LIMIT 1
) AS j
WHERE j.id IS NULL;

-- check: start_up_reads_sessions
SELECT CONCAT('session ', s.id, ' has a contact status that is none: ', s.contact_status) AS failure
FROM (
    SELECT id, contact_status, cooldown_until, follow_up_attempts, last_activity
    FROM user_sessions
    WHERE contact_status = ''
    LIMIT 10
) AS s;

-- check: start_up_reads_job_logs
SELECT CONCAT('log row ', l.id, ' has no id') AS failure
FROM (SELECT id, job_id, level, category, message, details, created_at FROM processing_job_logs LIMIT 1) AS l
WHERE l.id IS NULL;

-- check: start_up_reads_watermarks
SELECT CONCAT('watermark ', w.name, ' has no id') AS failure
FROM (SELECT id, name, last_event_id, last_processed_at, updated_at FROM analytics_watermarks LIMIT 1) AS w
WHERE w.id IS NULL;

-- check: start_up_reads_sync_runs
SELECT CONCAT('sync run of ', r.source_identifier, ' has no id') AS failure
FROM (
    SELECT id, source_type, source_identifier, status, started_at, completed_at, sync_metadata, created_at, updated_at,
           `cursor`
    FROM sync_runs
    LIMIT 1
) AS r
WHERE r.id IS NULL;

-- check: start_up_reads_analyses
SELECT CONCAT('analysis of ', a.phone, ' has no id') AS failure
FROM (
    SELECT id, phone, status, summary, intent, objections, purchase_probability, created_at, updated_at, result_json,
           finished_at
    FROM conversation_analysis
    LIMIT 1
) AS a
WHERE a.id IS NULL;
