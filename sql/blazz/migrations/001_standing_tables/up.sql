-- The tables that stand already on a live server, and the two that they point at. Nothing that stands is touched: only
-- a table that is missing is created, so a fresh database can be built, and a live one adopted with `baseline`.
-- Each statement can be run again: one that was interrupted has made its table whole, or not at all.
CREATE TABLE IF NOT EXISTS workspaces (
    id         bigint unsigned NOT NULL AUTO_INCREMENT,
    name       varchar(255)    NOT NULL,
    created_at timestamp       NULL DEFAULT NULL,
    updated_at timestamp       NULL DEFAULT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS users (
    id         bigint unsigned NOT NULL AUTO_INCREMENT,
    name       varchar(255)    NOT NULL,
    email      varchar(255)    NOT NULL,
    created_at timestamp       NULL DEFAULT NULL,
    updated_at timestamp       NULL DEFAULT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY users_email_unique (email)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS whatsapp_accounts (
    id                bigint unsigned NOT NULL AUTO_INCREMENT,
    uuid              char(36)        NOT NULL,
    workspace_id      bigint unsigned NOT NULL,
    session_id        varchar(255)    NOT NULL,
    phone_number      varchar(50)     NULL DEFAULT NULL,
    provider_type     enum('meta', 'webjs') NOT NULL DEFAULT 'webjs',
    status            enum('qr_scanning', 'authenticated', 'connected', 'disconnected', 'failed')
                                      NOT NULL DEFAULT 'qr_scanning',
    qr_code           text            NULL,
    session_data      longtext        NULL,
    is_primary        boolean         NOT NULL DEFAULT false,
    is_active         boolean         NOT NULL DEFAULT true,
    last_activity_at  timestamp       NULL DEFAULT NULL,
    last_connected_at timestamp       NULL DEFAULT NULL,
    metadata          json            NULL DEFAULT NULL,
    created_by        bigint unsigned NOT NULL,
    created_at        timestamp       NULL DEFAULT NULL,
    updated_at        timestamp       NULL DEFAULT NULL,
    deleted_at        timestamp       NULL DEFAULT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY whatsapp_accounts_uuid_unique (uuid),
    UNIQUE KEY whatsapp_accounts_session_id_unique (session_id),
    KEY idx_workspace_status (workspace_id, status),
    KEY idx_session_id (session_id),
    KEY idx_last_activity (last_activity_at),
    KEY idx_workspace_primary (workspace_id, is_primary),
    KEY idx_workspace_provider (workspace_id, provider_type),
    KEY idx_created_by (created_by),
    CONSTRAINT whatsapp_accounts_workspace_id_foreign
        FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE,
    CONSTRAINT whatsapp_accounts_created_by_foreign
        FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS contacts (
    id                     bigint unsigned NOT NULL AUTO_INCREMENT,
    uuid                   char(36)        NOT NULL,
    workspace_id           bigint unsigned NOT NULL,
    whatsapp_account_id    bigint unsigned NULL DEFAULT NULL,
    first_name             varchar(255)    NOT NULL,
    last_name              varchar(255)    NOT NULL,
    full_name              varchar(511)    NOT NULL,
    phone                  varchar(255)    NOT NULL,
    email                  varchar(255)    NULL DEFAULT NULL,
    type                   enum('individual', 'group') NOT NULL DEFAULT 'individual',
    provider_type          enum('meta', 'webjs') NULL DEFAULT NULL,
    profile_picture        text            NULL,
    unread_messages        int             NOT NULL DEFAULT 0,
    latest_chat_created_at timestamp       NULL DEFAULT NULL,
    last_message_at        timestamp       NULL DEFAULT NULL,
    last_activity          timestamp       NULL DEFAULT NULL,
    is_active              boolean         NOT NULL DEFAULT true,
    group_metadata         json            NULL DEFAULT NULL,
    participants_count     int             NOT NULL DEFAULT 0,
    created_at             timestamp       NULL DEFAULT NULL,
    updated_at             timestamp       NULL DEFAULT NULL,
    deleted_at             timestamp       NULL DEFAULT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY contacts_uuid_unique (uuid),
    UNIQUE KEY unique_active_phone_workspace (workspace_id, phone, deleted_at),
    KEY idx_workspace_active (workspace_id, is_active),
    KEY idx_workspace_phone (workspace_id, phone),
    KEY idx_workspace_latest_chat (workspace_id, latest_chat_created_at),
    KEY idx_active_latest_chat (is_active, latest_chat_created_at),
    KEY idx_whatsapp_account_id (whatsapp_account_id),
    CONSTRAINT contacts_workspace_id_foreign
        FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE,
    CONSTRAINT contacts_whatsapp_account_id_foreign
        FOREIGN KEY (whatsapp_account_id) REFERENCES whatsapp_accounts (id) ON DELETE SET NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS chats (
    id                  bigint unsigned NOT NULL AUTO_INCREMENT,
    uuid                char(50)        NOT NULL,
    workspace_id        bigint unsigned NOT NULL,
    whatsapp_account_id bigint unsigned NULL DEFAULT NULL,
    contact_id          bigint unsigned NOT NULL,
    wam_id              varchar(128)    NULL DEFAULT NULL,
    type                enum('inbound', 'outbound') NULL DEFAULT NULL,
    provider_type       varchar(20)     NOT NULL DEFAULT 'webjs',
    message_status      varchar(50)     NULL DEFAULT NULL,
    metadata            text            NOT NULL,
    media_id            bigint unsigned NULL DEFAULT NULL,
    status              varchar(128)    NOT NULL,
    is_read             boolean         NOT NULL DEFAULT false,
    sent_at             timestamp       NULL DEFAULT NULL,
    delivered_at        timestamp       NULL DEFAULT NULL,
    read_at             timestamp       NULL DEFAULT NULL,
    retry_count         int             NOT NULL DEFAULT 0,
    user_id             bigint unsigned NULL DEFAULT NULL,
    created_at          timestamp       NULL DEFAULT NULL,
    updated_at          timestamp       NULL DEFAULT NULL,
    deleted_at          timestamp       NULL DEFAULT NULL,
    deleted_by          bigint unsigned NULL DEFAULT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY chats_uuid_unique (uuid),
    KEY idx_workspace_created (workspace_id, created_at),
    KEY idx_contact_recent (contact_id, created_at),
    KEY idx_account_recent (whatsapp_account_id, created_at),
    KEY idx_workspace_type (workspace_id, type),
    KEY idx_workspace_status (workspace_id, message_status),
    KEY idx_read_created (is_read, created_at),
    CONSTRAINT chats_workspace_id_foreign
        FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE,
    CONSTRAINT chats_whatsapp_account_id_foreign
        FOREIGN KEY (whatsapp_account_id) REFERENCES whatsapp_accounts (id) ON DELETE SET NULL,
    CONSTRAINT chats_contact_id_foreign
        FOREIGN KEY (contact_id) REFERENCES contacts (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS campaigns (
    id                  bigint unsigned NOT NULL AUTO_INCREMENT,
    uuid                char(36)        NOT NULL,
    workspace_id        bigint unsigned NOT NULL,
    whatsapp_account_id bigint unsigned NULL DEFAULT NULL,
    name                varchar(255)    NOT NULL,
    campaign_type       varchar(50)     NOT NULL DEFAULT 'template',
    preferred_provider  varchar(20)     NOT NULL DEFAULT 'webjs',
    template_id         bigint unsigned NULL DEFAULT NULL,
    contact_group_id    bigint unsigned NULL DEFAULT NULL,
    message_content     text            NULL,
    header_type         varchar(50)     NULL DEFAULT NULL,
    header_text         varchar(255)    NULL DEFAULT NULL,
    header_media        text            NULL,
    body_text           text            NULL,
    footer_text         varchar(255)    NULL DEFAULT NULL,
    buttons_data        json            NULL DEFAULT NULL,
    status              enum('draft', 'scheduled', 'running', 'paused', 'completed', 'failed') NOT NULL,
    scheduled_at        timestamp       NULL DEFAULT NULL,
    started_at          timestamp       NULL DEFAULT NULL,
    completed_at        timestamp       NULL DEFAULT NULL,
    messages_sent       int             NOT NULL DEFAULT 0,
    messages_delivered  int             NOT NULL DEFAULT 0,
    messages_read       int             NOT NULL DEFAULT 0,
    messages_failed     int             NOT NULL DEFAULT 0,
    error_message       text            NULL,
    metadata            json            NULL DEFAULT NULL,
    created_by          bigint unsigned NOT NULL,
    created_at          timestamp       NULL DEFAULT NULL,
    updated_at          timestamp       NULL DEFAULT NULL,
    deleted_at          timestamp       NULL DEFAULT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY campaigns_uuid_unique (uuid),
    KEY idx_campaign_workspace_status (workspace_id, status),
    KEY idx_campaign_account_created (whatsapp_account_id, created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS campaign_logs (
    id                  bigint unsigned NOT NULL AUTO_INCREMENT,
    uuid                char(36)        NOT NULL,
    workspace_id        bigint unsigned NOT NULL,
    campaign_id         bigint unsigned NOT NULL,
    whatsapp_account_id bigint unsigned NULL DEFAULT NULL,
    contact_id          bigint unsigned NOT NULL,
    chat_id             bigint unsigned NULL DEFAULT NULL,
    status              enum('pending', 'sent', 'delivered', 'read', 'failed', 'ongoing') NOT NULL,
    retry_count         int             NOT NULL DEFAULT 0,
    error_message       text            NULL,
    sent_at             timestamp       NULL DEFAULT NULL,
    delivered_at        timestamp       NULL DEFAULT NULL,
    read_at             timestamp       NULL DEFAULT NULL,
    metadata            json            NULL DEFAULT NULL,
    created_at          timestamp       NULL DEFAULT NULL,
    updated_at          timestamp       NULL DEFAULT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY campaign_logs_uuid_unique (uuid),
    KEY idx_campaign_workspace_status (workspace_id, status),
    KEY idx_campaign_account_created (whatsapp_account_id, created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
