"""What blazz promises: additions in place, clean-ups, a queue that gives each webhook to one worker."""

from __future__ import annotations

import itertools
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.engine.by_hand_mysql.rows import WORKSPACE, account, queue
from tests.engine.by_hand_mysql.scripts import (
    SQL,
    deploy,
    migrations,
)
from tests.servers.mariadb_by_hand import ByHand


def test_what_blazz_is_made_of(deployed: dict[str, ByHand]) -> None:
    hand = deployed["blazz"]
    assert hand.value("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()") == "9"
    added = "SELECT GROUP_CONCAT(column_name ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '{}' AND ordinal_position > {}"
    assert (
        hand.value(added.format("chats", 22)) == "webhook_sent_at,webhook_retry_count,webhook_last_error,queue_job_id"
    )
    assert (
        hand.value(added.format("whatsapp_accounts", 18))
        == "last_cleanup_at,session_restore_count,remote_session_path,health_score"
    )
    indexes = hand.value(
        "SELECT GROUP_CONCAT(DISTINCT index_name ORDER BY index_name) FROM information_schema.statistics "
        "WHERE table_schema = DATABASE() AND table_name = 'chats' AND non_unique = 1"
    )
    assert indexes == (
        "idx_account_recent,idx_account_status,idx_contact_recent,idx_read_created,idx_webhook_retry,"
        "idx_workspace_created,idx_workspace_status,idx_workspace_type"
    )
    keys = (
        "SELECT COUNT(*) FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE() "
        "AND delete_rule = '{}'"
    )
    assert (hand.value(keys.format("CASCADE")), hand.value(keys.format("SET NULL"))) == ("7", "4")


def test_additions_do_not_copy_the_table(empty: ByHand) -> None:
    """Each addition says that it is instant, or online; a server that cannot keep it refuses and changes nothing."""
    texts = [(SQL / f"blazz/migrations/{folder.name}/up.sql").read_text() for folder in migrations("blazz")]
    alters = [alter for text in texts for alter in re.findall(r"'(ALTER TABLE .*?)'\)", text, flags=re.DOTALL)]
    assert len(alters) == 12
    for alter in alters:
        promise = "ALGORITHM = INSTANT" if "ADD COLUMN" in alter else "ALGORITHM = INPLACE, LOCK = NONE"
        assert alter.endswith(promise), alter
    first, phase_1 = migrations("blazz")[:2]
    empty.run(first / "up.sql", "ALTER TABLE chats ROW_FORMAT = COMPRESSED")
    before = empty.tables()
    refused = empty.attempt(phase_1 / "up.sql")
    assert refused.returncode != 0 and "INSTANT is not supported" in refused.stderr
    assert empty.tables() == before


def test_clean_up_jobs_take_all_that_is_stale(empty: ByHand) -> None:
    deploy(empty, "blazz")
    empty.run(
        *WORKSPACE,
        account(1, 1, "qr_scanning", "NULL", "31 MINUTE"),
        account(2, 2, "qr_scanning", "NULL", "29 MINUTE"),
        account(3, 1, "disconnected", "'1'", "25 HOUR"),
        account(4, 2, "disconnected", "'1'", "23 HOUR"),
        account(5, 1, "connected", "'2'", "3 DAY"),
        account(6, 1, "connected", "'2'", "2 DAY"),
        account(7, 1, "failed", "'2'", "1 DAY"),
        account(8, 2, "connected", "'2'", "3 DAY"),
        account(9, 2, "failed", "''", "3 DAY"),
        account(10, 2, "failed", "''", "3 DAY"),
        # A backlog of more than one batch.
        "INSERT INTO whatsapp_accounts (uuid, session_id, workspace_id, created_by, status, created_at) "
        "SELECT 1000 + seq, 1000 + seq, 1, 1, 'qr_scanning', NOW() - INTERVAL 1 DAY FROM seq_1_to_1200",
    )
    counts = [empty.run(file).split()[-1] for file in sorted((SQL / "blazz/maintenance").glob("*.sql"))]
    assert counts == ["1201", "1", "2", "0"]
    live = "SELECT GROUP_CONCAT(id ORDER BY id) FROM whatsapp_accounts WHERE deleted_at IS NULL"
    assert empty.value(live) == "2,4,6,8,9,10"
    logs = "SELECT CONCAT(whatsapp_account_id, ' ', cleanup_type, ' ', reason) FROM session_cleanup_logs WHERE whatsapp_account_id < 11 ORDER BY 1"
    assert empty.values(logs) == [
        "1 scheduled stale_qr",
        "3 scheduled disconnected_24h",
        "5 scheduled duplicate",
        "7 scheduled duplicate",
    ]
    details = empty.value("SELECT details FROM session_cleanup_logs WHERE whatsapp_account_id = 7")
    assert json.loads(details)["kept_account"] == 6
    again = [empty.run(file).split()[-1] for file in sorted((SQL / "blazz/maintenance").glob("*.sql"))]
    assert again == ["0", "0", "0", "0"]


