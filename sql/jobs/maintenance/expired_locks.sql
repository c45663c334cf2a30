-- windlass: schedule hourly
--
-- Jobs whose worker died with them: the lock that ended over five minutes ago is taken off, the job and its status stay
-- as they are. At most 1,000 a run, the oldest first, so that no lock is held for long.
UPDATE processing_jobs
SET locked_by = NULL, locked_until = NULL
WHERE locked_until < NOW() - INTERVAL 5 MINUTE
ORDER BY locked_until
LIMIT 1000;
