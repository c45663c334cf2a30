-- windlass: requires 001_standing_tables
-- windlass: rerunnable
--
-- Earlier migrations reached some servers and not others. This patch brings any such state to the one schema that the
-- application needs to start. It looks before each change, adds only what is missing, changes nothing that is there but
-- the values of one enum, and loses no row. All new columns are nullable.
--
-- What it adds it first writes down in jobs_patch_additions, because down.sql takes away exactly that. Each statement can
-- be run again, so one that was interrupted is simply run again.
--
-- Adding to a table is instant or online. Widening contact_status puts values between those that stand, so the server
-- copies user_sessions while writers wait: see its size, and choose the hour.
CREATE TABLE IF NOT EXISTS jobs_patch_additions (
    id           bigint unsigned NOT NULL AUTO_INCREMENT,
    kind         enum('table', 'column', 'index', 'type') NOT NULL,
    on_table     varchar(64)     NOT NULL,
    part         varchar(64)     NOT NULL,
    stood_before text            NULL,
    added_at     timestamp       NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    UNIQUE KEY jobs_patch_additions_unique (kind, on_table, part)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

DROP PROCEDURE IF EXISTS jobs_add;

DELIMITER //
-- Runs p_change where its table, column or index is missing. An index is looked for by its columns, as earlier migrations
-- may have named it otherwise. Written down first: a crash in between leaves a note too many, never an addition too many.
CREATE PROCEDURE IF NOT EXISTS jobs_add(
    IN p_kind varchar(10), IN p_table varchar(64) CHARACTER SET utf8mb4, IN p_part varchar(64) CHARACTER SET utf8mb4,
    IN p_columns varchar(255) CHARACTER SET utf8mb4, IN p_change text)
    SQL SECURITY INVOKER
BEGIN
    DECLARE v_stands boolean;
    CASE p_kind
        WHEN 'table' THEN
            SELECT COUNT(*) > 0 INTO v_stands
            FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = p_table;
        WHEN 'column' THEN
            SELECT COUNT(*) > 0 INTO v_stands
            FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = p_table AND column_name = p_part;
        WHEN 'index' THEN
            SELECT COUNT(*) > 0 INTO v_stands
            FROM (
                SELECT GROUP_CONCAT(CONCAT(s.column_name, COALESCE(CONCAT('(', s.sub_part, ')'), ''))
                                    ORDER BY s.seq_in_index SEPARATOR ', ') AS cols
                FROM information_schema.statistics s
                WHERE s.table_schema = DATABASE() AND s.table_name = p_table AND s.index_type = 'BTREE'
                GROUP BY s.index_name
            ) AS standing
            WHERE standing.cols = p_columns;
    END CASE;
    IF NOT v_stands THEN
        INSERT IGNORE INTO jobs_patch_additions (kind, on_table, part) VALUES (p_kind, p_table, p_part);
        SET @jobs_sql = p_change;
        PREPARE jobs_statement FROM @jobs_sql;
        EXECUTE jobs_statement;
        DEALLOCATE PREPARE jobs_statement;
    END IF;
END//
DELIMITER ;

DROP PROCEDURE IF EXISTS jobs_widen_contact_status;

DELIMITER //
-- Gives contact_status its five values, and keeps whatever else its definition says. An enum whose values are not all
-- among the five is not this patch's to change.
CREATE PROCEDURE IF NOT EXISTS jobs_widen_contact_status() SQL SECURITY INVOKER
BEGIN
    DECLARE v_wide text DEFAULT 'enum(''ACTIVE'',''BLOCKED'',''PAUSED'',''OPT_OUT'',''CLOSED'')';
    DECLARE v_type, v_rest, v_definition text;
    SELECT column_type,
           CONCAT(' CHARACTER SET ', character_set_name, ' COLLATE ', collation_name,
                  IF(is_nullable = 'YES', ' NULL', ' NOT NULL'),
                  COALESCE(CONCAT(' DEFAULT ', QUOTE(NULLIF(TRIM(BOTH '''' FROM column_default), 'NULL'))), ''),
                  IF(column_comment = '', '', CONCAT(' COMMENT ', QUOTE(column_comment))))
    INTO v_type, v_definition
    FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'user_sessions' AND column_name = 'contact_status';
    SET v_rest = REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(v_type, '''ACTIVE''', ''), '''BLOCKED''', ''), '''PAUSED''', ''),
                                 '''OPT_OUT''', ''), '''CLOSED''', '');
    IF v_rest NOT LIKE 'enum(%)' OR REPLACE(v_rest, ',', '') <> 'enum()' THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT =
            'user_sessions.contact_status holds values that are unknown to this patch; see SHOW CREATE TABLE user_sessions';
    END IF;
    IF v_type <> v_wide THEN
        INSERT IGNORE INTO jobs_patch_additions (kind, on_table, part, stood_before)
        VALUES ('type', 'user_sessions', 'contact_status', CONCAT(v_type, v_definition));
        -- No value may be lost silently, whatever the server's own setting. It ends with this procedure.
        SET SESSION sql_mode = CONCAT_WS(',', @@sql_mode, 'STRICT_ALL_TABLES');
        SET @jobs_sql = CONCAT('ALTER TABLE user_sessions MODIFY COLUMN contact_status ', v_wide, v_definition);
        PREPARE jobs_statement FROM @jobs_sql;
        EXECUTE jobs_statement;
        DEALLOCATE PREPARE jobs_statement;
    END IF;
END//
DELIMITER ;

CALL jobs_add('column', 'processing_jobs', 'locked_by', '',
    'ALTER TABLE processing_jobs ADD COLUMN locked_by varchar(100) NULL DEFAULT NULL');
CALL jobs_add('column', 'processing_jobs', 'locked_until', '',
    'ALTER TABLE processing_jobs ADD COLUMN locked_until timestamp NULL DEFAULT NULL');
CALL jobs_add('column', 'processing_jobs', 'attempts', '',
    'ALTER TABLE processing_jobs ADD COLUMN attempts int NULL DEFAULT 0');
CALL jobs_add('column', 'processing_jobs', 'last_error', '',
    'ALTER TABLE processing_jobs ADD COLUMN last_error text NULL');
CALL jobs_add('column', 'processing_jobs', 'finished_at', '',
    'ALTER TABLE processing_jobs ADD COLUMN finished_at datetime NULL DEFAULT NULL');
CALL jobs_add('index', 'processing_jobs', 'idx_processing_jobs_status_locked_until', 'status, locked_until',
    'ALTER TABLE processing_jobs ADD INDEX idx_processing_jobs_status_locked_until (status, locked_until)');
CALL jobs_add('index', 'processing_jobs', 'idx_processing_jobs_created_at', 'created_at',
    'ALTER TABLE processing_jobs ADD INDEX idx_processing_jobs_created_at (created_at)');

CALL jobs_add('table', 'processing_job_logs', '', '', 'CREATE TABLE processing_job_logs (
    id         bigint unsigned NOT NULL AUTO_INCREMENT,
    job_id     bigint unsigned NULL DEFAULT NULL,
    level      varchar(20) NULL DEFAULT NULL,
    category   varchar(50) NULL DEFAULT NULL,
    message    text NULL,
    details    json NULL,
    created_at datetime NULL DEFAULT NULL,
    PRIMARY KEY (id),
    KEY idx_processing_job_logs_job_id (job_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci');
CALL jobs_add('column', 'processing_job_logs', 'job_id', '',
    'ALTER TABLE processing_job_logs ADD COLUMN job_id bigint unsigned NULL DEFAULT NULL');
CALL jobs_add('column', 'processing_job_logs', 'level', '',
    'ALTER TABLE processing_job_logs ADD COLUMN level varchar(20) NULL DEFAULT NULL');
CALL jobs_add('column', 'processing_job_logs', 'category', '',
    'ALTER TABLE processing_job_logs ADD COLUMN category varchar(50) NULL DEFAULT NULL');
CALL jobs_add('column', 'processing_job_logs', 'message', '',
    'ALTER TABLE processing_job_logs ADD COLUMN message text NULL');
CALL jobs_add('column', 'processing_job_logs', 'details', '',
    'ALTER TABLE processing_job_logs ADD COLUMN details json NULL');
CALL jobs_add('column', 'processing_job_logs', 'created_at', '',
    'ALTER TABLE processing_job_logs ADD COLUMN created_at datetime NULL DEFAULT NULL');
CALL jobs_add('index', 'processing_job_logs', 'idx_processing_job_logs_job_id', 'job_id',
    'ALTER TABLE processing_job_logs ADD INDEX idx_processing_job_logs_job_id (job_id)');

CALL jobs_add('column', 'user_sessions', 'contact_status', '',
    'ALTER TABLE user_sessions ADD COLUMN contact_status enum(''ACTIVE'',''BLOCKED'',''PAUSED'',''OPT_OUT'',''CLOSED'') NULL DEFAULT ''ACTIVE''');
CALL jobs_add('column', 'user_sessions', 'cooldown_until', '',
    'ALTER TABLE user_sessions ADD COLUMN cooldown_until datetime NULL DEFAULT NULL');
CALL jobs_add('column', 'user_sessions', 'follow_up_attempts', '',
    'ALTER TABLE user_sessions ADD COLUMN follow_up_attempts int NULL DEFAULT 0');
CALL jobs_add('column', 'user_sessions', 'last_activity', '',
    'ALTER TABLE user_sessions ADD COLUMN last_activity datetime NULL DEFAULT NULL');
CALL jobs_widen_contact_status();
CALL jobs_add('index', 'user_sessions', 'idx_user_sessions_contact_status', 'contact_status',
    'ALTER TABLE user_sessions ADD INDEX idx_user_sessions_contact_status (contact_status)');
CALL jobs_add('index', 'user_sessions', 'idx_user_sessions_cooldown_until', 'cooldown_until',
    'ALTER TABLE user_sessions ADD INDEX idx_user_sessions_cooldown_until (cooldown_until)');
CALL jobs_add('index', 'user_sessions', 'idx_user_sessions_last_activity', 'last_activity',
    'ALTER TABLE user_sessions ADD INDEX idx_user_sessions_last_activity (last_activity)');

CALL jobs_add('table', 'analytics_watermarks', '', '', 'CREATE TABLE analytics_watermarks (
    id                bigint unsigned NOT NULL AUTO_INCREMENT,
    name              varchar(100) NULL DEFAULT NULL,
    last_event_id     bigint unsigned NULL DEFAULT NULL,
    last_processed_at datetime NULL DEFAULT NULL,
    updated_at        datetime NULL DEFAULT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci');
CALL jobs_add('column', 'analytics_watermarks', 'name', '',
    'ALTER TABLE analytics_watermarks ADD COLUMN name varchar(100) NULL DEFAULT NULL');
CALL jobs_add('column', 'analytics_watermarks', 'last_event_id', '',
    'ALTER TABLE analytics_watermarks ADD COLUMN last_event_id bigint unsigned NULL DEFAULT NULL');
CALL jobs_add('column', 'analytics_watermarks', 'last_processed_at', '',
    'ALTER TABLE analytics_watermarks ADD COLUMN last_processed_at datetime NULL DEFAULT NULL');
CALL jobs_add('column', 'analytics_watermarks', 'updated_at', '',
    'ALTER TABLE analytics_watermarks ADD COLUMN updated_at datetime NULL DEFAULT NULL');

CALL jobs_add('table', 'sync_runs', '', '', 'CREATE TABLE sync_runs (
    id                bigint unsigned NOT NULL AUTO_INCREMENT,
    source_type       varchar(50) NULL DEFAULT NULL,
    source_identifier varchar(255) NULL DEFAULT NULL,
    status            varchar(20) NULL DEFAULT NULL,
    started_at        datetime NULL DEFAULT NULL,
    completed_at      datetime NULL DEFAULT NULL,
    sync_metadata     json NULL,
    created_at        datetime NULL DEFAULT NULL,
    updated_at        datetime NULL DEFAULT NULL,
    `cursor`          json NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci');
CALL jobs_add('column', 'sync_runs', 'source_type', '',
    'ALTER TABLE sync_runs ADD COLUMN source_type varchar(50) NULL DEFAULT NULL');
CALL jobs_add('column', 'sync_runs', 'source_identifier', '',
    'ALTER TABLE sync_runs ADD COLUMN source_identifier varchar(255) NULL DEFAULT NULL');
CALL jobs_add('column', 'sync_runs', 'status', '',
    'ALTER TABLE sync_runs ADD COLUMN status varchar(20) NULL DEFAULT NULL');
CALL jobs_add('column', 'sync_runs', 'started_at', '',
    'ALTER TABLE sync_runs ADD COLUMN started_at datetime NULL DEFAULT NULL');
CALL jobs_add('column', 'sync_runs', 'completed_at', '',
    'ALTER TABLE sync_runs ADD COLUMN completed_at datetime NULL DEFAULT NULL');
CALL jobs_add('column', 'sync_runs', 'sync_metadata', '',
    'ALTER TABLE sync_runs ADD COLUMN sync_metadata json NULL');
CALL jobs_add('column', 'sync_runs', 'created_at', '',
    'ALTER TABLE sync_runs ADD COLUMN created_at datetime NULL DEFAULT NULL');
CALL jobs_add('column', 'sync_runs', 'updated_at', '',
    'ALTER TABLE sync_runs ADD COLUMN updated_at datetime NULL DEFAULT NULL');
CALL jobs_add('column', 'sync_runs', 'cursor', '',
    'ALTER TABLE sync_runs ADD COLUMN `cursor` json NULL');

CALL jobs_add('table', 'conversation_analysis', '', '', 'CREATE TABLE conversation_analysis (
    id                   bigint unsigned NOT NULL AUTO_INCREMENT,
    phone                varchar(32) NULL DEFAULT NULL,
    status               varchar(20) NULL DEFAULT NULL,
    summary              text NULL,
    intent               varchar(100) NULL DEFAULT NULL,
    objections           json NULL,
    purchase_probability decimal(5,2) NULL DEFAULT NULL,
    created_at           datetime NULL DEFAULT NULL,
    updated_at           datetime NULL DEFAULT NULL,
    result_json          json NULL,
    finished_at          datetime NULL DEFAULT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci');
CALL jobs_add('column', 'conversation_analysis', 'phone', '',
    'ALTER TABLE conversation_analysis ADD COLUMN phone varchar(32) NULL DEFAULT NULL');
CALL jobs_add('column', 'conversation_analysis', 'status', '',
    'ALTER TABLE conversation_analysis ADD COLUMN status varchar(20) NULL DEFAULT NULL');
CALL jobs_add('column', 'conversation_analysis', 'summary', '',
    'ALTER TABLE conversation_analysis ADD COLUMN summary text NULL');
CALL jobs_add('column', 'conversation_analysis', 'intent', '',
    'ALTER TABLE conversation_analysis ADD COLUMN intent varchar(100) NULL DEFAULT NULL');
CALL jobs_add('column', 'conversation_analysis', 'objections', '',
    'ALTER TABLE conversation_analysis ADD COLUMN objections json NULL');
CALL jobs_add('column', 'conversation_analysis', 'purchase_probability', '',
    'ALTER TABLE conversation_analysis ADD COLUMN purchase_probability decimal(5,2) NULL DEFAULT NULL');
CALL jobs_add('column', 'conversation_analysis', 'created_at', '',
    'ALTER TABLE conversation_analysis ADD COLUMN created_at datetime NULL DEFAULT NULL');
CALL jobs_add('column', 'conversation_analysis', 'updated_at', '',
    'ALTER TABLE conversation_analysis ADD COLUMN updated_at datetime NULL DEFAULT NULL');
CALL jobs_add('column', 'conversation_analysis', 'result_json', '',
    'ALTER TABLE conversation_analysis ADD COLUMN result_json json NULL');
CALL jobs_add('column', 'conversation_analysis', 'finished_at', '',
    'ALTER TABLE conversation_analysis ADD COLUMN finished_at datetime NULL DEFAULT NULL');

DROP PROCEDURE IF EXISTS jobs_widen_contact_status;
DROP PROCEDURE IF EXISTS jobs_add;
