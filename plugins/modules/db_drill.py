#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_drill
short_description: Make scratch copies of databases for a drill, aim at them, and drop them
description:
  - V(copy) restores the newest backup of each database into a database of its own on the same server and compares it.
    What an earlier drill left there is dropped first. The policy has to say C(scratch) V(allow).
  - V(aim) lets the tasks behind it work on the copies, by a fact in place of C(windlass_databases). Its result holds
    logins, so its task needs C(no_log).
  - V(drop) drops the copies, and what stood in their place before an exchange.
extends_documentation_fragment:
  - windlass
  - windlass.following
options:
  stage:
    description: What to do.
    type: str
    choices: [copy, aim, drop]
    required: true
  copies:
    description: The copies, as V(copy) returned them, for V(aim).
    type: dict
  backup_dir:
    description: Folder on the target for backups. By default C(backups) in the folder for run files.
    type: path
    default: ""
  client_bin:
    description: Folder of the server's client programs on the target. By default those that fit are looked for.
    type: path
    default: ""
  identity:
    description: File on the control node with the private key of encrypted backups.
    type: str
    default: ""
attributes:
  check_mode:
    description: Says what would be restored; there are no copies to aim at then.
    support: full
"""

EXAMPLES = r"""
- name: Copy
  db_drill:
    stage: copy
    databases: "{{ windlass_databases }}"
    policy: {scratch: allow}
  register: windlass_copied
"""

RETURN = r"""
windlass_copies:
  description: The copies by database, with the URL that leads to each, which holds no password.
  returned: when O(stage) is not V(aim)
  type: dict
  sample:
    salon:
      name: windlass_drill_salon
      url: postgresql://deploy@127.0.0.1/windlass_drill_salon
      backup: 20251121T040506Z-1a2b3c
windlass_error:
  description: Why there is no copy, with a stable word as C(code).
  returned: on failure
  type: dict
"""

from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine.backups import drill
from ansible.module_utils.windlass_engine.keeping import backup_store
from ansible.module_utils.windlass_engine.model import Target

SPEC = {
    **adapter.FOLLOWING,
    "stage": {"type": "str", "required": True, "choices": ["copy", "aim", "drop"]},
    "copies": {"type": "dict"},
    "backup_dir": {"type": "path", "default": ""},
    "client_bin": {"type": "path", "default": ""},
    "identity": {"type": "str", "default": "", "no_log": True},
}


def work(module: AnsibleModule) -> dict[str, Any]:
    orders = [order(module, target) for target in adapter.targets(module)]
    return adapter.directly(orders) if module.check_mode else adapter.advance(module, orders)


def order(module: AnsibleModule, target: Target) -> adapter.Order:
    def do(emit: Any) -> dict[str, Any]:
        if module.params["stage"] == "drop":
            return {} if module.check_mode else drill.drop(target)
        directory = adapter.backup_dir(module, make=False)
        path = backup_store.find(directory, target.name, "latest")["path"]
        if module.check_mode:
            return {"name": drill.name_of(target), "backup": backup_store.check(path)["id"], "skipped": "check mode"}
        return drill.copy(target, path, module.params["client_bin"], emit, module.params["identity"])

    return adapter.order(module, target, f"drill-{module.params['stage']}", "", "run", do)


if __name__ == "__main__":
    adapter.answer(SPEC, work)
