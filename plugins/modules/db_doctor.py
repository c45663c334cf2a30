#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_doctor
short_description: Look for whatever would stop a deployment, and say how to mend it
description:
  - Looks at the control node, the way to the host, the host, and each of its databases. One call a host does all.
  - Never changes anything. Everything is looked at before the task fails, so one broken part hides no other.
  - A host that SSH does not reach, or whose host key is not the one on record, is a finding like any other.
extends_documentation_fragment:
  - windlass
options:
  project_root:
    description:
      - Folder on the control node that holds C(sql/) and C(inventories/).
      - By default the checkout that this plugin is part of.
    type: str
    default: ""
  control_node:
    description: Whether to look at the control node as well; once a play is enough.
    type: bool
    default: false
  backup_dir:
    description: Folder on the host for backups. By default C(backups) in the folder for run files.
    type: path
    default: ""
  client_bin:
    description: Folder on the host with the database's client programs. By default the one that fits the server.
    type: path
    default: ""
  programs:
    description: Names of programs that backups will need on the host, such as C(age) and C(restic).
    type: list
    elements: str
  extensions:
    description: Set by the action plugin. The extensions that each database's scripts create.
    type: dict
seealso:
  - module: db_info
"""

EXAMPLES = r"""
- name: Look at every host
  db_doctor:
    databases: "{{ windlass_databases }}"
    control_node: "{{ inventory_hostname == ansible_play_hosts_all[0] }}"
"""

RETURN = r"""
windlass_doctor:
  description:
    - Findings by database; those about the host and the control node stand under the empty name.
    - The status is one of ok, warn, fail and skipped.
  returned: always
  type: dict
  sample:
    salon:
      - name: clock of the database server
        status: warn
        found: 14 s behind this clock
        needed: within 5 s
        mend: "let both keep time: timedatectl set-ntp true, chronyc tracking"
windlass_error:
  description: C(preflight_failed), or for a host that is not reached C(host_unreachable) or C(host_key_changed).
  returned: on failure
  type: dict
"""

import os
import time
from typing import Any

# Read before anything else: the control node compares it with the moments around this call.
CLOCK = time.time()

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_detach import SYSTEM_STATE, USER_STATE
from ansible.module_utils.windlass_engine.checking import doctor
from ansible.module_utils.windlass_engine.model import to_wire

SPEC = {
    "project_root": {"type": "str", "default": ""},
    "control_node": {"type": "bool", "default": False},
    "backup_dir": {"type": "path", "default": ""},
    "client_bin": {"type": "path", "default": ""},
    "programs": {"type": "list", "elements": "str"},
    "extensions": {"type": "dict"},
}


def look(module: AnsibleModule) -> dict[str, Any]:
    chosen = module.params["state_dir"]
    state = [chosen] if chosen else [SYSTEM_STATE, os.path.expanduser(USER_STATE)]
    given = module.params
    places = doctor.Places(state, given["backup_dir"], given["client_bin"], given["programs"] or ())
    found = doctor.examine(adapter.targets(module), places, module.params["extensions"] or {})
    return {"findings": to_wire(found), "clock": CLOCK, "elapsed_s": time.time() - CLOCK}


if __name__ == "__main__":
    adapter.answer(SPEC, look)
