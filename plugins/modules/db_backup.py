#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_backup
short_description: Back up databases
description:
  - Makes a backup of each database from one snapshot, reads it back, hashes it, and publishes it complete or not at
    all.
  - The work is done by a process of its own on the target and survives a lost link, as with M(db_migrate).
  - In check mode says how much there is to save, how much room there is, and with which program and compression it
    would be done.
extends_documentation_fragment:
  - windlass
  - windlass.following
options:
  plans:
    description: Only back up the databases that have an entry here, as C(windlass_packed) of M(db_plan) returns it.
    type: dict
  by_policy:
    description:
      - Whether the policy's C(backup) decides. C(never) makes none, and C(optional) lets a run go on without one.
    type: bool
    default: false
  backup_dir:
    description: Folder on the target for backups. By default C(backups) in the folder for run files.
    type: path
    default: ""
  client_bin:
    description:
      - Folder of the client programs (pg_dump, mariadb-dump, mysqldump) on the target.
      - By default the one that fits the server is looked for.
    type: path
    default: ""
  recipients:
    description: Public keys of age for which the backups are encrypted. Without any they are not.
    type: list
    elements: str
  copies_offsite:
    description:
      - Whether the backups are to be copied off-site afterwards. One that could not be is refused before it begins.
      - Left out by the action plugin for a backup before a change, which is made all the same.
    type: bool
    default: false
  size_bands:
    description:
      - Below how many percent of the usual size a backup is strange, by database, as the policy's
        C(backup_size_band) says.
      - Set by the action plugin.
    type: dict
  moment:
    description:
      - Which backup of the run it is, where a run makes several. V(evidence) is that of a broken state, V(fresh) that
        of what stands afterwards; neither is what C(before:RUN) names.
    type: str
    choices: ["", evidence, fresh]
    default: ""
  why:
    description: What the backup is for, kept in its manifest.
    type: str
    default: ""
seealso:
  - module: db_restore
"""

EXAMPLES = r"""
- name: Back up
  db_backup:
    databases: "{{ windlass_databases }}"
    backup_dir: /srv/backups
    why: before the upgrade of the server
"""

RETURN = r"""
windlass_backup:
  description: The manifest's summary of each backup, or why there is none.
  returned: always
  type: dict
  sample:
    salon:
      id: 20251121T040506Z-1a2b3c
      path: /var/lib/windlass/backups/salon/20251121T040506Z-1a2b3c
      bytes: 1048576
      tables: 12
      total_rows: 90210
      duration_ms: 812
    scratch:
      skipped: the policy asks for none
windlass_error:
  description: C(space_missing), C(backup_failed) or another stable word as C(code).
  returned: on failure
  type: dict
"""

import shutil
from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine.backups import backup
from ansible.module_utils.windlass_engine.checking import inspection
from ansible.module_utils.windlass_engine.keeping import marks
from ansible.module_utils.windlass_engine.keeping.backup_store import home_of
from ansible.module_utils.windlass_engine.model import Target, digest_of

SPEC = {
    **adapter.FOLLOWING,
    "plans": {"type": "dict"},
    "by_policy": {"type": "bool", "default": False},
    "backup_dir": {"type": "path", "default": ""},
    "client_bin": {"type": "path", "default": ""},
    "recipients": {"type": "list", "elements": "str"},
    "copies_offsite": {"type": "bool", "default": False},
    "size_bands": {"type": "dict"},
    "moment": {"type": "str", "default": "", "choices": ["", "evidence", "fresh"]},
    "why": {"type": "str", "default": ""},
}


def make(module: AnsibleModule) -> dict[str, Any]:
    orders = [order(module, target) for target in adapter.targets(module)]
    return adapter.directly(orders) if module.check_mode else adapter.advance(module, orders)


def order(module: AnsibleModule, target: Target) -> adapter.Order:
    options = module.params["settings"][target.name]
    directory = adapter.backup_dir(module, make=not module.check_mode)
    band = int((module.params["size_bands"] or {}).get(target.name, backup.BackupSettings.size_band))
    moment = module.params["moment"]
    is_asked_for = not (module.params["by_policy"] or moment)
    settings = backup.BackupSettings(
        directory=directory, client_bin=module.params["client_bin"], who=options["who"], why=module.params["why"],
        run_id=f"{module.params['run_id']} {module.params['moment']}".strip(),
        recipients=tuple(module.params["recipients"] or ()), size_band=band,
        offsite=is_asked_for and module.params["copies_offsite"],
    )  # fmt: skip

    def work(emit: Any) -> dict[str, Any]:
        return would_make(target, settings) if module.check_mode else made(target, settings, emit)

    # A person who comes back to a backup that he asked for follows it; one before a change is always that change's own.
    by_hand = is_asked_for and not module.params.get("scheduled")
    digest = digest_of({"who": settings.who, "why": settings.why}) if by_hand else ""
    return adapter.order(module, target, f"backup-{moment}" if moment else "backup", digest, "backup", work)


def made(target: Target, settings: backup.BackupSettings, emit: Any) -> dict[str, Any]:
    """Make a backup, and note how that ended: retention deletes nothing after a failure."""
    home = home_of(settings.directory, target.name)
    try:
        summary = backup.make(target, settings, emit)
    except Exception as error:
        marks.attempted(home, error=str(getattr(error, "message", error)))
        raise
    marks.attempted(home, summary["id"])
    return summary


def would_make(target: Target, settings: backup.BackupSettings) -> dict[str, Any]:
    directory = settings.directory
    found = inspection.look(target)
    if found["error"]:
        raise adapter.WindlassError.from_wire(found["error"])
    figures = {"database_bytes": found["size_bytes"], "free_bytes": shutil.disk_usage(adapter.existing(directory)).free}
    way = backup.foresee(target, settings)
    return {"skipped": "check mode", "path": home_of(directory, target.name), **figures, **way}


WORK = make

if __name__ == "__main__":
    adapter.answer(SPEC, WORK)
