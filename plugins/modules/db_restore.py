#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_restore
short_description: Restore databases beside the originals
description:
  - Hashes a backup again, restores it into a new database, and compares that with the backup's manifest. Never
    restores over anything.
  - With O(swap) the restored database takes the place of the original, which is kept under a dated name; O(undo)
    exchanges them back.
  - The work is done by a process of its own on the target and survives a lost link, as with M(db_migrate).
  - In check mode hashes the backup, and tells what a restore would meet, such as versions, roles, extensions,
    tablespaces, room, sessions, and objects that name the original database.
extends_documentation_fragment:
  - windlass
  - windlass.following
options:
  backup:
    description: Which backup, C(latest), an id, C(before:RUN_ID), or a folder on the target.
    type: str
    default: latest
  into:
    description: Name of the new database. By default the database's own name and C(_restored).
    type: str
    default: ""
  suffix:
    description: What the new database's name adds to the original's, where O(into) is empty.
    type: str
    default: _restored
  swap:
    description: Whether the restored database takes the place of the original.
    type: bool
    default: false
  tables:
    description:
      - The only tables whose rows are restored, as full names or patterns (C(public.event_*)). The other tables are
        there and empty; foreign keys and triggers are left out.
    type: list
    elements: str
  undo:
    description: Whether to put back the database that the last swap kept, instead of restoring anything.
    type: bool
    default: false
  standing:
    description: Whether O(into) stands already, restored and compared, and only takes the original's place now.
    type: bool
    default: false
  drop:
    description:
      - Name of a database that a swap kept or a restore made; it is dropped, with the sessions in it, and nothing
        else is done. Other names are refused.
    type: str
    default: ""
  backup_dir:
    description: Folder on the target for backups. By default C(backups) in the folder for run files.
    type: path
    default: ""
  client_bin:
    description:
      - Folder of the client programs (pg_restore, mariadb, mysql) on the target.
      - By default the one that fits the server is looked for.
    type: path
    default: ""
  offsite:
    description: The repository for off-site copies, as C(windlass_offsite) gives it. A backup that is only there is
      fetched first.
    type: dict
  identity:
    description:
      - File on the control node with the identity that opens encrypted backups. Its content travels as a secret.
      - By default the file that C(WINDLASS_AGE_IDENTITY) names.
    type: str
    default: ""
seealso:
  - module: db_backup
"""

EXAMPLES = r"""
- name: Restore the latest backup beside the database
  db_restore:
    databases: "{{ windlass_databases }}"
    only: [salon]

- name: Let the state before a run take the database's place
  db_restore:
    databases: "{{ windlass_databases }}"
    only: [salon]
    backup: before:20251121T040506Z-1a2b3c
    swap: true
"""

RETURN = r"""
windlass_restore:
  description: What was restored, by database.
  returned: always
  type: dict
  sample:
    salon:
      into: salon_restored
      backup: 20251121T040506Z-1a2b3c
      tables: 12
      total_rows: 90210
      differences: []
      swapped: false
      duration_ms: 2310
windlass_error:
  description: C(backup_failed), C(restore_failed) or another stable word as C(code).
  returned: on failure
  type: dict
