-- check: phase_2_columns
SELECT CONCAT('column ', needed.tbl, '.', needed.col, ' should be ', needed.wanted,
              COALESCE(CONCAT(', is ', found.is_now), ', is missing')) AS failure
FROM JSON_TABLE('[
    ["whatsapp_accounts", "last_cleanup_at", "timestamp null default none"],
    ["whatsapp_accounts", "session_restore_count", "int not null default 0"],
    ["whatsapp_accounts", "remote_session_path", "varchar(255) null default none"],
    ["whatsapp_accounts", "health_score", "int not null default 100"]
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

-- check: phase_2_indexes
SELECT CONCAT('index ', needed.idx, ' of ', needed.tbl, ' should be ', needed.wanted,
              COALESCE(CONCAT(', is ', found.is_now), ', is missing')) AS failure
FROM JSON_TABLE('[
    ["whatsapp_accounts", "idx_last_cleanup", "(last_cleanup_at)"],
    ["whatsapp_accounts", "idx_stale_detection", "(status, last_activity_at)"]
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
