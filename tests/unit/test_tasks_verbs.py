"""What each verb makes of its playbooks: plan, ask, carry out, exit code; with real ansible-playbook runs."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from testbed.waiting import LIMIT_S, wait_until
from tests.unit.record_of import ERROR, plan, run
from tests.unit.stage import ROOT, Stage, salon, says
from windlass import confirm, playbook, verbs
from windlass.records import record
from windlass.settings import Settings
from windlass_engine.errors import WindlassError

HEARD = {"name": "Hear", "ansible.builtin.copy": {
    "content": "{{ {'check': ansible_check_mode, 'digest': windlass_plan_digest | default(''), "
    "'yes': windlass_yes | default(false), 'env': windlass_env, 'verb': windlass_verb, 'run': windlass_run_id, "
    "'database': windlass_database | default([]), 'to': windlass_to | default('')} | to_json }}",
    "dest": "{{ playbook_dir }}/heard.json", "mode": "0600"}, "check_mode": False}  # fmt: skip


@pytest.fixture
def stage(tmp_path):
    found = Stage(tmp_path)
    (tmp_path / "src").symlink_to(ROOT / "src")
    (tmp_path / "playbooks").mkdir()
    return found


SCOPE = verbs.Scope("stage")


def settings_of(stage):
    return Settings(stage.folder)


def book(stage, name, *tasks):
    text = json.dumps([{"hosts": "databases", "gather_facts": False, "tasks": list(tasks)}])
    (stage.folder / "playbooks" / f"{name}.yml").write_text(text)


def heard(stage):
    return json.loads((stage.folder / "playbooks" / "heard.json").read_text())


def agree(monkeypatch, wanted=None):
    """Answer every question of the front door, and return the policies that it asked for."""
    asked = []

    def ask(policy, environment, verb):
        asked.append(policy)
        if wanted:
            raise WindlassError(wanted, "no")

    monkeypatch.setattr(confirm, "ask", ask)
    return asked


def test_a_deploy_shows_its_plan_asks_and_carries_out_what_was_shown(stage, monkeypatch, capfd):
    book(stage, "plan", says("1/1 Plan", **salon(plan=plan(confirm="typed"))))
    book(stage, "deploy", HEARD, says("1/1 Migrate", **salon(run=run())))
    asked = agree(monkeypatch)
    assert verbs.change(settings_of(stage), SCOPE, "deploy", {"windlass_to": "m1"}) == 0
    assert asked == ["typed"]
    digest = record.digest_of_plans([("db1", "salon", plan()["digest"])])
    known = heard(stage)
    assert (known["digest"], known["yes"], known["to"], known["check"]) == (digest, False, "m1", False)
    shown = capfd.readouterr().out
    assert f"Digest {digest[:12]}" in shown
    assert "To run exactly this" not in shown


def test_without_a_yes_nothing_is_carried_out(stage, monkeypatch):
    book(stage, "plan", says("1/1 Plan", **salon(plan=plan())))
    book(stage, "deploy", HEARD)
    agree(monkeypatch, "not_approved")
    with pytest.raises(WindlassError) as refusal:
        verbs.change(settings_of(stage), SCOPE, "deploy", {})
    assert refusal.value.code == "not_approved"
    assert not (stage.folder / "playbooks" / "heard.json").exists()


def test_nothing_to_do_is_not_asked_about_and_ends_well(stage, monkeypatch, capfd):
    book(stage, "plan", says("1/1 Plan", **salon(plan=plan([]))))
    asked = agree(monkeypatch)
    assert verbs.change(settings_of(stage), SCOPE, "deploy", {}) == 0
    assert asked == []
    assert "nothing to do" in capfd.readouterr().out


def test_a_failed_plan_is_the_end_and_its_exit_code(stage, monkeypatch):
    error = {**ERROR, "code": "checksum_changed"}
    book(stage, "plan", says("1/1 Plan", fails=True, windlass_error=error))
    asked = agree(monkeypatch)
    assert verbs.change(settings_of(stage), SCOPE, "deploy", {}) == 15
    assert asked == []


@pytest.mark.parametrize(
    ("options", "check", "digest", "yes"),
    [
        ({"yes": True}, False, "", True),
        ({"plan": "abcdef0123"}, False, "abcdef0123", False),
        ({"dry_run": True}, True, "", False),
    ],
)
def test_yes_plan_and_dry_run_are_one_playbook(stage, monkeypatch, options, check, digest, yes):
    asked = agree(monkeypatch)
    book(stage, "deploy", HEARD)
    where = verbs.Scope("stage", databases=("salon", "spa"))
    assert verbs.change(settings_of(stage), where, "deploy", {}, **options) == 0
    known = heard(stage)
    assert (known["check"], known["digest"], known["yes"]) == (check, digest, yes)
    assert known["database"] == ["salon", "spa"]
    assert asked == []


def test_a_plan_ends_with_the_command_for_exactly_this(stage, capfd):
    book(stage, "plan", says("1/1 Plan", **salon(plan=plan())))
    where = verbs.Scope("stage", "db1", ("salon",))
    assert verbs.show_plan(settings_of(stage), where, {"windlass_to": "m1"}) == 0
    last = capfd.readouterr().out.splitlines()[-1].strip()
    assert last.startswith("invoke deploy --env stage --host db1 --database salon --to m1 --plan ")
    assert not settings_of(stage).runs.exists()


def test_json_is_all_that_stdout_gets(stage, capfd):
    book(stage, "status", says("1/1 Look", **salon(info={"system": "salon", "pending": []})))
    assert verbs.look(settings_of(stage), SCOPE, "status", as_json=True) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["hosts"]["db1"]["databases"]["salon"]["info"]["system"] == "salon"
    assert "1/1 Look" in err


def test_a_run_is_kept_with_its_report_and_the_variables_are_gone(stage):
    book(stage, "verify", HEARD)
    assert verbs.look(settings_of(stage), SCOPE, "verify") == 0
    (kept,) = settings_of(stage).runs.iterdir()
    assert kept.name == heard(stage)["run"]
    assert sorted(path.name for path in kept.iterdir()) == ["record.json", "report.html"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert not list(settings_of(stage).state.glob("vars-*"))


def test_variables_travel_in_a_private_file_not_in_argv(stage):
    show = {"name": "Look", "ansible.builtin.shell":
        "tr '\\0' ' ' < /proc/$PPID/cmdline; stat -c %a {{ playbook_dir }}/../.windlass/vars-*"}  # fmt: skip
    book(stage, "verify", {**show, "register": "seen"}, {"name": "Keep", "ansible.builtin.copy": {
        "content": "{{ seen.stdout }}", "dest": "{{ playbook_dir }}/seen", "mode": "0600"}})  # fmt: skip
    assert verbs.look(settings_of(stage), SCOPE, "verify", {"windlass_to": "a-value-to-look-for"}) == 0
    seen = (stage.folder / "playbooks" / "seen").read_text()
    assert "a-value-to-look-for" not in seen
    assert seen.endswith("600")


@pytest.mark.parametrize("name", ["C", "POSIX", "de_DE.ISO-8859-1", "xx_XX.UTF-8", "C.UTF-8", ""])
def test_any_locale_will_do(stage, monkeypatch, name):
    monkeypatch.setenv("LC_ALL", name)
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "minimal")
    book(stage, "verify", says("1/1 Verify ünïcode"))
    assert verbs.look(settings_of(stage), SCOPE, "verify") == 0


def test_a_playbook_that_never_starts_is_the_inventorys_fault(stage):
    (stage.folder / "playbooks" / "status.yml").write_text("- hosts: [unclosed")
    with pytest.raises(WindlassError) as refusal:
        verbs.look(settings_of(stage), SCOPE, "status")
    assert refusal.value.code == "inventory_invalid"


def test_a_record_of_an_earlier_run_is_not_taken_for_this_one(stage):
    record.write(settings_of(stage).state / "last-status.json", record.dumps(record.new("status", "stage", "old")))
    (stage.folder / "playbooks" / "status.yml").write_text("- hosts: [unclosed")
    with pytest.raises(WindlassError):
        verbs.look(settings_of(stage), SCOPE, "status")


def test_two_operators_may_look_at_the_same_moment(stage, monkeypatch, capfd):
    """Another's whole look happens between the end of ours and the reading of its record."""
    book(stage, "status", says("1/1 Look", **salon(info={"system": "salon", "pending": []})))
    genuine = playbook._watched
    others: list[int | None] = []

    def watched(*arguments):
        status = genuine(*arguments)
        if not others:
            others.append(None)
            others.append(verbs.look(settings_of(stage), SCOPE, "status", as_json=True))
        return status

    monkeypatch.setattr(playbook, "_watched", watched)
    assert verbs.look(settings_of(stage), SCOPE, "status", as_json=True) == 0
    assert others == [None, 0]
    ids = {line for line in capfd.readouterr().out.splitlines() if '"run_id"' in line}
    assert len(ids) == 2, "each read its own record"
    assert [path.name for path in settings_of(stage).state.iterdir()] == ["last-status.json"]


