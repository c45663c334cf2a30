from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tests.unit.record_of import ERROR, begun, check, closed, plan, run
from windlass import report
from windlass.records import record
from windlass.report import timeline

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
        if tag not in ("meta",):
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
