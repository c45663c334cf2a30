-- windlass: rerunnable
-- Takes away what the patch added, by the notes in jobs_patch_additions, and nothing else: a column, index or table that
-- was there before stays, and contact_status gets its old definition back. Columns go with what was written into them
-- since; a backup is the only way back. The rest is looked at before the first change, and refused while
--   * a table that the patch made holds rows,
--   * contact_status holds a value that its old definition does not know (BLOCKED, PAUSED), or the column is the patch's
--     own and holds more than ACTIVE.
-- The explicit word, after a backup: SET @windlass_allow_data_loss = 1 in the same session. Then BLOCKED becomes OPT_OUT
-- and PAUSED becomes CLOSED: nobody is written to who was not to be written to. A row of the result says how many.
-- Each note is struck out when its part is gone, so a run that was interrupted is simply run again.
DROP PROCEDURE IF EXISTS jobs_refuse_loss;

DELIMITER //
CREATE PROCEDURE IF NOT EXISTS jobs_refuse_loss() SQL SECURITY INVOKER
BEGIN
    DECLARE v_done boolean DEFAULT false;
    DECLARE v_kind, v_table varchar(64) CHARACTER SET utf8mb4;
    DECLARE v_before, v_refusal text;
    DECLARE additions CURSOR FOR
        SELECT a.kind, a.on_table, a.stood_before
        FROM jobs_patch_additions a
        JOIN information_schema.tables t ON t.table_schema = DATABASE() AND t.table_name = a.on_table
        WHERE a.kind = 'table' OR a.part = 'contact_status'
          AND EXISTS (SELECT 1 FROM information_schema.columns c
                      WHERE c.table_schema = DATABASE() AND c.table_name = a.on_table AND c.column_name = a.part);
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_done = true;
    IF COALESCE(@windlass_allow_data_loss, 0) <> 1
       AND EXISTS (SELECT 1 FROM information_schema.tables
                   WHERE table_schema = DATABASE() AND table_name = 'jobs_patch_additions') THEN
        OPEN additions;
        FETCH additions INTO v_kind, v_table, v_before;
        WHILE NOT v_done DO
            SET @jobs_sql = CONCAT('SELECT EXISTS (SELECT 1 FROM `', v_table, '`', CASE v_kind
                WHEN 'table' THEN ''
                WHEN 'type' THEN CONCAT(' WHERE INSTR(', QUOTE(v_before), ', CONCAT('''''''', contact_status, '''''''')) = 0')
                ELSE ' WHERE contact_status <> ''ACTIVE''' END, ') INTO @jobs_loses_rows');
            PREPARE jobs_statement FROM @jobs_sql;
            EXECUTE jobs_statement;
            DEALLOCATE PREPARE jobs_statement;
            IF @jobs_loses_rows THEN
                SET v_refusal = CONCAT(
                    v_table, IF(v_kind = 'table', ' holds rows', '.contact_status holds BLOCKED, PAUSED or the like'),
                    '; see down.sql; SET @windlass_allow_data_loss = 1 to go on');
                SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = v_refusal;
            END IF;
            FETCH additions INTO v_kind, v_table, v_before;
        END WHILE;
        CLOSE additions;
    END IF;
END//
DELIMITER ;

DROP PROCEDURE IF EXISTS jobs_take_back;

DELIMITER //
CREATE PROCEDURE IF NOT EXISTS jobs_take_back() SQL SECURITY INVOKER
BEGIN
    DECLARE v_done, v_stands boolean DEFAULT false;
    DECLARE v_id bigint unsigned;
    DECLARE v_kind, v_table, v_part varchar(64) CHARACTER SET utf8mb4;
    DECLARE v_before text;
    -- An index goes before its columns: dropped after them it would shrink first.
    DECLARE additions CURSOR FOR
        SELECT id, kind, on_table, part, stood_before
        FROM jobs_patch_additions
        ORDER BY FIELD(kind, 'index', 'type', 'column', 'table'), id DESC;
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_done = true;
    IF EXISTS (SELECT 1 FROM information_schema.tables
               WHERE table_schema = DATABASE() AND table_name = 'jobs_patch_additions') THEN
        OPEN additions;
        FETCH additions INTO v_id, v_kind, v_table, v_part, v_before;
        WHILE NOT v_done DO
            SELECT CASE v_kind
                       WHEN 'index' THEN EXISTS (
                           SELECT 1 FROM information_schema.statistics
                           WHERE table_schema = DATABASE() AND table_name = v_table AND index_name = v_part)
                       WHEN 'table' THEN EXISTS (
                           SELECT 1 FROM information_schema.tables
                           WHERE table_schema = DATABASE() AND table_name = v_table)
                       ELSE EXISTS (
                           SELECT 1 FROM information_schema.columns
                           WHERE table_schema = DATABASE() AND table_name = v_table AND column_name = v_part)
                   END
            INTO v_stands;
            IF v_stands THEN
                IF v_kind = 'type' THEN
                    CALL jobs_map_contact_status(v_before);
                    -- A status that the old definition does not know must stop this, whatever the server's own setting.
                    SET SESSION sql_mode = CONCAT_WS(',', @@sql_mode, 'STRICT_ALL_TABLES');
                END IF;
                SET @jobs_sql = CONCAT(IF(v_kind = 'table', 'DROP TABLE `', 'ALTER TABLE `'), v_table, '`', CASE v_kind
                    WHEN 'table' THEN ''
                    WHEN 'index' THEN CONCAT(' DROP INDEX `', v_part, '`')
                    WHEN 'column' THEN CONCAT(' DROP COLUMN `', v_part, '`')
                    ELSE CONCAT(' MODIFY COLUMN `', v_part, '` ', v_before) END);
                PREPARE jobs_statement FROM @jobs_sql;
                EXECUTE jobs_statement;
                DEALLOCATE PREPARE jobs_statement;
            END IF;
            DELETE FROM jobs_patch_additions WHERE id = v_id;
            FETCH additions INTO v_id, v_kind, v_table, v_part, v_before;
        END WHILE;
        CLOSE additions;
    END IF;
END//
DELIMITER ;

DROP PROCEDURE IF EXISTS jobs_map_contact_status;

DELIMITER //
CREATE PROCEDURE IF NOT EXISTS jobs_map_contact_status(IN p_before text) SQL SECURITY INVOKER
BEGIN
    DECLARE v_blocked, v_paused bigint DEFAULT 0;
    IF COALESCE(@windlass_allow_data_loss, 0) = 1 THEN
        IF INSTR(p_before, '''BLOCKED''') = 0 THEN
            UPDATE user_sessions SET contact_status = 'OPT_OUT' WHERE contact_status = 'BLOCKED';
            SET v_blocked = ROW_COUNT();
        END IF;
        IF INSTR(p_before, '''PAUSED''') = 0 THEN
            UPDATE user_sessions SET contact_status = 'CLOSED' WHERE contact_status = 'PAUSED';
            SET v_paused = ROW_COUNT();
        END IF;
        IF v_blocked + v_paused > 0 THEN
            SELECT CONCAT(v_blocked, ' sessions were BLOCKED and are OPT_OUT now; ',
                          v_paused, ' were PAUSED and are CLOSED now') AS mapped;
        END IF;
    END IF;
END//
DELIMITER ;

CALL jobs_refuse_loss();

CALL jobs_take_back();

DROP PROCEDURE IF EXISTS jobs_map_contact_status;
DROP PROCEDURE IF EXISTS jobs_take_back;
DROP PROCEDURE IF EXISTS jobs_refuse_loss;
DROP TABLE IF EXISTS jobs_patch_additions;
