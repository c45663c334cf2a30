#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_rehearse
short_description: Run pending plans on copies of the real data and measure them
description:
  - Restores the newest backup of each database into a scratch database, runs the pending plan there with its verify
    scripts, the standing checks and the sample-data tests, then the way back, then the plan again, and drops the
    scratch database, also after a failure.
  - Measures each statement's time, the tables that are locked and for how long, the log written, temporary space, and
    by how much tables grow. Compares the schema after the way back and after the second time.
  - With O(load), the system's own statements run meanwhile, and what they felt of it is measured.
  - Runs on the host that the policy's C(restore_test_host) names, to which the task is delegated; what
    M(db_restore_test) with C(stage=bring) registered says where the backups are.
  - What was found is kept on the control node for the plan's digest, so that plan and gate know of it.
extends_documentation_fragment:
  - windlass
  - windlass.following
options:
  plans:
    description: The packed plans that M(db_plan) returned.
    type: dict
    required: true
  brought:
    description: The registered result of M(db_restore_test) with C(stage=bring).
    type: dict
  load:
    description: Name of a script in C(sql/<system>/load), or C(all) of them. Empty means no load.
    type: str
    default: ""
  workers:
    description: How many sessions make the load.
    type: int
    default: 4
  project_root:
    description: Folder on the control node that holds C(sql/). By default the checkout that this plugin is part of.
    type: str
    default: ""
  client_bin:
    description: Folder of the client programs on the test host. By default those that fit the server are looked for.
    type: path
    default: ""
  identity:
    description:
      - File on the control node with the identity that opens encrypted backups. Its content travels as a secret.
      - By default the file that C(WINDLASS_AGE_IDENTITY) names.
    type: str
    default: ""
  rehearsals:
    description: Set by the action plugin. The backup's folder and the scripts of each database.
    type: dict
seealso:
  - module: db_restore_test
  - module: db_plan
"""

EXAMPLES = r"""
- name: Rehearse
  db_rehearse:
    databases: "{{ windlass_databases }}"
    policy: "{{ windlass_policy }}"
    plans: "{{ windlass_planned.windlass_packed }}"
    brought: "{{ windlass_brought }}"
    load: all
  delegate_to: "{{ windlass_policy.restore_test_host }}"
"""

RETURN = r"""
windlass_rehearsal:
  description: What was measured and found, by database.
  returned: always
  type: dict
  sample:
    salon:
      backup: 20251121T040506Z-1a2b3c
      failed: ""
      parts:
        - what: the plan
          duration_ms: 4120
          statements:
            - migration: 007_paid
              line: 1
              duration_ms: 3800
              rows: 200000
              log_bytes: 8150000
              temporary_bytes: 0
              growth: [{table: public.chats, bytes: 34971648, own: 16916480, indexes: 18055168}]
          longest_block: {table: public.chats, mode: AccessExclusiveLock, blocks: reads and writes, held_ms: 210}
windlass_error:
  description: C(rehearsal_failed), C(plan_stale) or another stable word as C(code).
  returned: on failure
  type: dict
"""

import os
from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_detach import state_dir
from ansible.module_utils.windlass_engine.keeping import workplace
from ansible.module_utils.windlass_engine.model import Options, Plan, Script, Target
from ansible.module_utils.windlass_engine.rehearsal import rehearse
from ansible.module_utils.windlass_engine.wire import unpack

KINDS = ("checks", "samples", "load", "queries")
SPEC = {
    **adapter.FOLLOWING,
    "plans": {"type": "dict", "required": True},
    "brought": {"type": "dict"},
    "load": {"type": "str", "default": ""},
    "workers": {"type": "int", "default": 4},
    "project_root": {"type": "str", "default": ""},
    "client_bin": {"type": "path", "default": ""},
    "identity": {"type": "str", "default": "", "no_log": True},
    "rehearsals": {"type": "dict"},
}


def work(module: AnsibleModule) -> dict[str, Any]:
    return adapter.advance(module, [order(module, target) for target in adapter.targets(module)])


def order(module: AnsibleModule, target: Target) -> adapter.Order:
    folder = os.path.join(state_dir(module.params["state_dir"]), "restore-tests", module.params["run_id"])
    path, asked = asked_of(module, target)
    options = Options(**module.params["settings"][target.name])

    def play(emit: Any) -> dict[str, Any]:
        with workplace.copy_in(folder, path):
            return rehearse.run(target, asked, options, emit)

    return adapter.order(module, target, "rehearsal", asked.plan.digest, "rehearsal", play)


def asked_of(module: AnsibleModule, target: Target) -> tuple[str, rehearse.Rehearsal]:
    given = module.params["rehearsals"][target.name]
    packed = unpack(given["scripts"])
    scripts = {kind: [Script.from_wire(item) for item in packed[kind]] for kind in KINDS}
    return given["path"], rehearse.Rehearsal(
        given["path"], Plan.from_wire(unpack(module.params["plans"][target.name])["plan"]),
        workers=module.params["workers"], client_bin=module.params["client_bin"], identity=module.params["identity"],
        **scripts,
    )  # fmt: skip


if __name__ == "__main__":
    adapter.answer(SPEC, work)
