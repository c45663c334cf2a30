-- What the product needs to find: the columns and indexes of all phases, the two tables, the procedures.

-- check: added_columns_stand
SELECT CONCAT('column ', needed.tbl, '.', needed.col, ' should be ', needed.wanted,
              COALESCE(CONCAT(', is ', found.is_now), ', is missing')) AS failure
FROM (
    SELECT n.tbl, n.col, n.kind,
           CONCAT(n.kind, IF(n.nullable = 'YES', ' null', ' not null'),
                  ' default ', COALESCE(n.fallback, 'none')) AS wanted
    FROM JSON_TABLE('[
    ["chats", "webhook_sent_at", "timestamp", "YES", null],
    ["chats", "webhook_retry_count", "int", "NO", "0"],
    ["chats", "webhook_last_error", "text", "YES", null],
    ["chats", "queue_job_id", "varchar(255)", "YES", null],
    ["whatsapp_accounts", "last_cleanup_at", "timestamp", "YES", null],
    ["whatsapp_accounts", "session_restore_count", "int", "NO", "0"],
    ["whatsapp_accounts", "remote_session_path", "varchar(255)", "YES", null],
    ["whatsapp_accounts", "health_score", "int", "NO", "100"],
    ["webhook_retry_queue", "id", "bigint unsigned", "NO", null],
    ["webhook_retry_queue", "uuid", "char(36)", "NO", null],
    ["webhook_retry_queue", "workspace_id", "bigint unsigned", "NO", null],
    ["webhook_retry_queue", "whatsapp_account_id", "bigint unsigned", "YES", null],
    ["webhook_retry_queue", "event_type", "varchar(50)", "NO", null],
    ["webhook_retry_queue", "endpoint", "text", "NO", null],
    ["webhook_retry_queue", "payload", "longtext", "NO", null],
    ["webhook_retry_queue", "retry_count", "int", "NO", "0"],
    ["webhook_retry_queue", "max_retries", "int", "NO", "3"],
    ["webhook_retry_queue", "next_retry_at", "timestamp", "YES", null],
    ["webhook_retry_queue", "last_error", "text", "YES", null],
    ["webhook_retry_queue", "status", "enum(''pending'',''retrying'',''success'',''failed'')", "NO", "pending"],
    ["webhook_retry_queue", "created_at", "timestamp", "YES", null],
    ["webhook_retry_queue", "updated_at", "timestamp", "YES", null],
    ["session_cleanup_logs", "id", "bigint unsigned", "NO", null],
    ["session_cleanup_logs", "workspace_id", "bigint unsigned", "NO", null],
    ["session_cleanup_logs", "whatsapp_account_id", "bigint unsigned", "YES", null],
    ["session_cleanup_logs", "cleanup_type", "enum(''manual'',''scheduled'',''automatic'')", "NO", null],
    ["session_cleanup_logs", "reason", "enum(''stale_qr'',''disconnected_24h'',''duplicate'',''manual_request'')", "NO", null],
    ["session_cleanup_logs", "details", "text", "YES", null],
    ["session_cleanup_logs", "executed_by", "bigint unsigned", "YES", null],
    ["session_cleanup_logs", "executed_at", "timestamp", "NO", "CURRENT_TIMESTAMP"],
    ["session_cleanup_logs", "created_at", "timestamp", "YES", null],
    ["session_cleanup_logs", "updated_at", "timestamp", "YES", null]
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

-- check: added_indexes_stand
SELECT CONCAT('index ', needed.idx, ' of ', needed.tbl, ' should be ', needed.wanted,
              COALESCE(CONCAT(', is ', found.is_now), ', is missing')) AS failure
FROM JSON_TABLE('[
    ["chats", "idx_webhook_retry", "(webhook_retry_count, webhook_sent_at)"],
    ["whatsapp_accounts", "idx_last_cleanup", "(last_cleanup_at)"],
    ["whatsapp_accounts", "idx_stale_detection", "(status, last_activity_at)"],
    ["chats", "idx_account_status", "(whatsapp_account_id, message_status)"],
    ["webhook_retry_queue", "webhook_retry_queue_uuid_unique", "unique (uuid)"],
    ["webhook_retry_queue", "idx_status_next_retry", "(status, next_retry_at)"],
    ["webhook_retry_queue", "idx_workspace_event", "(workspace_id, event_type)"],
    ["webhook_retry_queue", "idx_created_at", "(created_at)"],
    ["webhook_retry_queue", "idx_webhook_account", "(whatsapp_account_id)"],
    ["session_cleanup_logs", "idx_workspace_executed", "(workspace_id, executed_at)"],
    ["session_cleanup_logs", "idx_cleanup_account", "(whatsapp_account_id)"]
]', '$[*]' COLUMNS (
    tbl varchar(64) CHARACTER SET utf8mb4 PATH '$[0]',
    idx varchar(64) CHARACTER SET utf8mb4 PATH '$[1]',
    wanted varchar(255) CHARACTER SET utf8mb4 PATH '$[2]'
)) AS needed
LEFT JOIN (
    SELECT s.table_name, s.index_name,
           CONCAT(IF(MAX(s.non_unique) = 0, 'unique ', ''), '(',
                  GROUP_CONCAT(CONCAT(s.column_name, COALESCE(CONCAT('(', s.sub_part, ')'), ''))
                               ORDER BY s.seq_in_index SEPARATOR ', '), ')') AS is_now
    FROM information_schema.statistics s
    WHERE s.table_schema = DATABASE()
    GROUP BY s.table_name, s.index_name
) AS found ON found.table_name = needed.tbl AND found.index_name = needed.idx
WHERE found.is_now IS NULL OR found.is_now <> needed.wanted;

-- check: procedures_stand
SELECT CONCAT('procedure ', needed.name, ' is missing') AS failure
FROM JSON_TABLE('[
    "claim_webhook_retries",
    "finish_webhook_retry",
    "expire_webhook_retries",
    "clean_up_whatsapp_accounts"
]', '$[*]' COLUMNS (
    name varchar(64) CHARACTER SET utf8mb4 PATH '$'
)) AS needed
WHERE NOT EXISTS (
    SELECT 1
    FROM information_schema.routines r
    WHERE r.routine_schema = DATABASE() AND r.routine_type = 'PROCEDURE' AND r.routine_name = needed.name
);
