#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_info
short_description: Read what stands in databases
description:
  - Reads each database's journal, server facts, the deployer lock and the run that is going on, in one call a host.
  - Changes nothing. A database that cannot be read is reported with its error; the others are read all the same.
extends_documentation_fragment:
  - windlass
options:
  texts_of:
    description: For each database the migrations whose texts are to be read out of the journal as well.
    type: dict
  history:
    description: How many events of the journal's log to return, the newest first.
    type: int
    default: 0
  backups:
    description: Whether to look for the newest backup of each database.
    type: bool
    default: false
  backup_dir:
    description: Folder on the target for backups. By default C(backups) in the folder for run files.
    type: path
    default: ""
  newest:
    description:
      - Set by the action plugin of M(db_plan). Of how many of the migrations that stand, newest first, the texts are
        to be read as well.
    type: int
    default: 0
  lock_wait:
    description: For how many seconds to wait before the look while somebody holds the deployer lock of a database.
    type: float
    default: 0
  questions:
    description:
      - Set by the action plugin of M(db_plan). What is asked of each database before its plan runs, such as the sizes
        of tables, and rows that would make a statement fail. Nothing else is read then.
    type: dict
  undo:
    description:
      - Set by the action plugin of M(db_plan). Plans that go down, of which the server says what they would take away.
        Nothing else is read then.
    type: dict
  scratch:
    description: Set by the action plugin of M(db_plan). The databases whose policy allows scratch databases.
    type: list
    elements: str
    default: []
  journal:
    description: Whether to return every entry of the journal.
    type: bool
    default: false
seealso:
  - module: db_plan
"""

EXAMPLES = r"""
- name: Read what stands
  db_info:
    databases: "{{ windlass_databases }}"
  register: windlass_stands

- name: Read the last twenty events of one database
  db_info:
    databases: "{{ windlass_databases }}"
    only: [salon]
    history: 20
"""

RETURN = r"""
windlass_info:
  description: What was found, by database.
  returned: always
  type: dict
  sample:
    salon:
      system: salon
      server_version: "15.14"
      server_version_num: 150014
      user: windlass_deploy
      read_only: false
      may_create_schema: true
      size_bytes: 8421376
      clock: "2025-11-21T04:05:06.789Z"
      schema_version: 20251109_create_partitioned_messages_table
      applied: 2
      journal_head: 5d41402abc4b2a76b9719d911017c592
      lock: null
      running: null
      backup: null
      error: null
windlass_history:
  description: Events of the journal's log by database, when O(history) asks for them.
  returned: when O(history) is not 0
  type: dict
windlass_journal:
  description: Entries of the journal by database.
  returned: when O(journal) is true
  type: dict
"""

from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine.archiving import finding
from ansible.module_utils.windlass_engine.checking import inspection
from ansible.module_utils.windlass_engine.errors import WindlassError
from ansible.module_utils.windlass_engine.keeping import catalogue
from ansible.module_utils.windlass_engine.model import Plan, Target, to_wire
from ansible.module_utils.windlass_engine.rehearsal import foresight
from ansible.module_utils.windlass_engine.wire import unpack

SPEC = {
    "texts_of": {"type": "dict"},
    "history": {"type": "int", "default": 0},
    "backups": {"type": "bool", "default": False},
    "backup_dir": {"type": "path", "default": ""},
    "journal": {"type": "bool", "default": False},
    "lock_wait": {"type": "float", "default": 0},
    "newest": {"type": "int", "default": 0},
    "questions": {"type": "dict"},
    "undo": {"type": "dict"},
    "scratch": {"type": "list", "elements": "str", "default": []},
}


def read(module: AnsibleModule) -> dict[str, Any]:
    texts_of, questions = module.params["texts_of"] or {}, module.params["questions"]
    if questions is not None:
        return {"answers": {target.name: answer(target, questions[target.name]) for target in adapter.targets(module)}}
    if module.params["undo"] is not None:
        return {"losses": {target.name: lost(module, target) for target in adapter.targets(module)}}
    found = {}
    for target in adapter.targets(module):
        running = adapter.running(module, target)  # asked first: what is read below may be the middle of its work
        found[target.name] = inspection.look(
            target,
            texts_of.get(target.name, ()),
            module.params["history"],
            module.params["lock_wait"],
            module.params["newest"],
        )
        found[target.name]["running"] = running
        found[target.name]["backup"] = None
        if module.params["backups"]:
            found[target.name].update(known_backups(module, target))
    return {"databases": found}


def answer(target: Target, question: dict[str, Any]) -> dict[str, Any]:
    return foresight.look(target, foresight.Question.from_wire(question))


def lost(module: AnsibleModule, target: Target) -> dict[str, Any]:
    """Return what each step of a plan that goes down would take away.

    A script that an earlier run left half-way is not tried: nobody knows here how far its next statement came.
    """
    steps = Plan.from_wire(unpack(module.params["undo"][target.name])["plan"]).steps
    allowed, whole = target.name in module.params["scratch"], not any(step.resumed for step in steps)
    try:
        found = finding.alone(target, [step.script for step in steps], scratch_allowed=allowed, trying=whole)
        failure, untried = (found.failure, found.untried) if whole else ("", "it goes on where an earlier run stopped")
        return {
            "losses": to_wire(found.of),
            "failure": failure,
            "untried": untried,
            "lacking": found.lacking,
            "error": None,
        }
    except WindlassError as error:
        return {"losses": None, "failure": "", "untried": "", "lacking": None, "error": error.to_wire()}


def known_backups(module: AnsibleModule, target: Target) -> dict[str, Any]:
    """Return the newest complete backup and the newest that a restore test has verified."""
    entries = catalogue.read(adapter.backup_dir(module, make=False), [target.name])[target.name]
    complete = [entry for entry in entries if entry["state"] == catalogue.COMPLETE]
    return {"backup": complete[0] if complete else None, "verified": catalogue.newest_verified(entries)}


WORK = read

if __name__ == "__main__":
    adapter.answer(SPEC, WORK)
