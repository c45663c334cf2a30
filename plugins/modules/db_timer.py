#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# The work is done by the action plugin of the same name; this file is its manual.

from __future__ import annotations

DOCUMENTATION = r"""
module: db_timer
short_description: Work out what timers on a target need for backups, off-site copies and retention
description:
  - Packs the engine into one file on the control node, and returns what the role C(schedule) installs on the target.
    Changes nothing there.
extends_documentation_fragment:
  - windlass
options:
  backup_dir:
    description: Folder on the target for backups. By default C(backups) in the folder for run files.
    type: path
    default: ""
  client_bin:
    description: Folder of the client programs on the target. By default those that fit the server are looked for.
    type: path
    default: ""
  recipients:
    description: Public keys of age for which the backups are encrypted. Without any they are not.
    type: list
    elements: str
  retention:
    description: How many backups each rule keeps, as C(windlass_retention) gives it.
    type: dict
  offsite:
    description: The repository for off-site copies, as C(windlass_offsite) gives it.
    type: dict
seealso:
  - module: db_schedule
"""

EXAMPLES = r"""
- name: Work out what timers need
  db_timer:
    databases: "{{ windlass_databases }}"
    retention: "{{ windlass_retention }}"
  register: windlass_timed
"""

RETURN = r"""
windlass_units:
  description: The role's variables. They hold the logins of the databases, so the result is never shown.
  returned: success
  type: dict
"""
