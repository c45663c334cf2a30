#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_archives
short_description: List, export, put back and purge what rollbacks took away
description:
  - Lists the archives of each database, newest last. A rollback keeps there what its down scripts took away.
  - O(export) writes one archive on the control node as CSV, for its owner's eyes only. NULL is an empty field, an empty
    text is C("").
  - O(put_back) puts the rows of one archive back into its table, whose migration has to be applied again. Rows that
    stand already are left as they are.
  - O(purge) deletes the rows of one archive. Its line in the manifest stays and says who did it.
  - In check mode nothing is written, put back or purged.
extends_documentation_fragment:
  - windlass
options:
  export:
    description: Name of the archive to export. O(only) has to name its database where there are several.
    type: str
    default: ""
  to:
    description: Folder on the control node for the CSV file. By default C(.windlass/archives) in the project.
    type: str
    default: ""
  put_back:
    description: Name of the archive to put back.
    type: str
    default: ""
  purge:
    description: Name of the archive to purge.
    type: str
    default: ""
  project_root:
    description: Folder on the control node that holds C(sql/). By default the checkout that this plugin is part of.
    type: str
    default: ""
  after:
    description: Set by the action plugin. The row behind which an export goes on.
    type: int
    default: 0
  limit:
    description: Set by the action plugin. How many rows to return at once.
    type: int
    default: 0
  who:
    description: Set by the action plugin. Who purges.
    type: str
    default: ""
attributes:
  check_mode:
    description: Says what would be exported, put back or purged.
    support: full
seealso:
  - module: db_migrate
"""

EXAMPLES = r"""
- name: List archives
  db_archives:
    databases: "{{ windlass_databases }}"

- name: Export one
  db_archives:
    databases: "{{ windlass_databases }}"
    only: [salon]
    export: 20251109_create_public_clients_1a2b3c
"""

RETURN = r"""
windlass_archives:
  description: The archives of each database, what was exported, put back and purged.
  returned: always
  type: dict
  sample:
    salon:
      entries:
        - name: 20251109_create_public_clients_1a2b3c
          migration: 20251109_create_business_tables_phase_08
          kind: table
          table: public.clients
          columns: [id, name]
          keys: [id]
          state: kept
          rows: 1299
          bytes: 204800
          at: "2025-11-21T04:05:06Z"
          who: alice
          run_id: 20251121T040500Z-1a2b3c
      exported: null
      put_back: null
      purged: null
windlass_error:
  description: C(archive_failed), or C(usage) for a name that there is not.
  returned: on failure
  type: dict
"""

from typing import Any

from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine.archiving import kept

SPEC = {
    "export": {"type": "str", "default": ""},
    "to": {"type": "str", "default": ""},
    "put_back": {"type": "str", "default": ""},
    "purge": {"type": "str", "default": ""},
    "project_root": {"type": "str", "default": ""},
    "after": {"type": "int", "default": 0},
    "limit": {"type": "int", "default": 0},
    "who": {"type": "str", "default": ""},
}


def read(module: AnsibleModule) -> dict[str, Any]:
    given = module.params
    [*targets] = adapter.targets(module)
    if given["export"]:
        return {"page": kept.page(targets[0], given["export"], given["after"], given["limit"])}
    if given["put_back"] and not module.check_mode:
        return {"put_back": kept.put_one_back(targets[0], given["put_back"])}
    if given["purge"] and not module.check_mode:
        return {"purged": kept.purge(targets[0], given["purge"], given["who"])}
    return {"databases": {target.name: kept.look(target) for target in targets}}


if __name__ == "__main__":
    adapter.answer(SPEC, read)
