#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_migrate
short_description: Run plans on databases
description:
  - Runs the plans that M(db_plan) made, one database after the other, and stops at the first that fails.
  - Takes the deployer lock, reads the journal again, and refuses a plan that was made for another state
    (C(plan_stale)).
  - The work is done by a process of its own on the target. When the link is lost it goes on; the task waits for the
    host to come back and follows the very same run, which is never started twice.
  - Where another run is at work on a database, that run is followed and its end reported.
  - In check mode returns the SQL that would run and changes nothing.
extends_documentation_fragment:
  - windlass
  - windlass.following
options:
  plans:
    description: The plans by database, as C(windlass_packed) of M(db_plan) returns them. Others are left alone.
    type: dict
    required: true
  kind:
    description: What the run is called in its files on the target; a rollback inside a run has its own.
    type: str
    choices: [migrate, revert, baseline]
    default: migrate
  at_work:
    description:
      - For each database what RV(db_plan#module:windlass_at_work) was. A run that was going on when the plan was made
        is followed to its end, also where it has come to its end since.
    type: dict
  settle:
    description:
      - For a statement that was interrupted and that the catalogue cannot judge, the operator's word on it.
      - C(done) if it took effect, C(again) if it is to run again.
    type: str
    default: ""
  broken_glass:
    description: Why the gate was passed although points of it are not met. It is written into each journal first.
    type: str
    default: ""
  allow_data_loss:
    description: Whether down scripts that ask for it may drop what holds rows.
    type: bool
    default: false
  archive:
    description: Whether what down scripts take away is kept first. By default as O(policy) says.
    type: bool
  restore_archived:
    description: Whether what earlier rollbacks of the migrations took away is put back once they are applied again.
    type: bool
    default: false
attributes:
  check_mode:
    description: Returns the SQL as RV(windlass_run.*.sql).
    support: full
  diff_mode:
    description: Shows the SQL in check mode, else what was added to the journal.
    support: full
seealso:
  - module: db_plan
  - module: db_verify
"""

EXAMPLES = r"""
- name: Plan
  db_plan:
    databases: "{{ windlass_databases }}"
  register: windlass_planned

- name: Migrate
  db_migrate:
    databases: "{{ windlass_databases }}"
    plans: "{{ windlass_planned.windlass_packed }}"
    policy:
      lock_timeout: 500ms
"""

RETURN = r"""
windlass_run:
  description: How each database's run ended. A database with nothing to do has none.
  returned: always
  type: dict
  sample:
    salon:
      status: done
      changed: true
      applied: [20251109_create_business_tables_phase_08]
      schema_version: 20251109_create_business_tables_phase_08
      state: the schema stands at 20251109_create_business_tables_phase_08, 1 migrations applied
      next: ""
      error: null
      duration_ms: 412
windlass_events:
  description: What happened, in order.
  returned: when there were any
  type: list
  elements: dict
windlass_notes:
  description: Lines for people, such as whose run was followed.
  returned: when there are any
  type: list
  elements: str
windlass_error:
  description: Why it failed, with a stable word as C(code).
  returned: on failure
  type: dict
"""

from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine.model import Options, Plan, Target
from ansible.module_utils.windlass_engine.running import execute
from ansible.module_utils.windlass_engine.wire import unpack

SPEC = {
    **adapter.FOLLOWING,
    "plans": {"type": "dict", "required": True},
    "kind": {"type": "str", "default": "migrate", "choices": ["migrate", "revert", "baseline"]},
    "at_work": {"type": "dict"},
    "settle": {"type": "str", "default": ""},
    "broken_glass": {"type": "str", "default": ""},
    "allow_data_loss": {"type": "bool", "default": False},
    "archive": {"type": "bool"},
    "restore_archived": {"type": "bool", "default": False},
}


def migrate(module: AnsibleModule) -> dict[str, Any]:
    orders = [order(module, target) for target in adapter.targets(module)]
    return adapter.directly(orders) if module.check_mode else adapter.advance(module, orders)


def order(module: AnsibleModule, target: Target) -> adapter.Order:
    packed = unpack(module.params["plans"][target.name])
    plan = Plan.from_wire(packed["plan"])
    options = Options(**module.params["settings"][target.name])
    kind = module.params["kind"]
    seen = (module.params["at_work"] or {}).get(target.name)
    return adapter.order(
        module, target, kind, plan.digest, "run", lambda emit: execute.run(target, plan, options, emit), seen
    )


WORK = migrate

if __name__ == "__main__":
    adapter.answer(SPEC, WORK)
