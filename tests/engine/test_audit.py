"""The audit of a live schema: what blazz lacks in its old state, and nothing else; no gap where all is deployed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.project import ROOT
from tests.systems import Bench
from windlass import project as projects
from windlass.telling import auditing, drifting
from windlass_engine import plan
from windlass_engine.errors import WindlassError
from windlass_engine.model import Options
from windlass_engine.rehearsal import audit
from windlass_engine.rehearsal.prove import Subject

OPTIONS = Options("run", "tester", "here", "test")
#: What the product's owners list, by table: columns and indexes to add, and two tables.
LISTED = {
    "chats": {
        "column": {"webhook_sent_at", "webhook_retry_count", "webhook_last_error", "queue_job_id"},
        "index": {"idx_webhook_retry", "idx_account_status"},
    },
    "whatsapp_accounts": {
        "column": {"last_cleanup_at", "session_restore_count", "remote_session_path", "health_score"},
        "index": {"idx_last_cleanup", "idx_stale_detection"},
    },
}
NEW_TABLES = {"webhook_retry_queue", "session_cleanup_logs"}


def audited(bench: Bench, project: projects.Project) -> dict[str, Any]:
    subject = Subject(project.system, project.migrations, project.repeatables)
    return auditing.judged(project, audit.audit(bench.target, subject, OPTIONS))


def deploy(bench: Bench, project: projects.Project, to: str = "") -> None:
    planned = plan.plan_up(project.view(), bench.journal(), database="test", to=to, parse=project.full)
    assert bench.run(planned)["error"] is None


@pytest.fixture
def blazz(mariadb) -> Iterator[tuple[Bench, projects.Project]]:
    """The live database as it was: only the tables that stand already, made by nobody's migration."""
    project = projects.load(ROOT, "blazz", parse="all")
    with mariadb.database() as url:
        bench = Bench(url)
        up = project.migrations[0].up
        bench.run_all(*(up.sql(statement) for statement in up.statements))
        yield bench, project


def test_the_old_state_of_blazz_lacks_what_is_listed_and_nothing_else(blazz: tuple[Bench, projects.Project]) -> None:
    bench, project = blazz
    found = audited(bench, project)
    gaps = found["gaps"]
    assert {gap["what"] for gap in gaps} == {"missing"}
    standing: dict[str, dict[str, set[str]]] = {}
    for gap in gaps:
        if gap["table"] and gap["table"] not in NEW_TABLES:
            standing.setdefault(gap["table"], {}).setdefault(gap["kind"], set()).add(gap["identity"].partition(".")[2])
    assert standing == LISTED
    assert {gap["identity"] for gap in gaps if gap["kind"] == "table"} == NEW_TABLES
    # What belongs to no table are the procedures of the clean-up jobs and the webhook retries.
    assert {gap["kind"] for gap in gaps if not gap["table"]} == {"procedure"}
    states = {table["table"]: table["state"] for table in found["tables"]}
    assert states == {
        "campaign_logs": "present", "campaigns": "present", "chats": "different", "contacts": "present",
        "session_cleanup_logs": "missing", "users": "present", "webhook_retry_queue": "missing",
        "whatsapp_accounts": "different", "workspaces": "present", "": "different",
    }  # fmt: skip
    assert {gap["need"] for gap in gaps} == {"optional"}
    assert found["ready"] == 100 and 60 < found["complete"] < 95


def test_each_gap_has_its_migration_its_risk_and_sql_that_closes_it(blazz: tuple[Bench, projects.Project]) -> None:
    bench, project = blazz
    found = audited(bench, project)
    by_name = {(gap["kind"], gap["identity"]): gap for gap in found["gaps"]}
    column = by_name["column", "chats.webhook_retry_count"]
    assert (column["migration"], column["risk"], column["lock"]) == ("002_phase_1_chats_webhook", "zero", "INSTANT")
    index = by_name["index", "chats.idx_account_status"]
    assert (index["migration"], index["risk"]) == ("005_phase_4_chats_account_status", "very low")
    assert by_name["table", "webhook_retry_queue"]["risk"] == "zero"
    for gap in found["gaps"]:
        assert gap["sql"] is not None
        for sql in filter(None, gap["sql"].split(";\n") if gap["kind"] != "procedure" else [gap["sql"]]):
            bench.run_sql(sql)
    assert audited(bench, project)["gaps"] == []


