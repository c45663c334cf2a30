"""The callback plugin under a real ansible-playbook, with a module that says what it is told to say."""

from __future__ import annotations

import json
import signal
import stat
import subprocess

import pytest

from testbed.waiting import LIMIT_S, wait_until
from tests.unit.record_of import ERROR, plan, run
from tests.unit.stage import Stage, salon, says


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def test_a_run_is_shown_recorded_and_reported(stage):
    code = stage.play(
        says("1/2 Plan", **salon(plan=plan())),
        says("2/2 Migrate", **salon(run=run(), info={})),
        says("silent"),
    )
    assert code == 0, stage.output
    lines = stage.output.splitlines()
    assert lines[1:5] == ["1/2 Plan", "db1 salon  2 steps to do, at (empty)", "", "2/2 Migrate"]
    assert "TASK" not in stage.output
    assert "silent" not in stage.output
    assert lines[-1].startswith("Done in ")
    assert "\x1b" not in stage.output
    record = stage.record
    assert (record["verb"], record["environment"], record["status"]) == ("deploy", "stage", "done")
    assert record["hosts"]["db1"]["databases"]["salon"]["run"]["applied"] == ["20250101_create_staff"]
    report = stage.path.with_name("report.html")
    assert record["run_id"] in report.read_text()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (stage.path, report)} == {0o600}


def test_a_failure_is_told_in_windlass_words_and_stays_in_the_record(stage):
    stage.inventory({"db1": {}, "db2": {}})
    failing = {"fails": True, "windlass_error": ERROR, **salon(run=run("failed", error=ERROR, next="invoke it"))}
    code = stage.play(
        says("1/2 Plan", **salon(plan=plan())), says("2/2 Migrate", **failing), serial=1, max_fail_percentage=0
    )
    assert code == 2
    assert "FAILED  up.sql:4, host db1, database salon: statement 2 of 2: no such table" in stage.output
    assert "  -> mend it and deploy again" in stage.output
    assert "  next: invoke it" in stage.output
    assert stage.output.count("no such table") == 1
    assert stage.record["exit_code"] == 20
    assert stage.record["hosts"]["db1"]["status"] == "failed"
    assert "exit 20" in stage.output.splitlines()[-1]


def test_a_record_that_cannot_be_read_aloud_is_kept_all_the_same(stage):
    """Whatever a module returned: what happened stays on record."""
    code = stage.play(says("1/1 Restore and compare", **salon(restore_test={"odd": True})), name="restore_test.yml")
    assert code == 0 and "failed for plugin" in stage.output, stage.output
    assert stage.record["hosts"]["db1"]["databases"]["salon"]["restore_test"] == {"odd": True}
    assert stage.record["finished"]


def test_one_failure_on_many_hosts_is_told_whole_once(stage):
    stage.inventory({f"db{n}": {} for n in (1, 2, 3)})
    stage.play(says("1/1 Plan", fails=True, windlass_error={**ERROR, "where": {"database": "salon"}}))
    assert stage.output.count("no such table") == 1
    assert stage.output.count(": the same as on db") == 2
    assert [part["status"] for part in stage.record["hosts"].values()] == ["failed"] * 3


def test_each_batch_names_its_hosts_and_hosts_stand_in_the_order_of_the_inventory(stage):
    stage.inventory({"db2": {}, "db1": {}})
    stage.play(says("1/1 Migrate", **salon(run=run())), serial=1)
    assert "1/1 Migrate   db2" in stage.output
    assert "1/1 Migrate   db1" in stage.output
    assert list(stage.record["hosts"]) == ["db2", "db1"]


def test_an_unreachable_host(stage):
    stage.inventory({"db1": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}})
    assert stage.play(says("1/1 Plan")) == 4
    assert stage.record["exit_code"] == 5
    assert stage.record["hosts"]["db1"]["status"] == "unreachable"
    assert "FAILED  host db1: the host refuses the connection" in stage.output


def test_secrets_stay_out_of_screen_and_record(stage):
    secret = "hunter2-of-the-vault"
    tasks = [
        {"name": "a", "say": {"says": json.dumps({"note": secret}), "password": secret}},
        {"name": "b", "say": {"says": json.dumps({"fails": True, "msg": secret}), "password": secret}, "no_log": True},
    ]
    assert stage.play(*tasks, arguments=["-vv"]) == 2
    assert secret not in stage.output
    assert secret not in stage.path.read_text()


def test_verbs_that_only_look_leave_no_run_and_no_report(stage):
    assert stage.play(says("1/1 Look", **salon(info={"system": "salon"})), name="status.yml") == 0
    assert not stage.path.with_name("report.html").exists()
    assert stage.record["verb"] == "status"
    assert "db1   salon     salon" in stage.output
    assert "Report" not in stage.output


def test_an_ansible_error_in_mid_run_leaves_a_record(stage):
    broken = {"name": "2/2 Broken", "ansible.builtin.include_tasks": "missing.yml"}
    assert stage.play(says("1/2 Plan", **salon(plan=plan())), broken) != 0
    assert stage.record["exit_code"] != 0
    assert stage.record["hosts"]["db1"]["databases"]["salon"]["plan"]["digest"] == plan()["digest"]


def test_no_matching_host_is_a_usage_error(stage):
    stage.play(says("1/1 Plan"), hosts="nowhere")
    assert stage.record["exit_code"] == 2


def test_the_front_door_names_the_run(stage):
    named = {"WINDLASS_VERB": "rollback", "WINDLASS_ENV": "prod", "WINDLASS_RUN_ID": "the-id", "WINDLASS_WHO": "alice"}
    stage.play(says("1/1 Plan"), environment=named)
    assert {key: stage.record[key] for key in ("verb", "environment", "run_id", "who")} == {
        "verb": "rollback",
        "environment": "prod",
        "run_id": "the-id",
        "who": "alice",
    }


def test_changes_without_a_part_of_their_own_are_one_line(stage):
    stage.play(says("Install the driver", changed=True))
    assert "db1  Install the driver" in stage.output


def test_ctrl_c_leaves_a_record(stage):
    at_work = stage.folder / "at-work"
    pause = {"name": "2/2 Wait", "ansible.builtin.shell": f"touch {at_work}; exec sleep 60"}
    book = [{"hosts": "databases", "gather_facts": False, "tasks": [says("1/2 Plan", **salon(plan=plan())), pause]}]
    command = stage.command(book, "deploy.yml")
    process = subprocess.Popen(
        command, cwd=stage.folder, env=stage.variables(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_until(at_work.exists, what="the work to begin")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode != 0, output
    assert (stage.record["status"], stage.record["exit_code"]) == ("interrupted", 130)
    assert stage.record["hosts"]["db1"]["databases"]["salon"]["plan"]["steps"]


@pytest.mark.parametrize("broken", [False, True], ids=["done", "failed"])
def test_a_record_is_kept_under_another_callback_for_the_screen(stage, broken):
    failing = {"fails": True, "windlass_error": ERROR} if broken else {}
    tasks = [says("1/2 Plan", **salon(plan=plan())), says("2/2 Migrate", **failing, **salon(run=run()))]
    stage.play(*tasks, environment={"ANSIBLE_STDOUT_CALLBACK": "minimal"})
    record = stage.record
    assert (record["verb"], record["environment"]) == ("deploy", "stage")
    assert (record["status"], record["exit_code"]) == (("failed", 20) if broken else ("done", 0))
    assert record["hosts"]["db1"]["databases"]["salon"]["run"]["applied"] == ["20250101_create_staff"]
    assert stage.path.with_name("report.html").exists()
    assert str(stage.path.with_name("report.html")) in stage.output
