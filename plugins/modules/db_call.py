#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: db_call
short_description: Run one of the modules that deployments and rollbacks use
description:
  - Ansible packs a module together with all that it imports, which for the engine takes half a second for each module
    that a play uses. This one holds M(db_info), M(db_backup), M(db_migrate), M(db_verify) and M(db_incident), so that a
    deployment or rollback packs once.
  - The action plugins call it; nobody writes it into a playbook.
options:
  module:
    description: Set by the action plugin. The module to run.
    type: str
    required: true
  arguments:
    description: Set by the action plugin. What that module takes.
    type: dict
    required: true
attributes:
  check_mode:
    description: As the module that is run.
    support: full
"""

EXAMPLES = r"""
- name: Read what stands
  db_info: # its action plugin calls db_call
    databases: "{{ windlass_databases }}"
"""

RETURN = r"""
windlass_packed:
  description: What the module found, packed.
  returned: always
  type: str
"""

import importlib
from typing import TYPE_CHECKING, Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

if TYPE_CHECKING:  # never run: it tells Ansible what to pack
    from ansible.module_utils import db_backup, db_incident, db_info, db_migrate, db_verify  # noqa: F401

CARRIER = {
    "module": {"type": "str", "required": True},
    "arguments": {"type": "dict", "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=CARRIER, supports_check_mode=True, no_log=True)
    called = importlib.import_module(f"ansible.module_utils.{module.params['module']}")
    module.params = checked(module, called.SPEC)
    adapter.serve(module, called.WORK)


def checked(module: AnsibleModule, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments as the module that is called would get them from Ansible: checked, with defaults."""
    found = ArgumentSpecValidator({**adapter.COMMON, **spec}).validate(module.params["arguments"])
    if found.error_messages:
        module.fail_json(msg=f"{module.params['module']}: {', '.join(found.error_messages)}")
    return dict(found.validated_parameters)


if __name__ == "__main__":
    main()