"""

import os
from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine.backups import exchange, restore
from ansible.module_utils.windlass_engine.backups.backup import keeper_of
from ansible.module_utils.windlass_engine.errors import WindlassError
from ansible.module_utils.windlass_engine.keeping import backup_store, copying, offsite
from ansible.module_utils.windlass_engine.model import Target, digest_of

SPEC = {
    **adapter.FOLLOWING,
    "backup": {"type": "str", "default": "latest"},
    "into": {"type": "str", "default": ""},
    "suffix": {"type": "str", "default": "_restored"},
    "swap": {"type": "bool", "default": False},
    "tables": {"type": "list", "elements": "str"},
    "undo": {"type": "bool", "default": False},
    "standing": {"type": "bool", "default": False},
    "drop": {"type": "str", "default": ""},
    "backup_dir": {"type": "path", "default": ""},
    "client_bin": {"type": "path", "default": ""},
    "offsite": {"type": "dict", "no_log": True},
    "identity": {"type": "str", "default": "", "no_log": True},
}


def bring_back(module: AnsibleModule) -> dict[str, Any]:
    orders = [order(module, target) for target in adapter.targets(module)]
    return adapter.directly(orders) if module.check_mode else adapter.advance(module, orders)


def order(module: AnsibleModule, target: Target) -> adapter.Order:
    def work(emit: Any) -> dict[str, Any]:
        if module.params["drop"]:
            return dropped(module, target)
        if module.params["undo"]:
            return undo(module, target, emit)
        return beside(module, target, emit)

    wanted = {key: module.params[key] for key in ("backup", "into", "suffix", "swap", "undo", "drop")}
    digest = digest_of({**wanted, "tables": module.params["tables"] or []})
    kind = "swap" if module.params["standing"] else "restore"  # a run's work of one kind is never done twice
    return adapter.order(module, target, kind, digest, "run", work)


def dropped(module: AnsibleModule, target: Target) -> dict[str, Any]:
    name = module.params["drop"]
    if module.check_mode:
        return {"into": keeper_of(target).database_name(target), "dropped": name, "skipped": "check mode"}
    return exchange.drop(target, name)


def undo(module: AnsibleModule, target: Target, emit: Any) -> dict[str, Any]:
    if module.check_mode:
        return {"into": keeper_of(target).database_name(target), "swapped": False, "skipped": "check mode"}
    return exchange.undo_swap(target, emit)


def beside(module: AnsibleModule, target: Target, emit: Any) -> dict[str, Any]:
    if module.params["standing"]:
        return exchanged(module, target, emit)
    path, note = backup_path(module, target)
    tables = tuple(module.params["tables"] or ())
    end = f"{module.params['suffix']}_tables" if tables else module.params["suffix"]
    into = module.params["into"] or f"{keeper_of(target).database_name(target)}{end}"
    client_bin = module.params["client_bin"]
    if module.check_mode:
        looked = restore.look(target, path, into, client_bin, tables)
        return {**looked, "outlook": [*note, *looked["outlook"]], "skipped": "check mode"}
    for text in note:
        emit({"event": "restore_outlook", "text": text})
    restored = restore.beside(target, path, into, client_bin, 0, emit, module.params["identity"], tables)
    return {**restored, **exchange.swap(target, into, emit)} if module.params["swap"] else restored


def exchanged(module: AnsibleModule, target: Target, emit: Any) -> dict[str, Any]:
    into = module.params["into"] or f"{keeper_of(target).database_name(target)}{module.params['suffix']}"
    if module.check_mode:
        return {"into": into, "swapped": False, "skipped": "check mode"}
    return exchange.swap(target, into, emit)


def backup_path(module: AnsibleModule, target: Target) -> tuple[str, list[str]]:
    """Return the backup that is meant, and what is to be said of that."""
    reference = module.params["backup"]
    if os.path.isabs(reference):
        return reference, []
    directory = adapter.backup_dir(module, make=False)
    repository = offsite.Repository.of(module.params["offsite"])
    try:
        found = backup_store.find(directory, target.name, reference)
        return found["path"], [found["note"]] if "note" in found else []
    except WindlassError:
        if repository is None or not copying.is_only_there(repository, directory, target.name, reference):
            raise
    if module.check_mode:
        raise WindlassError(
            "backup_failed", f"the backup {reference} is only off-site, in {repository.shown}",
            hint=f"invoke backups --fetch {reference} --env ENV brings it back, and so does the restore itself",
        )  # fmt: skip
    home = backup_store.home_of(directory, target.name)
    return offsite.fetch_by_id(repository, home, target.name, reference), []


if __name__ == "__main__":
    adapter.answer(SPEC, bring_back)
