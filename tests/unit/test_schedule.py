"""The schedule on the control node: which jobs, when, what the inventory may say, and how its state is shown."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.unit.record_of import ERROR, ID, run_of
from windlass.schedule import config, jobs, judging, place, showing, units
from windlass.schedule.jobs import Fleet
from windlass.settings import Settings
from windlass.telling import closing, keeping
from windlass_engine.errors import CODES, WindlassError
from windlass_engine.scheduled import ledger

ALL = Fleet(tests=True, drills=True, retention=True, offsite=True, periods=frozenset({"hourly"}))


def refused(raw, fleet=ALL):
    with pytest.raises(WindlassError) as refusal:
        config.read(raw, fleet, host="db1")
    assert refusal.value.code == "inventory_invalid" and refusal.value.where == {"host": "db1"}
    return refusal.value.message


def names(raw, fleet=ALL):
    return [timer.job.name for timer in config.read(raw, fleet).timers]


def test_jobs_are_those_that_make_sense_here():
    assert names({}, Fleet()) == ["backup", "check", "drift", "verify"]
    assert names(None) == [
        "backup", "backup-test", "drill-restore", "offsite", "prune", "maintain-hourly", "check", "drift", "verify",
    ]  # fmt: skip


def test_a_job_can_be_put_off_moved_and_asked_for():
    raw = {"delay": "2min", "jobs": {"verify": False, "check": "off", "offsite-check": True,
        "backup": ["02:00", "14:00"], "prune": {"at": "Sun 05:00", "delay": "1h"}}}  # fmt: skip
    found = {timer.job.name: (timer.at, timer.delay_s) for timer in config.read(raw, ALL).timers}
    assert "verify" not in found and "check" not in found and "offsite-check" in found
    assert found["backup"] == (("02:00", "14:00"), 120)
    assert found["prune"] == (("Sun 05:00",), 3600)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"jobs": {"bakup": "02:00"}}, "did you mean backup?"),
        ({"job": {}}, "did you mean jobs?"),
        ({"where": "moon"}, "one of control, target"),
        ({"jobs": ["backup"]}, "not a mapping of jobs to times"),
        ({"jobs": {"backup": "02:00\nExecStart=/bin/sh"}}, "jobs.backup is a time"),
        ({"jobs": {"backup": {"at": "02:00", "dalay": "1h"}}}, "did you mean delay?"),
        ({"delay": "10"}, "windlass_schedule.delay needs a unit"),
        ({"webhook": "file:///etc/passwd"}, "windlass_schedule.webhook is not an http"),
        ({"jobs": {"backup": {"webhook": "secret"}}}, "jobs.backup.webhook is not an http"),
        ({"metrics": "metrics"}, "metrics is not an absolute path"),
        ({"command": "/bin/sh -c 'x'"}, "command is not an absolute path"),
        ({"environment": {"A B": "c"}}, "A B is not a variable"),
        ({"environment": {"A": "c\nUser=root"}}, "A is not a variable with one line"),
        ({"on_failure": "page me"}, "on_failure names units"),
        ({"webhook_timeout": "500ms"}, "webhook_timeout is 1 s or more"),
        ({"timeout": "0"}, "windlass_schedule.timeout is 1 s or more"),
    ],
)
def test_a_mistake_is_named_with_its_key(raw, says):
    message = refused(raw)
    assert says in message and "secret" not in message


def project(tmp_path, script="-- windlass: schedule daily\nSELECT 1;\n"):
    folder = tmp_path / "sql" / "tried"
    (folder / "maintenance").mkdir(parents=True)
    (folder / "system.yml").write_text("name: tried\nengine: postgresql\n")
    (folder / "maintenance" / "tidy.sql").write_text(script)
    return Settings(tmp_path)


def host(**more):
    return {"windlass_databases": [{"name": "d", "system": "tried", "url": "postgresql:///d"}], **more}


def test_the_plan_for_a_control_node(tmp_path):
    hosts = {"db1": host(windlass_schedule={"webhook": "https://hc.example/abc"}), "db2": host(
        windlass_schedule={"webhook": "https://hc.example/abc"}, ansible_connection="local", windlass_state_dir="/srv/x")}  # fmt: skip
    found = units.for_control_node(project(tmp_path), "prod", hosts)
    assert found["schedule_name"] == "prod"
    assert [job["name"] for job in found["schedule_jobs"]] == ["backup", "maintain-daily", "check", "drift", "verify"]
    assert found["schedule_command"][-3:] == ["run-scheduled", "--env", "prod"]
    assert {str(tmp_path / ".windlass"), "/srv/x"} <= set(found["schedule_writable"])
    assert found["schedule_telling"]["webhook"] == "https://hc.example/abc"
    assert not [key for key, value in found.items() if key != "schedule_telling" and "hc.example" in str(value)]


@pytest.mark.parametrize(
    ("policy", "own", "drilled"),
    [
        ("never", {}, False),
        ("allow", {}, True),
        ("allow", {"scratch": "never"}, False),
        ("never", {"scratch": "allow"}, True),
    ],
)
def test_drills_are_scheduled_where_every_policy_allows_a_scratch_copy(tmp_path, policy, own, drilled):
    made = host(windlass_policy={"scratch": policy})
    made["windlass_databases"] = [{**each, "policy": own} for each in made["windlass_databases"]]
    found = units.for_control_node(project(tmp_path), "prod", {"db1": made})
    assert ("drill-restore" in [job["name"] for job in found["schedule_jobs"]]) is drilled


def test_a_drill_runs_the_rollbacks_own_play_on_a_copy_and_asks_nobody():
    for name, given in (
        ("drill-restore", {"windlass_backup_ref": "latest"}),
        ("drill-migration", {"windlass_steps": 1}),
    ):
        job = jobs.find(name)
        assert job.variables == {"windlass_drill": True, "windlass_yes": True, **given}
        assert (job.playbook, job.on_target) == (name.replace("drill", "rollback"), False)


def test_hosts_that_disagree_are_refused(tmp_path):
    hosts = {"db1": host(), "db2": host(windlass_schedule={"delay": "1h"})}
    with pytest.raises(WindlassError) as refusal:
        units.for_control_node(project(tmp_path), "prod", hosts)
    assert refusal.value.where == {"host": "db2"} and "group_vars/all" in refusal.value.message


def test_an_environment_that_is_a_path_gets_a_name_for_units():
    assert place.prefix("/somewhere/else/my inventory") == "windlass-my-inventory"


@pytest.mark.parametrize(
    ("one", "other", "unit"),
    [
        ("my env", "my-env", "windlass-my-env-backup"),
        ("prod", "prod-offsite", "windlass-prod-offsite-check"),
    ],
)
def test_two_environments_with_the_same_unit_are_refused(tmp_path, one, other, unit):
    for name in (one, other, "staging"):
        (tmp_path / "inventories" / name).mkdir(parents=True)
    settings = project(tmp_path)
    for name in (one, other):
        with pytest.raises(WindlassError) as refusal:
            units.for_control_node(settings, name, {"db1": host()})
        assert refusal.value.code == "inventory_invalid" and f"the unit {unit}" in refusal.value.message
    assert units.for_control_node(settings, "staging", {"db1": host()})["schedule_name"] == "staging"


def test_a_job_knows_which_jobs_have_a_timer_where_it_runs(tmp_path):
    hosts = {"db1": host(windlass_schedule={"where": "target", "jobs": {"offsite": "on", "verify": "off"}})}
    found = units.for_control_node(project(tmp_path), "prod", hosts)
    assert found["schedule_telling"]["jobs"] == ["maintain-daily", "check", "drift"]
    there = units.for_target("prod", hosts["db1"], "/srv/x", "/usr/bin/python3", tmp_path / "windlass.pyz")
    assert there["schedule_telling"]["jobs"] == ["backup"], "a target without a repository has nothing to copy to"


# ---------------------------------------------------------------- showing

ANSWER = """\
Id=windlass-prod-backup.timer
LoadState=loaded
ActiveState=active
NextElapseUSecRealtime=Sat 2026-11-22 01:04:11 UTC

