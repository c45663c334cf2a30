#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_prune
short_description: Delete the backups that no rule keeps
description:
  - Keeps complete backups by number and by the calendar, and deletes the others, here and off-site. The newest complete
    one and the last verified one stay whatever the rules say.
  - Nothing is deleted when the newest backup failed, is broken, or does not pass a fresh look at its hashes.
  - In check mode says what would go, what stays, and why.
extends_documentation_fragment:
  - windlass
  - windlass.following
options:
  retention:
    description: How many backups each rule keeps, as C(windlass_retention) gives them. Without any nothing goes.
    type: dict
  by_policy:
    description: Whether only databases whose policy says C(prune=after_backup) are looked at.
    type: bool
    default: false
  backup_dir:
    description: Folder on the target for backups. By default C(backups) in the folder for run files.
    type: path
    default: ""
  offsite:
    description: The repository for off-site copies, as C(windlass_offsite) gives it.
    type: dict
seealso:
  - module: db_catalogue
"""

EXAMPLES = r"""
- name: Keep a week of daily backups and a year of monthly ones
  db_prune:
    databases: "{{ windlass_databases }}"
    retention:
      daily: 7
      monthly: 12
"""

RETURN = r"""
windlass_retention:
  description: What went, what stays, and the rules that keep it.
  returned: always
  type: dict
  sample:
    salon:
      held: ""
      deleted: [20251101T040506Z-1a2b3c]
      offsite_deleted: []
      in_use: []
      freed_bytes: 1048576
      left_on_server: []
      decisions:
        - id: 20251121T040506Z-1a2b3c
          keep: true
          reasons: [the newest, daily 2025-11-21]
        - id: 20251101T040506Z-1a2b3c
          keep: false
          reasons: [no rule keeps it]
"""

from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine.backups.backup import server_of
from ansible.module_utils.windlass_engine.keeping import offsite, pruning, retention
from ansible.module_utils.windlass_engine.model import Target

SPEC = {
    **adapter.FOLLOWING,
    "retention": {"type": "dict"},
    "by_policy": {"type": "bool", "default": False},
    "backup_dir": {"type": "path", "default": ""},
    "offsite": {"type": "dict", "no_log": True},
}


def prune(module: AnsibleModule) -> dict[str, Any]:
    orders = [order(module, target) for target in adapter.targets(module)]
    return adapter.directly(orders) if module.check_mode else adapter.advance(module, orders)


def order(module: AnsibleModule, target: Target) -> adapter.Order:
    policy = retention.policy_of(module.params["retention"])
    repository = offsite.Repository.of(module.params["offsite"])
    directory = adapter.backup_dir(module, make=False)

    def work(_: Any) -> dict[str, Any]:
        if policy is None:
            return {"skipped": "windlass_retention gives no rules"}
        return pruning.prune(directory, target.name, policy, repository, module.check_mode, server_of(target))

    return adapter.order(module, target, "prune", "", "backup", work)


if __name__ == "__main__":
    adapter.answer(SPEC, prune)
