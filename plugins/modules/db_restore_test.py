#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_restore_test
short_description: Test that the newest backups can be restored
description:
  - Restores the newest complete backup of each database into a scratch database, compares it with the manifest, runs
    the system's standing checks and sample-data tests on it, and drops the scratch database, also after a failure.
  - Runs on the host that the policy's C(restore_test_host) names, to which the task is delegated. A backup of another
    host is copied there through the control node, and deleted afterwards.
  - What was learnt is kept as a mark of the backup, C(verified) with the time that it took, or C(failed).
  - In check mode says which backup would be restored where.
extends_documentation_fragment:
  - windlass
  - windlass.following
options:
  stage:
    description:
      - C(bring) finds the backups on their host, C(test) restores them on the test host, C(mark) keeps the outcome.
      - The stages are three tasks, because only the second one is delegated.
    type: str
    choices: [bring, test, mark]
    default: bring
  earlier:
    description: The registered result of the stage before.
    type: dict
  project_root:
    description: Folder on the control node that holds C(sql/). By default the checkout that this plugin is part of.
    type: str
    default: ""
  backup_dir:
    description: Folder on the target for backups. By default C(backups) in the folder for run files.
    type: path
    default: ""
  client_bin:
    description:
      - Folder of the client programs (pg_restore, mariadb, mysql) on the test host.
      - By default the one that fits the server is looked for.
    type: path
    default: ""
  identity:
    description:
      - File on the control node with the identity that opens encrypted backups. Its content travels as a secret.
      - By default the file that C(WINDLASS_AGE_IDENTITY) names.
    type: str
    default: ""
  trials:
    description: Set by the action plugin. The backup's folder and the scripts of each database.
    type: dict
  place:
    description: Set by the action plugin. Whether only a folder for a backup of another host is wanted.
    type: bool
    default: false
seealso:
  - module: db_restore
"""

EXAMPLES = r"""
- name: Find the newest backups
  db_restore_test:
    databases: "{{ windlass_databases }}"
    policy: "{{ windlass_policy }}"
  register: brought

- name: Restore them
  db_restore_test:
    databases: "{{ windlass_databases }}"
    policy: "{{ windlass_policy }}"
    stage: test
    earlier: "{{ brought }}"
  delegate_to: "{{ windlass_policy.restore_test_host }}"
"""

RETURN = r"""
windlass_restore_test:
  description: How each backup did.
  returned: always
  type: dict
  sample:
    salon:
      backup: 20251121T040506Z-1a2b3c
      host: db2
      failed: ""
      duration_ms: 2310
      checks: []
      samples: []
      lacking: []
windlass_error:
  description: C(restore_untested) or another stable word as C(code).
  returned: on failure
  type: dict
"""

import os
from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_detach import state_dir
from ansible.module_utils.windlass_engine.backups import trial
from ansible.module_utils.windlass_engine.keeping import workplace
from ansible.module_utils.windlass_engine.model import Script, Target, digest_of
from ansible.module_utils.windlass_engine.wire import unpack

SPEC = {
    **adapter.FOLLOWING,
    "stage": {"type": "str", "choices": ["bring", "test", "mark"], "default": "bring"},
    "earlier": {"type": "dict"},
    "project_root": {"type": "str", "default": ""},
    "backup_dir": {"type": "path", "default": ""},
    "client_bin": {"type": "path", "default": ""},
    "identity": {"type": "str", "default": "", "no_log": True},
    "trials": {"type": "dict"},
    "place": {"type": "bool", "default": False},
}


def work(module: AnsibleModule) -> dict[str, Any]:
    folder = os.path.join(state_dir(module.params["state_dir"]), "restore-tests", module.params["run_id"])
    if module.params["place"]:
        workplace.clear_copies(os.path.dirname(folder))
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return {"folder": folder}
    return adapter.advance(module, [order(module, target, folder) for target in adapter.targets(module)])


def order(module: AnsibleModule, target: Target, folder: str) -> adapter.Order:
    given = module.params["trials"][target.name]
    sent = unpack(given["scripts"])
    scripts = {kind: [Script.from_wire(item) for item in sent[kind]] for kind in ("checks", "samples")}
    wanted = trial.Trial(
        given["path"], client_bin=module.params["client_bin"], identity=module.params["identity"],
        migrations=sent["migrations"], **scripts,
    )  # fmt: skip

    def test(emit: Any) -> dict[str, Any]:
        with workplace.copy_in(folder, given["path"]):
            return trial.run(target, wanted, emit)

    return adapter.order(module, target, "restore-test", digest_of({"path": given["path"]}), "restore-test", test)


if __name__ == "__main__":
    adapter.answer(SPEC, work)
