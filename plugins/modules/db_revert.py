#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_revert
short_description: End a failed run, undoing what it applied where the policy says so
description:
  - For the C(rescue) of a run. Undoes, by the down scripts that the journal keeps, the migrations that this very run
    applied on databases whose policy is C(on_failure=rollback). Others stay as they are.
  - Then fails with the error that stopped the run, so that the rest of a fleet is left untouched.
extends_documentation_fragment:
  - windlass
options:
  project_root:
    description: Folder on the control node that holds C(sql/). By default the checkout that this plugin is part of.
    type: str
    default: ""
  runs:
    description: C(windlass_run) of M(db_migrate), as far as it came.
    type: dict
  failure:
    description: What failed, C(ansible_failed_result).
    type: dict
  run_id:
    description: The run's id. By default one id for the whole play, or C(windlass_run_id) when it is set.
    type: str
    default: ""
notes:
  - This is an action plugin. On the target it runs M(db_info) and M(db_migrate).
seealso:
  - module: db_migrate
"""

EXAMPLES = r"""
- name: Deploy
  block:
    - name: Migrate
      db_migrate:
        databases: "{{ windlass_databases }}"
        plans: "{{ windlass_planned.windlass_packed }}"
      register: windlass_ran
  rescue:
    - name: Go back where the policy says so, and stop
      db_revert:
        databases: "{{ windlass_databases }}"
        policy: {on_failure: rollback}
        runs: "{{ windlass_ran.windlass_run | default({}) }}"
        failure: "{{ ansible_failed_result }}"
"""

RETURN = r"""
windlass_run:
  description: The failed runs' results, with what was undone of them as RV(windlass_run.*.reverted).
  returned: always
  type: dict
windlass_error:
  description: The error that stopped the run.
  returned: always
  type: dict
"""