def test_a_mistyped_host_is_refused_with_those_that_exist(stage):
    stage.inventory({"db1": {}, "db2": {}})
    with pytest.raises(WindlassError) as refusal:
        verbs.scope(settings_of(stage), "stage", "db1,bd2", ())
    assert "no host called bd2" in str(refusal.value)
    assert "db1, db2" in str(refusal.value)


@pytest.mark.parametrize("pattern", ["", "db1", "db1,db2", "databases", "db*", "all", "databases:!db1"])
def test_names_groups_and_patterns_pass(stage, pattern):
    stage.inventory({"db1": {}, "db2": {}})
    assert verbs.scope(settings_of(stage), "stage", pattern, ()).hosts == pattern


def with_databases(stage, *names):
    stage.inventory({"db1": {"windlass_databases": [{"name": name, "system": "s", "url": "u"} for name in names]}})


def test_databases_may_be_given_one_by_one_or_with_commas(stage):
    with_databases(stage, "a", "b", "c")
    assert verbs.scope(settings_of(stage), "stage", "", ["a", "b,c"]).databases == ("a", "b", "c")


def test_a_mistyped_database_is_refused_with_those_that_exist(stage):
    with_databases(stage, "salon", "spa")
    with pytest.raises(WindlassError) as refusal:
        verbs.scope(settings_of(stage), "stage", "", ["salon", "sap"])
    assert "has a database called sap" in str(refusal.value)
    assert "salon, spa" in str(refusal.value)


