-- windlass: requires 001_standing_tables
-- windlass: rerunnable
--
-- Phase 1: the state of a chat's webhook. New columns are nullable or have a constant default, so ALGORITHM = INSTANT
-- holds: the catalogue changes and no row does. LOCK = NONE: writers go on while the index is built. A server that
-- cannot keep either promise refuses the statement instead of locking the table.
-- Each statement looks first and can be run again, so one that was interrupted is simply run again.
DROP PROCEDURE IF EXISTS blazz_add;

DELIMITER //
CREATE PROCEDURE IF NOT EXISTS blazz_add(
    IN p_table varchar(64) CHARACTER SET utf8mb4, IN p_part varchar(64) CHARACTER SET utf8mb4, IN p_change text)
    SQL SECURITY INVOKER
BEGIN
    IF NOT EXISTS (SELECT 1 FROM information_schema.columns
                   WHERE table_schema = DATABASE() AND table_name = p_table AND column_name = p_part)
       AND NOT EXISTS (SELECT 1 FROM information_schema.statistics
                       WHERE table_schema = DATABASE() AND table_name = p_table AND index_name = p_part) THEN
        SET @blazz_sql = p_change;
        PREPARE blazz_statement FROM @blazz_sql;
        EXECUTE blazz_statement;
        DEALLOCATE PREPARE blazz_statement;
    END IF;
END//
DELIMITER ;

CALL blazz_add('chats', 'webhook_sent_at',
    'ALTER TABLE chats ADD COLUMN webhook_sent_at timestamp NULL DEFAULT NULL, ALGORITHM = INSTANT');
CALL blazz_add('chats', 'webhook_retry_count',
    'ALTER TABLE chats ADD COLUMN webhook_retry_count int NOT NULL DEFAULT 0, ALGORITHM = INSTANT');
CALL blazz_add('chats', 'webhook_last_error',
    'ALTER TABLE chats ADD COLUMN webhook_last_error text NULL, ALGORITHM = INSTANT');
CALL blazz_add('chats', 'queue_job_id',
    'ALTER TABLE chats ADD COLUMN queue_job_id varchar(255) NULL DEFAULT NULL, ALGORITHM = INSTANT');
CALL blazz_add('chats', 'idx_webhook_retry',
    'ALTER TABLE chats ADD INDEX idx_webhook_retry (webhook_retry_count, webhook_sent_at),
        ALGORITHM = INPLACE, LOCK = NONE');

DROP PROCEDURE IF EXISTS blazz_add;
