-- windlass: requires 001_standing_tables
-- windlass: rerunnable
--
-- Phase 4: the messages of one account by their status. Writers go on while the index is built (LOCK = NONE), or the
-- server refuses. The statement looks first and can be run again.
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

CALL blazz_add('chats', 'idx_account_status',
    'ALTER TABLE chats ADD INDEX idx_account_status (whatsapp_account_id, message_status),
        ALGORITHM = INPLACE, LOCK = NONE');

DROP PROCEDURE IF EXISTS blazz_add;
