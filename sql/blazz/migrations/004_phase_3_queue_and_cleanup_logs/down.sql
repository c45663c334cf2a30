-- windlass: rerunnable
-- Takes the two tables away, and refuses while one of them holds rows: webhooks that wait to be sent, and the record of
-- what was cleaned up. Both are looked at before the first is dropped, and each once more right before.
-- The explicit word, after a backup: SET @windlass_allow_data_loss = 1 in the same session.
DROP PROCEDURE IF EXISTS blazz_drop_empty;

DELIMITER //
CREATE PROCEDURE IF NOT EXISTS blazz_drop_empty(IN p_table varchar(64) CHARACTER SET utf8mb4, IN p_only_look boolean)
    SQL SECURITY INVOKER
BEGIN
    DECLARE v_refusal text;
    IF EXISTS (SELECT 1 FROM information_schema.tables
               WHERE table_schema = DATABASE() AND table_name = p_table AND table_type = 'BASE TABLE') THEN
        SET @blazz_sql = CONCAT('SELECT EXISTS (SELECT 1 FROM `', p_table, '`) INTO @blazz_holds_rows');
        PREPARE blazz_statement FROM @blazz_sql;
        EXECUTE blazz_statement;
        DEALLOCATE PREPARE blazz_statement;
        IF @blazz_holds_rows AND COALESCE(@windlass_allow_data_loss, 0) <> 1 THEN
            SET v_refusal = CONCAT(
                p_table, ' holds rows; back up, then SET @windlass_allow_data_loss = 1 to lose them');
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = v_refusal;
        END IF;
        IF NOT p_only_look THEN
            SET @blazz_sql = CONCAT('DROP TABLE IF EXISTS `', p_table, '`');
            PREPARE blazz_statement FROM @blazz_sql;
            EXECUTE blazz_statement;
            DEALLOCATE PREPARE blazz_statement;
        END IF;
    END IF;
END//
DELIMITER ;

CALL blazz_drop_empty('session_cleanup_logs', true);
CALL blazz_drop_empty('webhook_retry_queue', true);
CALL blazz_drop_empty('session_cleanup_logs', false);
CALL blazz_drop_empty('webhook_retry_queue', false);

DROP PROCEDURE IF EXISTS blazz_drop_empty;
