#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_maintain
short_description: Run maintenance jobs
description:
  - Runs the scripts of a system's C(maintenance/) folder, one after the other. Each pass of a job is one transaction
    under the deployer lock, and the same job never runs twice at once.
  - What a job did is counted and written into the journal's log. A job that fails does not stop the others.
  - The work goes on on the host when the connection is lost.
  - In check mode nothing runs, and the jobs that would are listed with their scripts.
extends_documentation_fragment:
  - windlass
  - windlass.following
options:
  project_root:
    description: Folder on the control node that holds C(sql/). By default the checkout that this plugin is part of.
    type: str
    default: ""
  job:
    description: The one job to run, by the name of its file without C(.sql). By default all.
    type: str
    default: ""
  schedule:
    description: Run only the jobs whose script names this schedule.
    type: str
    default: ""
  jobs:
    description: Set by the action plugin. The scripts of each database.
    type: dict
seealso:
  - module: db_migrate
"""

EXAMPLES = r"""
- name: Run what is due every hour
  db_maintain:
    databases: "{{ windlass_databases }}"
    schedule: hourly
"""

RETURN = r"""
windlass_maintenance:
  description: How each database's jobs ended.
  returned: always
  type: dict
  sample:
    salon:
      status: done
      changed: true
      jobs:
        - name: expired_rows
          status: done
          rows: 12
          passes: 1
          duration_ms: 9
          error: null
windlass_error:
  description: C(maintenance_failed) or another stable word as C(code), of the first job that failed.
  returned: on failure
  type: dict
"""

from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine import maintain
from ansible.module_utils.windlass_engine.model import Options, Target
from ansible.module_utils.windlass_engine.wire import unpack

SPEC = {
    **adapter.FOLLOWING,
    "project_root": {"type": "str", "default": ""},
    "job": {"type": "str", "default": ""},
    "schedule": {"type": "str", "default": ""},
    "jobs": {"type": "dict"},
}


def work(module: AnsibleModule) -> dict[str, Any]:
    return adapter.advance(module, [order(module, target) for target in adapter.targets(module)])


def order(module: AnsibleModule, target: Target) -> adapter.Order:
    jobs = [maintain.Job.from_wire(item) for item in unpack(module.params["jobs"][target.name])["jobs"]]
    options = Options(**module.params["settings"][target.name])
    return adapter.order(
        module, target, "maintain", "", "maintain", lambda emit: maintain.run(target, jobs, options, emit)
    )


if __name__ == "__main__":
    adapter.answer(SPEC, work)
