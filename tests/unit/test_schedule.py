"""The schedule on the control node: which jobs, when, what the inventory may say, and how a run is judged."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.unit.record_of import ERROR
from windlass import playbook
from windlass.records import record
from windlass.schedule import config, jobs, judging, place, runner, showing, units
from windlass.schedule.jobs import Fleet
from windlass.settings import Settings
from windlass.telling import closing
from windlass_engine.errors import CODES, WindlassError
from windlass_engine.scheduled import account, ledger

ALL = Fleet(tests=True, drills=True, retention=True, offsite=True, periods=frozenset({"hourly"}))
ID = "20251121T040506Z-1a2b3c"


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


# ---------------------------------------------------------------- judging


def run_of(verb, databases, error=None):
    run = record.new(verb, "prod", "run-1")
    for name, data in databases.items():
        record.merge(run, "db1", {f"windlass_{part}": {name: value} for part, value in data.items()})
    if error:
        record.fail(run, "db1", error)
    record.close(run)
    return run


BACKUP = {"id": ID, "bytes": 2_000_000, "duration_ms": 1500, "path": "/x"}
INFO = {
    "pending": ["m3"],
    "changed": [],
    "unknown": [],
    "partial": [],
    "overdue": [],
    "backup": BACKUP,
    "verified": None,
}


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


def test_what_others_changed_is_counted():
    found = {"changes": [{"kind": "table"}], "unknown": "", "accepted": False}
    outcome = judging.judge(jobs.find("drift"), run_of("drift", {"a": {"drift": found}}))
    assert outcome.facts["db1"]["a"] == {"schema_drift": 1}


def test_giving_way_to_a_person_is_told_from_a_failure():
    gave = {**ERROR, "detail": {"gave_way": "alice"}}
    assert judging.gave_way(run_of("backup", {}, gave)) and not judging.gave_way(run_of("backup", {}, ERROR))
    assert not judging.gave_way(run_of("backup", {}))


# ---------------------------------------------------------------- a run, around its playbook


class Hook:
    """A webhook on this machine that keeps what it heard."""

    def __init__(self, status=200):
        heard = self.heard = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                heard.append((self.path, text))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/secret-id"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hook():
    found = Hook()
    yield found
    found.close()


def ready(tmp_path, monkeypatch, runs, **telling):
    """A project whose playbooks end as ``runs`` say."""
    settings = Settings(tmp_path)
    folder = place.folder(settings, "prod")
    record.private_folder(folder)
    (folder / account.TELLING).write_text(json.dumps(telling))
    calls = []

    def played(_, call):
        calls.append(call)
        found = runs[min(len(calls), len(runs)) - 1]
        if isinstance(found, WindlassError):
            raise found
        return found

    monkeypatch.setattr(playbook, "run", played)
    return settings, folder, calls


def test_a_run_is_told_written_down_and_measured(tmp_path, monkeypatch, hook, capsys):
    command = tmp_path / "told"
    command.write_text(f"#!/bin/sh\necho $WINDLASS_JOB $WINDLASS_RESULT $WINDLASS_EXIT_CODE > {tmp_path}/heard\n")
    command.chmod(0o755)
    good = run_of("backup", {"a": {"backup": BACKUP}})
    settings, folder, calls = ready(
        tmp_path, monkeypatch, [good], webhook=hook.url, metrics=str(tmp_path), command=str(command)
    )  # fmt: skip
    assert runner.run(settings, "prod", "backup") == 0
    assert calls[0].variables["windlass_scheduled"] is True
    assert [path for path, _ in hook.heard] == ["/secret-id/start", "/secret-id"]
    assert (tmp_path / "heard").read_text() == "backup success 0\n"
    entry = ledger.read(str(folder))["jobs"]["backup"]
    assert entry["status"] == "ok" and entry["succeeded"] == entry["finished"] and entry["run_id"] == "run-1"
    metrics = tmp_path / "windlass-prod.prom"
    assert metrics.stat().st_mode & 0o777 == 0o644
    assert 'windlass_job_last_result{environment="prod",job="backup"} 1\n' in metrics.read_text()
    assert (
        'windlass_backup_last_size_bytes{environment="prod",host="db1",database="a"} 2000000\n' in metrics.read_text()
    )
    assert capsys.readouterr().out.startswith("windlass prod backup ok: 1 database, 2.0 MB in")


def test_a_skipped_database_fails_code_metric_and_webhook(tmp_path, monkeypatch, hook):
    run = run_of("backup", {"b": {"backup": {"skipped": "no room"}}})
    settings, folder, _ = ready(tmp_path, monkeypatch, [run], webhook=hook.url, metrics=str(tmp_path))
    assert runner.run(settings, "prod", "backup") == CODES["run_incomplete"][0]
    assert hook.heard[-1] == ("/secret-id/fail", "windlass-prod-backup: db1 b was skipped: no room")
    assert "windlass_job_last_result" in (tmp_path / "windlass-prod.prom").read_text()
    assert ledger.read(str(folder))["jobs"]["backup"]["status"] == "failed"


def test_a_playbook_that_cannot_start_is_told_too(tmp_path, monkeypatch, hook):
    error = WindlassError("inventory_invalid", "no vault password")
    settings, _, _ = ready(tmp_path, monkeypatch, [error], webhook=hook.url)
    assert runner.run(settings, "prod", "backup") == 4
    assert hook.heard[-1] == ("/secret-id/fail", "windlass-prod-backup: no vault password")


def test_dead_hooks_fail_no_job_but_are_said_without_the_address(tmp_path, monkeypatch, capsys):
    dead = Hook()
    dead.close()
    run = run_of("backup", {"a": {"backup": BACKUP}})
    settings, _, _ = ready(
        tmp_path, monkeypatch, [run], webhook=dead.url, webhook_timeout=2, command="/does/not/exist",
        metrics=str(tmp_path / "missing"),
    )  # fmt: skip
    assert runner.run(settings, "prod", "backup") == 0
    said = capsys.readouterr().out
    assert said.count("the webhook was not reached") == 2 and "secret-id" not in said
    assert "/does/not/exist cannot be run" in said and "windlass-prod.prom cannot be written" in said


def test_a_webhook_that_refuses_is_said(tmp_path, monkeypatch, capsys):
    hook = Hook(status=500)
    settings, _, _ = ready(tmp_path, monkeypatch, [run_of("backup", {"a": {"backup": BACKUP}})], webhook=hook.url)
    assert runner.run(settings, "prod", "backup") == 0
    hook.close()
    assert "the webhook answered 500" in capsys.readouterr().out


def test_a_job_has_its_own_webhook(tmp_path, monkeypatch, hook):
    run = run_of("backup", {"a": {"backup": BACKUP}})
    settings, _, _ = ready(tmp_path, monkeypatch, [run], webhook="http://127.0.0.1:9/", webhooks={"backup": hook.url})
    runner.run(settings, "prod", "backup")
    assert len(hook.heard) == 2


def test_a_job_that_runs_is_left_alone(tmp_path, monkeypatch, capsys):
    settings, folder, calls = ready(tmp_path, monkeypatch, [run_of("backup", {})])
    with ledger.alone(str(folder), "backup") as first:
        assert first
        assert runner.run(settings, "prod", "backup") == 0
        assert runner.died(settings, "prod", "backup") == 0
    assert not calls and "runs already" in capsys.readouterr().out
    assert ledger.read(str(folder))["jobs"] == {}
    with ledger.alone(str(folder), "backup") as again:
        assert again


def test_a_run_that_gave_way_begins_again(tmp_path, monkeypatch):
    gave = run_of("backup", {}, {**ERROR, "detail": {"gave_way": "alice"}})
    settings, _, calls = ready(tmp_path, monkeypatch, [gave, run_of("backup", {"a": {"backup": BACKUP}})])
    assert runner.run(settings, "prod", "backup") == 0
    assert len(calls) == 2


def test_one_that_died_is_told_once(tmp_path, monkeypatch, hook):
    settings, folder, _ = ready(tmp_path, monkeypatch, [], webhook=hook.url)
    ledger.begin(str(folder), "backup")
    assert runner.died(settings, "prod", "backup") == 0
    assert runner.died(settings, "prod", "backup") == 0
    assert [path for path, _ in hook.heard] == ["/secret-id/fail"]
    assert ledger.read(str(folder))["jobs"]["backup"]["exit_code"] == CODES["run_lost"][0]


def test_an_unknown_job_is_refused(tmp_path):
    with pytest.raises(WindlassError) as refusal:
        runner.run(Settings(tmp_path), "prod", "bakup")
    assert refusal.value.code == "usage" and "backup-test" in refusal.value.hint


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


def test_a_crontab_says_every_job():
    lines = units.crontab(["invoke", "run-scheduled"], [{"name": "backup"}, {"name": "check"}])
    assert lines[0].endswith("* * * invoke run-scheduled --job backup") and len(lines) == 2
