-- check: webhook_retry_procedures
SELECT CONCAT('procedure ', needed.name, ' is missing') AS failure
FROM JSON_TABLE('[
    "claim_webhook_retries",
    "finish_webhook_retry",
    "expire_webhook_retries"
]', '$[*]' COLUMNS (
    name varchar(64) CHARACTER SET utf8mb4 PATH '$'
)) AS needed
WHERE NOT EXISTS (
    SELECT 1
    FROM information_schema.routines r
    WHERE r.routine_schema = DATABASE() AND r.routine_type = 'PROCEDURE' AND r.routine_name = needed.name
);
