-- What the workers and the jobs need to find. Types, defaults and columns of indexes are held by the verify script of the
-- migration that made them.

-- check: added_columns_stand
SELECT CONCAT('column ', needed.tbl, '.', needed.col, ' is missing') AS failure
FROM JSON_TABLE('[
    {"tbl": "chats", "cols": ["webhook_sent_at", "webhook_retry_count", "webhook_last_error", "queue_job_id"]},
    {"tbl": "whatsapp_accounts", "cols": ["last_cleanup_at", "session_restore_count", "remote_session_path", "health_score"]},
    {"tbl": "webhook_retry_queue", "cols": ["id", "uuid", "workspace_id", "whatsapp_account_id", "event_type", "endpoint",
        "payload", "retry_count", "max_retries", "next_retry_at", "last_error", "status", "created_at", "updated_at"]},
    {"tbl": "session_cleanup_logs", "cols": ["id", "workspace_id", "whatsapp_account_id", "cleanup_type", "reason",
        "details", "executed_by", "executed_at", "created_at", "updated_at"]}
]', '$[*]' COLUMNS (
    tbl varchar(64) CHARACTER SET utf8mb4 PATH '$.tbl',
    NESTED PATH '$.cols[*]' COLUMNS (col varchar(64) CHARACTER SET utf8mb4 PATH '$')
)) AS needed
WHERE NOT EXISTS (
    SELECT 1
    FROM information_schema.columns c
    WHERE c.table_schema = DATABASE() AND c.table_name = needed.tbl AND c.column_name = needed.col
);

-- check: added_indexes_stand
SELECT CONCAT('index ', needed.idx, ' of ', needed.tbl, ' is missing') AS failure
FROM JSON_TABLE('[
    {"tbl": "chats", "idxs": ["idx_webhook_retry", "idx_account_status"]},
    {"tbl": "whatsapp_accounts", "idxs": ["idx_last_cleanup", "idx_stale_detection"]},
    {"tbl": "webhook_retry_queue", "idxs": ["webhook_retry_queue_uuid_unique", "idx_status_next_retry",
        "idx_workspace_event", "idx_created_at", "idx_webhook_account"]},
    {"tbl": "session_cleanup_logs", "idxs": ["idx_workspace_executed", "idx_cleanup_account"]}
]', '$[*]' COLUMNS (
    tbl varchar(64) CHARACTER SET utf8mb4 PATH '$.tbl',
    NESTED PATH '$.idxs[*]' COLUMNS (idx varchar(64) CHARACTER SET utf8mb4 PATH '$')
)) AS needed
WHERE NOT EXISTS (
    SELECT 1
    FROM information_schema.statistics s
    WHERE s.table_schema = DATABASE() AND s.table_name = needed.tbl AND s.index_name = needed.idx
);

-- check: procedures_stand
SELECT CONCAT('procedure ', needed.name, ' is missing') AS failure
FROM JSON_TABLE('["claim_webhook_retries", "finish_webhook_retry", "expire_webhook_retries", "clean_up_whatsapp_accounts"]',
                '$[*]' COLUMNS (name varchar(64) CHARACTER SET utf8mb4 PATH '$')) AS needed
WHERE NOT EXISTS (
    SELECT 1
    FROM information_schema.routines r
    WHERE r.routine_schema = DATABASE() AND r.routine_type = 'PROCEDURE' AND r.routine_name = needed.name
);
