"""Proof on a scratch database: every shipped system proves, and each way of lying is found out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.project import ROOT
from tests.systems import Maker
from windlass import project
from windlass_engine import dialects, scratch, session
from windlass_engine.errors import WindlassError
from windlass_engine.model import Options, Script, Target, Wire
from windlass_engine.project.view import Migration, Repeatable
from windlass_engine.rehearsal import prove

SERVERS = {"postgresql": "pg", "mysql": "mariadb"}
OPTIONS = Options("run", "tester", "here", "test")


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Maker, Target]]:
    """A database on each engine's server, on which scratch databases may be made."""
    server = request.getfixturevalue(SERVERS[request.param])
    with server.database() as url:
        yield Maker(request.param), Target("test", "test", url)


def shipped(system: str) -> prove.Subject:
    found = project.load(ROOT, system, parse="all")
    return prove.Subject(system, found.migrations, found.repeatables, found.checks, found.samples)


def proved(
    place: tuple[Maker, Target], *migrations: Migration, only: str = "", repeatables: tuple[Repeatable, ...] = ()
) -> Wire:
    subject = prove.Subject("test", migrations, repeatables, only=only)
    result = prove.prove(place[1], subject, OPTIONS)
    assert leftovers(place[1]) == []
    return result


def leftovers(target: Target) -> list[str]:
    with session.connect(target) as opened:
        return list(opened.dialect.unkept_databases(opened.link, scratch.PREFIX))


def findings(result: Wire, name: str) -> dict[str, list[str]]:
    verdict = next(item for item in result["verdicts"] if item["name"] == name)
    return {finding["what"]: finding["lines"] for finding in verdict["findings"]}


def test_the_shipped_system_of_sql_server(mssql) -> None:
    with mssql.database() as url:
        result = prove.prove(Target("test", "clinic", url), shipped("clinic"), OPTIONS)
    assert [item for item in result["verdicts"] if not item["proved"]] == []
    assert {item["kind"] for item in result["verdicts"]} >= {"migration", "check", "sample"}


@pytest.mark.parametrize("server", ["pg15", "pg17", "pg18"])
@pytest.mark.parametrize("system", ["salon", "messaging"])
def test_the_shipped_systems_of_postgresql(request: pytest.FixtureRequest, server: str, system: str) -> None:
    with request.getfixturevalue(server).database() as url:
        result = prove.prove(Target("test", system, url), shipped(system), OPTIONS)
    assert [item for item in result["verdicts"] if not item["proved"]] == []
    assert {item["kind"] for item in result["verdicts"]} >= {"migration", "check", "sample"}


@pytest.mark.parametrize("server", ["mariadb", "mariadb118", "any_mysql"])
@pytest.mark.parametrize("system", ["blazz", "jobs"])
def test_the_shipped_systems_of_mysql(request: pytest.FixtureRequest, server: str, system: str) -> None:
    with request.getfixturevalue(server).database() as url:
        result = prove.prove(Target("test", system, url), shipped(system), OPTIONS)
    assert [item for item in result["verdicts"] if not item["proved"]] == []


GOOD_UP = "CREATE TABLE IF NOT EXISTS good (id int NOT NULL PRIMARY KEY)"
GOOD_DOWN = "DROP TABLE IF EXISTS good"
VERIFY = "-- check: good is there\nSELECT 'good is missing' WHERE NOT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_name = 'good' AND table_schema = {here})"


def good(maker: Maker) -> Migration:
    here = {"postgresql": "current_schema()", "mysql": "DATABASE()"}[maker.engine]
    return maker.migration("001_good", GOOD_UP, GOOD_DOWN, VERIFY.format(here=here))


def test_a_good_migration_is_proved(place: tuple[Maker, Target]) -> None:
    result = proved(place, good(place[0]))
    [verdict] = result["verdicts"]
    assert (verdict["idempotent"], verdict["reversible"], verdict["verified"], verdict["proved"]) == (True,) * 4
    assert set(verdict["checksums"]) == {"up", "down", "verify"}


def test_an_up_that_fails_the_second_time(place: tuple[Maker, Target]) -> None:
    maker = place[0]
    result = proved(place, maker.migration("001_once", "CREATE TABLE good (id int)", GOOD_DOWN))
    assert set(findings(result, "001_once")) == {"up again"}
    assert "exists" in findings(result, "001_once")["up again"][0]
    assert result["verdicts"][0]["idempotent"] is False


def test_an_up_that_adds_rows_each_time(place: tuple[Maker, Target]) -> None:
    maker = place[0]
    up = "CREATE TABLE IF NOT EXISTS good (id int);\nINSERT INTO good VALUES (1)"
    result = proved(place, maker.migration("001_rows", up, GOOD_DOWN))
    [line] = findings(result, "001_rows")["up again"]
    assert "good: 1 -> 2" in line