Id=windlass-prod-backup.service
LoadState=loaded
ActiveState=inactive
Result=exit-code

Id=windlass-prod-check.timer
LoadState=not-found
ActiveState=inactive
"""


def test_timers_are_shown_with_what_the_ledger_knows():
    last = {"status": "failed", "exit_code": 26, "finished": "2026-11-21T01:05:00.000+00:00", "duration_ms": 1500,
            "message": "db1 d: no room"}  # fmt: skip
    (entry,) = showing.read(ANSWER, json.dumps({"jobs": {"backup": last}}), "windlass-prod", ["backup", "check"])
    assert entry["next"] == "2026-11-22T01:04:11+00:00" and showing.is_bad(entry)
    assert showing.row("here", entry) == (
        "here", "backup", "2026-11-21 01:05", "FAILED, exit 26", "1.5 s", "2026-11-22 01:04", "db1 d: no room",
    )  # fmt: skip
    run = run_of("schedule_status", {"": {"timers": {"jobs": [entry]}}})
    assert any("FAILED, exit 26" in line.text and line.style == "bad" for line in closing.lines(run))


def test_a_job_that_never_ran_and_one_that_never_told():
    (entry,) = showing.read(ANSWER, "", "windlass-prod", ["backup"])
    assert showing.result(entry) == "FAILED: exit-code"
    (fresh,) = showing.read(ANSWER.replace("exit-code", "success"), "", "windlass-prod", ["backup"])
    assert showing.result(fresh) == "never ran" and not showing.is_bad(fresh)


def test_one_that_ended_with_the_machine_is_shown_so():
    last = {"status": "ok", "exit_code": 0, "finished": "2026-11-20T01:05:00.000+00:00", "duration_ms": 1500,
            "message": "well", "began": "2026-11-21T01:00:00.000+00:00"}  # fmt: skip
    known = json.dumps({"jobs": {"backup": last}})
    answer = ANSWER.replace("exit-code", "success")
    (dead,) = showing.read(answer, known, "windlass-prod", ["backup"], known, "backup\ncheck\n")
    assert showing.result(dead) == "FAILED, exit 32" and showing.row("h", dead)[2] == "2026-11-21 01:00"
    ended, newer = json.dumps({"jobs": {"backup": {**last, "began": ""}}}), known.replace("T01:00", "T01:30")
    # one that is started by hand is none of systemd's services; one may begin or end while somebody looks
    for earlier, later, idle in (
        (known, known, "check\n"), (known, known, ""), (ended, known, "backup\n"), (known, newer, "backup\n"),
        (known, ended, "backup\n"), ("", known, "backup\n"),
    ):  # fmt: skip
        (going,) = showing.read(answer, later, "windlass-prod", ["backup"], earlier, idle)
        assert showing.result(going) == "ok"


def test_jobs_that_nobody_runs_are_told_by_their_locks(tmp_path):
    def idle(folder):
        done = subprocess.run(["sh", "-c", showing.IDLE, "sh", str(folder)], capture_output=True, text=True, check=True)
        return sorted(done.stdout.split())

    assert idle(tmp_path) == idle(tmp_path / "nowhere") == []
    with ledger.alone(str(tmp_path), "backup"), ledger.alone(str(tmp_path), "check"):
        pass
    with ledger.alone(str(tmp_path), "check"):
        assert idle(tmp_path) == ["backup"]
    assert idle(tmp_path) == ["backup", "check"] and len(list(tmp_path.iterdir())) == 2


def test_a_timer_that_is_not_enabled_is_bad():
    answer = ANSWER.replace("exit-code", "success").replace("LoadState=loaded\nActiveState=active",
                                                            "LoadState=loaded\nUnitFileState=disabled\nActiveState=active")  # fmt: skip
    (entry,) = showing.read(answer, "", "windlass-prod", ["backup"])
    assert showing.is_bad(entry) and showing.row("h", entry)[5] == "2026-11-22 01:04, not after a restart"


@pytest.mark.parametrize(
    ("check", "changed", "removed", "says"),
    [
        (True, True, False, "h: 1 timer to be installed"),
        (True, False, False, "h: 1 timer installed already; nothing would change"),
        (False, False, False, "h: 1 timer installed already; nothing changed"),
        (False, True, False, "h: 1 timer installed"),
        (True, True, True, "h: 1 timer to be removed"),
        (True, False, True, "h: there are no timers; nothing would change"),
        (False, True, True, "h: the timers are gone"),
    ],
)
def test_what_an_installation_says(check, changed, removed, says):
    part = {"jobs": [{"job": "backup"}], "check": check, "changed": changed, "removed": removed, "notes": []}
    assert [text for text, _ in showing.installed("h", part)] == [says]


def test_a_crontab_says_every_job():
    lines = units.crontab(["invoke", "run-scheduled"], [{"name": "backup"}, {"name": "check"}])
    assert lines[0].endswith("* * * invoke run-scheduled --job backup") and len(lines) == 2


# ---------------------------------------------------------------- the dead man's check, and restore tests

HOUR_S = 3600


@pytest.mark.parametrize(
    ("age_s", "says"),
    [
        (25 * HOUR_S, ""),
        (27 * HOUR_S, "is 27 h old"),
        (-300, ""),  # two clocks never agree
        (-48 * HOUR_S, "is dated 48 h from now, by a wrong clock"),
    ],
)
def test_the_newest_verified_backup_is_neither_too_old_nor_from_the_future(age_s, says):
    told = keeping.overdue({"verified": {"id": ID, "age_s": age_s}}, 26 * HOUR_S * 1000)
    assert says in told and bool(told) is bool(says)


def test_a_restore_test_that_was_cut_off_is_told():
    """The test host went away in the midst: what there is names the backup, and no time."""
    tested = {"restore_test": {"backup": ID, "host": "spare", "path": "/x", "failed": ""}}
    run = run_of("restore_test", {"a": tested}, {**ERROR, "code": "host_unreachable"})
    shown = [(line.text, line.style) for line in closing.lines(run)]
    assert (f"db1 a: backup {ID} was not tested", "bad") in shown
    assert judging.judge(jobs.find("backup-test"), run).exit_code == CODES["host_unreachable"][0]
