"""The schedule on the control node: which jobs, when, what the inventory may say, and how a run is judged."""

from __future__ import annotations

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.unit.record_of import ERROR
from windlass import playbook
from windlass.records import record
from windlass.schedule import config, jobs, judging, place, runner, showing, units
from windlass.schedule.jobs import Fleet
from windlass.settings import Settings
from windlass.telling import closing, keeping
from windlass_engine.errors import CODES, WindlassError
from windlass_engine.scheduled import account, hooks, ledger

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


# ---------------------------------------------------------------- a run, around its playbook


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(hooks, "PAUSES_S", (0, 0))


class Hook:
    """A webhook on this machine that keeps what it heard; it answers with each status once, and with the last again."""

    def __init__(self, *statuses):
        heard = self.heard = []
        answers = list(statuses or (200,))

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                heard.append((self.path, text))
                self.send_response(answers.pop(0) if answers[1:] else answers[0])
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
    (tmp_path / "inventories" / "prod").mkdir(parents=True)
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


@pytest.mark.parametrize(
    ("statuses", "moments"),
    [
        ((500, 200), ["/start", ""]),  # that a job starts is told once: the job shall begin
        ((200, 500, 503, 200), ["/start", "", "", ""]),
        ((200, 404, 200), ["/start", ""]),
    ],
)
def test_how_a_job_ended_is_told_again_when_the_webhook_stumbled(tmp_path, monkeypatch, statuses, moments):
    hook = Hook(*statuses)
    settings, _, _ = ready(tmp_path, monkeypatch, [run_of("backup", {"a": {"backup": BACKUP}})], webhook=hook.url)
    assert runner.run(settings, "prod", "backup") == 0
    hook.close()
    assert [path.removeprefix("/secret-id") for path, _ in hook.heard] == moments


def test_a_webhook_that_refuses_is_said(tmp_path, monkeypatch, capsys):
    hook = Hook(500)
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


def test_one_that_ended_with_the_machine_is_told_by_the_next_job(tmp_path, monkeypatch, hook, capsys):
    good = run_of("status", {"a": {"info": INFO}})
    settings, folder, _ = ready(tmp_path, monkeypatch, [good], webhook=hook.url, webhooks={"backup": f"{hook.url}-2"},
                                metrics=str(tmp_path), jobs=["check", "backup"])  # fmt: skip
    ledger.begin(str(folder), "backup")
    assert runner.run(settings, "prod", "check") == 0
    assert [path for path, _ in hook.heard] == ["/secret-id-2/fail", "/secret-id/start", "/secret-id"]
    assert hook.heard[0][1].startswith("windlass-prod-backup: did not come to its end: the machine was restarted")
    assert ledger.read(str(folder))["jobs"]["backup"]["exit_code"] == CODES["run_lost"][0]
    assert "backup FAILED, exit 32" in capsys.readouterr().out
    assert (
        'windlass_job_last_result{environment="prod",job="backup"} 0' in (tmp_path / "windlass-prod.prom").read_text()
    )
    assert runner.run(settings, "prod", "check") == 0
    assert [path for path, _ in hook.heard].count("/secret-id-2/fail") == 1


def test_a_job_whose_inventory_went_away_is_told_too(tmp_path, monkeypatch, hook):
    settings, folder, calls = ready(tmp_path, monkeypatch, [], webhook=hook.url)
    (tmp_path / "inventories" / "prod").rmdir()
    assert runner.run(settings, "prod", "backup") == CODES["usage"][0] and not calls
    assert hook.heard[-1] == ("/secret-id/fail", "windlass-prod-backup: no environment is called 'prod'")
    assert ledger.read(str(folder))["jobs"]["backup"]["exit_code"] == CODES["usage"][0]
    with pytest.raises(WindlassError, match="no environment is called 'prd'"):
        runner.run(settings, "prd", "backup")


def test_a_full_disk_of_the_control_node_is_told_too(tmp_path, monkeypatch, hook):
    settings, _, _ = ready(tmp_path, monkeypatch, [], webhook=hook.url)

    def full(_, call):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(playbook, "run", full)
    assert runner.run(settings, "prod", "backup") == CODES["internal_error"][0]
    assert "No space left on device" in hook.heard[-1][1] and hook.heard[-1][0] == "/secret-id/fail"


def test_an_unknown_job_is_refused(tmp_path):
    (tmp_path / "inventories" / "prod").mkdir(parents=True)
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