def test_a_down_that_leaves_something(place: tuple[Maker, Target]) -> None:
    maker = place[0]
    up = "CREATE TABLE IF NOT EXISTS good (id int);\nCREATE TABLE IF NOT EXISTS rest (id int)"
    result = proved(place, maker.migration("001_rest", up, GOOD_DOWN))
    lines = findings(result, "001_rest")["down"]
    assert any("rest" in line and line.startswith("+") for line in lines)
    assert result["verdicts"][0]["reversible"] is False


def test_a_down_that_fails_the_second_time(place: tuple[Maker, Target]) -> None:
    result = proved(place, place[0].migration("001_twice", GOOD_UP, "DROP TABLE good"))
    assert set(findings(result, "001_twice")) == {"down again"}


def test_a_verify_script_that_lies(place: tuple[Maker, Target]) -> None:
    maker = place[0]
    blind = maker.migration("001_blind", GOOD_UP, GOOD_DOWN, "-- check: always\nSELECT 1 WHERE 1 = 0")
    strict = maker.migration("002_strict", GOOD_UP, "SELECT 1", "-- check: never\nSELECT 'no' WHERE 1 = 1")
    result = proved(place, blind, strict)
    assert set(findings(result, "001_blind")) == {"verify before up"}
    assert findings(result, "002_strict")["verify"] == ["never", "no"]


def test_an_up_that_does_not_run_ends_the_proof(place: tuple[Maker, Target]) -> None:
    maker = place[0]
    result = proved(place, maker.migration("001_broken", "SELECT nothing FROM nowhere", "SELECT 1"), good(maker))
    assert [item["name"] for item in result["verdicts"]] == ["001_broken"]
    assert not result["proved"]


def test_an_irreversible_migration_is_told_so(place: tuple[Maker, Target]) -> None:
    up = f"-- windlass: irreversible the old form is gone\n{GOOD_UP}"
    [verdict] = proved(place, place[0].migration("001_gone", up))["verdicts"]
    assert (verdict["reversible"], verdict["irreversible"]) == (None, "the old form is gone")
    assert verdict["proved"]


def test_one_migration_alone(place: tuple[Maker, Target]) -> None:
    maker = place[0]
    second = maker.migration("002_more", "CREATE TABLE IF NOT EXISTS more (id int)", "DROP TABLE IF EXISTS more")
    third = maker.migration("003_broken", "SELECT nothing FROM nowhere", "SELECT 1")
    result = proved(place, good(maker), second, third, only="002_more")
    assert [(item["name"], item["proved"]) for item in result["verdicts"]] == [("002_more", True)]


def test_a_repeatable_that_does_not_repeat(place: tuple[Maker, Target]) -> None:
    maker = place[0]
    view = Repeatable("v", maker.read("CREATE VIEW v AS SELECT 1 AS one", "v.sql"))
    assert set(findings(proved(place, good(maker), repeatables=(view,)), "v")) == {"applied again"}


def test_checks_and_samples_are_tried(place: tuple[Maker, Target]) -> None:
    maker = place[0]

    def script(text: str) -> Script:
        return maker.read(text, "it.sql")

    subject = prove.Subject(
        "test",
        (good(maker),),
        checks=(script("-- check: fine\nSELECT 1 WHERE 1 = 0"),),
        samples=(script("-- check: wrong\nSELECT 'bad' WHERE 1 = 1"),),
    )
    result = prove.prove(place[1], subject, OPTIONS)
    assert [(item["kind"], item["proved"]) for item in result["verdicts"]] == [
        ("migration", True), ("check", True), ("sample", False),
    ]  # fmt: skip


def test_what_a_killed_proof_left_is_taken_away_and_nothing_else(place: tuple[Maker, Target]) -> None:
    maker, target = place
    with session.connect(target) as killed:
        for statement in killed.dialect.make_database(scratch.PREFIX + 'ab.an`d"oned'):
            killed.run(statement)
    with scratch.database(target) as kept:
        assert leftovers(target) == []
        with session.connect(kept) as other:
            assert other.query("SELECT 1")
        proved(place, good(maker))
        with session.connect(kept) as other:
            assert other.query("SELECT 1"), "a scratch database in use was taken away"


def test_a_login_that_may_not_make_databases_is_told_what_it_needs(pg) -> None:
    with pg.database() as url:
        with session.connect(Target("test", "test", url)) as opened:
            opened.run("DROP ROLE IF EXISTS small; CREATE ROLE small LOGIN PASSWORD 'secret'")
        small = dialects.get("postgresql").url_of_database(url, url.rpartition("/")[2].partition("?")[0])
        user = Target(
            "test", "test", small.replace("//postgres@", "//small@").replace("//postgres:", "//small:"), "secret"
        )
        if "//small" not in user.url:
            user = Target("test", "test", small + ("&" if "?" in small else "?") + "user=small", "secret")
        with pytest.raises(WindlassError) as refusal, scratch.database(user):
            pass
    assert refusal.value.code == "preflight_failed"
    assert "CREATEDB" in refusal.value.hint
