"""Risk and probes through the playbooks and the front door, on real servers of both engines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.project import Project
from tests.systems import Bench

POLICY = {"backup": "never", "confirm": "none"}
UP = "ALTER TABLE orders ALTER COLUMN total SET NOT NULL;\n"


@pytest.fixture
def shop(project: Project, pg) -> Iterator[tuple[Project, Bench]]:
    with pg.database() as url:
        project.system()
        project.migration(
            "001_orders", "CREATE TABLE orders (id int PRIMARY KEY, total int);\n", down="DROP TABLE orders;\n"
        )
        project.local_environment("here", [{"name": "shop", "system": "tried", "url": url}], policy=POLICY)
        assert project.invoke("deploy", "--env", "here", "--yes").returncode == 0
        bench = Bench(url)
        bench.run_sql("INSERT INTO orders SELECT g, nullif(g % 7, 0) FROM generate_series(1, 70) g")
        yield project, bench


def plan(project: Project) -> tuple[int, dict[str, Any]]:
    done = project.invoke("plan", "--env", "here", "--json")
    found = json.loads(done.stdout[done.stdout.index("{") :])
    return done.returncode, found["hosts"]["here"]["databases"]["shop"]["plan"]


def policy(project: Project, bench: Bench, **more: Any) -> None:
    databases = [{"name": "shop", "system": "tried", "url": bench.target.url}]
    project.local_environment("here", databases, policy={**POLICY, **more})


def test_a_plan_that_would_fail_is_refused_before_anything_begins(shop: tuple[Project, Bench]) -> None:
    project, bench = shop
    project.migration("002_total", UP, down="ALTER TABLE orders ALTER total DROP NOT NULL;\n")
    shown = project.invoke("plan", "--env", "here")
    assert shown.returncode == 50, shown.stdout
    assert "002_total, line 1: 10 rows of orders have no value in total, such as id 7; id 14" in shown.stdout
    assert "risk: medium, breaking" in shown.stdout
    assert project.invoke("deploy", "--env", "here", "--yes").returncode == 50
    assert project.playbook("deploy", "here", variables={"windlass_yes": True}).code != 0
    assert bench.states() == {"001_orders": "applied"}

    policy(project, bench, probes="warn")
    code, told = plan(project)
    assert code == 0
    assert told["warnings"] == [
        "would fail: 002_total, line 1: 10 rows of orders have no value in total, such as id 7; id 14; id 21; id 28; id 35"
    ]
    [probe] = told["probes"]
    assert (probe["kind"], probe["table"], probe["columns"], probe["found"]) == ("nulls", "orders", ["total"], 10)
    policy(project, bench, probes=False)
    assert plan(project)[1]["warnings"] == []


def test_rows_that_the_plan_itself_mends_are_a_warning(shop: tuple[Project, Bench]) -> None:
    project, _ = shop
    project.migration("002_total", f"UPDATE orders SET total = 0 WHERE total IS NULL;\n{UP}", down="SELECT 1;\n")
    code, told = plan(project)
    assert code == 0
    assert told["warnings"][0].endswith("(statements before it change rows of that table)")
    assert project.invoke("deploy", "--env", "here", "--yes").returncode == 0


def test_the_plan_the_record_and_the_report_tell_the_risk(shop: tuple[Project, Bench]) -> None:
    project, bench = shop
    bench.run_sql("ANALYZE orders")
    up = "-- windlass: allow drop-column nobody reads it\nALTER TABLE orders ADD COLUMN note text;\nALTER TABLE orders DROP COLUMN total;\n"
    up += "ALTER TABLE orders ADD CONSTRAINT told CHECK (note <> '');\n"  # nothing to search: the column is new
    project.migration("002_notes", up, down="ALTER TABLE orders DROP COLUMN note, ADD COLUMN total int;\n")
    shown = project.invoke("plan", "--env", "here").stdout
    assert "risk: high, medium without what scripts allow, breaking, not reversible, data loss" in shown
    assert "allowed: nobody reads it" in shown
    _, told = plan(project)
    first, second, _ = told["steps"][0]["risks"]
    assert told["warnings"] == []
    assert (first["rule"], first["class"], first["lock"], first["rows"]) == (
        "add-column",
        "zero",
        "ACCESS EXCLUSIVE",
        70,
    )
    assert (second["rule"], second["class"], second["data_loss"]) == ("drop-column", "high", True)
    assert told["risk"]["class"] == "high" and told["risk"]["open_class"] == "medium"
    rules = {item["rule"] for item in told["steps"][0]["findings"]}
    assert "squawk/ban-drop-column" in rules
    assert project.invoke("deploy", "--env", "here", "--yes").returncode == 0
    [report] = [path for path in project.root.glob(".windlass/runs/*/report.html") if "002_notes" in path.read_text()]
    text = report.read_text()
    assert "<h3>Risk</h3>" in text and "allowed: nobody reads it" in text and "drop-column" in text


def test_nothing_to_do_asks_nothing_more(shop: tuple[Project, Bench]) -> None:
    project, _ = shop
    _, told = plan(project)
    assert told["steps"] == [] and "risk" not in told and "probes" not in told


def test_blazz_is_weighed_by_the_server_itself(project: Project, mariadb) -> None:
    """Where the policy allows a scratch database, the lock is the server's own answer."""
    project.shipped_system("blazz")
    with mariadb.database() as url:
        databases = [{"name": "shop", "system": "blazz", "url": url}]
        project.local_environment("here", databases, policy={**POLICY, "scratch": "allow"})
        done = project.invoke("deploy", "--env", "here", "--to", "001_standing_tables", "--yes")
        assert done.returncode == 0, done.stdout
        _, told = plan(project)
    found = {
        (risk["rule"], risk["class"], risk["lock"]) for step in told["steps"] for risk in step["risks"] if risk["table"]
    }
    assert found == {
        ("add-column", "zero", "INSTANT"),
        ("add-index", "very low", "INPLACE, LOCK=NONE"),
        ("add-table", "zero", ""),
    }
    assert not told["risk"]["breaking"] and not told["risk"]["data_loss"]
