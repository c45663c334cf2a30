from __future__ import annotations

import pytest

from windlass.telling import console


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 ms"),
        (99, "99 ms"),
        (100, "0.1 s"),
        (59_940, "59.9 s"),
        (59_960, "1 min 0 s"),
        (125_000, "2 min 5 s"),
        (3_599_900, "1 h 0 min"),
        (3_780_000, "1 h 3 min"),
    ],
)
def test_duration(milliseconds, text):
    assert console.duration(milliseconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_440_000, "1.4 MB"), (123_456_789, "123 MB"), (2e12, "2.0 TB")],
)
def test_size(count, text):
    assert console.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0 s"), (59, "59 s"), (95, "2 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_age(seconds, text):
    assert console.age(seconds) == text


def test_table_aligns_wide_characters_and_leaves_out_empty_columns():
    lines = console.table(("A", "EMPTY", "B"), [("東京", "", "x"), ("ab", "", "y")])
    assert lines == ["A     B", "東京  x", "ab    y"]


def test_rows_that_do_not_fit_become_blocks():
    headings, row = ("HOST", "DATABASE", "FROM", "RESULT"), ("db1", "salon", "20250101_create_staff", "done")
    assert len(console.table(headings, [row], limit=80)) == 2
    narrow = console.table(headings, [row], limit=36, indent="  ")
    assert narrow == ["", "  db1  salon\n    FROM    20250101_create_staff\n    RESULT  done"]
    assert len(console.table(headings, [row], limit=0)) == 2


def test_control_characters_cannot_move_the_cursor():
    assert console.printable("a\x1b[2Jb\nc\u202e") == "a\\x1b[2Jb\\nc\\u202e"


def event(what, **more):
    return {"event": what, "at": "2025-01-01T00:00:00.000Z", "database": "salon", **more}


BLOCKER = {
    "pid": 4711,
    "application": "crm",
    "user": "alice",
    "state": "idle in transaction",
    "age_s": 95,
    "query": "x",
}


@pytest.mark.parametrize(
    ("happened", "line"),
    [
        (event("run_started", run_id="r", steps=1, statements=36), "db1 salon  1 step, 36 statements"),
        (
            event("step_done", migration="m1", index=3, of=5, duration_ms=800),
            "db1 salon  3/5 m1  0.8 s",
        ),
        (
            event("waiting", migration="m1", statement=4, elapsed_ms=2100, blockers=[BLOCKER]),
            'db1 salon  m1  statement 4  waits 2.1 s for pid 4711 "crm" of alice (idle in transaction for 2 min)',
        ),
        (
            event("retry", migration="m1", attempt=3, of=40, pause_ms=400, reason="lock timeout"),
            "db1 salon  m1  lock timeout; attempt 3 of 40 in 0.4 s",
        ),
        (
            event("progress", migration="m1", statement=2, phase="backfill", done=50, total=200),
            "db1 salon  m1  statement 2  backfill: 25 % (50/200)",
        ),
        (
            event("progress", migration="m1", statement=2, phase="scan", done=50, total=0),
            "db1 salon  m1  statement 2  scan: 50 so far",
        ),
        (
            event("statement_done", migration="m1", statement=4, of=36, duration_ms=1500, rows=1),
            "db1 salon  m1  statement 4 of 36  1.5 s",
        ),
        (event("statement_done", migration="m1", statement=4, of=36, duration_ms=900, rows=1), None),
        (event("backup_done", id="b1", bytes=2_000_000, duration_ms=1000), "db1 salon  backup b1: 2.0 MB in 1.0 s"),
        (event("check_done", name="c", passed=True, duration_ms=1), None),
        (event("check_done", name="c", passed=False, duration_ms=1), "db1 salon  check c FAILED"),
        (event("run_done", status="nothing", duration_ms=1), None),
        (
            event("retry", migration="m1", attempt=3, of=40, pause_ms=400, reason="lock timeout", blockers="pid 7"),
            "db1 salon  m1  lock timeout (held by pid 7); attempt 3 of 40 in 0.4 s",
        ),
        (
            event("step_failed", migration="m1", statement=2, line=9, message="no"),
            "db1 salon  m1  statement 2 (line 9)  failed",
        ),
        (event("step_failed", migration="m1", message="no"), "db1 salon  m1  failed"),
        (
            event("note", migration="m1", text="an invalid index was dropped"),
            "db1 salon  m1  an invalid index was dropped",
        ),
        (
            event("settled", migration="m1", statement=2, took_effect=True),
            "db1 salon  m1  statement 2  was interrupted; it had taken effect",
        ),
        (
            event("settled", migration="m1", statement=2, took_effect=False),
            "db1 salon  m1  statement 2  was interrupted; it had not taken effect and runs again",
        ),
        (event("restore_started", path="/b/1", into="new"), "db1 salon  restoring /b/1 into new"),
        (event("restore_progress", phase="data", elapsed_ms=1500), "db1 salon  restore: data, 1.5 s"),
        (event("restore_done", into="new", backup="b", duration_ms=1500), "db1 salon  restored into new in 1.5 s"),
        (event("swap_started", incoming="new", kept_as="old"), "db1 salon  new takes the place of the original"),
        (event("of_a_newer_engine"), None),
    ],
)
def test_event_line(happened, line):
    assert console.event_line("db1", happened) == line


class Clock:
    """A clock that stands until it is set."""

    now = 0.0

    def __call__(self):
        return self.now


def step_started(migration="m"):
    return event("step_started", action="apply", kind="migration", migration=migration, index=1, of=2, statements=9)


def test_ticker_shows_repeated_events_seldom():
    clock = Clock()
    ticker = console.Ticker("db1", clock)
    shown = []
    for clock.now in (0.0, 1.0, 2.0, 7.0):
        shown += ticker.lines([event("waiting", migration="m", statement=1, elapsed_ms=5, blockers=[])])
    assert len(shown) == 2


def test_ticker_says_what_runs_after_a_silence():
    clock = Clock()
    ticker = console.Ticker("db1", clock)
    ticker.lines([step_started(), event("statement_started", migration="m", statement=4, of=9, line=120, sql="…")])
    shown = {}
    for clock.now in (3.0, 6.0, 8.0, 20.0, 22.0):
        shown[clock.now] = ticker.lines()
    assert shown == {
        3.0: [],
        6.0: ["db1 salon  1/2 m  statement 4 of 9 (line 120)  runs for 6 s"],
        8.0: [],
        20.0: [],
        22.0: ["db1 salon  1/2 m  statement 4 of 9 (line 120)  runs for 22 s"],
    }


def test_ticker_is_silent_when_nothing_runs():
    clock = Clock()
    ticker = console.Ticker("db1", clock)
    ticker.lines([step_started()])
    ticker.lines([event("step_done", migration="m", index=1, of=1, duration_ms=5)])
    clock.now = 100.0
    assert ticker.lines() == []


def test_of_many_quick_steps_the_ticker_shows_some_the_slow_ones_and_the_last():
    clock = Clock()
    ticker = console.Ticker("db1", clock)
    done = [event("step_done", migration=f"m{n}", index=n, of=1000, duration_ms=3) for n in range(1, 1001)]
    done[499]["duration_ms"] = 4000
    shown = ticker.lines(done)
    assert shown == [
        "db1 salon  1/1000 m1  3 ms",
        "db1 salon  500/1000 m500  4.0 s",
        "db1 salon  1000/1000 m1000  3 ms",
    ]
    few = [event("step_done", migration=f"m{n}", index=n, of=30, duration_ms=3) for n in range(1, 31)]
    assert len(console.Ticker("db1", clock).lines(few)) == 30
