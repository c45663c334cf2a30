-- check: phase_1_columns
SELECT CONCAT('column ', needed.tbl, '.', needed.col, ' should be ', needed.wanted,
              COALESCE(CONCAT(', is ', found.is_now), ', is missing')) AS failure
FROM JSON_TABLE('[
    ["chats", "webhook_sent_at", "timestamp null default none"],
    ["chats", "webhook_retry_count", "int not null default 0"],
    ["chats", "webhook_last_error", "text null default none"],
    ["chats", "queue_job_id", "varchar(255) null default none"]
]', '$[*]' COLUMNS (
    tbl varchar(64) CHARACTER SET utf8mb4 PATH '$[0]',
    col varchar(64) CHARACTER SET utf8mb4 PATH '$[1]',
    wanted varchar(255) CHARACTER SET utf8mb4 PATH '$[2]'
)) AS needed
LEFT JOIN (
    -- One spelling for MySQL and MariaDB: display widths and quoted defaults.
    SELECT table_name, column_name,
           CONCAT(REPLACE(column_type, 'int(11)', 'int'), IF(is_nullable = 'YES', ' null', ' not null'), ' default ',
                  COALESCE(NULLIF(column_default, 'NULL'), 'none')) AS is_now
    FROM information_schema.columns
    WHERE table_schema = DATABASE()
) AS found ON found.table_name = needed.tbl AND found.column_name = needed.col
WHERE found.is_now IS NULL OR found.is_now <> needed.wanted;

-- check: phase_1_index
SELECT CONCAT('index idx_webhook_retry of chats should be (webhook_retry_count, webhook_sent_at), ',
              COALESCE(CONCAT('is ', found.is_now), 'is missing')) AS failure
FROM (
    SELECT CONCAT(IF(MAX(non_unique) = 0, 'unique ', ''), '(',
                  GROUP_CONCAT(CONCAT(column_name, COALESCE(CONCAT('(', sub_part, ')'), ''))
                               ORDER BY seq_in_index SEPARATOR ', '), ')') AS is_now
    FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'chats' AND index_name = 'idx_webhook_retry'
) AS found
WHERE found.is_now IS NULL OR found.is_now <> '(webhook_retry_count, webhook_sent_at)';
