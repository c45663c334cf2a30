"""The journal's rows are prepared once a session; scripts that take prepared statements away do no harm."""

from __future__ import annotations

import pytest

from tests.systems import Bench, migration, system

PROJECT = system(
    migration("001_plain", "CREATE TABLE a (id int)"),
    migration("002_forgets", "CREATE TABLE b (id int); DEALLOCATE ALL"),
    migration("003_plain", "CREATE TABLE c (id int)"),
    migration("004_hides", "CREATE TABLE d (id int); DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"),
    migration("005_plain", "CREATE TABLE e (id int)"),
)
NAMES = [each.name for each in PROJECT.migrations]


@pytest.mark.parametrize("atomic", [False, True])
def test_a_script_may_take_every_prepared_statement_away(bench: Bench, atomic: bool) -> None:
    result = bench.deploy(PROJECT, atomic=atomic)
    assert (result["status"], result["applied"]) == ("done", NAMES)
    assert set(bench.states().values()) == {"applied"}


def test_an_undone_migration_is_applied_again_with_one_event_each_time(bench: Bench) -> None:
    project = system(migration("001_a", "CREATE TABLE a (id int)", "DROP TABLE IF EXISTS a"))
    bench.deploy(project)
    bench.roll_back(steps=1)
    bench.deploy(project)
    events = bench.query("SELECT event, detail FROM windlass.events WHERE name = '001_a' ORDER BY id")
    assert [event for event, _ in events] == ["applied", "reverted", "applied"]
    assert events[0][1] == events[2][1] == project.migrations[0].up.checksum
