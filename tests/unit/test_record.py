from __future__ import annotations

import hashlib
import json
import os
import re
import stat

import pytest

from tests.unit.record_of import ERROR, begun, closed, plan, run
from windlass.records import record


def part(name, value):
    return {f"windlass_{name}": {"salon": value}}


def test_run_ids_sort_by_time_and_do_not_repeat():
    ids = [record.new_run_id() for _ in range(5)]  # of one millisecond, as a rule: 4096 are possible in it
    assert len(set(ids)) > 1
    assert all(re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", run_id) for run_id in ids)


def test_parts_are_merged_by_database_and_later_ones_replace():
    found = begun(db1=part("plan", plan()))
    record.merge(found, "db1", {**part("plan", plan([])), **part("run", run("nothing"))})
    assert found["hosts"]["db1"]["databases"]["salon"] == {"plan": plan([]), "run": run("nothing")}


def test_events_know_their_host():
    found = begun(db1={"windlass_events": [{"event": "run_done"}]}, db2={"windlass_events": [{"event": "retry"}]})
    assert [(event["host"], event["event"]) for event in found["events"]] == [("db1", "run_done"), ("db2", "retry")]


@pytest.mark.parametrize(
    ("results", "status", "code"),
    [
        ({"db1": part("run", run())}, "done", 0),
        ({"db1": part("run", run("nothing", applied=[]))}, "nothing", 0),
        ({"db1": part("restore", {"swapped": True})}, "done", 0),
        ({"db1": part("run", run("check"))}, "check", 0),
        ({"db1": part("run", run()), "db2": part("run", run("nothing"))}, "done", 0),
        ({"db1": part("run", run()), "db2": part("run", run("failed", error=ERROR))}, "failed", 20),
        ({"db1": part("plan", plan([]))}, "nothing", 0),
        ({}, "ok", 0),
    ],
)
def test_status_and_exit_code(results, status, code):
    found = closed(**results)
    assert (found["status"], found["exit_code"]) == (status, code)


def test_the_first_failed_host_in_the_order_of_play_gives_the_exit_code():
    found = begun(db2={}, db1={}, db3={})
    record.fail(found, "db3", {**ERROR, "code": "host_unreachable"}, unreachable=True)
    record.fail(found, "db2", {**ERROR, "code": "checksum_changed"})
    record.order(found, ["db1", "db2", "db3"])
    record.close(found)
    assert list(found["hosts"]) == ["db1", "db2", "db3"]
    assert found["exit_code"] == 15
    assert found["hosts"]["db3"]["status"] == "unreachable"


def test_only_a_hosts_first_failure_counts():
    found = begun(db1={})
    record.fail(found, "db1", ERROR)
    record.fail(found, "db1", {**ERROR, "code": "backup_failed"})
    assert found["hosts"]["db1"]["error"]["code"] == "migration_failed"


def test_a_host_after_the_failed_one_is_untouched():
    found = begun(db1=part("plan", plan()), db2=part("plan", plan()), db3=part("plan", plan([])))
    record.fail(found, "db1", ERROR)
    record.close(found)
    assert {host: part["status"] for host, part in found["hosts"].items()} == {
        "db1": "failed",
        "db2": "untouched",
        "db3": "nothing",
    }


def test_an_unknown_code_of_a_newer_engine_is_an_internal_error():
    found = begun(db1={})
    record.fail(found, "db1", {**ERROR, "code": "of_tomorrow"})
    record.close(found)
    assert found["exit_code"] == 1


def test_interrupted_is_what_a_shell_says():
    found = begun(db1=part("run", run()))
    record.close(found, interrupted=True)
    assert (found["status"], found["exit_code"]) == ("interrupted", 130)


def test_the_whole_digest_depends_on_hosts_with_work_only_and_not_on_their_order():
    one = closed(a=part("plan", plan(digest="1" * 64)), b=part("plan", plan(digest="2" * 64)))
    other = closed(
        b=part("plan", plan(digest="2" * 64)),
        idle=part("plan", plan([], digest="3" * 64)),
        a=part("plan", plan(digest="1" * 64)),
    )
    lines = f"a salon {'1' * 64}\nb salon {'2' * 64}\n"
    assert one["digest"] == other["digest"] == hashlib.sha256(lines.encode()).hexdigest()
    assert closed(a=part("plan", plan([])))["digest"] == ""


def test_the_file_is_private_whole_and_reads_back(tmp_path):
    found = closed(db1=part("run", run()))
    path = tmp_path / "runs" / "r" / "record.json"
    old_umask = os.umask(0)
    try:
        record.write(path, record.dumps(found))
    finally:
        os.umask(old_umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)} == {0o700}
    assert record.read(path) == found
    assert [entry.name for entry in path.parent.iterdir()] == ["record.json"]


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "record.json"
    record.write(path, "before")
    with pytest.raises(UnicodeEncodeError):
        record.write(path, "\ud800")
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_what_json_cannot_say_becomes_text(tmp_path):
    assert json.loads(record.dumps({"path": tmp_path})) == {"path": str(tmp_path)}


@pytest.mark.parametrize("content", ["", "{", None])
def test_no_readable_record_is_none(tmp_path, content):
    path = tmp_path / "record.json"
    if content is not None:
        path.write_text(content)
    assert record.read(path) is None


def test_behind_sudo_the_operator_is_the_one_who_called_it(monkeypatch):
    monkeypatch.setenv("SUDO_USER", "alice")
    assert record.who() == "alice"


def test_nobody_knows_how_an_interrupted_run_ended_on_a_host():
    found = begun(db1=part("plan", plan()), db2=part("run", run()))
    record.close(found, interrupted=True)
    assert [part["status"] for part in found["hosts"].values()] == ["unfinished", "done"]


@pytest.mark.parametrize(
    ("verb", "parts", "status"),
    [
        ("backup", {"backup": {"skipped": "check mode"}}, "check"),
        ("deploy", {"run": run("check")}, "check"),
        ("deploy", {"plan": plan([])}, "nothing"),
    ],
)
def test_a_dry_run_that_ends_well_is_one(verb, parts, status):
    found = begun(verb, db1={f"windlass_{name}": {"salon": value} for name, value in parts.items()})
    found["check"] = True
    record.close(found)
    assert (found["status"], found["exit_code"]) == (status, 0)


def test_one_copy_of_a_text_serves_all_databases():
    sql = "INSERT INTO big VALUES (1);" * 1000
    steps = [{"action": "apply", "kind": "migration", "name": "m", "sql": sql}, {"name": "none", "sql": ""}]
    prepared = [{"migration": "m", "sql": "SELECT 1"}]
    result = {"windlass_plan": {"a": plan(steps), "b": plan(steps)}, "windlass_run": {"a": run("check", sql=prepared)}}
    found = begun(db1=result, db2=result)
    assert json.dumps(found).count(sql) == 1 and sorted(found["texts"].values()) == [sql, "SELECT 1"]
    data = found["hosts"]["db2"]["databases"]["a"]
    assert [record.sql_of(found, step) for step in data["plan"]["steps"]] == [sql, ""]
    assert record.sql_of(found, data["run"]["sql"][0]) == "SELECT 1"
