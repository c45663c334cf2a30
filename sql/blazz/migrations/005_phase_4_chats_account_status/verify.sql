-- check: phase_4_index
SELECT CONCAT('index ', needed.idx, ' of ', needed.tbl, ' should be ', needed.wanted,
              COALESCE(CONCAT(', is ', found.is_now), ', is missing')) AS failure
FROM JSON_TABLE('[
    ["chats", "idx_account_status", "(whatsapp_account_id, message_status)"]
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
