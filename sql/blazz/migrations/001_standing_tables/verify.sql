-- Passes on a database that was built by up.sql and on a live one that is to be adopted: a live table may have more
-- columns, other widths and other names of unique keys, but not less than the later migrations and the product need.

-- check: standing_columns
SELECT CONCAT('column ', needed.tbl, '.', needed.col,
              COALESCE(CONCAT(' is ', c.column_type, ', not '), ' is missing: '), needed.kind) AS failure
FROM JSON_TABLE('[
    ["workspaces", "id", "bigint unsigned"],
    ["workspaces", "name", "varchar(255)"],
    ["workspaces", "created_at", "timestamp"],
    ["workspaces", "updated_at", "timestamp"],
    ["users", "id", "bigint unsigned"],
    ["users", "name", "varchar(255)"],
    ["users", "email", "varchar(255)"],
    ["users", "created_at", "timestamp"],
    ["users", "updated_at", "timestamp"],
    ["whatsapp_accounts", "id", "bigint unsigned"],
    ["whatsapp_accounts", "uuid", "char(36)"],
    ["whatsapp_accounts", "workspace_id", "bigint unsigned"],
    ["whatsapp_accounts", "session_id", "varchar(255)"],
    ["whatsapp_accounts", "phone_number", "varchar(50)"],
    ["whatsapp_accounts", "provider_type", "enum(''meta'',''webjs'')"],
    ["whatsapp_accounts", "status", "enum(''qr_scanning'',''authenticated'',''connected'',''disconnected'',''failed'')"],
    ["whatsapp_accounts", "qr_code", "text"],
    ["whatsapp_accounts", "session_data", "longtext"],
    ["whatsapp_accounts", "is_primary", "tinyint(1)"],
    ["whatsapp_accounts", "is_active", "tinyint(1)"],
    ["whatsapp_accounts", "last_activity_at", "timestamp"],
    ["whatsapp_accounts", "last_connected_at", "timestamp"],
    ["whatsapp_accounts", "metadata", "json"],
    ["whatsapp_accounts", "created_by", "bigint unsigned"],
    ["whatsapp_accounts", "created_at", "timestamp"],
    ["whatsapp_accounts", "updated_at", "timestamp"],
    ["whatsapp_accounts", "deleted_at", "timestamp"],
    ["contacts", "id", "bigint unsigned"],
    ["contacts", "uuid", "char(36)"],
    ["contacts", "workspace_id", "bigint unsigned"],
    ["contacts", "whatsapp_account_id", "bigint unsigned"],
    ["contacts", "first_name", "varchar(255)"],
    ["contacts", "last_name", "varchar(255)"],
    ["contacts", "full_name", "varchar(511)"],
    ["contacts", "phone", "varchar(255)"],
    ["contacts", "email", "varchar(255)"],
    ["contacts", "type", "enum(''individual'',''group'')"],
    ["contacts", "provider_type", "enum(''meta'',''webjs'')"],
    ["contacts", "profile_picture", "text"],
    ["contacts", "unread_messages", "int"],
    ["contacts", "latest_chat_created_at", "timestamp"],
    ["contacts", "last_message_at", "timestamp"],
    ["contacts", "last_activity", "timestamp"],
    ["contacts", "is_active", "tinyint(1)"],
    ["contacts", "group_metadata", "json"],
    ["contacts", "participants_count", "int"],
    ["contacts", "created_at", "timestamp"],
    ["contacts", "updated_at", "timestamp"],
    ["contacts", "deleted_at", "timestamp"],
    ["chats", "id", "bigint unsigned"],
    ["chats", "uuid", "char(50)"],
    ["chats", "workspace_id", "bigint unsigned"],
    ["chats", "whatsapp_account_id", "bigint unsigned"],
    ["chats", "contact_id", "bigint unsigned"],
    ["chats", "wam_id", "varchar(128)"],
    ["chats", "type", "enum(''inbound'',''outbound'')"],
    ["chats", "provider_type", "varchar(20)"],
    ["chats", "message_status", "varchar(50)"],
    ["chats", "metadata", "text"],
    ["chats", "media_id", "bigint unsigned"],
    ["chats", "status", "varchar(128)"],
    ["chats", "is_read", "tinyint(1)"],
    ["chats", "sent_at", "timestamp"],
    ["chats", "delivered_at", "timestamp"],
    ["chats", "read_at", "timestamp"],
    ["chats", "retry_count", "int"],
    ["chats", "user_id", "bigint unsigned"],
    ["chats", "created_at", "timestamp"],
    ["chats", "updated_at", "timestamp"],
    ["chats", "deleted_at", "timestamp"],
    ["chats", "deleted_by", "bigint unsigned"],
    ["campaigns", "id", "bigint unsigned"],
    ["campaigns", "uuid", "char(36)"],
    ["campaigns", "workspace_id", "bigint unsigned"],
    ["campaigns", "whatsapp_account_id", "bigint unsigned"],
    ["campaigns", "name", "varchar(255)"],
    ["campaigns", "campaign_type", "varchar(50)"],
    ["campaigns", "preferred_provider", "varchar(20)"],
    ["campaigns", "template_id", "bigint unsigned"],
    ["campaigns", "contact_group_id", "bigint unsigned"],
    ["campaigns", "message_content", "text"],
    ["campaigns", "header_type", "varchar(50)"],
    ["campaigns", "header_text", "varchar(255)"],
    ["campaigns", "header_media", "text"],
    ["campaigns", "body_text", "text"],
    ["campaigns", "footer_text", "varchar(255)"],
    ["campaigns", "buttons_data", "json"],
    ["campaigns", "status", "enum(''draft'',''scheduled'',''running'',''paused'',''completed'',''failed'')"],
    ["campaigns", "scheduled_at", "timestamp"],
    ["campaigns", "started_at", "timestamp"],
    ["campaigns", "completed_at", "timestamp"],
    ["campaigns", "messages_sent", "int"],
    ["campaigns", "messages_delivered", "int"],
    ["campaigns", "messages_read", "int"],
    ["campaigns", "messages_failed", "int"],
    ["campaigns", "error_message", "text"],
    ["campaigns", "metadata", "json"],
    ["campaigns", "created_by", "bigint unsigned"],
    ["campaigns", "created_at", "timestamp"],
    ["campaigns", "updated_at", "timestamp"],
    ["campaigns", "deleted_at", "timestamp"],
    ["campaign_logs", "id", "bigint unsigned"],
    ["campaign_logs", "uuid", "char(36)"],
    ["campaign_logs", "workspace_id", "bigint unsigned"],
    ["campaign_logs", "campaign_id", "bigint unsigned"],
    ["campaign_logs", "whatsapp_account_id", "bigint unsigned"],
    ["campaign_logs", "contact_id", "bigint unsigned"],
    ["campaign_logs", "chat_id", "bigint unsigned"],
    ["campaign_logs", "status", "enum(''pending'',''sent'',''delivered'',''read'',''failed'',''ongoing'')"],
    ["campaign_logs", "retry_count", "int"],
    ["campaign_logs", "error_message", "text"],
    ["campaign_logs", "sent_at", "timestamp"],
    ["campaign_logs", "delivered_at", "timestamp"],
    ["campaign_logs", "read_at", "timestamp"],
    ["campaign_logs", "metadata", "json"],
    ["campaign_logs", "created_at", "timestamp"],
    ["campaign_logs", "updated_at", "timestamp"]
]', '$[*]' COLUMNS (
    tbl varchar(64) CHARACTER SET utf8mb4 PATH '$[0]',
    col varchar(64) CHARACTER SET utf8mb4 PATH '$[1]',
    kind varchar(255) CHARACTER SET utf8mb4 PATH '$[2]'
)) AS needed
LEFT JOIN information_schema.columns c
       ON c.table_schema = DATABASE() AND c.table_name = needed.tbl AND c.column_name = needed.col
