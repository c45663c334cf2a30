#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_prove
short_description: Prove that a system's scripts are idempotent and reversible
description:
  - Makes a scratch database on the database's server, and on it takes each migration up, up again, down, down again
    and up, comparing schema and row counts each time. Then the standing checks and all sample-data tests are run.
  - The scratch database is dropped at the end, whatever happened. The database itself is not touched.
  - In check mode nothing is made, and what would be proved is listed.
extends_documentation_fragment:
  - windlass
options:
  project_root:
    description: Folder on the control node that holds C(sql/). By default the checkout that this plugin is part of.
    type: str
    default: ""
  system:
    description:
      - The system to prove, on the first of the databases whose engine is the system's.
      - By default each database's own system.
    type: str
    default: ""
  migration:
    description: Prove only this migration; those before it just run.
    type: str
    default: ""
  run_id:
    description: The run's id. By default one id for the whole play.
    type: str
    default: ""
  subjects:
    description: Set by the action plugin. The scripts to prove on each database.
    type: dict
  settings:
    description: Set by the action plugin. The engine's options for each database.
    type: dict
notes:
  - The policy has to say C(scratch=allow).
seealso:
  - module: db_verify
"""

EXAMPLES = r"""
- name: Prove what these databases are made of
  db_prove:
    databases: "{{ windlass_databases }}"
    policy:
      scratch: allow
"""

RETURN = r"""
windlass_proof:
  description: The proof by database, with a verdict on each script.
  returned: always
  type: dict
  sample:
    salon:
      system: salon
      proved: true
      verdicts:
        - kind: migration
          name: 20251109_create_business_tables_phase_08
          idempotent: true
          reversible: true
          verified: true
          findings: []
windlass_error:
  description: C(not_proved), with the names of what is wrong.
  returned: on failure
  type: dict
"""

from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine.errors import WindlassError
from ansible.module_utils.windlass_engine.model import Options, Target
from ansible.module_utils.windlass_engine.rehearsal import prove
from ansible.module_utils.windlass_engine.wire import unpack

SPEC = {
    "project_root": {"type": "str", "default": ""},
    "system": {"type": "str", "default": ""},
    "migration": {"type": "str", "default": ""},
    "run_id": {"type": "str", "default": ""},
    "subjects": {"type": "dict"},
    "settings": {"type": "dict"},
}


def proofs(module: AnsibleModule) -> dict[str, Any]:
    return {"databases": {target.name: proof(module, target) for target in adapter.targets(module)}}


def proof(module: AnsibleModule, target: Target) -> dict[str, Any]:
    subject = prove.Subject.from_wire(unpack(module.params["subjects"][target.name]))
    options = Options(**module.params["settings"][target.name])
    try:
        return {"proof": prove.prove(target, subject, options), "error": None}
    except WindlassError as error:
        return {"proof": None, "error": error.to_wire()}


if __name__ == "__main__":
    adapter.answer(SPEC, proofs)
