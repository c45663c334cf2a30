"""The shipped systems, whole: deployed, verified, sampled, undone, adopted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.postgresql import PostgresServer
from tests.systems import Bench
from windlass import project as projects
from windlass_engine import plan, verify
from windlass_engine.model import Plan

ROOT = Path(__file__).parents[2]
SYSTEMS = ["salon", "messaging"]


@pytest.fixture(params=SYSTEMS)
def shipped(request: pytest.FixtureRequest) -> projects.Project:
    return projects.load(ROOT, request.param, parse="all")


@pytest.fixture
def empty(each_pg: PostgresServer) -> Iterator[Bench]:
    with each_pg.database() as url:
        yield Bench(url)


def planned(bench: Bench, project: projects.Project) -> Plan:
    return plan.plan_up(project.view(), bench.journal(), database="test", parse=project.full)


def failures(bench: Bench, project: projects.Project, kind: str) -> list[str]:
    scripts = project.samples if kind == "sample" else project.checks
    results = verify.run_checks(bench.target, [project.full(script) for script in scripts], kind, scratch=True)
    assert results
    return [f"{r.name}: {r.error or r.failures}" for r in results if not r.passed]


def verify_failures(bench: Bench, project: projects.Project) -> list[str]:
    scripts = [project.full(m.verify) for m in project.migrations if m.verify]
    assert len(scripts) == len(project.migrations)
    return [f"{r.name}: {r.error or r.failures}" for r in verify.run_checks(bench.target, scripts) if not r.passed]


def test_deploys_verifies_and_is_undone_to_nothing(empty: Bench, shipped: projects.Project) -> None:
    before = empty.fingerprint()
    assert empty.run(planned(empty, shipped))["error"] is None
    full = empty.fingerprint()
    assert planned(empty, shipped).steps == ()
    assert verify_failures(empty, shipped) == []
    assert failures(empty, shipped, "check") == []
    assert failures(empty, shipped, "sample") == []
    undone = empty.run(empty.plan_down(steps=len(shipped.migrations)), allow_data_loss=True)
    assert undone["error"] is None
    assert empty.fingerprint() == before
    assert empty.run(planned(empty, shipped))["error"] is None
    assert empty.fingerprint() == full


def test_salon_has_nine_checks() -> None:
    project = projects.load(ROOT, "salon", parse="all")
    scripts = [*project.checks, *(s for s in project.samples if not s.directives.scratch)]
    names = [statement.check for script in scripts for statement in script.statements if statement.check]
    assert len(names) == 9, names


def test_what_stands_is_adopted(empty: Bench, shipped: projects.Project) -> None:
    first = shipped.migrations[0]
    empty.run_sql("\n;".join(shipped.full(first.up).sql(s) for s in shipped.full(first.up).statements))
    adopt = plan.plan_baseline(shipped.view(), empty.journal(), database="test", to=first.name, parse=shipped.full)
    assert empty.run(adopt)["applied"] == [first.name]
    rest = empty.run(planned(empty, shipped))
    assert rest["error"] is None and first.name not in rest["applied"]


def test_messaging_is_backfilled(empty: Bench) -> None:
    project = projects.load(ROOT, "messaging", parse="all")
    to = plan.plan_up(
        project.view(), empty.journal(), database="test", to=project.migrations[0].name, parse=project.full
    )
    assert empty.run(to)["error"] is None
    empty.run_sql(
        "INSERT INTO whatsapp_messages (message_id, to_phone, from_phone, direction, status, body, created_at) "
        "SELECT 'm' || g, '79001234567', '79007654321', 'outgoing', "
        "(ARRAY['sent', 'delivered', 'read', 'failed'])[1 + g % 4], 'x', now() - interval '30 days' "
        "FROM generate_series(1, 12000) g"
    )
    assert empty.run(planned(empty, project))["error"] is None
    filled = empty.query(
        "SELECT count(*) FROM whatsapp_messages WHERE num_nonnulls(sent_at, delivered_at, read_at, failed_at) = 0"
    )
    assert filled == [(0,)]
    assert (
        empty.query("SELECT count(*) > 1, max(rows) FROM windlass.statements WHERE position IS NOT NULL")[0][1] == 12000
    )
