-- check: phase_1_columns
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
    ["chats", "queue_job_id", "varchar(255)", "YES", null]
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

-- check: phase_1_index
SELECT CONCAT('index ', needed.idx, ' of ', needed.tbl, ' should be ', needed.wanted,
              COALESCE(CONCAT(', is ', found.is_now), ', is missing')) AS failure
FROM JSON_TABLE('[
    ["chats", "idx_webhook_retry", "(webhook_retry_count, webhook_sent_at)"]
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
