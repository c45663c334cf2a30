"""The front door as an operator meets it: the list of verbs, their help, and refusals with exit codes."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

import tasks
from windlass.front import door, words
from windlass.settings import Settings
from windlass.telling import manual
from windlass_engine.errors import CODES, WindlassError

ROOT = Path(__file__).resolve().parents[2]
VERBS = [
    "deploy", "rollback", "baseline", "maintain", "approve", "plan", "evidence", "dashboard", "status", "runbook", "history", "verify", "doctor",
    "drift", "audit", "snapshot", "backup", "backups", "archives", "prune", "prune-runs", "offsite", "backup-test", "schedule", "run-scheduled", "restore", "prove",
    "rehearse", "lint", "new", "tunnel", "demo", "testbed", "faults", "bench",
]  # fmt: skip
KEEPING = {"backups", "archives", "prune", "prune-runs", "offsite", "backup-test", "schedule"}
WRITES = {
    "deploy", "rollback", "baseline", "maintain", "backup", "restore", "prove", "new", "demo", "testbed", "drift", "snapshot", *KEEPING,
}  # fmt: skip
DATA = {
    "maintain",
    "plan",
    "evidence",
    "status",
    "history",
    "verify",
    "doctor",
    "drift",
    "audit",
    "snapshot",
    "prove",
    *KEEPING,
}


def invoke(*arguments, **variables):
    program = Path(sys.executable).parent / "invoke"
    known = {"PATH": "/usr/bin:/bin", "COLUMNS": "200", **variables}
    return subprocess.run(
        [program, *arguments],
        cwd=ROOT,
        env=known,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def arguments_of(name):
    return tasks.ns[name].get_arguments()


def test_the_list_is_grouped_and_in_the_order_in_which_verbs_are_met():
    done = invoke("--list")
    assert done.returncode == 0, done.stderr
    headings = [line for line in done.stdout.splitlines() if line and not line.startswith((" ", "Windlass"))]
    assert headings == list(tasks.CONTENTS)
    assert re.findall(r"^  ([\w-]+)", done.stdout, re.MULTILINE) == VERBS


def test_every_task_is_listed():
    assert sorted(tasks.ns.task_names) == sorted(VERBS)
    assert [name for names in tasks.CONTENTS.values() for name in names] == VERBS


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_and_every_parameter_has_help(name):
    assert manual.helpline(tasks.ns[name]).endswith(".")
    for argument in arguments_of(name):
        assert argument.help, f"{name} --{argument.name} has no help"


@pytest.mark.parametrize("name", VERBS)
def test_every_parameter_is_typed(name):
    parameters = {
        name
        for name, kind in inspect.signature(tasks.ns[name].body).parameters.items()
        if kind.annotation is not kind.empty
    } - {"_"}
    assert parameters == {argument.attr_name or argument.name for argument in arguments_of(name)}


@pytest.mark.parametrize("name", sorted(WRITES))
def test_what_writes_has_a_dry_run(name):
    assert "dry_run" in [argument.name for argument in arguments_of(name)]


@pytest.mark.parametrize("name", sorted(DATA))
def test_what_is_data_can_be_had_as_json(name):
    assert "json" in [argument.name for argument in arguments_of(name)]


@pytest.mark.parametrize(
    "name",
    sorted(
        set(VERBS)
        - {
            "evidence",
            "dashboard",
            "prune-runs",
            "runbook",
            "lint",
            "new",
            "demo",
            "testbed",
            "faults",
            "bench",
            "schedule",
            "run-scheduled",
        }
    ),
)
def test_verbs_on_databases_take_environment_host_and_database(name):
    assert {"env", "host", "database"} <= {argument.name for argument in arguments_of(name)}


def test_help_shows_defaults_and_texts():
    done = invoke("--help", "rollback")
    assert "undo the last migrations" in done.stdout
    assert "--dry-run" in done.stdout
    assert "which stays" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["status"], 2, "which environment?"),
        (["status", "--env", "nowhere"], 2, "no environment is called 'nowhere'"),
        (["status", "--env", "/no/such/folder"], 2, "no environment is called"),
        (["plan", "--rollback", "--env", "demo"], 2, "give either --steps N or --to NAME"),
        (["rollback", "--env", "demo", "--steps", "1", "--to", "x"], 2, "give either --steps N or --to NAME"),
        (["new", "nosystem", "a_title"], 2, "no system is called 'nosystem'"),
        (["new", "salon", "!!"], 2, "needs a title"),
        (["tunnel", "--env", "staging", "--database", "nodb"], 2, "has a database called nodb"),
        (["rollback", "--env", "demo", "--steps", "two"], 2, "--steps takes a whole number from 0 on, not 'two'"),
        (["history", "--env", "demo", "--limit=-1"], 2, "--limit takes a whole number from 0 on, not '-1'"),
        (
            ["archives", "--env", "demo", "--purge", "a", "--put-back", "b"],
            2,
            "--put-back and --purge are not one work",
        ),
        (["status", "--env", "prod", "--host", "nohost"], 2, "no host called nohost"),
    ],
)
def test_refusals_say_what_to_do_and_have_their_exit_code(arguments, code, words):
    done = invoke(*arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "starting the demo" not in done.stdout


@pytest.mark.parametrize(
    ("streams", "code", "words"),
    [
        ("<&-", 14, "there is no terminal to ask on"),
        ("<&- >&-", 14, "there is no terminal to ask on"),
        ("<&- >&- 2>&-", 14, ""),
    ],
)
def test_closed_streams_are_no_traceback(streams, code, words):
    program = Path(sys.executable).parent / "invoke"
    done = subprocess.run(
        f"{program} restore --env staging --host runner {streams}",
        shell=True, cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code and words in done.stderr and "Traceback" not in done.stderr


def test_an_output_that_takes_nothing_more_is_said_and_no_traceback():
    done = subprocess.run(
        f"{Path(sys.executable).parent / 'invoke'} evidence --env staging > /dev/full",
        shell=True, cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 10 and "the output cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_invokes_own_dry_flag_is_a_dry_run():
    done = invoke("--dry", "new", "salon", "a_title")
    assert "would write sql/salon/migrations/" in done.stdout
    assert not list(ROOT.glob("sql/salon/migrations/*_a_title"))


def test_exit_codes_are_documented_as_they_are():
    text = (ROOT / "docs" / "exit-codes.md").read_text()
    documented = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", text, re.MULTILINE)
    assert [(int(number), word, meaning) for number, word, meaning in documented] == sorted(
        ((number, word, meaning) for word, (number, meaning) in CODES.items())
    )
    assert len({number for number, _ in CODES.values()}) == len(CODES)


def test_a_tunnel_leads_to_one_database():
    assert words.one(()) is None
    assert words.one(("salon",)) == "salon"
    with pytest.raises(WindlassError, match="one database"):
        words.one(("salon", "spa"))


def test_settle_takes_two_words_only() -> None:
    assert words.settled("done") == {"windlass_settle": "done"}
    with pytest.raises(WindlassError) as refusal:
        words.settled("maybe")
    assert refusal.value.code == "usage" and "--settle again" in refusal.value.hint


def test_words_that_would_be_passed_over_are_refused() -> None:
    assert words.period("hourly") == {"windlass_period": "hourly"}
    words.refuse_two_ways(0)
    words.refuse_mixed_plans(True, False, 2)
    refusals: list[tuple[Callable[..., object], tuple[object, ...], str]] = [
        (words.period, ("yearly",), "hourly, daily, monthly"),
        (words.refuse_two_ways, (1,), "--to NAME"),
        (words.refuse_mixed_plans, (False, False, 1), "--rollback"),
        (words.refuse_mixed_plans, (True, True, 0), "one of them"),
    ]
    for refuse, given, hint in refusals:
        with pytest.raises(WindlassError) as refusal:
            refuse(*given)
        assert refusal.value.code == "usage" and hint in refusal.value.hint


def test_a_folder_that_takes_no_file_is_a_refusal_and_no_traceback(tmp_path, monkeypatch):
    system = tmp_path / "sql" / "salon"
    system.mkdir(parents=True)
    (system / "system.yml").write_text("name: salon\nengine: postgresql\ntitle: T\ndescription: D\n")
    (system / "migrations").write_text("a file, so that not even root can make a folder in it")
    monkeypatch.setattr(door, "_project", Settings(tmp_path))
    with pytest.raises(Exit) as refused:
        tasks.ns["new"](Context(), system="salon", title="add_x")
    assert refused.value.code == CODES["preflight_failed"][0]
    assert str(system / "migrations") in str(refused.value.message)
