-- Passes on a database that was built by up.sql and on a live one that is to be adopted: what the patch itself relies on.
-- Everything else may be there or missing.

-- check: standing_columns
SELECT CONCAT('column ', needed.tbl, '.', needed.col, ' is missing') AS failure
FROM JSON_TABLE('[
    ["processing_jobs", "id"],
    ["processing_jobs", "status"],
    ["processing_jobs", "created_at"],
    ["user_sessions", "id"]
]', '$[*]' COLUMNS (
    tbl varchar(64) CHARACTER SET utf8mb4 PATH '$[0]',
    col varchar(64) CHARACTER SET utf8mb4 PATH '$[1]'
)) AS needed
WHERE NOT EXISTS (
    SELECT 1
    FROM information_schema.columns c
    WHERE c.table_schema = DATABASE() AND c.table_name = needed.tbl AND c.column_name = needed.col
);