def test_an_environment_may_be_any_inventory_folder(stage, monkeypatch):
    folder = str(stage.folder / "inventories" / "stage")
    assert settings_of(stage).environment(folder) == folder
    assert str(settings_of(stage).inventory(folder)) == folder
    monkeypatch.setenv("WINDLASS_ENV", "stage")
    assert settings_of(stage).environment("") == "stage"


def test_hosts_are_read_through_vaults_and_nested_groups(stage):
    (stage.folder / "inventories" / "stage" / "hosts.json").unlink()
    (stage.folder / "inventories" / "stage" / "hosts.yml").write_text(
        "all:\n  children:\n    databases:\n      children:\n        eu:\n          hosts:\n"
        "            eu1: {secret: !vault 'x'}\n            eu2:\n      hosts: {us1: }\n"
    )
    assert sorted(settings_of(stage).hosts("stage")) == ["eu1", "eu2", "us1"]


def test_an_unreadable_inventory_is_refused_with_its_line(stage):
    (stage.folder / "inventories" / "stage" / "hosts.yml").write_text("all:\n  hosts: [\n")
    with pytest.raises(WindlassError) as refusal:
        settings_of(stage).hosts("stage")
    assert refusal.value.code == "inventory_invalid"
    assert refusal.value.where["line"] == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_is_passed_on_and_tells_what_goes_on(stage, number):
    at_work = stage.folder / "at-work"
    book(stage, "deploy", {"name": "1/1 Wait", "ansible.builtin.shell": f"touch {at_work}; exec sleep 60"})
    code = (
        "import sys, pathlib; from windlass import verbs; from windlass.settings import Settings; "
        f"sys.exit(verbs.change(Settings(pathlib.Path({str(stage.folder)!r})), verbs.Scope('stage'), 'deploy', {{}}, yes=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until(at_work.exists, what="the work to begin")
    process.send_signal(number)
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == record.INTERRUPTED, output
    assert "goes on there to its end" in output
    assert "invoke deploy --env stage" in output


def test_an_interruption_before_ansible_is_up_is_one_too(stage, monkeypatch, capfd):
    """It is no fault of the inventory."""
    at_work = stage.folder / "at-work"
    code = f"import pathlib, time; pathlib.Path({str(at_work)!r}).touch(); time.sleep(600)"
    monkeypatch.setattr(playbook, "_ansible_playbook", lambda: [sys.executable, "-c", code])

    def interrupt():
        wait_until(at_work.exists, what="the program to begin")
        signal.pthread_kill(front, signal.SIGTERM)

    front = threading.get_ident()
    monkeypatch.setattr(playbook, "GRACE_S", 0.0)
    threading.Thread(target=interrupt).start()
    assert verbs.look(settings_of(stage), SCOPE, "status") == record.INTERRUPTED
    assert "Interrupted" in capfd.readouterr().out


def test_a_package_of_the_project_can_be_tried_dry(stage, capsys):
    assert playbook.module(settings_of(stage), "testbed", ["up"], dry_run=True) == 0
    assert capsys.readouterr().out == "would run: python -m testbed up\n"


def test_a_pattern_that_matches_no_host_is_a_mistake_of_the_command_line(stage):
    book(stage, "deploy", HEARD)
    with pytest.raises(WindlassError) as refused:
        verbs.change(settings_of(stage), verbs.Scope("stage", hosts="west*"), "deploy", {}, yes=True)
    assert refused.value.code == "usage" and "west*" in refused.value.hint


def test_a_vault_without_its_password_is_the_inventorys_mistake(stage, monkeypatch):
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)
    secret = stage.folder / "inventories" / "stage" / "group_vars" / "all" / "vault.yml"
    secret.parent.mkdir(parents=True)
    secret.write_text("$ANSIBLE_VAULT;1.1;AES256\n3132\n")
    book(stage, "status", says("1/1 Look"))
    with pytest.raises(WindlassError) as refused:
        verbs.look(settings_of(stage), SCOPE, "status")
    assert refused.value.code == "inventory_invalid" and "ANSIBLE_VAULT_PASSWORD_FILE" in refused.value.hint
