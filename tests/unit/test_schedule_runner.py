"""A scheduled run around its playbook: what is told, measured and written down."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.servers.ports import closed_port
from tests.unit.record_of import BACKUP, ERROR, INFO, run_of
from windlass import playbook
from windlass.records import record
from windlass.schedule import place, runner
from windlass.settings import Settings
from windlass_engine.errors import CODES, WindlassError
from windlass_engine.scheduled import account, hooks, ledger, metrics


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


def test_metrics_are_not_left_behind_by_a_job_that_ends_while_the_timers_are_taken_away(tmp_path, monkeypatch):
    good = run_of("backup", {"a": {"backup": BACKUP}})
    settings, folder, _ = ready(tmp_path, monkeypatch, [good], metrics=str(tmp_path))
    rendered = metrics.render

    def late(*given):
        (folder / account.TELLING).unlink()  # the role does, and then it takes away the metrics
        return rendered(*given)

    monkeypatch.setattr(metrics, "render", late)
    assert runner.run(settings, "prod", "backup") == 0
    assert not (tmp_path / "windlass-prod.prom").exists()


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
    run = run_of("backup", {"a": {"backup": BACKUP}})
    with closed_port() as port:
        settings, _, _ = ready(
            tmp_path, monkeypatch, [run], webhook=f"http://127.0.0.1:{port}/secret-id", webhook_timeout=2,
            command="/does/not/exist", metrics=str(tmp_path / "missing"),
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
        entry = ledger.begin(str(folder), "backup")
        assert runner.run(settings, "prod", "backup") == 0
        assert runner.died(settings, "prod", "backup") == 0
    assert not calls and "runs already" in capsys.readouterr().out
    assert ledger.read(str(folder))["jobs"] == {"backup": entry}
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
