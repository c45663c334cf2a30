#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_verify
short_description: Check databases and try them with sample data
description:
  - Runs the verify scripts of migrations and the system's standing checks in a transaction that cannot write. A check
    passes when it returns no row; each row is a message.
  - Runs the system's sample-data tests in a transaction that is always rolled back.
  - After a run, times and explains the system's known queries, and compares them with the run before.
  - Never changes anything, and runs the same in check mode.
extends_documentation_fragment:
  - windlass
options:
  project_root:
    description: Folder on the control node that holds C(sql/). By default the checkout that this plugin is part of.
    type: str
    default: ""
  runs:
    description:
      - C(windlass_run) of M(db_migrate). Then the verify scripts of what these runs applied are used.
      - Without it, those of every applied migration.
    type: dict
  to:
    description:
      - The migration at which the runs stopped. Where others come behind it, the standing checks and sample-data tests
        are left out, because they are made for the whole system.
    type: str
    default: ""
  checks:
    description: Whether to run the system's standing checks; the verify scripts of migrations run in any case.
    type: bool
    default: true
  samples:
    description: Whether to run sample-data tests. By default the policy's C(samples).
    type: bool
  scratch:
    description: Whether the databases are scratch ones, in which samples may commit and use several sessions.
    type: bool
    default: false
  scripts:
    description: Set by the action plugin. The scripts of each database.
    type: dict
seealso:
  - module: db_migrate
"""

EXAMPLES = r"""
- name: Verify everything that stands
  db_verify:
    databases: "{{ windlass_databases }}"

- name: Verify what a run applied
  db_verify:
    databases: "{{ windlass_databases }}"
    runs: "{{ windlass_ran.windlass_run }}"
    samples: false
"""

RETURN = r"""
windlass_checks:
  description: The result of every check by database. One without failures and error has passed.
  returned: always
  type: dict
  sample:
    salon:
      - {name: eleven tables, path: checks/tables.sql, line: 3, failures: [], error: "", duration_ms: 4}
windlass_queries:
  description: How the system's known queries (C(queries/)) stand against the measurement after the run before.
  returned: after a run, where the system has some
  type: dict
windlass_samples:
  description: The result of every sample-data test by database, in the same form.
  returned: always
  type: dict
windlass_error:
  description: C(verify_failed) or C(sample_failed), with the names of those that failed.
  returned: on failure
  type: dict
"""

from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine.checking import inspection, queries, verify
from ansible.module_utils.windlass_engine.errors import WindlassError
from ansible.module_utils.windlass_engine.model import Script, Target, to_wire
from ansible.module_utils.windlass_engine.session import connect
from ansible.module_utils.windlass_engine.wire import unpack

SPEC = {
    "project_root": {"type": "str", "default": ""},
    "runs": {"type": "dict"},
    "to": {"type": "str", "default": ""},
    "checks": {"type": "bool", "default": True},
    "samples": {"type": "bool"},
    "scratch": {"type": "bool", "default": False},
    "scripts": {"type": "dict"},
}


def check(module: AnsibleModule) -> dict[str, Any]:
    return {"databases": {target.name: look(module, target) for target in adapter.targets(module)}}


def look(module: AnsibleModule, target: Target) -> dict[str, Any]:
    given = unpack(module.params["scripts"][target.name])
    found: dict[str, Any] = {"checks": [], "samples": [], "queries": [], "error": None}
    try:
        standing = inspection.applied(target) if given["verify"] else ()
        proofs = [Script.from_wire(given["verify"][name]) for name in standing if name in given["verify"]]
        checks = proofs + [Script.from_wire(item) for item in given["checks"]]
        samples = [Script.from_wire(item) for item in given["samples"]]
        found["checks"] = to_wire(verify.run_checks(target, checks, "check"))
        found["samples"] = to_wire(verify.run_checks(target, samples, "sample", module.params["scratch"]))
        known = [Script.from_wire(item) for item in given["queries"]]
        if known:
            with connect(target, "windlass queries") as session:
                found["queries"] = queries.measure(session, known)
    except WindlassError as error:
        found["error"] = error.to_wire()
    return found


WORK = check

if __name__ == "__main__":
    adapter.answer(SPEC, WORK)
