#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_incident
short_description: Keep evidence of a rollback's start and end, and refuse to start one that must not
description:
  - V(open) refuses unless the operator typed the environment's name where that is wanted, hosts are named where there
    are several, nobody else is at work and the server takes writes.
  - Before an O(scenario=restore) it also refuses unless the backup is whole, which means hashed again, the identity
    opens it, the server is as new as the one that it comes from, and programs, rights and room are there for a
    restore beside and for an exchange. Before an O(scenario=application) it refuses unless programs, rights and
    room are there for the backup that the policy asks for.
  - Then it keeps what stands, which is the journal, the rows of each table, the schema's fingerprint and the position
    of the server's log.
  - V(look) keeps nothing; it is for M(db_ways).
  - V(close) keeps the same of what stands then, tries to write (taken back), and runs the verify scripts of all
    migrations that are applied, as the journal keeps them.
  - The evidence lies below C(.windlass/incidents/RUN) on the control node, readable by its owner only.
extends_documentation_fragment:
  - windlass
options:
  stage:
    description: Which end of the rollback it is.
    type: str
    choices: [open, close, look]
    required: true
  scenario:
    description: The way back.
    type: str
    choices: [migration, application, restore]
    default: migration
  confirmed:
    description: The environment's name, as the operator typed it.
    type: str
    default: ""
  digest:
    description: The digest of the plan that was reviewed. It serves instead of O(confirmed) where nothing is restored.
    type: str
    default: ""
  backup:
    description: The backup that is to be restored, an id, V(latest) or V(before:RUN).
    type: str
    default: latest
  backup_dir:
    description: Folder on the target for backups. By default C(backups) in the folder for run files.
    type: path
    default: ""
  client_bin:
    description: Folder of the server's client programs on the target. By default those that fit are looked for.
    type: path
    default: ""
  recipients:
    description: Public keys of age for which the backup before an undoing is encrypted.
    type: list
    elements: str
  identity:
    description: File on the control node with the private key of an encrypted backup.
    type: str
    default: ""
  suffix:
    description: What will stand behind the name of the database that is restored beside.
    type: str
    default: _restored
  to:
    description: The migration that shall be the last one after a restore.
    type: str
    default: ""
  drill:
    description: Whether all of this happens to a scratch copy, so that nothing has to be typed.
    type: bool
    default: false
  project_root:
    description: Folder on the control node that holds C(sql/). By default the checkout that this plugin is part of.
    type: str
    default: ""
  backs_up:
    description: Set by the action plugin. The databases whose policy asks for a backup before an undoing.
    type: list
    elements: str
  runs:
    description: Set by the action plugin of M(db_ways). The run of each database before which a backup is looked for,
      to compare its rows.
    type: dict
  settings:
    description: Set by the action plugin.
    type: dict
attributes:
  check_mode:
    description: Looks and refuses as ever, and keeps no file.
    support: full
seealso:
  - module: db_migrate
  - module: db_restore
"""

EXAMPLES = r"""
- name: Keep evidence of what stands
  db_incident:
    stage: open
    databases: "{{ windlass_databases }}"
    confirmed: "{{ windlass_confirm }}"
"""

RETURN = r"""
windlass_before:
  description: What stood, by database, when O(stage) is V(open).
  returned: when O(stage) is V(open)
  type: dict
  sample:
    salon:
      at: "2025-11-21T04:05:06.789+00:00"
      fingerprint: v1:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
      log_position: 0/15E4F28
      schema_version: 20251109_create_partitioned_messages_table
      rows:
        public.clients: 1299
windlass_after:
  description: What stands, by database, when O(stage) is V(close).
  returned: when O(stage) is V(close)
  type: dict
windlass_checks:
  description: The results of the verify scripts, by database.
  returned: when O(stage) is V(close)
  type: dict
windlass_error:
  description: Why it was refused, with a stable word as C(code).
  returned: on failure
  type: dict
