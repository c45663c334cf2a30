#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_catalogue
short_description: List the backups of databases
description:
  - Returns every backup of each database, newest first, with its state and what is known of it. Reads manifests and
    marks, not the data. Changes nothing but the marks that O(marks) sets.
  - Where O(offsite) names a repository, its copies are listed too.
extends_documentation_fragment:
  - windlass
options:
  backup_dir:
    description: Folder on the target for backups. By default C(backups) in the folder for run files.
    type: path
    default: ""
  offsite:
    description: The repository for off-site copies, as C(windlass_offsite) gives it.
    type: dict
  marks:
    description: Set by the action plugin of M(db_restore_test). How restore tests of backups ended, by database.
    type: dict
seealso:
  - module: db_backup
  - module: db_prune
"""

EXAMPLES = r"""
- name: List backups
  db_catalogue:
    databases: "{{ windlass_databases }}"
"""

RETURN = r"""
windlass_backups:
  description: The backups of each database, newest first, and what kept the off-site copies from being listed.
  returned: always
  type: dict
  sample:
    salon:
      offsite_error: null
      entries:
        - id: 20251121T040506Z-1a2b3c
          state: complete
          path: /var/lib/windlass/backups/salon/20251121T040506Z-1a2b3c
          bytes: 1048576
          age_s: 3600
          duration_ms: 812
          encrypted: false
          journal_head: 5d41402abc4b2a76b9719d911017c592
          verified:
            at: "2025-11-21T04:30:00+00:00"
            host: db2
            duration_ms: 2310
          offsite:
            repository: /mnt/nas/windlass
            snapshot: 6ec9e9f3
            at: "2025-11-21T04:06:00+00:00"
"""

from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine.errors import WindlassError
from ansible.module_utils.windlass_engine.keeping import catalogue, marks, offsite

SPEC = {
    "backup_dir": {"type": "path", "default": ""},
    "offsite": {"type": "dict", "no_log": True},
    "marks": {"type": "dict"},
}


def read(module: AnsibleModule) -> dict[str, Any]:
    directory = adapter.backup_dir(module, make=False)
    for database, mark in (module.params["marks"] or {}).items():
        put(catalogue.home_of(directory, database), mark)
    found = catalogue.read(directory, [target.name for target in adapter.targets(module)])
    repository, error = offsite.Repository.of(module.params["offsite"]), None
    if repository:
        try:
            found = catalogue.with_offsite(found, repository)
        except WindlassError as wrong:
            error = wrong.to_wire()
    return {"databases": {name: {"entries": listed, "offsite_error": error} for name, listed in found.items()}}


def put(home: str, mark: dict[str, Any]) -> None:
    if mark["failed"]:
        marks.failed(home, mark["id"], mark["failed"])
    else:
        marks.verified(home, mark["id"], mark["host"], mark["duration_ms"])


if __name__ == "__main__":
    adapter.answer(SPEC, read)
