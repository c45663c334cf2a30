-- windlass: requires 001_standing_tables
--
-- Phase 3: the queue of webhooks to be tried again, and the record of what the clean-up jobs did. Two new tables: no row
-- that stands is read or locked, but for the moment in which their foreign keys are entered.
-- retry_count counts the tries that were begun, next_retry_at is when the row is due (NULL: at once) or, while it is
-- being tried, when its worker is given up for lost.
CREATE TABLE IF NOT EXISTS webhook_retry_queue (
    id                  bigint unsigned NOT NULL AUTO_INCREMENT,
    uuid                char(36)        NOT NULL,
    workspace_id        bigint unsigned NOT NULL,
    whatsapp_account_id bigint unsigned NULL DEFAULT NULL,
    event_type          varchar(50)     NOT NULL,
    endpoint            text            NOT NULL,
    payload             longtext        NOT NULL,
    retry_count         int             NOT NULL DEFAULT 0,
    max_retries         int             NOT NULL DEFAULT 3,
    next_retry_at       timestamp       NULL DEFAULT NULL,
    last_error          text            NULL,
    status              enum('pending', 'retrying', 'success', 'failed') NOT NULL DEFAULT 'pending',
    created_at          timestamp       NULL DEFAULT NULL,
    updated_at          timestamp       NULL DEFAULT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY webhook_retry_queue_uuid_unique (uuid),
    KEY idx_status_next_retry (status, next_retry_at),
    KEY idx_workspace_event (workspace_id, event_type),
    KEY idx_created_at (created_at),
    KEY idx_webhook_account (whatsapp_account_id),
    CONSTRAINT webhook_retry_queue_workspace_id_foreign
        FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE,
    CONSTRAINT webhook_retry_queue_whatsapp_account_id_foreign
        FOREIGN KEY (whatsapp_account_id) REFERENCES whatsapp_accounts (id) ON DELETE SET NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS session_cleanup_logs (
    id                  bigint unsigned NOT NULL AUTO_INCREMENT,
    workspace_id        bigint unsigned NOT NULL,
    whatsapp_account_id bigint unsigned NULL DEFAULT NULL,
    cleanup_type        enum('manual', 'scheduled', 'automatic') NOT NULL,
    reason              enum('stale_qr', 'disconnected_24h', 'duplicate', 'manual_request') NOT NULL,
    details             text            NULL,
    executed_by         bigint unsigned NULL DEFAULT NULL,
    executed_at         timestamp       NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_at          timestamp       NULL DEFAULT NULL,
    updated_at          timestamp       NULL DEFAULT NULL,
    PRIMARY KEY (id),
    KEY idx_workspace_executed (workspace_id, executed_at),
    KEY idx_cleanup_account (whatsapp_account_id),
    CONSTRAINT session_cleanup_logs_workspace_id_foreign
        FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE,
    CONSTRAINT session_cleanup_logs_whatsapp_account_id_foreign
        FOREIGN KEY (whatsapp_account_id) REFERENCES whatsapp_accounts (id) ON DELETE SET NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