def test_a_clean_up_that_fails_leaves_no_half(empty: ByHand) -> None:
    deploy(empty, "blazz")
    empty.run(
        *WORKSPACE,
        account(1, 1, "qr_scanning", "NULL", "31 MINUTE"),
        "CREATE TRIGGER refuse BEFORE UPDATE ON whatsapp_accounts FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'",
    )
    failed = empty.attempt(SQL / "blazz/maintenance/1_stale_qr.sql")
    assert failed.returncode != 0 and "no" in failed.stderr
    assert empty.value("SELECT COUNT(*) FROM session_cleanup_logs") == "0"
    wrong = empty.attempt("CALL clean_up_whatsapp_accounts('old', 'manual', NULL, NULL, 10, @n)")
    assert "the reason must be stale_qr" in wrong.stderr


def test_a_claim_reads_the_index_and_passes_over_what_others_hold(empty: ByHand) -> None:
    deploy(empty, "blazz")
    empty.run(*WORKSPACE, queue(2000), "ANALYZE TABLE webhook_retry_queue")
    plan = empty.run(
        "EXPLAIN SELECT q.id FROM webhook_retry_queue q WHERE q.status = 'pending' AND "
        "(q.next_retry_at IS NULL OR q.next_retry_at <= NOW()) ORDER BY q.next_retry_at, q.id LIMIT 25 FOR UPDATE SKIP LOCKED"
    )
    assert "idx_status_next_retry" in plan and "filesort" not in plan
    held = "(SELECT id FROM webhook_retry_queue WHERE uuid = 'row-2000')"
    with empty.session() as other:
        other.send("START TRANSACTION", f"SELECT id FROM webhook_retry_queue WHERE id = {held} FOR UPDATE")
        claimed = empty.run("SET innodb_lock_wait_timeout = 1", "CALL claim_webhook_retries(NULL, 1, 300)")
        assert "row-1999" in claimed
        other.send("ROLLBACK")
    assert "row-2000" in empty.run("CALL claim_webhook_retries(NULL, 1, 300)")
    assert "row-1" not in empty.run("CALL claim_webhook_retries(3, 10, 300)")


DRAIN = """
CREATE TABLE at_work (worker int NOT NULL) ENGINE = InnoDB;
DELIMITER //
-- Nobody goes on before all of them have claimed something: however busy the machine is, they meet.
CREATE PROCEDURE drain(IN p_worker int, IN p_workers int)
BEGIN
    DECLARE v_until datetime DEFAULT NOW() + INTERVAL 60 SECOND;
    CALL claim_webhook_retries(NULL, 20, 300);
    INSERT INTO at_work VALUES (p_worker);
    REPEAT
        DO SLEEP(0.01);
    UNTIL (SELECT COUNT(*) FROM at_work) = p_workers OR SYSDATE() > v_until END REPEAT;
    REPEAT
        CALL claim_webhook_retries(NULL, 20, 300);
    UNTIL NOT EXISTS (SELECT 1 FROM webhook_retry_queue WHERE status = 'pending') END REPEAT;
END//
DELIMITER ;
"""


@pytest.mark.slow
def test_eight_workers_claim_ten_thousand_webhooks_once_each(empty: ByHand) -> None:
    workers, rows = 8, 10_000
    deploy(empty, "blazz")
    empty.run(*WORKSPACE, queue(rows), DRAIN)
    with ThreadPoolExecutor(workers) as pool:
        printed = list(pool.map(lambda worker: empty.run(f"CALL drain({worker}, {workers})"), range(workers)))
    claimed = [
        [line.split("\t")[1] for line in text.splitlines() if line.split("\t")[1:2] != ["uuid"]] for text in printed
    ]
    everything = list(itertools.chain.from_iterable(claimed))
    assert len(everything) == rows
    assert len(set(everything)) == rows
    assert all(claimed), "not all of them worked at once"
    once = "SELECT COUNT(*) FROM webhook_retry_queue WHERE status = 'retrying' AND retry_count = 1 AND next_retry_at > NOW()"
    assert empty.value(once) == str(rows)
