-- windlass: allow silent-drop the phase is undone as a whole, and its plan says that a backup is the way back
-- windlass: rerunnable
-- Takes the columns of phase 1 away, and with them what was written into them since: a backup is the only way back.
-- The index goes before its columns: dropped after them it would shrink first. The chats themselves stay.
DROP PROCEDURE IF EXISTS blazz_take;

DELIMITER //
CREATE PROCEDURE IF NOT EXISTS blazz_take(
    IN p_table varchar(64) CHARACTER SET utf8mb4, IN p_part varchar(64) CHARACTER SET utf8mb4, IN p_change text)
    SQL SECURITY INVOKER
BEGIN
    IF EXISTS (SELECT 1 FROM information_schema.columns
               WHERE table_schema = DATABASE() AND table_name = p_table AND column_name = p_part)
       OR EXISTS (SELECT 1 FROM information_schema.statistics
                  WHERE table_schema = DATABASE() AND table_name = p_table AND index_name = p_part) THEN
        SET @blazz_sql = p_change;
        PREPARE blazz_statement FROM @blazz_sql;
        EXECUTE blazz_statement;
        DEALLOCATE PREPARE blazz_statement;
    END IF;
END//
DELIMITER ;

CALL blazz_take('chats', 'idx_webhook_retry', 'ALTER TABLE chats DROP INDEX idx_webhook_retry');
CALL blazz_take('chats', 'queue_job_id', 'ALTER TABLE chats DROP COLUMN queue_job_id');
CALL blazz_take('chats', 'webhook_last_error', 'ALTER TABLE chats DROP COLUMN webhook_last_error');
CALL blazz_take('chats', 'webhook_retry_count', 'ALTER TABLE chats DROP COLUMN webhook_retry_count');
CALL blazz_take('chats', 'webhook_sent_at', 'ALTER TABLE chats DROP COLUMN webhook_sent_at');

DROP PROCEDURE IF EXISTS blazz_take;
