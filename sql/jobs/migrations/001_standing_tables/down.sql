-- windlass: rerunnable
-- Takes the two tables away, and refuses while one of them holds rows: on a live server they stood before this
-- migration. Both are looked at before the first is dropped, and each once more right before.
-- The explicit word, after a backup: SET @windlass_allow_data_loss = 1 in the same session.
DROP PROCEDURE IF EXISTS jobs_drop_empty;

DELIMITER //
CREATE PROCEDURE IF NOT EXISTS jobs_drop_empty(IN p_table varchar(64) CHARACTER SET utf8mb4, IN p_only_look boolean)
    SQL SECURITY INVOKER
BEGIN
    DECLARE v_refusal text;
    IF EXISTS (SELECT 1 FROM information_schema.tables
               WHERE table_schema = DATABASE() AND table_name = p_table AND table_type = 'BASE TABLE') THEN
        SET @jobs_sql = CONCAT('SELECT EXISTS (SELECT 1 FROM `', p_table, '`) INTO @jobs_holds_rows');
        PREPARE jobs_statement FROM @jobs_sql;
        EXECUTE jobs_statement;
        DEALLOCATE PREPARE jobs_statement;
        IF @jobs_holds_rows AND COALESCE(@windlass_allow_data_loss, 0) <> 1 THEN
            SET v_refusal = CONCAT(
                p_table, ' holds rows; back up, then SET @windlass_allow_data_loss = 1 to lose them');
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = v_refusal;
        END IF;
        IF NOT p_only_look THEN
            SET @jobs_sql = CONCAT('DROP TABLE IF EXISTS `', p_table, '`');
            PREPARE jobs_statement FROM @jobs_sql;
            EXECUTE jobs_statement;
            DEALLOCATE PREPARE jobs_statement;
        END IF;
    END IF;
END//
DELIMITER ;

CALL jobs_drop_empty('processing_jobs', true);
CALL jobs_drop_empty('user_sessions', true);
CALL jobs_drop_empty('processing_jobs', false);
CALL jobs_drop_empty('user_sessions', false);

DROP PROCEDURE IF EXISTS jobs_drop_empty;
