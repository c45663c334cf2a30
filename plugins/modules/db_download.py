#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_download
short_description: Bring a backup to the control node
description:
  - Copies a backup's folder over SFTP, with the host key checked. A transfer that broke off goes on where it ended.
  - The files get the backup's name only when all of them agree with its manifest. They are for their owner alone.
  - This is an action plugin. It works with the login user's rights on the host, also where C(become) is set.
extends_documentation_fragment:
  - windlass
options:
  backup:
    description: Id of the backup, or C(latest).
    type: str
    required: true
  to:
    description: Folder on the control node. By default C(.windlass/downloads) in the project.
    type: str
    default: ""
  project_root:
    description: Folder on the control node that holds C(sql/). By default the checkout that this plugin is part of.
    type: str
    default: ""
  backup_dir:
    description: Folder on the target for backups. By default C(backups) in the folder for run files.
    type: path
    default: ""
  results:
    description: Name of the variable in which each host of the play registered what it downloaded. With it nothing is
      downloaded, and it fails where no host had the backup.
    type: str
    default: ""
seealso:
  - module: db_catalogue
"""

EXAMPLES = r"""
- name: Bring the newest backup here
  db_download:
    databases: "{{ windlass_databases }}"
    only: [salon]
    backup: latest
"""

RETURN = r"""
windlass_download:
  description: Where each downloaded backup lies on the control node.
  returned: always
  type: dict
  sample:
    salon:
      id: 20251121T040506Z-1a2b3c
      path: /home/ops/windlass/.windlass/downloads/db1/salon/20251121T040506Z-1a2b3c
      bytes: 1048576
"""
