#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_offsite
short_description: Copy backups off the host, and fetch them back
description:
  - Copies every complete backup that the repository does not have yet, with restic, reads each new copy back and holds
    it against the backup's manifest.
  - With O(fetch) brings a copy back under the backup's own name instead.
  - In check mode says what would be copied or fetched.
extends_documentation_fragment:
  - windlass
  - windlass.following
options:
  offsite:
    description: The repository for off-site copies, as C(windlass_offsite) gives it. Without one nothing is done.
    type: dict
  create:
    description: Whether to make the repository where there is none.
    type: bool
    default: false
  check:
    description: Whether restic also checks the whole repository, with all its data.
    type: bool
    default: false
  fetch:
    description: Id of a backup to bring back. A local one that is whole stays (C(here)); a damaged one makes room.
    type: str
    default: ""
  backup_dir:
    description: Folder on the target for backups. By default C(backups) in the folder for run files.
    type: path
    default: ""
seealso:
  - module: db_catalogue
"""

EXAMPLES = r"""
- name: Copy what is not there yet
  db_offsite:
    databases: "{{ windlass_databases }}"
    offsite:
      repository: sftp:backup@nas.example:/srv/windlass
      password: "{{ vault_offsite_password }}"
"""

RETURN = r"""
windlass_offsite:
  description: What was copied, fetched or checked, by database.
  returned: always
  type: dict
  sample:
    salon:
      repository: sftp:backup@nas.example:/srv/windlass
      created: false
      copied: [20251121T040506Z-1a2b3c]
      fetched: ""
      here: ""
      checked: false
      intended: false
"""

from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine.keeping import copying, offsite
from ansible.module_utils.windlass_engine.model import Target

SPEC = {
    **adapter.FOLLOWING,
    "offsite": {"type": "dict", "no_log": True},
    "create": {"type": "bool", "default": False},
    "check": {"type": "bool", "default": False},
    "fetch": {"type": "str", "default": ""},
    "backup_dir": {"type": "path", "default": ""},
}


def copy(module: AnsibleModule) -> dict[str, Any]:
    orders = [order(module, target) for target in adapter.targets(module)]
    return adapter.directly(orders) if module.check_mode else adapter.advance(module, orders)


def order(module: AnsibleModule, target: Target) -> adapter.Order:
    repository = offsite.Repository.of(module.params["offsite"])
    directory = adapter.backup_dir(module, make=not module.check_mode)
    wish = copying.Wish(**{key: module.params[key] for key in ("create", "check", "fetch")})

    def work(emit: Any) -> dict[str, Any]:
        if repository is None:
            if wish != copying.Wish():
                raise offsite.no_repository()
            return {"skipped": "windlass_offsite names no repository"}
        return copying.carry_out(repository, directory, target.name, wish, module.check_mode, emit)

    return adapter.order(module, target, "offsite", "", "offsite", work)


if __name__ == "__main__":
    adapter.answer(SPEC, copy)
