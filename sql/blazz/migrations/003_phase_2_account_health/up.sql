-- windlass: requires 001_standing_tables
-- windlass: rerunnable
--
-- Phase 2: the health of a session, and the index that finds stale ones. As in phase 1: INSTANT or LOCK = NONE, or the
-- server refuses; each statement looks first and can be run again.
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

CALL blazz_add('whatsapp_accounts', 'last_cleanup_at',
    'ALTER TABLE whatsapp_accounts ADD COLUMN last_cleanup_at timestamp NULL DEFAULT NULL, ALGORITHM = INSTANT');
CALL blazz_add('whatsapp_accounts', 'session_restore_count',
    'ALTER TABLE whatsapp_accounts ADD COLUMN session_restore_count int NOT NULL DEFAULT 0, ALGORITHM = INSTANT');
CALL blazz_add('whatsapp_accounts', 'remote_session_path',
    'ALTER TABLE whatsapp_accounts ADD COLUMN remote_session_path varchar(255) NULL DEFAULT NULL, ALGORITHM = INSTANT');
CALL blazz_add('whatsapp_accounts', 'health_score',
    'ALTER TABLE whatsapp_accounts ADD COLUMN health_score int NOT NULL DEFAULT 100, ALGORITHM = INSTANT');
CALL blazz_add('whatsapp_accounts', 'idx_last_cleanup',
    'ALTER TABLE whatsapp_accounts ADD INDEX idx_last_cleanup (last_cleanup_at),
        ALGORITHM = INPLACE, LOCK = NONE');
CALL blazz_add('whatsapp_accounts', 'idx_stale_detection',
    'ALTER TABLE whatsapp_accounts ADD INDEX idx_stale_detection (status, last_activity_at),
        ALGORITHM = INPLACE, LOCK = NONE');

DROP PROCEDURE IF EXISTS blazz_add;
