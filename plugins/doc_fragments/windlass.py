# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the options of every Windlass module mean."""

from __future__ import annotations


class ModuleDocFragment:
    # Options that every module has
    DOCUMENTATION = r"""
options:
  databases:
    description:
      - The host's databases, usually C(windlass_databases) of the inventory. One call serves all of them.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What the database is called in plans, reports and on the command line.
        type: str
        required: true
      system:
        description: The folder below C(sql/) whose scripts belong to it.
        type: str
        required: true
      url:
        description:
          - Where the database is, as seen from the host that runs the module,
            such as C(postgresql://deploy@127.0.0.1:5432/salon) or C(postgresql:///salon) for the local socket,
            C(mysql://deploy@db1/blazz) or C(mssql://deploy@db2/clinic).
          - A password in it is taken out on the control node and travels as O(databases[].password).
        type: str
        required: true
      password:
        description: The login's password. It is never shown, logged or put on a command line.
        type: str
        default: ""
      policy:
        description: Values that override O(policy) for this database.
        type: dict
  policy:
    description: How careful a run is, usually C(windlass_policy) of the inventory; see C(docs/inventory.md).
    type: dict
  only:
    description: Names of the databases to work on. Empty means all of them.
    type: list
    elements: str
  state_dir:
    description:
      - Folder on the target for run files.
      - By default C(/var/lib/windlass) where the login user may write to it, else C(~/.local/state/windlass).
    type: path
    default: ""
requirements:
  - psycopg >= 3.1.7 on the host that runs the module (C(playbooks/prepare.yml) installs it)
attributes:
  check_mode:
    description: Nothing is changed in check mode.
    support: full
author:
  - The Windlass authors
"""

    # Options of work that goes on in a detached process
    FOLLOWING = r"""
options:
  run_id:
    description:
      - The run's id. Work that was begun under this id is followed, never started a second time.
      - By default one id for the whole play, or C(windlass_run_id) when it is set.
    type: str
    default: ""
  settings:
    description: Set by the action plugin. The engine's options for each database.
    type: dict
  cursor:
    description: Set by the action plugin. Where to go on reading a run's events.
    type: dict
  seconds:
    description: Set by the action plugin. How long one call follows the work before it reports.
    type: float
    default: 1.0
  scheduled:
    description:
      - Set by the action plugin, from C(windlass_scheduled). Whether a timer started the work. It ends as soon as a
        person's run needs what it works on.
    type: bool
    default: false
"""

    # Options of the callbacks that keep a run's record
    RECORD = r"""
options:
  record:
    description: File for the record. Verbs that only look write no record unless this is set.
    type: path
    env:
      - name: WINDLASS_RECORD
  verb:
    description: What the operator asked for. The playbook's name when it is not set.
    type: str
    env:
      - name: WINDLASS_VERB
  environment_name:
    description: The environment's name. The inventory folder's name when it is not set.
    type: str
    env:
      - name: WINDLASS_ENV
"""
