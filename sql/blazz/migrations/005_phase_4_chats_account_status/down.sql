-- windlass: rerunnable
-- Takes the index of phase 4 away. Nothing is lost: the foreign key on whatsapp_account_id has idx_account_recent.
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

CALL blazz_take('chats', 'idx_account_status', 'ALTER TABLE chats DROP INDEX idx_account_status');

DROP PROCEDURE IF EXISTS blazz_take;
