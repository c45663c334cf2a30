#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_schema
short_description: Compare schemas with what they were, or with what they should be, or write them down
description:
  - C(drift) tells what others changed since the last run, with the SQL that undoes and that adopts each change.
  - C(audit) builds the schema that the migrations describe on a scratch database of the same server, and tells per
    table what is missing, different or extra in the database, with the SQL that would close each gap. The policy has
    to say C(scratch=allow).
  - C(snapshot) writes the schema as text into a folder on the control node, for review in git.
  - Changes no database, unless O(accept) says so.
extends_documentation_fragment:
  - windlass
options:
  show:
    description: What is wanted.
    type: str
    choices: [drift, audit, snapshot]
    required: true
  accept:
    description: Whether drift is accepted, so that the schema as it stands is what later changes are held against.
    type: bool
    default: false
  project_root:
    description: Folder on the control node that holds C(sql/). By default the checkout that this plugin is part of.
    type: str
    default: ""
  out:
    description:
      - The file on the control node for a snapshot, where only one database is asked for. By default
        C(schema/<environment>/<database>.sql) below O(project_root), with the host's name where there are several.
    type: str
    default: ""
  run_id:
    description: The run's id. By default one id for the whole play.
    type: str
    default: ""
  subjects:
    description: Set by the action plugin. The scripts that an audit runs, by database.
    type: dict
  settings:
    description: Set by the action plugin. The engine's options for each database.
    type: dict
seealso:
  - module: db_plan
  - module: db_prove
"""

EXAMPLES = r"""
- name: Tell what was changed by hand
  db_schema:
    databases: "{{ windlass_databases }}"
    show: drift

- name: Hold the live schema against the migrations
  db_schema:
    databases: "{{ windlass_databases }}"
    show: audit
    policy:
      scratch: allow
"""

RETURN = r"""
windlass_drift:
  description: What differs from the schema that the last run kept, by database.
  returned: when O(show) is C(drift)
  type: dict
  sample:
    salon:
      known: {at: "2025-11-21T04:05:06Z", run_id: 20251121T040506Z-1a2b3c, who: alice, fingerprint: "v1:5d41402abc"}
      unknown: ""
      new: false
      accepted: false
      system: salon
      changes:
        - kind: column
          identity: public.clients.nickname
          table: public.clients
          what: added
          before: null
          after: text
          undo: ALTER TABLE public.clients DROP COLUMN nickname
          adopt: ALTER TABLE public.clients ADD COLUMN nickname text
windlass_audit:
  description: How the live schema differs from what the migrations say, by database.
  returned: when O(show) is C(audit)
  type: dict
windlass_snapshot:
  description: The files that were written, by database.
  returned: when O(show) is C(snapshot)
  type: dict
windlass_error:
  description: C(drift_found) or C(audit_gaps), with what was found.
  returned: on failure
  type: dict
"""

from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine.errors import WindlassError
from ansible.module_utils.windlass_engine.model import Options, Target
from ansible.module_utils.windlass_engine.rehearsal import audit
from ansible.module_utils.windlass_engine.rehearsal.prove import Subject
from ansible.module_utils.windlass_engine.schema import drift
from ansible.module_utils.windlass_engine.wire import unpack

SPEC = {
    "show": {"type": "str", "choices": ["drift", "audit", "snapshot"], "required": True},
    "accept": {"type": "bool", "default": False},
    "project_root": {"type": "str", "default": ""},
    "out": {"type": "str", "default": ""},
    "run_id": {"type": "str", "default": ""},
    "subjects": {"type": "dict"},
    "settings": {"type": "dict"},
}


def schemas(module: AnsibleModule) -> dict[str, Any]:
    return {"databases": {target.name: told(module, target) for target in adapter.targets(module)}}


def told(module: AnsibleModule, target: Target) -> dict[str, Any]:
    try:
        return {"found": look(module, target), "error": None}
    except WindlassError as error:
        return {"found": None, "error": error.located(database=target.name).to_wire()}


def look(module: AnsibleModule, target: Target) -> dict[str, Any]:
    options = Options(**module.params["settings"][target.name])
    if module.params["show"] == "audit":
        return audit.audit(target, Subject.from_wire(unpack(module.params["subjects"][target.name])), options)
    if module.params["show"] == "snapshot":
        return audit.text(target)
    return drift.accept(target, options) if module.params["accept"] else drift.read(target)


if __name__ == "__main__":
    adapter.answer(SPEC, schemas)
