"""The checks of both systems notice each thing that is broken."""

from __future__ import annotations

import pytest

from tests.engine.by_hand_mysql.rows import NARROW, WORKSPACE, account, queue
from tests.engine.by_hand_mysql.scripts import (
    SQL,
    deploy,
)
from tests.servers.mariadb_by_hand import ByHand

BROKEN = [
    (
        "blazz/migrations/001_standing_tables/verify",
        "ALTER TABLE chats DROP COLUMN wam_id",
        "column chats.wam_id is missing",
    ),
    (
        "blazz/migrations/001_standing_tables/verify",
        "ALTER TABLE whatsapp_accounts MODIFY status enum('connected', 'failed') NOT NULL",
        "column whatsapp_accounts.status is enum('connected','failed')",
    ),
    (
        "blazz/migrations/001_standing_tables/verify",
        "ALTER TABLE contacts DROP INDEX unique_active_phone_workspace",
        "contacts has no unique index on (workspace_id, phone, deleted_at)",
    ),
    (
        "blazz/migrations/001_standing_tables/verify",
        "ALTER TABLE chats DROP FOREIGN KEY chats_contact_id_foreign",
        "chats has no foreign key on contact_id to contacts(id), on delete CASCADE",
    ),
    (
        "blazz/migrations/001_standing_tables/verify",
        "ALTER TABLE campaigns DROP INDEX idx_campaign_workspace_status",
        "index idx_campaign_workspace_status of campaigns should be (workspace_id, status), is missing",
    ),
    (
        "blazz/migrations/002_phase_1_chats_webhook/verify",
        "ALTER TABLE chats MODIFY webhook_retry_count int NULL",
        "chats.webhook_retry_count should be int not null default 0, is int null default none",
    ),
    (
        "blazz/migrations/002_phase_1_chats_webhook/verify",
        "ALTER TABLE chats DROP INDEX idx_webhook_retry, ADD INDEX idx_webhook_retry (webhook_sent_at)",
        "should be (webhook_retry_count, webhook_sent_at), is (webhook_sent_at)",
    ),
    (
        "blazz/migrations/003_phase_2_account_health/verify",
        "ALTER TABLE whatsapp_accounts ALTER health_score SET DEFAULT 50",
        "should be int not null default 100, is int not null default 50",
    ),
    (
        "blazz/migrations/003_phase_2_account_health/verify",
        "ALTER TABLE whatsapp_accounts DROP INDEX idx_stale_detection",
        "idx_stale_detection of whatsapp_accounts should be (status, last_activity_at), is missing",
    ),
    (
        "blazz/migrations/004_phase_3_queue_and_cleanup_logs/verify",
        "ALTER TABLE webhook_retry_queue MODIFY status enum('pending', 'success') NOT NULL DEFAULT 'pending'",
        "webhook_retry_queue.status should be enum('pending','retrying','success','failed')",
    ),
    (
        "blazz/migrations/004_phase_3_queue_and_cleanup_logs/verify",
        "ALTER TABLE webhook_retry_queue DROP INDEX webhook_retry_queue_uuid_unique, ADD INDEX webhook_retry_queue_uuid_unique (uuid)",
        "should be unique (uuid), is (uuid)",
    ),
    (
        "blazz/migrations/004_phase_3_queue_and_cleanup_logs/verify",
        "ALTER TABLE session_cleanup_logs DROP FOREIGN KEY session_cleanup_logs_whatsapp_account_id_foreign",
        "session_cleanup_logs has no foreign key on whatsapp_account_id to whatsapp_accounts(id), on delete SET NULL",
    ),
    (
        "blazz/migrations/005_phase_4_chats_account_status/verify",
        "ALTER TABLE chats DROP INDEX idx_account_status",
        "idx_account_status of chats should be (whatsapp_account_id, message_status), is missing",
    ),
    (
        "blazz/migrations/006_webhook_retry_procedures/verify",
        "DROP PROCEDURE finish_webhook_retry",
        "procedure finish_webhook_retry is missing",
    ),
    (
        "blazz/migrations/007_session_cleanup_procedures/verify",
        "DROP PROCEDURE clean_up_whatsapp_accounts",
        "procedure clean_up_whatsapp_accounts is missing",
    ),
    (
        "blazz/checks/1_schema",
        "ALTER TABLE chats DROP COLUMN queue_job_id",
        "chats.queue_job_id should be varchar(255)",
    ),
    ("blazz/checks/1_schema", "DROP TABLE session_cleanup_logs", "session_cleanup_logs.reason should be enum("),
    ("blazz/checks/1_schema", "DROP PROCEDURE expire_webhook_retries", "procedure expire_webhook_retries is missing"),
    (
        "blazz/checks/2_health",
        f"{WORKSPACE[0]}; {queue(1)}; UPDATE webhook_retry_queue SET next_retry_at = NOW() - INTERVAL 3 HOUR",
        "and no worker claims it",
    ),
    (
        "blazz/checks/2_health",
        f"{WORKSPACE[0]}; {queue(1)}; UPDATE webhook_retry_queue SET status = 'retrying', updated_at = NOW(), "
        "next_retry_at = NOW() - INTERVAL 3 HOUR",
        "its worker was given up for lost",
    ),
    (
        "blazz/checks/2_health",
        f"{WORKSPACE[0]}; {queue(1)}; UPDATE webhook_retry_queue SET retry_count = 3",
        "is pending after 3 of 3 tries",
    ),
    (
        "blazz/checks/2_health",
        f"{';'.join(WORKSPACE)}; {account(1, 1, 'disconnected', 'NULL', '27 HOUR')}",
        "account 1 is disconnected and untouched",
    ),
    (
        "blazz/checks/2_health",
        f"{';'.join(WORKSPACE)}; {account(1, 1, 'failed', 'NULL', '1 HOUR')}; "
        "UPDATE whatsapp_accounts SET deleted_at = NOW(), last_cleanup_at = NOW()",
        "without a row in session_cleanup_logs",
    ),
    (
        "blazz/samples/webhook_retries",
        "ALTER TABLE webhook_retry_queue DROP FOREIGN KEY webhook_retry_queue_workspace_id_foreign",
        "outlived its workspace",
    ),
    (
        "blazz/samples/webhook_retries",
        "CREATE TRIGGER t BEFORE UPDATE ON webhook_retry_queue FOR EACH ROW SET NEW.status = "
        "IF(NEW.status = 'failed', 'pending', NEW.status)",
        "a failure of the last try: expected failed, got pending",
    ),
    (
        "blazz/samples/webhook_retries",
        "CREATE TRIGGER t BEFORE UPDATE ON webhook_retry_queue FOR EACH ROW SET NEW.next_retry_at = OLD.next_retry_at, "
        "NEW.status = IF(OLD.status = 'pending', 'pending', NEW.status)",
        "should be retrying 1 leased, is pending 1",
    ),
    (
        "blazz/samples/session_cleanup",
        "CREATE TRIGGER t BEFORE INSERT ON session_cleanup_logs FOR EACH ROW SET NEW.reason = 'manual_request'",
        "sample-qr-31 should be deleted, scheduled stale_qr, is deleted, scheduled manual_request",
    ),
    (
        "blazz/samples/session_cleanup",
        "CREATE TRIGGER t BEFORE UPDATE ON whatsapp_accounts FOR EACH ROW SET NEW.deleted_at = "
        "IF(NEW.phone_number = '15550003', OLD.deleted_at, NEW.deleted_at)",
        "sample-old should be deleted",
    ),
    (
        "jobs/migrations/001_standing_tables/verify",
        "ALTER TABLE processing_jobs DROP COLUMN status",
        "processing_jobs.status is missing",
    ),
    (
        "jobs/migrations/002_surgical_patch/verify",
        "ALTER TABLE processing_jobs MODIFY locked_by varchar(50) NULL",
        "processing_jobs.locked_by should be varchar(100) null default none, is varchar(50) null default none",
    ),
    (
        "jobs/migrations/002_surgical_patch/verify",
        f"ALTER TABLE user_sessions MODIFY contact_status {NARROW}",
        "user_sessions.contact_status should be enum('ACTIVE','BLOCKED','PAUSED','OPT_OUT','CLOSED'), is enum(",
    ),
    (
        "jobs/migrations/002_surgical_patch/verify",
        "DROP TABLE analytics_watermarks",
        "analytics_watermarks.name is missing",
    ),
    (
        "jobs/migrations/002_surgical_patch/verify",
        "ALTER TABLE sync_runs DROP COLUMN `cursor`",
        "sync_runs.cursor should be json",
    ),
    (
        "jobs/migrations/002_surgical_patch/verify",
        "ALTER TABLE user_sessions DROP INDEX idx_user_sessions_cooldown_until",
        "user_sessions has no index on (cooldown_until)",
    ),
    ("jobs/checks/1_start_up", "ALTER TABLE processing_jobs DROP COLUMN locked_until", "Unknown column 'locked_until'"),
    (
        "jobs/checks/1_start_up",
        "ALTER TABLE user_sessions DROP COLUMN contact_status",
        "Unknown column 'contact_status'",
    ),
    *(
        ("jobs/checks/1_start_up", f"DROP TABLE {table}", f"{table}' doesn't exist")
        for table in ("processing_job_logs", "analytics_watermarks", "sync_runs", "conversation_analysis")
    ),
    (
        "jobs/checks/2_leftovers",
        "SET sql_mode = ''; INSERT INTO user_sessions (phone, contact_status) VALUES ('1', 'VIP')",
        "has an empty contact status",
    ),
    (
        "jobs/checks/2_leftovers",
        "INSERT INTO processing_jobs (job_type, locked_until) VALUES ('a', NOW() + INTERVAL 1 HOUR)",
        "by nobody",
    ),
    (
        "jobs/checks/2_leftovers",
        "INSERT INTO processing_jobs (job_type, locked_by, locked_until) VALUES ('a', 'h:1', NOW() - INTERVAL 3 HOUR)",
        "is still held by h:1",
    ),
    (
        "jobs/samples/start_up",
        "CREATE TRIGGER t BEFORE UPDATE ON processing_jobs FOR EACH ROW SET NEW.locked_until = NULL",
        "is held by host:4712 after 2 tries",
    ),
    (
        "jobs/samples/start_up",
        "CREATE TRIGGER t BEFORE UPDATE ON sync_runs FOR EACH ROW SET NEW.`cursor` = OLD.`cursor`",
        "not found again: the cursor of a sync run",
    ),
    (
        "jobs/samples/start_up",
        "CREATE TRIGGER t BEFORE INSERT ON user_sessions FOR EACH ROW SET NEW.contact_status = 'ACTIVE'",
        "ACTIVE 0, ACTIVE 0, ACTIVE 0",
    ),
]


@pytest.mark.parametrize(
    ("file", "breakage", "said"), BROKEN, ids=[f"{file}: {how}"[:100].replace("/", ".") for file, how, _ in BROKEN]
)
def test_checks_notice_what_is_broken(empty: ByHand, file: str, breakage: str, said: str) -> None:
    deploy(empty, file.partition("/")[0])
    empty.run(breakage)
    done = empty.attempt(SQL / f"{file}.sql")
    assert said in done.stdout + done.stderr
