-- check: phase_4_index
SELECT CONCAT('index idx_account_status of chats should be (whatsapp_account_id, message_status), ',
              COALESCE(CONCAT('is ', found.is_now), 'is missing')) AS failure
FROM (
    SELECT CONCAT(IF(MAX(non_unique) = 0, 'unique ', ''), '(',
                  GROUP_CONCAT(CONCAT(column_name, COALESCE(CONCAT('(', sub_part, ')'), ''))
                               ORDER BY seq_in_index SEPARATOR ', '), ')') AS is_now
    FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'chats' AND index_name = 'idx_account_status'
) AS found
WHERE found.is_now IS NULL OR found.is_now <> '(whatsapp_account_id, message_status)';