WHERE c.column_name IS NULL
   OR IF(needed.kind LIKE 'enum%', c.column_type <> needed.kind,
         SUBSTRING_INDEX(SUBSTRING_INDEX(needed.kind, '(', 1), ' ', 1)
         <> IF(needed.kind = 'json' AND c.data_type = 'longtext', 'json', c.data_type))
   OR needed.kind LIKE '%unsigned' AND c.column_type NOT LIKE '%unsigned%';

-- Its name may be another on a live server.
-- check: standing_unique_keys
SELECT CONCAT('table ', needed.tbl, ' has no unique index on (', needed.cols, ')') AS failure
FROM JSON_TABLE('[
    ["users", "email"],
    ["whatsapp_accounts", "uuid"],
    ["whatsapp_accounts", "session_id"],
    ["contacts", "uuid"],
    ["contacts", "workspace_id, phone, deleted_at"],
    ["chats", "uuid"],
    ["campaigns", "uuid"],
    ["campaign_logs", "uuid"],
    ["workspaces", "id"],
    ["users", "id"],
    ["whatsapp_accounts", "id"],
    ["contacts", "id"],
    ["chats", "id"],
    ["campaigns", "id"],
    ["campaign_logs", "id"]
]', '$[*]' COLUMNS (
    tbl varchar(64) CHARACTER SET utf8mb4 PATH '$[0]',
    cols varchar(255) CHARACTER SET utf8mb4 PATH '$[1]'
)) AS needed
WHERE NOT EXISTS (
    SELECT 1
    FROM (
        SELECT s.table_name, GROUP_CONCAT(s.column_name ORDER BY s.seq_in_index SEPARATOR ', ') AS cols
        FROM information_schema.statistics s
        WHERE s.table_schema = DATABASE() AND s.non_unique = 0 AND s.sub_part IS NULL
        GROUP BY s.table_name, s.index_name
    ) AS found
    WHERE found.table_name = needed.tbl AND found.cols = needed.cols
);

