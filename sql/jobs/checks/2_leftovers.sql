-- Signs of a change-over that went wrong elsewhere.

-- check: no_status_was_cut_off
SELECT CONCAT('session ', id, ' has an empty contact status: a value was lost when its enum was changed') AS failure
FROM user_sessions
WHERE contact_status = ''
LIMIT 10;

-- check: locks_have_holders
SELECT CONCAT('job ', id, ' is locked until ', locked_until, ' by nobody') AS failure
FROM processing_jobs
WHERE locked_until > NOW() AND locked_by IS NULL
LIMIT 10;

-- check: expired_locks_are_released
SELECT CONCAT('job ', id, ' is still held by ', locked_by, ', whose lock ended at ', locked_until) AS failure
FROM processing_jobs
WHERE locked_by IS NOT NULL AND locked_until < NOW() - INTERVAL 2 HOUR
LIMIT 10;
