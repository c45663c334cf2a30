-- Passes on a database that was built by up.sql and on a live one that is to be adopted: a live table may have more
-- columns, other widths and other names of unique keys, but not less than the later migrations and the product need.

-- check: standing_columns
SELECT CONCAT('column ', needed.tbl, '.', needed.col,
              COALESCE(CONCAT(' is ', c.column_type, ', not '), ' is missing: '), needed.kind) AS failure
FROM JSON_TABLE('[
    {"tbl": "workspaces", "cols": [
        ["id", "bigint unsigned"], ["name", "varchar(255)"], ["created_at", "timestamp"],
        ["updated_at", "timestamp"]]},
    {"tbl": "users", "cols": [
        ["id", "bigint unsigned"], ["name", "varchar(255)"], ["email", "varchar(255)"], ["created_at", "timestamp"],
        ["updated_at", "timestamp"]]},
    {"tbl": "whatsapp_accounts", "cols": [
        ["id", "bigint unsigned"], ["uuid", "char(36)"], ["workspace_id", "bigint unsigned"],
        ["session_id", "varchar(255)"], ["phone_number", "varchar(50)"],
        ["provider_type", "enum(''meta'',''webjs'')"],
        ["status", "enum(''qr_scanning'',''authenticated'',''connected'',''disconnected'',''failed'')"],
        ["qr_code", "text"], ["session_data", "longtext"], ["is_primary", "tinyint(1)"], ["is_active", "tinyint(1)"],
        ["last_activity_at", "timestamp"], ["last_connected_at", "timestamp"], ["metadata", "json"],
        ["created_by", "bigint unsigned"], ["created_at", "timestamp"], ["updated_at", "timestamp"],
        ["deleted_at", "timestamp"]]},
    {"tbl": "contacts", "cols": [
        ["id", "bigint unsigned"], ["uuid", "char(36)"], ["workspace_id", "bigint unsigned"],
        ["whatsapp_account_id", "bigint unsigned"], ["first_name", "varchar(255)"], ["last_name", "varchar(255)"],
        ["full_name", "varchar(511)"], ["phone", "varchar(255)"], ["email", "varchar(255)"],
        ["type", "enum(''individual'',''group'')"], ["provider_type", "enum(''meta'',''webjs'')"],
        ["profile_picture", "text"], ["unread_messages", "int"], ["latest_chat_created_at", "timestamp"],
        ["last_message_at", "timestamp"], ["last_activity", "timestamp"], ["is_active", "tinyint(1)"],
        ["group_metadata", "json"], ["participants_count", "int"], ["created_at", "timestamp"],
        ["updated_at", "timestamp"], ["deleted_at", "timestamp"]]},
    {"tbl": "chats", "cols": [
        ["id", "bigint unsigned"], ["uuid", "char(50)"], ["workspace_id", "bigint unsigned"],
        ["whatsapp_account_id", "bigint unsigned"], ["contact_id", "bigint unsigned"], ["wam_id", "varchar(128)"],
        ["type", "enum(''inbound'',''outbound'')"], ["provider_type", "varchar(20)"],
        ["message_status", "varchar(50)"], ["metadata", "text"], ["media_id", "bigint unsigned"],
        ["status", "varchar(128)"], ["is_read", "tinyint(1)"], ["sent_at", "timestamp"],
        ["delivered_at", "timestamp"], ["read_at", "timestamp"], ["retry_count", "int"],
        ["user_id", "bigint unsigned"], ["created_at", "timestamp"], ["updated_at", "timestamp"],
        ["deleted_at", "timestamp"], ["deleted_by", "bigint unsigned"]]},
    {"tbl": "campaigns", "cols": [
        ["id", "bigint unsigned"], ["uuid", "char(36)"], ["workspace_id", "bigint unsigned"],
        ["whatsapp_account_id", "bigint unsigned"], ["name", "varchar(255)"], ["campaign_type", "varchar(50)"],
        ["preferred_provider", "varchar(20)"], ["template_id", "bigint unsigned"],
        ["contact_group_id", "bigint unsigned"], ["message_content", "text"], ["header_type", "varchar(50)"],
        ["header_text", "varchar(255)"], ["header_media", "text"], ["body_text", "text"],
        ["footer_text", "varchar(255)"], ["buttons_data", "json"],
        ["status", "enum(''draft'',''scheduled'',''running'',''paused'',''completed'',''failed'')"],
        ["scheduled_at", "timestamp"], ["started_at", "timestamp"], ["completed_at", "timestamp"],
        ["messages_sent", "int"], ["messages_delivered", "int"], ["messages_read", "int"], ["messages_failed", "int"],
        ["error_message", "text"], ["metadata", "json"], ["created_by", "bigint unsigned"],
        ["created_at", "timestamp"], ["updated_at", "timestamp"], ["deleted_at", "timestamp"]]},
    {"tbl": "campaign_logs", "cols": [
        ["id", "bigint unsigned"], ["uuid", "char(36)"], ["workspace_id", "bigint unsigned"],
        ["campaign_id", "bigint unsigned"], ["whatsapp_account_id", "bigint unsigned"],
        ["contact_id", "bigint unsigned"], ["chat_id", "bigint unsigned"],
        ["status", "enum(''pending'',''sent'',''delivered'',''read'',''failed'',''ongoing'')"],
        ["retry_count", "int"], ["error_message", "text"], ["sent_at", "timestamp"], ["delivered_at", "timestamp"],
        ["read_at", "timestamp"], ["metadata", "json"], ["created_at", "timestamp"], ["updated_at", "timestamp"]]}
]', '$[*]' COLUMNS (
    tbl varchar(64) CHARACTER SET utf8mb4 PATH '$.tbl',
    NESTED PATH '$.cols[*]' COLUMNS (
        col varchar(64) CHARACTER SET utf8mb4 PATH '$[0]',
        kind varchar(255) CHARACTER SET utf8mb4 PATH '$[1]'
    )
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
