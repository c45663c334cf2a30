"""The page over all run records."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.unit import record_of
from windlass.records import record
from windlass.report import dashboard
from windlass_engine.scheduled import ledger

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


def keep(root: Path, run_id: str, hours_ago: float, run: dict[str, Any], report: bool = True, **more: Any) -> None:
    at = (NOW - timedelta(hours=hours_ago)).isoformat()
    run = {**run, "run_id": run_id, "started": at, "finished": at, **more}
    record.write(root / ".windlass" / "runs" / run_id / "record.json", record.dumps(run))
    if report:
        record.write(root / ".windlass" / "runs" / run_id / "report.html", f"report of {run_id}")


def deployed(version: str, status: str = "done") -> dict[str, Any]:
    parts = {"windlass_plan": {"salon": record_of.plan()}}
    return record_of.closed(db1={**parts, "windlass_run": {"salon": record_of.run(status, schema_version=version)}})


def page(root: Path) -> str:
    text = dashboard.write(root, root / "site", NOW).read_text()
    return re.sub(r"<[^>]+>|\s+", " ", text)


def test_versions_stand_side_by_side(tmp_path: Path) -> None:
    keep(tmp_path, "r1", 48, deployed("001_a"), environment="staging")
    keep(tmp_path, "r2", 24, deployed("002_b"), environment="staging")
    keep(tmp_path, "r3", 12, deployed("001_a"), environment="prod")
    text = re.sub(r"\s+", " ", page(tmp_path))
    assert "System prod staging salon 001_a 002_b" in text


def test_ages_come_from_the_newest_run_of_each_kind(tmp_path: Path) -> None:
    keep(
        tmp_path, "r1", 50, record_of.closed("backup", db1={"windlass_backup": {"salon": {"id": "b1", "bytes": 1000}}})
    )
    keep(tmp_path, "r2", 5, record_of.closed("backup", db1={"windlass_backup": {"salon": {"id": "b2", "bytes": 2000}}}))
    tested = {"backup": "b2", "host": "db2", "failed": "rows differ", "duration_ms": 900}
    keep(tmp_path, "r3", 3, record_of.closed("restore_test", db1={"windlass_restore_test": {"salon": tested}}))
    text = re.sub(r"\s+", " ", page(tmp_path))
    assert "5 h ago 2.0 kB" in text and "3 h ago rows differ" in text and "never" in text


def test_a_backup_that_a_target_s_own_timer_made_is_told_as_the_check_found_it(tmp_path: Path) -> None:
    """Of one database a run here made the backup that was found, of the next an older one, of the last none."""
    for run_id, name, hours in (("r1", "same", 5), ("r2", "older", 50)):
        run = record_of.closed("backup", db1={"windlass_backup": {name: {"id": run_id, "bytes": 1000}}})
        keep(tmp_path, run_id, hours, run)
    at = {
        name: (NOW - timedelta(hours=hours)).timestamp() for name, hours in (("same", 5.1), ("older", 2), ("only", 3))
    }
    facts = {"db1": {name: {"backup": {"at": moment, "bytes": 7000}, "pending": 0} for name, moment in at.items()}}
    facts["db1"]["never"] = {"backup": {}, "pending": 0}
    folder = tmp_path / ".windlass" / "schedule" / "prod"
    folder.mkdir(parents=True)
    ledger.learn(str(folder), facts)
    text = re.sub(r"\s+", " ", page(tmp_path))
    rows = {name: text[text.index(f"{name} db1") :][:200] for name in ("same", "older", "only")}
    assert "5 h ago 1.0 kB" in rows["same"]
    assert "2 h ago 7.0 kB, found on its target" in rows["older"]
    assert "3 h ago 7.0 kB, found on its target" in rows["only"]
    assert "never db1" not in text, "of a database without a run and without a backup the page tells nothing"


def test_a_drill_is_told_and_changes_no_version(tmp_path: Path) -> None:
    keep(tmp_path, "r1", 9, deployed("002_b"))
    drilled = {**deployed("001_a"), "verb": "rollback", "scenario": "failed", "drill": True, "duration_ms": 61_000}
    keep(tmp_path, "r2", 4, drilled)
    text = re.sub(r"\s+", " ", page(tmp_path))
    assert "System prod salon 002_b" in text
    assert "4 h ago failed done in 1 min 1 s" in text


def test_drift_is_what_the_last_look_found(tmp_path: Path) -> None:
    known = {"run_id": "r", "who": "ada", "at": "now"}
    change = {"what": "added", "kind": "column", "identity": "a.b"}
    for hours, run_id, changes in ((9, "r1", []), (4, "r2", [change, change])):
        found = {"unknown": "", "known": known, "changes": changes}
        run = record_of.closed(
            db1={"windlass_plan": {"salon": record_of.plan(drift=found)}, "windlass_run": {"salon": record_of.run()}}
        )
        keep(tmp_path, run_id, hours, run)
    assert "4 h ago 2 changes" in re.sub(r"\s+", " ", page(tmp_path))
    keep(tmp_path / "other", "r3", 1, deployed("001_a"))
    assert "not looked for" in page(tmp_path / "other")


def test_a_look_at_drift_counts_as_what_a_plan_found_does(tmp_path: Path) -> None:
    known = {"run_id": "r", "who": "ada", "at": "now"}
    change = {"what": "added", "kind": "column", "identity": "a.b"}

    def looked(changes: list[dict[str, str]], **more: Any) -> dict[str, Any]:
        found = {"unknown": "", "known": known, "changes": changes, "accepted": False, **more}
        return record_of.closed("drift", db1={"windlass_drift": {"salon": found}})

    keep(tmp_path / "alone", "r0", 9, looked([], system="salon"), report=False)
    assert "System prod salon not known" in re.sub(r"\s+", " ", page(tmp_path / "alone"))
    planned = record_of.plan(drift={"unknown": "", "known": known, "changes": []})
    parts = {"windlass_plan": {"salon": planned}, "windlass_run": {"salon": record_of.run()}}
    keep(tmp_path, "r1", 9, record_of.closed(db1=parts))
    keep(tmp_path, "r2", 8, looked([change]), report=False)
    text = re.sub(r"\s+", " ", page(tmp_path))
    assert "8 h ago 1 change" in text and "9 h ago none" not in text
    keep(tmp_path, "r3", 7, looked([change], accepted=True), report=False)
    assert "7 h ago 1 change, accepted" in re.sub(r"\s+", " ", page(tmp_path))
    keep(tmp_path, "r4", 6, record_of.closed(db1=parts))
    text = re.sub(r"\s+", " ", page(tmp_path))
    assert "6 h ago none" in text and "1 change" not in text, "the newest look counts, whoever took it"


def test_a_dry_run_teaches_nothing(tmp_path: Path) -> None:
    keep(tmp_path, "r1", 1, deployed("001_a"), check=True)
    text = page(tmp_path)
    assert "dry run" in text and "Versions" not in text


def test_reports_are_beside_the_page_and_as_private(tmp_path: Path) -> None:
    keep(tmp_path, "r1", 1, deployed("001_a"))
    keep(tmp_path, "r2", 1, deployed("001_a"), report=False)
    made = dashboard.write(tmp_path, tmp_path / "site", NOW)
    assert 'href="runs/r1.html"' in made.read_text() and 'href="runs/r2.html"' not in made.read_text()
    copied = tmp_path / "site" / "runs" / "r1.html"
    assert copied.read_text() == "report of r1"
    assert {path.stat().st_mode & 0o777 for path in (made, copied)} == {0o600}


def test_a_name_cannot_break_the_page(tmp_path: Path) -> None:
    keep(tmp_path, "r1", 1, deployed("<script>alert(1)</script>"))
    assert "<script>" not in dashboard.write(tmp_path, tmp_path / "site", NOW).read_text()


def test_nothing_yet(tmp_path: Path) -> None:
    assert "There is no run yet" in page(tmp_path)