-- check: standing_indexes
SELECT CONCAT('index ', needed.idx, ' of ', needed.tbl, ' should be ', needed.wanted,
              COALESCE(CONCAT(', is ', found.is_now), ', is missing')) AS failure
FROM JSON_TABLE('[
    ["whatsapp_accounts", "idx_workspace_status", "(workspace_id, status)"],
    ["whatsapp_accounts", "idx_session_id", "(session_id)"],
    ["whatsapp_accounts", "idx_last_activity", "(last_activity_at)"],
    ["whatsapp_accounts", "idx_workspace_primary", "(workspace_id, is_primary)"],
    ["whatsapp_accounts", "idx_workspace_provider", "(workspace_id, provider_type)"],
    ["contacts", "idx_workspace_active", "(workspace_id, is_active)"],
    ["contacts", "idx_workspace_phone", "(workspace_id, phone)"],
    ["contacts", "idx_workspace_latest_chat", "(workspace_id, latest_chat_created_at)"],
    ["contacts", "idx_active_latest_chat", "(is_active, latest_chat_created_at)"],
    ["contacts", "idx_whatsapp_account_id", "(whatsapp_account_id)"],
    ["chats", "idx_workspace_created", "(workspace_id, created_at)"],
    ["chats", "idx_contact_recent", "(contact_id, created_at)"],
    ["chats", "idx_account_recent", "(whatsapp_account_id, created_at)"],
    ["chats", "idx_workspace_type", "(workspace_id, type)"],
    ["chats", "idx_workspace_status", "(workspace_id, message_status)"],
    ["chats", "idx_read_created", "(is_read, created_at)"],
    ["campaigns", "idx_campaign_workspace_status", "(workspace_id, status)"],
    ["campaigns", "idx_campaign_account_created", "(whatsapp_account_id, created_at)"],
    ["campaign_logs", "idx_campaign_workspace_status", "(workspace_id, status)"],
    ["campaign_logs", "idx_campaign_account_created", "(whatsapp_account_id, created_at)"]
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

-- check: standing_foreign_keys
SELECT CONCAT('table ', needed.tbl, ' has no foreign key on ', needed.col, ' to ', needed.target, '(id), on delete ',
              needed.rule) AS failure
FROM JSON_TABLE('[
    ["whatsapp_accounts", "workspace_id", "workspaces", "CASCADE"],
    ["whatsapp_accounts", "created_by", "users", "CASCADE"],
    ["contacts", "workspace_id", "workspaces", "CASCADE"],
    ["contacts", "whatsapp_account_id", "whatsapp_accounts", "SET NULL"],
    ["chats", "workspace_id", "workspaces", "CASCADE"],
    ["chats", "whatsapp_account_id", "whatsapp_accounts", "SET NULL"],
    ["chats", "contact_id", "contacts", "CASCADE"]
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
