-- The exact schema first, with a message for each part that is not as it should be; then the statements of the start-up
-- that failed: each must run. One that names a missing table or column is an error, and fails by that.

-- check: patched_columns
SELECT CONCAT('column ', needed.tbl, '.', needed.col, ' should be ', needed.wanted,
              COALESCE(CONCAT(', is ', found.is_now), ', is missing')) AS failure
FROM (
    SELECT n.tbl, n.col, n.kind,
           CONCAT(n.kind, IF(n.nullable = 'YES', ' null', ' not null'),
                  ' default ', COALESCE(n.fallback, 'none')) AS wanted
    FROM JSON_TABLE('[
    ["processing_jobs", "locked_by", "varchar(100)", "YES", null],
    ["processing_jobs", "locked_until", "timestamp", "YES", null],
    ["processing_jobs", "attempts", "int", "YES", "0"],
    ["processing_jobs", "last_error", "text", "YES", null],
    ["processing_jobs", "finished_at", "datetime", "YES", null],
    ["user_sessions", "cooldown_until", "datetime", "YES", null],
    ["user_sessions", "follow_up_attempts", "int", "YES", "0"],
    ["user_sessions", "last_activity", "datetime", "YES", null],
    ["sync_runs", "cursor", "json", "YES", null],
    ["conversation_analysis", "result_json", "json", "YES", null],
    ["conversation_analysis", "finished_at", "datetime", "YES", null]
]', '$[*]' COLUMNS (
    tbl varchar(64) CHARACTER SET utf8mb4 PATH '$[0]',
    col varchar(64) CHARACTER SET utf8mb4 PATH '$[1]',
    kind varchar(255) CHARACTER SET utf8mb4 PATH '$[2]',
    nullable varchar(3) CHARACTER SET utf8mb4 PATH '$[3]',
    fallback varchar(64) CHARACTER SET utf8mb4 PATH '$[4]'
)) AS n
) AS needed
LEFT JOIN (
    -- One spelling for MySQL and MariaDB: display widths, quoted defaults, and json, which is longtext on MariaDB.
    SELECT c.table_name, c.column_name, c.column_type,
           CONCAT(REPLACE(REPLACE(c.column_type, 'bigint(20)', 'bigint'), 'int(11)', 'int'),
                  IF(c.is_nullable = 'YES', ' null', ' not null'), ' default ',
                  COALESCE(NULLIF(TRIM(BOTH '''' FROM REPLACE(c.column_default, 'current_timestamp()',
                                                              'CURRENT_TIMESTAMP')), 'NULL'), 'none')) AS is_now
    FROM information_schema.columns c
    WHERE c.table_schema = DATABASE()
) AS found ON found.table_name = needed.tbl AND found.column_name = needed.col
WHERE found.is_now IS NULL
   OR (found.is_now <> needed.wanted
       AND NOT (needed.kind = 'json' AND found.is_now = REPLACE(needed.wanted, 'json', 'longtext')));

-- check: contact_status_has_all_five_values
SELECT CONCAT('user_sessions.contact_status should be enum(''ACTIVE'',''BLOCKED'',''PAUSED'',''OPT_OUT'',''CLOSED''), ',
              COALESCE(CONCAT('is ', c.column_type), 'is missing')) AS failure
FROM (SELECT 1 AS one) AS once
LEFT JOIN information_schema.columns c
       ON c.table_schema = DATABASE() AND c.table_name = 'user_sessions' AND c.column_name = 'contact_status'
WHERE c.column_type IS NULL OR c.column_type <> 'enum(''ACTIVE'',''BLOCKED'',''PAUSED'',''OPT_OUT'',''CLOSED'')';

-- What the application names; their types are as they were found, or as the patch makes them.
-- check: patched_tables
SELECT CONCAT('column ', needed.tbl, '.', needed.col, ' is missing') AS failure
FROM JSON_TABLE('[
    ["processing_job_logs", "id"],
    ["processing_job_logs", "job_id"],
    ["processing_job_logs", "level"],
    ["processing_job_logs", "category"],
    ["processing_job_logs", "message"],
    ["processing_job_logs", "details"],
    ["processing_job_logs", "created_at"],
    ["analytics_watermarks", "id"],
    ["analytics_watermarks", "name"],
    ["analytics_watermarks", "last_event_id"],
    ["analytics_watermarks", "last_processed_at"],
    ["analytics_watermarks", "updated_at"],
    ["sync_runs", "id"],
    ["sync_runs", "source_type"],
    ["sync_runs", "source_identifier"],
    ["sync_runs", "status"],
    ["sync_runs", "started_at"],
    ["sync_runs", "completed_at"],
    ["sync_runs", "sync_metadata"],
    ["sync_runs", "created_at"],
    ["sync_runs", "updated_at"],
    ["sync_runs", "cursor"],
    ["conversation_analysis", "id"],
    ["conversation_analysis", "phone"],
    ["conversation_analysis", "status"],
    ["conversation_analysis", "summary"],
    ["conversation_analysis", "intent"],
    ["conversation_analysis", "objections"],
    ["conversation_analysis", "purchase_probability"],
    ["conversation_analysis", "created_at"],
    ["conversation_analysis", "updated_at"],
    ["conversation_analysis", "result_json"],
    ["conversation_analysis", "finished_at"]
]', '$[*]' COLUMNS (
    tbl varchar(64) CHARACTER SET utf8mb4 PATH '$[0]',
    col varchar(64) CHARACTER SET utf8mb4 PATH '$[1]'
)) AS needed
WHERE NOT EXISTS (
    SELECT 1
    FROM information_schema.columns c
    WHERE c.table_schema = DATABASE() AND c.table_name = needed.tbl AND c.column_name = needed.col
);

-- By its columns, whatever its name: an index that stood before under another name serves as well.
-- check: patched_indexes
SELECT CONCAT('table ', needed.tbl, ' has no index on (', needed.cols, ')') AS failure
FROM JSON_TABLE('[
    ["processing_jobs", "status, locked_until"],
    ["processing_jobs", "created_at"],
    ["processing_job_logs", "job_id"],
    ["user_sessions", "contact_status"],
    ["user_sessions", "cooldown_until"],
    ["user_sessions", "last_activity"]
]', '$[*]' COLUMNS (
    tbl varchar(64) CHARACTER SET utf8mb4 PATH '$[0]',
    cols varchar(255) CHARACTER SET utf8mb4 PATH '$[1]'
)) AS needed
WHERE NOT EXISTS (
    SELECT 1
    FROM (
        SELECT s.table_name, GROUP_CONCAT(CONCAT(s.column_name, COALESCE(CONCAT('(', s.sub_part, ')'), ''))
                                          ORDER BY s.seq_in_index SEPARATOR ', ') AS cols
        FROM information_schema.statistics s
        WHERE s.table_schema = DATABASE() AND s.index_type = 'BTREE'
        GROUP BY s.table_name, s.index_name
    ) AS found
    WHERE found.table_name = needed.tbl AND found.cols = needed.cols
);

-- check: start_up_claims_a_job
SELECT CONCAT('job ', j.id, ' has no id') AS failure
FROM (
    SELECT id, status, locked_by, locked_until, attempts, last_error, finished_at, created_at
    FROM processing_jobs
    WHERE locked_until IS NULL OR locked_until < NOW()
    ORDER BY created_at
    LIMIT 1
) AS j
WHERE j.id IS NULL;

-- check: start_up_reads_sessions
SELECT CONCAT('session ', s.id, ' has a contact status that is none: ', s.contact_status) AS failure
FROM (
    SELECT id, contact_status, cooldown_until, follow_up_attempts, last_activity
    FROM user_sessions
    WHERE contact_status = ''
    LIMIT 10
) AS s;

-- check: start_up_reads_job_logs
SELECT CONCAT('log row ', l.id, ' has no id') AS failure
FROM (SELECT id, job_id, level, category, message, details, created_at FROM processing_job_logs LIMIT 1) AS l
WHERE l.id IS NULL;

-- check: start_up_reads_watermarks
SELECT CONCAT('watermark ', w.name, ' has no id') AS failure
FROM (SELECT id, name, last_event_id, last_processed_at, updated_at FROM analytics_watermarks LIMIT 1) AS w
WHERE w.id IS NULL;

-- check: start_up_reads_sync_runs
SELECT CONCAT('sync run of ', r.source_identifier, ' has no id') AS failure
FROM (
    SELECT id, source_type, source_identifier, status, started_at, completed_at, sync_metadata, created_at, updated_at,
           `cursor`
    FROM sync_runs
    LIMIT 1
) AS r
WHERE r.id IS NULL;

-- check: start_up_reads_analyses
SELECT CONCAT('analysis of ', a.phone, ' has no id') AS failure
FROM (
    SELECT id, phone, status, summary, intent, objections, purchase_probability, created_at, updated_at, result_json,
           finished_at
    FROM conversation_analysis
    LIMIT 1
) AS a
WHERE a.id IS NULL;
