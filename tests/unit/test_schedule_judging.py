"""How a scheduled job ended, judged by the record of its playbook."""

from __future__ import annotations

import pytest

from tests.unit.record_of import BACKUP, ERROR, INFO, run_of
from windlass.records import record
from windlass.schedule import jobs, judging
from windlass_engine.errors import CODES


def test_a_backup_of_every_database_is_a_success():
    outcome = judging.judge(jobs.find("backup"), run_of("backup", {"a": {"backup": BACKUP}, "b": {"backup": BACKUP}}))
    assert outcome.exit_code == 0 and outcome.message.startswith("2 databases, 4.0 MB in")
    assert outcome.facts["db1"]["a"]["backup"] == {"at": 1763697906.0, "bytes": 2_000_000, "duration_s": 1.5}


def test_a_run_that_skipped_a_database_is_not_a_success():
    run = run_of("backup", {"a": {"backup": BACKUP}, "b": {"backup": {"skipped": "the policy asks for none"}}})
    assert run["exit_code"] == 0, "the playbook itself is content"
    outcome = judging.judge(jobs.find("backup"), run)
    assert outcome.exit_code == CODES["run_incomplete"][0]
    assert outcome.message == "db1 b was skipped: the policy asks for none"


def test_a_run_on_nothing_is_not_a_success():
    assert judging.judge(jobs.find("backup"), run_of("backup", {})).exit_code == CODES["run_incomplete"][0]


def test_a_failure_keeps_its_code_and_what_was_learnt():
    outcome = judging.judge(jobs.find("backup"), run_of("backup", {"a": {"backup": BACKUP}}, ERROR))
    assert outcome.exit_code == CODES[str(ERROR["code"])][0]
    assert "\n" not in outcome.message and outcome.facts["db1"]["a"]


@pytest.mark.parametrize(("key", "code"), [("changed", 15), ("unknown", 16), ("partial", 20), ("overdue", 33)])
def test_drift_is_a_failure_of_the_check(key, code):
    outcome = judging.judge(jobs.find("check"), run_of("status", {"a": {"info": {**INFO, key: ["m1"]}}}))
    assert outcome.exit_code == code and "m1" in outcome.message
    assert outcome.facts["db1"]["a"]["drift"] == (key != "overdue")


def test_what_is_pending_is_counted_and_no_failure():
    outcome = judging.judge(jobs.find("check"), run_of("status", {"a": {"info": INFO}}))
    assert outcome.exit_code == 0
    assert outcome.facts["db1"]["a"]["pending"] == 1 and outcome.facts["db1"]["a"]["verified"] == {"at": 0.0}


def test_the_check_says_which_databases_there_are():
    """Of a host that did not answer nobody knows; a run that was broken off did not see all hosts."""
    run = run_of("status", {"a": {"info": INFO}, "b": {"info": {**INFO, "error": ERROR}}})
    record.fail(run, "db2", {**ERROR, "code": "host_unreachable"}, unreachable=True)
    assert judging.judge(jobs.find("check"), run).standing == {"db1": ("a", "b"), "db2": ()}
    assert not judging.judge(jobs.find("backup"), run_of("backup", {"a": {"backup": BACKUP}})).standing
    run["exit_code"] = record.INTERRUPTED
    assert not judging.judge(jobs.find("check"), run).standing


def test_what_others_changed_is_counted():
    found = {"changes": [{"kind": "table"}], "unknown": "", "accepted": False}
    outcome = judging.judge(jobs.find("drift"), run_of("drift", {"a": {"drift": found}}))
    assert outcome.facts["db1"]["a"] == {"schema_drift": 1}


def test_giving_way_to_a_person_is_told_from_a_failure():
    gave = {**ERROR, "detail": {"gave_way": "alice"}}
    assert judging.gave_way(run_of("backup", {}, gave)) and not judging.gave_way(run_of("backup", {}, ERROR))
    assert not judging.gave_way(run_of("backup", {}))
