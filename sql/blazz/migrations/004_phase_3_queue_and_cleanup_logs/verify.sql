-- check: phase_3_columns
SELECT CONCAT('column ', needed.tbl, '.', needed.col, ' should be ', needed.wanted,
              COALESCE(CONCAT(', is ', found.is_now), ', is missing')) AS failure
FROM JSON_TABLE('[
    ["webhook_retry_queue", "id", "bigint unsigned not null default none"],
    ["webhook_retry_queue", "uuid", "char(36) not null default none"],
    ["webhook_retry_queue", "workspace_id", "bigint unsigned not null default none"],
    ["webhook_retry_queue", "whatsapp_account_id", "bigint unsigned null default none"],
    ["webhook_retry_queue", "event_type", "varchar(50) not null default none"],
    ["webhook_retry_queue", "endpoint", "text not null default none"],
    ["webhook_retry_queue", "payload", "longtext not null default none"],
    ["webhook_retry_queue", "retry_count", "int not null default 0"],
    ["webhook_retry_queue", "max_retries", "int not null default 3"],
    ["webhook_retry_queue", "next_retry_at", "timestamp null default none"],
    ["webhook_retry_queue", "last_error", "text null default none"],
    ["webhook_retry_queue", "status", "enum(''pending'',''retrying'',''success'',''failed'') not null default pending"],
    ["webhook_retry_queue", "created_at", "timestamp null default none"],
    ["webhook_retry_queue", "updated_at", "timestamp null default none"],
    ["session_cleanup_logs", "id", "bigint unsigned not null default none"],
    ["session_cleanup_logs", "workspace_id", "bigint unsigned not null default none"],
    ["session_cleanup_logs", "whatsapp_account_id", "bigint unsigned null default none"],
    ["session_cleanup_logs", "cleanup_type", "enum(''manual'',''scheduled'',''automatic'') not null default none"],
    ["session_cleanup_logs", "reason", "enum(''stale_qr'',''disconnected_24h'',''duplicate'',''manual_request'') not null default none"],
    ["session_cleanup_logs", "details", "text null default none"],
    ["session_cleanup_logs", "executed_by", "bigint unsigned null default none"],
    ["session_cleanup_logs", "executed_at", "timestamp not null default CURRENT_TIMESTAMP"],
    ["session_cleanup_logs", "created_at", "timestamp null default none"],
    ["session_cleanup_logs", "updated_at", "timestamp null default none"]
]', '$[*]' COLUMNS (
    tbl varchar(64) CHARACTER SET utf8mb4 PATH '$[0]',
    col varchar(64) CHARACTER SET utf8mb4 PATH '$[1]',
    wanted varchar(255) CHARACTER SET utf8mb4 PATH '$[2]'
)) AS needed
LEFT JOIN (
    -- One spelling for MySQL and MariaDB: display widths and quoted defaults.
    SELECT table_name, column_name,
           CONCAT(REPLACE(REPLACE(column_type, 'bigint(20)', 'bigint'), 'int(11)', 'int'), IF(is_nullable = 'YES', ' null', ' not null'), ' default ',
                  COALESCE(NULLIF(REPLACE(REPLACE(column_default, 'current_timestamp()', 'CURRENT_TIMESTAMP'), '''', ''), 'NULL'), 'none')) AS is_now
    FROM information_schema.columns
    WHERE table_schema = DATABASE()
) AS found ON found.table_name = needed.tbl AND found.column_name = needed.col
WHERE found.is_now IS NULL OR found.is_now <> needed.wanted;

-- check: phase_3_indexes
SELECT CONCAT('index ', needed.idx, ' of ', needed.tbl, ' should be ', needed.wanted,
              COALESCE(CONCAT(', is ', found.is_now), ', is missing')) AS failure
FROM JSON_TABLE('[
    ["webhook_retry_queue", "webhook_retry_queue_uuid_unique", "unique (uuid)"],
    ["webhook_retry_queue", "idx_status_next_retry", "(status, next_retry_at)"],
    ["webhook_retry_queue", "idx_workspace_event", "(workspace_id, event_type)"],
    ["webhook_retry_queue", "idx_created_at", "(created_at)"],
    ["webhook_retry_queue", "idx_webhook_account", "(whatsapp_account_id)"],
    ["session_cleanup_logs", "idx_workspace_executed", "(workspace_id, executed_at)"],
    ["session_cleanup_logs", "idx_cleanup_account", "(whatsapp_account_id)"],
    ["webhook_retry_queue", "PRIMARY", "unique (id)"],
    ["session_cleanup_logs", "PRIMARY", "unique (id)"]
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

-- check: phase_3_foreign_keys
SELECT CONCAT('table ', needed.tbl, ' has no foreign key on ', needed.col, ' to ', needed.target, '(id), on delete ',
              needed.rule) AS failure
FROM JSON_TABLE('[
    ["webhook_retry_queue", "workspace_id", "workspaces", "CASCADE"],
    ["webhook_retry_queue", "whatsapp_account_id", "whatsapp_accounts", "SET NULL"],
    ["session_cleanup_logs", "workspace_id", "workspaces", "CASCADE"],
    ["session_cleanup_logs", "whatsapp_account_id", "whatsapp_accounts", "SET NULL"]
]', '$[*]' COLUMNS (
    tbl varchar(64) CHARACTER SET utf8mb4 PATH '$[0]',
    col varchar(64) CHARACTER SET utf8mb4 PATH '$[1]',
    target varchar(64) CHARACTER SET utf8mb4 PATH '$[2]',
    rule varchar(20) CHARACTER SET utf8mb4 PATH '$[3]'
)) AS needed
WHERE NOT EXISTS (
    SELECT 1
    FROM information_schema.key_column_usage k
    JOIN information_schema.referential_constraints r
      ON r.constraint_schema = k.constraint_schema AND r.table_name = k.table_name
     AND r.constraint_name = k.constraint_name
    WHERE k.table_schema = DATABASE() AND k.table_name = needed.tbl AND k.column_name = needed.col
      AND k.referenced_table_name = needed.target AND k.referenced_column_name = 'id' AND r.delete_rule = needed.rule
);
