-- check: session_cleanup_procedure
SELECT CONCAT('procedure ', needed.name, ' is missing') AS failure
FROM JSON_TABLE('[
    "clean_up_whatsapp_accounts"
]', '$[*]' COLUMNS (
    name varchar(64) CHARACTER SET utf8mb4 PATH '$'
)) AS needed
WHERE NOT EXISTS (
    SELECT 1
    FROM information_schema.routines r
    WHERE r.routine_schema = DATABASE() AND r.routine_type = 'PROCEDURE' AND r.routine_name = needed.name
);
