"""Drift, audit and snapshot through the playbooks and the front door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.project import Project
from tests.systems import Bench

POLICY = {"backup": "never", "confirm": "none", "scratch": "allow"}
UP = "CREATE TABLE orders (id int PRIMARY KEY, total int NOT NULL);\nCREATE INDEX orders_total ON orders (total);\n"


@pytest.fixture
def shop(project: Project, pg) -> Iterator[tuple[Project, Bench]]:
    with pg.database() as url:
        project.system()
        project.migration("001_orders", UP, down="DROP TABLE orders;\n")
        bench = Bench(url)
        environment(project, bench)
        assert project.invoke("deploy", "--env", "here", "--yes").returncode == 0
        yield project, bench


def environment(project: Project, bench: Bench, **more: Any) -> None:
    databases = [{"name": "shop", "system": "tried", "url": bench.target.url}]
    project.local_environment("here", databases, policy={**POLICY, **more})


def test_drift_is_told_stops_a_deployment_and_can_be_accepted(shop: tuple[Project, Bench]) -> None:
    project, bench = shop
    data = project.invoke("drift", "--env", "here", "--json")
    quiet = json.loads(data.stdout[data.stdout.index("{") :])["hosts"]["here"]["databases"]["shop"]["drift"]
    assert data.returncode == 0 and quiet["changes"] == [] and quiet["known"]["run_id"]
    bench.run_all("ALTER TABLE orders ADD note text", "DROP INDEX orders_total")
    found = project.invoke("drift", "--env", "here")
    assert found.returncode == 51, found.stdout
    for line in (
        "+ column public.orders.note", "- index public.orders_total",
        "ALTER TABLE public.orders DROP COLUMN note;", "CREATE INDEX orders_total ON public.orders USING btree (total);",
    ):  # fmt: skip
        assert line in found.stdout
    assert project.invoke("dashboard").returncode == 0
    [page] = project.root.glob("**/dashboard/index.html")
    assert "2 changes" in page.read_text(), "what was looked for is told, though nothing was deployed"

    # Nothing is pending: nobody looks, whatever the policy says.
    environment(project, bench, drift="stop")
    assert project.invoke("deploy", "--env", "here", "--yes").returncode == 0
    project.migration("002_more", "CREATE TABLE more (id int);\n", down="DROP TABLE more;\n")
    refused = project.invoke("deploy", "--env", "here", "--yes")
    assert refused.returncode == 51 and "the schema was changed since the run" in refused.stdout
    assert '--break-glass "REASON"' in " ".join(refused.stdout.split())
    assert bench.states() == {"001_orders": "applied"}
    environment(project, bench)
    warned = project.invoke("plan", "--env", "here")
    assert warned.returncode == 0 and "warning: the schema was changed since the run" in warned.stdout

    tried = project.playbook("drift", "here", variables={"windlass_accept": True}, check=True)
    assert tried.code == 0
    first = project.playbook("drift", "here", variables={"windlass_accept": True})
    assert (first.code, first.changed) == (0, 1), first.output
    assert project.invoke("dashboard").returncode == 0
    assert "2 changes, accepted" in page.read_text(), "plain Ansible leaves a record, too"
    again = project.playbook("drift", "here", variables={"windlass_accept": True})
    assert (again.code, again.changed) == (0, 0)


def test_whoever_breaks_the_glass_deploys_over_drift_and_all_of_it_is_kept(shop: tuple[Project, Bench]) -> None:
    """The policy has no gate of its own: what it asks for is that drift stops a deployment."""
    project, bench = shop
    bench.run_all("ALTER TABLE orders ADD note text")
    environment(project, bench, drift="stop")
    project.migration("002_more", "CREATE TABLE more (id int);\n", down="DROP TABLE more;\n")
    assert project.invoke("deploy", "--env", "here", "--yes", "--break-glass", "now").returncode == 2
    assert bench.states() == {"001_orders": "applied"}

    reason = "orders fail since 02:10, a column was added by hand"
    done = project.invoke("deploy", "--env", "here", "--break-glass", reason)
    assert done.returncode == 0, done.stdout
    assert "NO   here shop  drift: the schema was changed since the run" in done.stdout, "the plan is shown first"
    assert f"the gate is passed by force: {reason}" in " ".join(done.stdout.split())
    assert bench.states() == {"001_orders": "applied", "002_more": "applied"}
    broken = bench.query("SELECT detail FROM windlass.events WHERE event = 'glass_broken'")
    assert broken == [(reason,)]

    told = project.invoke("evidence", "--env", "here", "--json").stdout
    bundle = json.loads(told[told.index("{") :])["bundles"][-1]
    assert bundle["gate"]["broken_glass"] == reason
    [drifted] = bundle["hosts"]["here"]["shop"]["drift"]
    assert (drifted["identity"], drifted["what"], drifted["before"]) == ("public.orders.note", "added", None)
    page = (project.root / ".windlass" / "runs" / bundle["run_id"] / "report.html").read_text()
    assert reason in page and "column public.orders.note" in page
    assert project.invoke("drift", "--env", "here").returncode == 0, "from here on it is known"


def test_an_audit_by_the_front_door(shop: tuple[Project, Bench]) -> None:
    project, bench = shop
    whole = project.invoke("audit", "--env", "here")
    assert whole.returncode == 0 and "100 % of what tried requires, 100 % of all" in whole.stdout, whole.stdout
    bench.run_all("DROP INDEX orders_total", "CREATE TABLE theirs (id int)")
    found = project.invoke("audit", "--env", "here")
    assert found.returncode == 52, found.stdout
    assert "missing: index public.orders_total (required, risk very low, by 001_orders)" in found.stdout
    assert "CREATE INDEX orders_total ON public.orders USING btree (total)" in found.stdout
    assert "extra: table public.theirs" in found.stdout
    environment(project, bench, scratch="never")
    refused = project.invoke("audit", "--env", "here")
    assert refused.returncode == 10 and "allows no scratch databases" in refused.stdout


def test_a_snapshot_is_written_once(shop: tuple[Project, Bench]) -> None:
    project, bench = shop
    tried = project.invoke("snapshot", "--env", "here", "--dry-run")
    place = project.root / "schema/here/shop.txt"
    assert tried.returncode == 0 and not place.exists()
    first = project.playbook("snapshot", "here")
    assert (first.code, first.changed) == (0, 1), first.output
    text = place.read_text()
    assert "\ncolumn public.orders.total\n    integer not null\n" in text
    again = project.playbook("snapshot", "here")
    assert (again.changed, place.read_text()) == (0, text)
    bench.run_sql("ALTER TABLE orders ADD note text")
    other = project.root / "elsewhere.txt"
    assert project.invoke("snapshot", "--env", "here", "--out", str(other)).returncode == 0
    assert set(other.read_text().splitlines()) - set(text.splitlines()) >= {"column public.orders.note", "    text"}
