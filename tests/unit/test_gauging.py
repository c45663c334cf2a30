"""What is made of many looks at a working session."""

from __future__ import annotations

from tests.systems import Maker
from windlass_engine.dialects.answers import Gauge, HeldLock
from windlass_engine.model import Target
from windlass_engine.rehearsal import load
from windlass_engine.rehearsal.gauging import Gauging, Look, longest_block


def seen(*counters: int | None) -> Gauging:
    """Looks a second apart at a session that has taken so much temporary space."""
    gauging = Gauging(Target("test", "test", "mssql://nobody@127.0.0.1:1/nothing"))
    gauging.looks = [Look(at, at, Gauge(None, (), temporary=counter)) for at, counter in enumerate(counters)]
    return gauging


def test_temporary_space_is_what_a_counter_rose_by_meanwhile() -> None:
    gauging = seen(0, 0, 100, 700, 700)
    assert gauging.temporary_bytes(0.5, 4) == 700
    assert gauging.temporary_bytes(0.5, 2) == 100 and gauging.temporary_bytes(2.5, 3) == 600


def test_a_counter_that_goes_with_its_session_takes_nothing_back() -> None:
    """SQL Server counts by session: the last look comes when that is gone, one between two tasks may see less."""
    assert seen(0, 100, 0, 700, 0).temporary_bytes(0, 5) == 700


def test_what_is_not_told_is_not_known() -> None:
    assert seen(None, None).temporary_bytes(0, 2) is None
    assert seen(None, 50, 80).temporary_bytes(0, 3) == 30


def test_how_long_nobody_looked_is_known() -> None:
    """Slow answers, a first one that comes late, and looks that broke off: what happened meanwhile is not known."""
    gauging = seen()
    gauging.looks = [Look(at, at + 0.5, Gauge(None, ())) for at in (0.0, 1.0, 4.0)]
    assert gauging.unseen_s(0.6, 4.6) == 3.5, "it was asked at 1.0, and next answered at 4.5"
    assert gauging.unseen_s(0.6, 2.0) == 1.0, "the end came before the next look"
    assert gauging.unseen_s(3.0, 9.0) == 5.0, "nobody looked any more"
    assert gauging.unseen_s(5.0, 9.0) == 4.0, "nobody looked at all"


def test_nobody_waits_for_a_table_that_the_plan_itself_has_made() -> None:
    """Its name is known to others once its migration is committed, but who would ask for it yet?"""
    gauging = seen(0, 0, 0)
    held = (HeldLock("public.New", "ShareLock", "writes", True), HeldLock("public.old", "ShareLock", "writes", True))
    gauging.looks = [Look(at, at, Gauge(None, held if at else ())) for at in range(3)]
    assert {lock["table"]: lock["blocks"] for lock in gauging.locks() or ()} == {
        "public.New": "writes", "public.old": "writes",
    }  # fmt: skip
    gauging.standing = frozenset({"public.old"})
    assert {lock["table"]: lock["blocks"] for lock in gauging.locks() or ()} == {
        "public.New": "", "public.old": "writes",
    }  # fmt: skip
    gauging.standing = frozenset()
    assert longest_block(gauging.locks()) is None


def test_what_is_said_of_locks_is_what_became_known_of_them() -> None:
    """Before the session at work is known there is nothing to be tried: that is not how the run went."""
    gauging = seen(0, 0)
    gauging.looks = [Look(0, 0, Gauge(None, None, "not told")), Look(1, 1, Gauge(None, (), "tried instead"))]
    assert gauging.note == "tried instead"
    gauging.looks.pop()
    assert gauging.note == "not told"


def test_who_waits_is_at_the_call_that_takes_long() -> None:
    """A look sees a wait a little before or after its call: the short calls beside it are not meant."""
    scripts = [Maker("mysql").read(f"SELECT  {n},\n  a\nFROM t;\n", f"load/{n}.sql") for n in range(2)]
    work = load.Workload(Target("test", "test", "mysql://nobody@127.0.0.1:1/nothing"), scripts, 0)
    calls = [("before.sql", 0.0, 0.9), ("waits.sql", 1.0, 0.8), ("after.sql", 1.85, 0.5)]
    work._samples = [load.Sample(name, began, took, pid=7) for name, began, took in calls]
    work._samples.append(load.Sample("other.sql", 0.0, 3.0, pid=8))
    assert work.script_of(7, 0.85, 1.9) == "waits.sql"
    assert work.script_of(7, 2.0, 2.1) == "after.sql"
    work._samples += [load.Sample("0.sql", 4.0, 0.1, pid=7), load.Sample("1.sql", 4.2, 0.5, pid=7)]
    del work._calls
    assert work.script_of(7, 3.9, 5.0) == "1.sql"
    assert work.script_of(7, 3.9, 5.0, "SELECT 0, a FROM t") == "0.sql", "its text is known"
    assert work.script_of(9, 0.0, 3.0) == "" and work.script_of(7, 2.9, 3.0) == ""
