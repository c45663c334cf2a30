-- windlass: allow silent-drop the phase is undone as a whole, and its plan says that a backup is the way back
-- windlass: rerunnable
-- Takes the columns of phase 2 away, and with them what was written into them since: a backup is the only way back.
-- The accounts themselves stay. An index goes before its columns.
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

CALL blazz_take('whatsapp_accounts', 'idx_stale_detection',
    'ALTER TABLE whatsapp_accounts DROP INDEX idx_stale_detection');
CALL blazz_take('whatsapp_accounts', 'idx_last_cleanup',
    'ALTER TABLE whatsapp_accounts DROP INDEX idx_last_cleanup');
CALL blazz_take('whatsapp_accounts', 'health_score', 'ALTER TABLE whatsapp_accounts DROP COLUMN health_score');
CALL blazz_take('whatsapp_accounts', 'remote_session_path',
    'ALTER TABLE whatsapp_accounts DROP COLUMN remote_session_path');
CALL blazz_take('whatsapp_accounts', 'session_restore_count',
    'ALTER TABLE whatsapp_accounts DROP COLUMN session_restore_count');
CALL blazz_take('whatsapp_accounts', 'last_cleanup_at',
    'ALTER TABLE whatsapp_accounts DROP COLUMN last_cleanup_at');

DROP PROCEDURE IF EXISTS blazz_take;