def test_what_is_different_and_what_is_extra(blazz: tuple[Bench, projects.Project]) -> None:
    bench, project = blazz
    deploy(bench, project)
    assert audited(bench, project)["complete"] == 100
    bench.run_all(
        "ALTER TABLE chats MODIFY message_status varchar(64) NULL",
        "ALTER TABLE contacts DROP COLUMN email",
        "CREATE TABLE theirs (id int PRIMARY KEY)",
    )
    found = audited(bench, project)
    told = {
        (gap["what"], gap["kind"], gap["identity"], gap["need"]) for gap in found["gaps"] if gap["table"] != "theirs"
    }
    assert told == {
        ("different", "column", "chats.message_status", "required"),
        ("missing", "column", "contacts.email", "required"),
    }
    assert found["ready"] < 100
    assert [table["state"] for table in found["tables"] if table["table"] == "theirs"] == ["extra"]
    wider = next(gap for gap in found["gaps"] if gap["what"] == "different")
    assert (wider["risk"], wider["breaking"]) == ("high", True)
    with pytest.raises(WindlassError, match="2 required objects missing or different"):
        auditing.refuse("here", {"test": found})
    lines = [text for text, _ in auditing.lines("here test", found)]
    assert any(line.startswith("      should   varchar(50)") for line in lines)


@pytest.mark.parametrize("system", ["salon", "messaging"])
def test_a_deployed_system_has_no_gap(bench: Bench, system: str) -> None:
    project = projects.load(ROOT, system, parse="all")
    deploy(bench, project)
    found = audited(bench, project)
    assert (found["gaps"], found["ready"], found["complete"]) == ([], 100, 100)


def test_patterns_say_what_is_optional_and_what_is_nobodys_business() -> None:
    project = projects.load(ROOT, "blazz")
    found = {
        "grammar": "mysql",
        "sizes": {},
        "expected": [{"kind": "table", "identity": "chats", "table": "chats", "migration": "001_standing_tables"}],
        "gaps": [
            {"kind": "table", "identity": "chats", "table": "chats", "what": "missing", "live": None, "wanted": "",
             "sql": None, "migration": "001_standing_tables"},
            {"kind": "table", "identity": "old_a", "table": "old_a", "what": "extra", "live": "", "wanted": None,
             "sql": "DROP TABLE old_a", "migration": ""},
            {"kind": "column", "identity": "old_a.id", "table": "old_a", "what": "extra", "live": "", "wanted": None,
             "sql": "", "migration": ""},
        ],
    }  # fmt: skip
    plain = auditing.judged(project, found)
    assert [gap["need"] for gap in plain["gaps"]] == ["required", "extra", "extra"]
    assert plain["ready"] == 0
    from dataclasses import replace

    chosen = auditing.judged(replace(project, ignored=("table old_*",), optional=("table chats",)), found)
    assert [gap["need"] for gap in chosen["gaps"]] == ["optional"]
    assert chosen["ready"] == 100 and chosen["complete"] == 0


def test_drift_in_words() -> None:
    change = {
        "kind": "column",
        "identity": "a.c",
        "what": "changed",
        "before": "int",
        "after": "text",
        "undo": None,
        "adopt": "ALTER TABLE a",
    }
    known = {"run_id": "run-1", "who": "alice", "at": "2025-11-21T04:05:06Z"}
    lines = [text for text, _ in drifting.lines("here a", {"unknown": "", "known": known, "changes": [change]})]
    assert "  by hand, one way or both: column a.c" in lines and "    ALTER TABLE a;" in lines
    assert drifting.headline({"known": known, "changes": [change] * 7}).endswith("~ column a.c and 2 more")