"""

from contextlib import suppress
from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine.checking import witness
from ansible.module_utils.windlass_engine.errors import WindlassError
from ansible.module_utils.windlass_engine.model import Options, Target

SPEC = {
    "stage": {"type": "str", "required": True, "choices": ["open", "close", "look"]},
    "scenario": {"type": "str", "default": "migration", "choices": ["migration", "application", "restore"]},
    "confirmed": {"type": "str", "default": ""},
    "digest": {"type": "str", "default": ""},
    "backup": {"type": "str", "default": "latest"},
    "backup_dir": {"type": "path", "default": ""},
    "client_bin": {"type": "path", "default": ""},
    "recipients": {"type": "list", "elements": "str"},
    "identity": {"type": "str", "default": "", "no_log": True},
    "suffix": {"type": "str", "default": "_restored"},
    "to": {"type": "str", "default": ""},
    "drill": {"type": "bool", "default": False},
    "project_root": {"type": "str", "default": ""},
    "backs_up": {"type": "list", "elements": "str"},
    "runs": {"type": "dict"},
    "settings": {"type": "dict"},
}


def see(module: AnsibleModule) -> dict[str, Any]:
    return {"databases": {target.name: seen(module, target) for target in adapter.targets(module)}}


def seen(module: AnsibleModule, target: Target) -> dict[str, Any]:
    if module.params["stage"] == "close":
        return witness.afterwards(target, Options(**module.params["settings"][target.name]))
    if module.params["stage"] == "look":
        return looked(module, target)
    found = state(module, target)
    found["running"] = adapter.running(module, target)
    if not (found["running"] or found["lock"]):  # else it is refused for that
        require_possible(module, target, found)
    return found


def require_possible(module: AnsibleModule, target: Target, found: dict[str, Any]) -> None:
    """Refuse what would stop in the middle; nothing is touched.  Most plays need none of what it takes to look."""
    if module.params["scenario"] == "restore":
        require_restore(module, target, found)
    elif target.name in (module.params["backs_up"] or ()):
        from ansible.module_utils.windlass_engine.backups import backup

        directory = adapter.backup_dir(module, make=False)
        recipients = tuple(module.params["recipients"] or ())
        settings = backup.BackupSettings(directory, module.params["client_bin"], recipients=recipients)
        backup.require_possible(target, settings)


def require_restore(module: AnsibleModule, target: Target, found: dict[str, Any]) -> None:
    """Refuse a restore that could not end, and note the backup that it takes."""
    from ansible.module_utils.windlass_engine.backups import backup, restore
    from ansible.module_utils.windlass_engine.keeping import backup_store

    params, directory = module.params, adapter.backup_dir(module, make=False)
    path = backup_store.find(directory, target.name, params["backup"])["path"]
    name = f"{backup.keeper_of(target).database_name(target)}{params['suffix']}"
    found["backup"] = restore.require_possible(target, path, name, params["client_bin"], params["identity"])


def looked(module: AnsibleModule, target: Target) -> dict[str, Any]:
    """Return what stands, and what the backups hold that could take its place."""
    from ansible.module_utils.windlass_engine.keeping import backup_store, manifest

    entries = backup_store.catalogue(adapter.backup_dir(module, make=False), target.name)
    whole = [entry for entry in entries if entry["state"] == "complete"]
    run_id = (module.params["runs"] or {}).get(target.name, "")
    ref = module.params["backup"]
    asked = {**backup_store.find(adapter.backup_dir(module, make=False), target.name, ref), "ref": ref} if ref else None
    usual = [entry for entry in whole if run_id and entry["run_id"] == run_id] or whole
    compared = [asked] if asked else usual[:1]
    rows = {}
    for entry in compared:
        with suppress(WindlassError):  # its retention deletes it at this moment
            rows[entry["id"]] = manifest.load(entry["path"])["rows"]
    return {**state(module, target), "backups": whole[:20], "backup_rows": rows, "asked": asked}


def state(module: AnsibleModule, target: Target) -> dict[str, Any]:
    """Return what stands; what is to be restored may not even answer any more."""
    try:
        return witness.look(target)
    except WindlassError as error:
        if module.params["scenario"] != "restore" and module.params["stage"] != "look":
            raise
        return {"error": error.to_wire(), "lock": "", "read_only": False, "schema_version": "", "rows": {}}


WORK = see

if __name__ == "__main__":
    adapter.answer(SPEC, WORK)
