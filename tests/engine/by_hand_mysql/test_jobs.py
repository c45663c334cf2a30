"""What jobs keeps and refuses: the enum and its rows, indexes of other names, expired locks."""

from __future__ import annotations

import pytest

from tests.engine.by_hand_mysql.rows import NARROW, WIDE
from tests.engine.by_hand_mysql.scripts import (
    LOSE,
    SQL,
    deploy,
    migrations,
)
from tests.servers.mariadb_by_hand import ByHand


def test_an_index_of_another_name_serves(empty: ByHand) -> None:
    first, patch = migrations("jobs")
    empty.run(first / "up.sql", "ALTER TABLE processing_jobs ADD INDEX theirs (created_at)")
    empty.run(patch / "up.sql")
    assert empty.run(patch / "verify.sql") == ""
    assert "idx_processing_jobs_created_at" not in empty.schema()
    empty.run(patch / "down.sql")
    assert "theirs" in empty.schema()


def test_the_enum_keeps_its_other_properties(empty: ByHand) -> None:
    first, patch = migrations("jobs")
    theirs = "CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL DEFAULT 'CLOSED' COMMENT 'who''s there'"
    empty.run(first / "up.sql", f"ALTER TABLE user_sessions MODIFY contact_status {NARROW} {theirs}")
    before = empty.schema()
    empty.run(patch / "up.sql")
    shown = empty.run("SHOW CREATE TABLE user_sessions")
    assert f"{WIDE} CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL DEFAULT 'CLOSED' COMMENT" in shown
    empty.run(patch / "down.sql")
    assert empty.schema() == before


@pytest.mark.parametrize(
    "theirs", ["enum('ACTIVE','OPT_OUT','CLOSED','VIP')", "varchar(20)", "enum('active','closed')"]
)
def test_an_unknown_enum_is_refused_and_left(empty: ByHand, theirs: str) -> None:
    first, patch = migrations("jobs")
    empty.run(first / "up.sql", f"ALTER TABLE user_sessions MODIFY contact_status {theirs}")
    refused = empty.attempt(patch / "up.sql")
    assert refused.returncode != 0 and "unknown to this patch" in refused.stderr
    assert theirs in empty.run("SHOW CREATE TABLE user_sessions")


STATUSES = ("ACTIVE", "BLOCKED", "PAUSED", "OPT_OUT", "CLOSED")
STATUS_ROWS = "INSERT INTO user_sessions (phone, contact_status) VALUES " + ", ".join(
    f"('{number}', '{status}')" for number, status in enumerate(STATUSES)
)
STATUS_LIST = "SELECT GROUP_CONCAT(contact_status ORDER BY phone) FROM user_sessions"


@pytest.mark.parametrize("mode", ["", "STRICT_TRANS_TABLES"])
def test_the_enum_is_turned_back_only_on_an_explicit_word(empty: ByHand, mode: str) -> None:
    first, patch = migrations("jobs")
    empty.run(first / "up.sql")
    before = empty.schema()
    empty.run(patch / "up.sql", STATUS_ROWS)
    outline = empty.outline()
    loose = f"SET sql_mode = '{mode}'"
    refused = empty.attempt(loose, patch / "down.sql")
    assert refused.returncode != 0
    assert "BLOCKED, PAUSED" in refused.stderr and "@windlass_allow_data_loss = 1" in refused.stderr
    assert empty.outline() == outline
    assert empty.value(STATUS_LIST) == ",".join(STATUSES)
    said = empty.run(loose, LOSE, patch / "down.sql")
    assert "1 sessions were BLOCKED and are OPT_OUT now; 1 were PAUSED and are CLOSED now" in said
    assert empty.value(STATUS_LIST) == "ACTIVE,OPT_OUT,CLOSED,OPT_OUT,CLOSED"
    assert empty.schema().replace(" AUTO_INCREMENT=6", "") == before


def test_rows_without_blocked_or_paused_do_not_stop_the_rollback(empty: ByHand) -> None:
    first, patch = migrations("jobs")
    empty.run(
        first / "up.sql", patch / "up.sql", "INSERT INTO user_sessions (phone, contact_status) VALUES ('1', 'OPT_OUT')"
    )
    empty.run(patch / "down.sql")
    assert empty.value(STATUS_LIST) == "OPT_OUT"
    # The column was the patch's own: its values would go with it.
    empty.run("ALTER TABLE user_sessions DROP COLUMN contact_status", patch / "up.sql")
    empty.run("UPDATE user_sessions SET contact_status = 'OPT_OUT'")
    assert "contact_status holds" in empty.attempt(patch / "down.sql").stderr
    empty.run(LOSE, patch / "down.sql")
    assert "contact_status" not in empty.schema()


def test_expired_locks_are_released(empty: ByHand) -> None:
    deploy(empty, "jobs")
    empty.run(
        "INSERT INTO processing_jobs (job_type, locked_by, locked_until) VALUES ('a', 'h:1', NOW() - INTERVAL 6 MINUTE), "
        "('b', 'h:1', NOW() - INTERVAL 1 MINUTE), ('c', 'h:1', NOW() + INTERVAL 1 MINUTE)"
    )
    empty.run(SQL / "jobs/maintenance/expired_locks.sql")
    assert (
        empty.value("SELECT GROUP_CONCAT(job_type ORDER BY job_type) FROM processing_jobs WHERE locked_by IS NOT NULL")
        == "b,c"
    )


# What is broken, the file that must notice, and a part of what it must say.
