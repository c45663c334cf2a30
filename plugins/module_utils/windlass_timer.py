# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a timer on a target starts: the very modules that a play would run there, and the job's account.

It travels with them and with the engine in one file, `windlass.pyz`, beside which `work.json` says what to do.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Callable

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.windlass_engine.errors import CODES, WindlassError
from ansible.module_utils.windlass_engine.keeping import catalogue
from ansible.module_utils.windlass_engine.scheduled.account import Account, Ending
from ansible.modules import db_backup, db_offsite, db_prune

#: How often work begins again that gave way to a person.
TRIES = 3
#: How long one look at detached work takes (seconds).
SLICE_S = 60.0
#: What each module does, and the options that it takes.
MODULES: Mapping[str, tuple[Callable[[Any], dict[str, Any]], Mapping[str, Any]]] = {
    "db_backup": (db_backup.make, db_backup.SPEC),
    "db_offsite": (db_offsite.copy, db_offsite.SPEC),
    "db_prune": (db_prune.prune, db_prune.SPEC),
}
Problem = tuple[str, str]


class Asked:
    """What a module needs of Ansible's own object: its parameters."""

    check_mode = False

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = dict(params)


def main() -> int:
    """Run a job, or close the account of one that was killed; return the exit code."""
    os.umask(0o077)
    parser = argparse.ArgumentParser(prog="windlass.pyz")
    parser.add_argument("--job", required=True)
    parser.add_argument("--died", action="store_true")
    given = parser.parse_args()
    folder = os.path.dirname(os.path.abspath(sys.argv[0]))
    with open(os.path.join(folder, "work.json"), encoding="utf-8") as file:
        work = json.load(file)
    environment = work["environment"]
    account = Account(
        folder, environment, given.job, f"windlass-{environment}-{given.job}", _say(environment, given.job)
    )
    if given.died:
        account.close_for_dead()
        return 0
    with account.alone() as only_one:
        if only_one:
            return account.close(carried_out(work, given.job))
        account.say("runs already; nothing is done", False)
        return 0


def carried_out(work: Mapping[str, Any], job: str) -> Ending:
    """Do a job's steps one after the other, each on every database, whatever became of the ones before."""
    run_id = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    found: list[Problem] = []
    for step in work["jobs"][job]:
        try:
            found += _problems(step, _patiently(step, run_id))
        except WindlassError as error:
            found.append((error.code, _without_secrets(step, error.message)))
    facts = {work["host"]: _facts(work["jobs"][job][0]["params"])}
    standing = {host: tuple(known) for host, known in facts.items()}
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return Ending(CODES[found[0][0]][0], found[0][1] + more, run_id, facts, standing)
    count = len(facts[work["host"]])
    if not count:
        return Ending(CODES["run_incomplete"][0], "there was no database to work on", run_id, facts)
    return Ending(0, f"{count} database{'' if count == 1 else 's'}", run_id, facts, standing)


def _patiently(step: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    """Return the outcome of a step by database; what gave way to a person is done again."""
    names = [database["name"] for database in step["params"]["databases"]]
    ends: dict[str, Any] = {}
    for number in range(TRIES):
        ends.update(_outcomes(step, names, f"{run_id}-{number}" if number else run_id))
        names = [name for name in names if ((ends[name]["error"] or {}).get("detail") or {}).get("gave_way")]
        if not names:
            break
    return ends


def _outcomes(step: Mapping[str, Any], names: Sequence[str], run_id: str) -> dict[str, Any]:
    """Let a module do its work on databases, and follow it to its end."""
    ends: dict[str, Any] = {}
    left, cursor = list(names), None
    work, spec = MODULES[step["module"]]
    defaults = {name: option.get("default") for name, option in spec.items()}
    while left:
        reply = work(_asked({**defaults, **step["params"]}, left, run_id, cursor))
        ends.update(reply["outcomes"])
        cursor = reply["cursor"]
        if cursor is None:
            left = [name for name in left if name not in ends]
    return ends


def _asked(params: Mapping[str, Any], names: Sequence[str], run_id: str, cursor: Any) -> Asked:
    """Return a module's parameters for some databases and this run."""
    adapter.use_own_driver(params["state_dir"])
    own = {"run_id": run_id, "origin": socket.gethostname()}
    return Asked({
        **params, "run_id": run_id, "cursor": cursor, "seconds": SLICE_S, "scheduled": True,
        "databases": [database for database in params["databases"] if database["name"] in names],
        "settings": {name: {**params["settings"][name], **own} for name in names},
    })  # fmt: skip


def _problems(step: Mapping[str, Any], ends: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what keeps a step from being a success: failures, and databases that were left out."""
    for name, end in ends.items():
        if end["error"]:
            yield end["error"]["code"], _without_secrets(step, f"{name}: {end['error']['message'].splitlines()[0]}")
        elif step["module"] == "db_backup" and end["result"].get("skipped"):
            yield "run_incomplete", f"{name} was skipped: {end['result']['skipped']}"


def _without_secrets(step: Mapping[str, Any], message: str) -> str:
    shown: dict[str, str] = adapter.hidden({"message": message}, adapter.secrets_of(step["params"]))
    return shown["message"]


def _facts(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of each database's backups, for the metrics."""
    names = [database["name"] for database in params["databases"]]
    try:
        found = catalogue.read(adapter.backup_dir(Asked(params), make=False), names)
    except OSError:
        return {name: {} for name in names}
    return {name: _known(entries) for name, entries in found.items()}


def _known(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    whole = next((entry for entry in entries if entry["state"] == catalogue.COMPLETE), None)
    proved = catalogue.newest_verified(entries)
    known: dict[str, Any] = {"backup": {}, "verified": {"at": 0.0}}
    if whole:
        spent = whole["duration_ms"] / 1000 if whole.get("duration_ms") is not None else None
        known["backup"] = {"at": _at(whole), "bytes": whole.get("bytes"), "duration_s": spent}
    if proved:
        known["verified"] = {"at": _at(proved), "duration_s": proved["verified"]["duration_ms"] / 1000}
    return known


def _at(entry: Mapping[str, Any]) -> float:
    return catalogue.taken_at(entry["id"]).timestamp()


def _say(environment: str, job: str) -> Callable[[str, bool], None]:
    def say(text: str, bad: bool) -> None:
        priority = ("<3>" if bad else "<5>") if os.environ.get("JOURNAL_STREAM") else ""
        line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
        sys.stdout.write(f"{priority}windlass {environment} {job} {line}\n")
        sys.stdout.flush()

    return say
