#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_ways
short_description: Say which ways back there are, what each loses, how long it took in its last drill, and which to take
description:
  - Reads the journal and its log, the backups, and what down scripts would take away, with M(db_info) and
    M(db_incident). Changes nothing.
extends_documentation_fragment:
  - windlass
options:
  project_root:
    description: Folder on the control node that holds C(sql/). By default the checkout that this plugin is part of.
    type: str
    default: ""
  backup_dir:
    description: Folder on the target for backups. By default C(backups) in the folder for run files.
    type: path
    default: ""
  backup:
    description:
      - The backup that somebody wants to bring back, an id, V(latest) or V(before:RUN). What exactly that loses is said
        first. By default the one from before the last run, else the newest.
    type: str
    default: ""
notes:
  - This is an action plugin. On the target it runs M(db_info) and M(db_incident).
seealso:
  - module: db_incident
"""

EXAMPLES = r"""
- name: What could be done
  db_ways:
    databases: "{{ windlass_databases }}"
"""

RETURN = r"""
windlass_ways:
  description: What is known, and the ways, by database.
  returned: always
  type: dict
  sample:
    salon:
      recommended: migration
      reason: all that the last run applied can be undone
      ways:
        - way: migration
          command: invoke rollback --env prod --database salon --steps 1
          possible: true
          loses: ["40 rows of public.messages (sent_at), archived first"]
          drilled: never drilled
"""
