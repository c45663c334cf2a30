from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tests.unit.record_of import ERROR, begun, check, closed, plan, run
from windlass import report
from windlass.records import record
from windlass.report import picture, timeline
from windlass.telling import rehearsed as told
from windlass.telling import sizes

EVIL = "<script>alert('x')</script>"


def event(what, at, **more):
    return {"event": what, "at": f"2025-01-01T00:00:{at:06.3f}Z", "database": "salon", "host": "db1", **more}


class Page(HTMLParser):
    """A page's tags and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def everything():
    """Return a record with every part, hostile in all its texts."""
    step = {**plan()["steps"][0], "name": EVIL, "reason": EVIL, "sql": EVIL}
    bad_step = {**plan()["steps"][1], "irreversible": EVIL}
    error = {**ERROR, "message": EVIL, "hint": EVIL, "detail": {"sql": EVIL, "diff": EVIL}}
    failed = run("failed", error=error, state=EVIL, next=EVIL, applied=[EVIL], sql=[{"migration": EVIL, "sql": EVIL}])
    found = begun(
        db1={
            "windlass_plan": {"salon": plan([step, bad_step], warnings=[EVIL])},
            "windlass_backup": {"salon": {"id": EVIL, "path": EVIL, "bytes": 12, "duration_ms": 3}},
            "windlass_run": {"salon": failed},
            "windlass_checks": {"salon": [check(EVIL, EVIL), check("whole", error=EVIL)]},
            "windlass_samples": {"salon": [check("sample")]},
            "windlass_restore": {"salon": {"into": EVIL, "kept_as": EVIL}},
            "windlass_notes": [EVIL],
            "windlass_events": [
                event("backup_done", 1, id="b", bytes=1, duration_ms=900),
                event("waiting", 2, migration=EVIL, statement=1, elapsed_ms=700, blockers=[
                    {"pid": 1, "application": EVIL, "user": EVIL, "state": EVIL, "age_s": 3, "query": EVIL}
                ]),
                event("step_failed", 3, migration=EVIL, statement=1, of=5, line=1, message=EVIL),
            ],
        },
        db2={"windlass_plan": {"salon": plan()}},
    )  # fmt: skip
    record.fail(found, "db1", error)
    record.close(found)
    return found


def test_no_value_becomes_markup_and_nothing_comes_from_outside():
    page = Page(report.render(everything()))
    assert page.open == []
    assert "script" not in page.tags
    assert page.text.count(EVIL) > 10
    assert not {"img", "link", "iframe", "object"} & set(page.tags)
    outside = [pair for pair in page.attributes if pair[0] in ("src", "href") and not pair[1].startswith("#")]
    assert not outside
    assert not re.search(r"url\(|@import|https?:", report.render(everything()))


@pytest.mark.parametrize(
    "found",
    [
        closed(),
        closed(db1={"windlass_plan": {"salon": plan([])}, "windlass_run": {"salon": run("nothing", applied=[])}}),
        closed("verify", db1={"windlass_checks": {"salon": [check()]}}),
        closed("backup", db1={"windlass_backup": {"salon": {"skipped": "policy says never"}}}),
        closed("restore", db1={"windlass_restore": {"salon": {"into": "salon_restored"}}}),
    ],
    ids=["no hosts", "nothing", "verify", "backup", "restore"],
)
def test_every_kind_of_run_has_a_page(found):
    page = Page(report.render(found))
    assert page.open == []
    assert found["run_id"] in page.text


def test_a_failure_says_what_where_and_what_next():
    found = begun(db1={"windlass_run": {"salon": run("failed", error=ERROR, state="stands at x", next="invoke it")}})
    record.fail(found, "db1", ERROR)
    record.close(found)
    text = Page(report.render(found)).text
    for words in ("deploy of prod: failed", "no such table", "up.sql", "mend it", "stands at x", "invoke it", "20"):
        assert words in text


def test_hosts_that_were_left_alone_are_named():
    found = begun(db1={}, db2={"windlass_plan": {"salon": plan()}})
    record.fail(found, "db1", ERROR)
    record.close(found)
    assert "Left untouched because a host before failed: db2" in Page(report.render(found)).text


def test_bars_share_one_scale():
    events = [
        event("backup_done", 10, duration_ms=10_000),
        event("step_done", 15, migration="m1", duration_ms=5_000),
        event("step_done", 20, migration="m2", duration_ms=5_000),
    ]
    bars = timeline.bars(events, {})
    assert [(bar.label, bar.kind, bar.left, bar.width) for bar in bars] == [
        ("backup", "backup", 0, 50),
        ("m1", "step", 50, 25),
        ("m2", "step", 75, 25),
    ]


def test_slow_statements_and_waits_lie_in_their_steps_bar():
    blockers = [{"pid": 7, "application": "app", "user": "u", "state": "active", "age_s": 9, "query": "SELECT 1"}]
    events = [
        event("backup_done", 10, duration_ms=10_000),
        event("waiting", 12, migration="m1", statement=2, elapsed_ms=1000, blockers=blockers),
        event("waiting", 13, migration="m1", statement=2, elapsed_ms=2000, blockers=blockers),
        event("retry", 13, migration="m1", pause_ms=500, blockers=""),
        event("statement_done", 20, migration="m1", statement=2, duration_ms=9_000),
        event("step_done", 20, migration="m1", duration_ms=10_000),
    ]
    _, step = timeline.bars(events, {})
    parts = {part.kind + part.label[:9]: (part.left, part.width) for part in step.parts}
    assert parts == {"partstatement": (55, 45), "waitlet other": (65, 2.5), "waitwaited 2.": (55, 10)}
    found = begun(db1={"windlass_run": {"salon": run()}, "windlass_events": events})
    record.close(found)
    page = Page(report.render(found))
    assert ("title", "statement 2: 9.0 s") in page.attributes
    assert any(
        key == "title" and "app" in value and value.startswith("waited 2.0 s for") for key, value in page.attributes
    )


def rehearsal(**more):
    part = {
        "what": "the plan", "duration_ms": 2000, "log_bytes": 5, "temporary_bytes": 7_000_000, "differences": [], "error": "",
        "statements": [
            {"migration": "m1", "statement": 1, "line": 3, "sql": EVIL, "at_ms": 0, "duration_ms": 500, "rows": 1, "log_bytes": 4},
            {"migration": "m1", "statement": 2, "line": 4, "sql": "b", "at_ms": 500, "duration_ms": 1500, "rows": 1, "log_bytes": 4,
             "temporary_bytes": 7_000_000, "growth": [
                 {"table": "t", "bytes": 3_000_000, "own": 1_000_000, "indexes": 2_000_000},
                 {"table": "file", "bytes": 4_000_000, "own": None, "indexes": -500_000},
             ]},
        ],
        "locks": [{"table": "t", "mode": "X", "blocks": "writes", "times": 2, "held_ms": 900, "waited_ms": 100, "longest_ms": 600}],
        "lock_note": "", "blocked": [{"table": "t", "blocks": "writes", "from_ms": 0, "to_ms": 600}],
        "growth": {"t": 4096}, "longest_block": None,
    }  # fmt: skip
    known = {"backup": "b", "failed": "", "restore_ms": 5, "rows": 7, "parts": [part], "checks": [], "samples": [],
             "load": {}, "queries": []}  # fmt: skip
    return {**known, **more}


def load_of(**more):
    figures = {"calls": 40, "per_s": 10.0, "p50_ms": 1.0, "p99_ms": 3.0, "worst_ms": 600.0}
    points = [
        {"at_ms": n * 100, "calls": 2, "middle_ms": 1.0, "worst_ms": 600.0 if n == 15 else 1.0} for n in range(60)
    ]
    wait = {"who": "read.sql", "who_sql": EVIL, "whom": "m1, line 3", "whom_sql": "ALTER", "table": "t", "times": 2,
            "longest_ms": 600, "total_ms": 700}  # fmt: skip
    known = {"workers": 2, "during": figures, "alone": figures, "errors": [], "window_ms": [1000, 3000],
             "plan_at_ms": 1000, "picture": points, "waits": [wait]}  # fmt: skip
    return {**known, **more}


def rehearsed(found):
    run = begun("rehearse", db1={"windlass_rehearsal": {"salon": found}})
    record.close(run)
    return report.render(run)


def test_a_rehearsal_shows_statements_locks_and_load_on_one_scale():
    shown = picture.of(rehearsal(load=load_of()))
    assert shown["length"] == 6000
    rows = [(row["label"], row["bars"][0]["left"], row["bars"][0]["width"]) for row in shown["rows"]]
    assert rows == [("m1, line 3", 16.67, 8.33), ("m1, line 4", 25.0, 25.0), ("writes of t wait", 16.67, 10.0)]
    calls, longest = shown["charts"]
    assert (calls["value"], longest["value"]) == ("20 at most", "0.6 s at most")
    assert max(longest["bars"], key=lambda bar: bar["height"])["x"] == 150.0
    assert [round(band["x"]) for band in longest["bands"]] == [100, 150]
    page = Page(rehearsed(rehearsal(load=load_of())))
    assert page.open == [] and "script" not in page.tags
    for words in (
        "Who waited for whom",
        "read.sql",
        "Temporary",
        "7.0 MB",
        "t +1.0 MB, its indexes +2.0 MB",
        "file +4.0 MB with its indexes, indexes that came or went -500 kB",
        "m1, line 3",
        "writes of t wait for 0.6 s, 2 times (X, 100 ms",
    ):
        assert words in page.text.replace("0.1 s", "100 ms").replace("\N{NO-BREAK SPACE}", " ")


_LINES = ("line 3", "line 4")


def test_what_nobody_measured_is_not_known_and_never_nothing():
    """Of the first statement neither temporary files nor growth were kept, of the second both."""
    page = Page(rehearsed(rehearsal())).text
    assert page.count("?: what went into temporary files is not known") == 1
    assert "by how much some statements made tables grow is not known" in page
    lines = [text for text, _ in told.lines("db1 salon", rehearsal())]
    first, second = ([word for text in lines if f" {place} " in text for word in text.split()] for place in _LINES)
    assert "?" in first and "?" not in second
    assert "    m1, line 4: t +1.0 MB, its indexes +2.0 MB" in lines
    assert any("not known" in line for line in lines)


def test_a_rehearsal_without_load_or_kept_by_an_older_version_has_its_page():
    assert picture.of(rehearsal())["length"] == 2000 and picture.of(rehearsal())["charts"] == []
    old = rehearsal()
    for statement in old["parts"][0]["statements"]:
        del statement["at_ms"]
    assert picture.of(old) == {}
    assert "Rehearsal" in Page(rehearsed(old)).text
    assert "not known: the server does not tell" in Page(rehearsed(rehearsal(load=load_of(waits=None)))).text


def test_events_that_do_not_say_when_they_were_have_no_bar():
    checked = {
        "event": "check_done",
        "name": "known",
        "passed": True,
        "duration_ms": 85,
        "database": "salon",
        "host": "db1",
    }
    assert timeline.bars([checked], {}) == []
    found = closed("restore_test", db1={"windlass_restore_test": {"salon": {}}, "windlass_events": [checked]})
    assert Page(report.render(found)).open == []


def test_table_sizes_are_told_before_and_after():
    known = {"table": "public.a", "before": 0, "after": 8192, "indexes_before": 0, "indexes_after": 4096}
    grown = {"table": "public.b", "before": 10**6, "after": 2 * 10**6, "indexes_before": 10**5, "indexes_after": 10**5}
    risk = {"rule": "add-column", "class": "zero", "table": "b", "bytes": 10**6}
    other = {**risk, "table": "public.c", "bytes": 5 * 10**6}
    step = {**plan()["steps"][0], "risks": []}
    data = {"plan": {"steps": [{**step, "risks": [risk, other]}]}, "run": run(sizes=[grown, known])}
    assert sizes.rows(data) == [
        ("public.b", "1.0 MB", "2.0 MB", "+1.0 MB", "100 kB"),
        ("public.a", "new", "8.2 kB", "+8.2 kB", "4.1 kB"),
        ("public.c", "5.0 MB", "5.0 MB", "", ""),
    ]
    assert sizes.rows({"run": run()}) == [], "an older record has none"
    text = Page(report.render(closed(db1={"windlass_run": {"salon": run(sizes=[grown, known])}}))).text
    text = text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Table sizes" in text and "public.b" in text and "+1.0 MB" in text


def test_a_failed_step_lasts_since_the_end_of_the_one_before():
    events = [event("step_done", 2, migration="m1", duration_ms=2000), event("step_failed", 5, migration="m2")]
    last = timeline.bars(events, {})[-1]
    assert (last.length, last.failed) == (3000, True)


def test_without_events_the_steps_durations_are_laid_end_to_end():
    steps = [
        {"name": "m1", "status": "done", "duration_ms": 30},
        {"name": "m2", "status": "failed", "duration_ms": 10},
    ]
    bars = timeline.bars([], {"run": {"steps": steps}})
    assert [(bar.left, bar.width, bar.failed) for bar in bars] == [(0, 75, False), (75, 25, True)]


def test_a_long_run_shows_its_slowest_parts_in_order():
    steps = [{"name": f"m{n}", "status": "done", "duration_ms": n} for n in range(1000)]
    bars = timeline.bars([], {"run": {"steps": steps}})
    assert [bar.label for bar in bars] == [f"m{n}" for n in range(940, 1000)]


def test_the_longest_wait_of_each_statement_counts():
    blockers = [{"pid": 7, "application": "crm", "user": "al", "state": "active", "age_s": 3, "query": "x"}]
    events = [
        event("waiting", 1, migration="m", statement=1, elapsed_ms=100, blockers=[]),
        event("waiting", 2, migration="m", statement=1, elapsed_ms=900, blockers=blockers),
        event("waiting", 3, migration="m", statement=2, elapsed_ms=50, blockers=[]),
        event("retry", 3, migration="m", attempt=1, of=40, pause_ms=100, reason="lock timeout", blockers="pid 8"),
        event("retry", 3, migration="m", attempt=2, of=40, pause_ms=150, reason="lock timeout", blockers="pid 9"),
        event("step_done", 4, migration="m", duration_ms=2000),
    ]
    assert timeline.waits(events) == [
        ("m, statement 1", "0.9 s", 'pid 7 "crm" of al (active for 3 s)'),
        ("m, statement 2", "50 ms", ""),
        ("m, let others pass", "2 times", "pid 9"),
    ]
    assert timeline.bars(events, {})[0].waited == 1200


def test_a_text_is_in_the_report_once_and_a_very_long_one_in_part():
    long = "SELECT 'x';\n" * 20_000
    steps = [{**plan()["steps"][0], "sql": long}, {**plan()["steps"][1], "sql": "SELECT 'short'"}]
    result = {"windlass_plan": {"salon": plan(steps)}}
    page = report.render(closed(db1=result, db2=result, db3=result, db4=result, db5=result))
    assert len(page) < 400_000
    assert page.count("SELECT &#39;short&#39;") == 1 and "140000 more bytes are in record.json" in page
