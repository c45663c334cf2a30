"""Which records of old runs go, and what keeps the others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit import record_of
from windlass.records import pruning, record
from windlass.telling import pruned
from windlass_engine.errors import WindlassError

NOW = datetime.now(UTC)


def keep(root: Path, days_ago: float, run: dict[str, Any], suffix: str = "1a2b3c", **more: Any) -> str:
    """Keep a run of so many days ago with its report, and return its id."""
    at = NOW - timedelta(days=days_ago)
    run_id = f"{at:%Y%m%dT%H%M%SZ}-{suffix}"
    run = {**run, "run_id": run_id, "started": at.isoformat(), "finished": at.isoformat(), **more}
    record.write(root / ".windlass" / "runs" / run_id / "record.json", record.dumps(run))
    record.write(root / ".windlass" / "runs" / run_id / "report.html", "a report")
    record.write(root / ".windlass" / "dashboard" / "runs" / f"{run_id}.html", "a report")
    return run_id


def backup(database: str = "salon") -> dict[str, Any]:
    return record_of.closed("backup", db1={"windlass_backup": {database: {"id": "b1", "bytes": 1000}}})


def runs(root: Path) -> set[str]:
    return {path.name for path in (root / ".windlass" / "runs").iterdir()}


def prune(root: Path, keep: str = "", **how: Any) -> None:
    pruned.prune(root, keep, **how)


def test_old_runs_go_with_their_reports_and_young_ones_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, older = keep(tmp_path, 91, backup()), keep(tmp_path, 200, backup())
    young, newest = keep(tmp_path, 89, backup()), keep(tmp_path, 1, backup())
    prune(tmp_path, dry_run=True)
    assert "Would delete 2 runs of more than 90 days ago" in capsys.readouterr().out
    assert runs(tmp_path) == {old, older, young, newest}
    prune(tmp_path)
    told = capsys.readouterr().out
    assert "Deleted 2 runs of more than 90 days ago" in told and old in told and young not in told
    assert runs(tmp_path) == {young, newest}
    left = {path.stem for path in (tmp_path / ".windlass" / "dashboard" / "runs").iterdir()}
    assert left == {young, newest}, "the dashboard's copies are copies of these"
    prune(tmp_path)
    assert "Nothing to delete" in capsys.readouterr().out


def test_what_something_names_stays_whatever_its_age(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = {
        "evidence/prod/000001-x.json": {"number": 1, "run_id": "RUN"},
        "drills/prod/failed/salon.json": {"run_id": "RUN"},
        "rehearsals/abc.json": {"digest": "abc", "run_id": "RUN"},
        "queries/prod/db1/salon.json": {"queries": [{"run_id": "RUN"}]},
        "incidents/RUN/incident.json": {"run": {"found": 1}},
    }
    named = set()
    for number, (place, content) in enumerate(places.items()):
        run_id = keep(tmp_path, 300 + number, backup(), suffix=f"aaaaa{number}")
        path = tmp_path / ".windlass" / place.replace("RUN", run_id)
        record.write(path, json.dumps(content).replace("RUN", run_id))
        named.add(run_id)
    keep(tmp_path, 299, backup())
    newest = keep(tmp_path, 2, backup())
    prune(tmp_path, "30d", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert runs(tmp_path) == {*named, newest}
    reasons = {run["run_id"]: run["reason"] for run in told["runs"]}
    assert {reasons[run_id] for run_id in named} == {
        "evidence", "the last drill", "a rehearsal", "a query baseline", "an incident record",
    }  # fmt: skip


def test_the_last_that_is_known_of_a_database_stays(tmp_path: Path) -> None:
    """One database is backed up every day, the other has not been for a year."""
    last = keep(tmp_path, 365, backup("other"))
    keep(tmp_path, 400, backup("other"))
    newest = keep(tmp_path, 1, backup("salon"))
    elsewhere = keep(tmp_path, 500, backup("salon"), environment="staging")
    doctor = keep(tmp_path, 600, record_of.closed("verify"))
    keep(tmp_path, 700, record_of.closed("verify"))
    prune(tmp_path, "30")
    assert runs(tmp_path) == {last, newest, elsewhere, doctor}


def test_what_is_no_run_is_left_alone_and_what_is_half_deleted_goes(tmp_path: Path) -> None:
    half = keep(tmp_path, 400, backup())
    (tmp_path / ".windlass" / "runs" / half / "record.json").unlink()
    notes = tmp_path / ".windlass" / "runs" / "notes"
    notes.mkdir()
    prune(tmp_path)
    assert runs(tmp_path) == {"notes"}


def test_nothing_goes_where_something_that_may_name_it_cannot_be_read(tmp_path: Path) -> None:
    old = keep(tmp_path, 400, backup())
    keep(tmp_path, 1, backup())
    record.write(tmp_path / ".windlass" / "evidence" / "prod" / "000001-x.json", '{"run_id": ')
    with pytest.raises(WindlassError, match="cannot be read") as caught:
        prune(tmp_path)
    assert caught.value.code == "preflight_failed" and old in runs(tmp_path)


def test_how_long_is_said_by_the_option_the_environment_or_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(pruning.VARIABLE, raising=False)
    assert pruning.days_of("") == 90
    monkeypatch.setenv(pruning.VARIABLE, "400d")
    assert (pruning.days_of(""), pruning.days_of("7")) == (400, 7)
    for word in ("0", "soon", "-3", "1.5"):
        with pytest.raises(WindlassError, match="how long"):
            pruning.days_of(word)
