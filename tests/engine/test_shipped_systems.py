"""The shipped systems, whole: deployed, verified, sampled, undone, adopted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.mysqld import Mysqld
from tests.systems import Bench
from windlass import project as projects
from windlass_engine import maintain, plan
from windlass_engine.checking import verify
from windlass_engine.model import Options, Plan

ROOT = Path(__file__).parents[2]
SERVERS = {
    "salon": ("pg15", "pg16", "pg17", "pg18"),
    "messaging": ("pg15", "pg16", "pg17", "pg18"),
    "blazz": ("mariadb", "mariadb118", "any_mysql"),
    "jobs": ("mariadb", "mariadb118", "any_mysql"),
    "clinic": ("mssql",),
}
EVERY = [(system, server) for system, servers in SERVERS.items() for server in servers]


@pytest.fixture(params=EVERY, ids="-".join)
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Bench, projects.Project]]:
    """An empty database on a server, and the system that belongs on it."""
    system, server = request.param
    with request.getfixturevalue(server).database() as url:
        yield Bench(url), projects.load(ROOT, system, parse="all")


@pytest.fixture
def empty(place: tuple[Bench, projects.Project]) -> Bench:
    return place[0]


@pytest.fixture
def shipped(place: tuple[Bench, projects.Project]) -> projects.Project:
    return place[1]


def test_every_shipped_system_is_tried() -> None:
    assert sorted(SERVERS) == sorted(path.name for path in (ROOT / "sql").iterdir() if path.is_dir())


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


def maintained(bench: Bench, project: projects.Project) -> list[tuple[str, str, int]]:
    """Run every job; return (name, how it ended, rows) of each that has no schedule, did not end well or found work."""
    assert project.maintenance, "a system has something to look after"
    scripts = [project.full(script) for script in project.maintenance]
    jobs = [maintain.Job(Path(script.path).stem, script) for script in scripts]
    done = maintain.run(bench.target, jobs, Options("run", "tester", "here", "test"))["jobs"]
    return [
        (item["name"], item["status"], item["rows"])
        for item, script in zip(done, scripts, strict=True)
        if (item["status"], item["rows"]) != ("done", 0) or not script.directives.schedule
    ]


def test_deploys_verifies_and_is_undone_to_nothing(empty: Bench, shipped: projects.Project) -> None:
    before = empty.fingerprint()
    assert empty.run(planned(empty, shipped))["error"] is None
    full = empty.fingerprint()
    assert planned(empty, shipped).steps == ()
    assert verify_failures(empty, shipped) == []
    assert failures(empty, shipped, "check") == []
    assert failures(empty, shipped, "sample") == []
    assert maintained(empty, shipped) == []
    undone = empty.run(empty.plan_down(steps=len(shipped.migrations)), allow_data_loss=True, scratch=True)
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
    empty.run_all(*(shipped.full(first.up).sql(s) for s in shipped.full(first.up).statements))
    adopt = plan.plan_baseline(shipped.view(), empty.journal(), database="test", to=first.name, parse=shipped.full)
    assert empty.run(adopt)["applied"] == [first.name]
    rest = empty.run(planned(empty, shipped))
    assert rest["error"] is None and first.name not in rest["applied"]


def test_messaging_is_backfilled(bench: Bench) -> None:
    project = projects.load(ROOT, "messaging", parse="all")
    to = plan.plan_up(
        project.view(), bench.journal(), database="test", to=project.migrations[0].name, parse=project.full
    )
    assert bench.run(to)["error"] is None
    bench.run_sql(
        "INSERT INTO whatsapp_messages (message_id, to_phone, from_phone, direction, status, body, created_at) "
        "SELECT 'm' || g, '79001234567', '79007654321', 'outgoing', "
        "(ARRAY['sent', 'delivered', 'read', 'failed'])[1 + g % 4], 'x', now() - interval '30 days' "
        "FROM generate_series(1, 12000) g"
    )
    assert bench.run(planned(bench, project))["error"] is None
    filled = bench.query(
        "SELECT count(*) FROM whatsapp_messages WHERE num_nonnulls(sent_at, delivered_at, read_at, failed_at) = 0"
    )
    assert filled == [(0,)]
    assert (
        bench.query("SELECT count(*) > 1, max(rows) FROM windlass.statements WHERE position IS NOT NULL")[0][1] == 12000
    )


def test_a_patch_killed_inside_a_call_simply_runs_again(mysqld: Mysqld) -> None:
    """A CALL that looks first cannot be judged by the catalogue, but its script says that it may run again."""
    project = projects.load(ROOT, "jobs", parse="all")

    def die(event: dict[str, object]) -> None:
        if event["event"] == "statement_started" and str(event["sql"]).startswith("CALL"):
            raise KeyboardInterrupt

    with mysqld.database() as url:
        bench = Bench(url)
        with pytest.raises(KeyboardInterrupt):
            bench.run(planned(bench, project), die)
        step, half = planned(bench, project).steps[0], bench.journal().get("migration", "002_surgical_patch")
        assert half is not None and step.resumed
        mark = bench.make.dialect.journal.statement_started(step, half.statements_done + 1, "as if it had begun")
        bench.run_sql(mark)
        assert [entry.started for entry in bench.journal().entries] == [0, half.statements_done + 1]
        assert bench.run(planned(bench, project))["error"] is None
        assert set(bench.states().values()) == {"applied"}
