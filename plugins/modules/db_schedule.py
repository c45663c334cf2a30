#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# The work is done by the action plugin of the same name; this file is its manual.

from __future__ import annotations

DOCUMENTATION = r"""
module: db_schedule
short_description: Plan the units of an environment's schedule, and say how its timers stand
description:
  - With O(stage=plan) reads C(windlass_schedule) of every host in the group C(databases) and returns what the role
    C(schedule) installs. Touches nothing.
  - With O(stage=times) makes sure that the host's systemd, if it has one, understands every time.
  - With O(stage=require) makes sure that the host runs systemd, and proposes a crontab where it does not.
  - With O(stage=look) says of each timer when it runs next, and how its job ended last.
options:
  stage:
    description: What to do.
    type: str
    choices: [plan, times, require, look]
    required: true
  name:
    description: The environment's name as the units have it.
    type: str
    default: ""
  jobs:
    description: The jobs that are planned, as O(stage=plan) returns them.
    type: list
    elements: dict
    default: []
  state:
    description: Folder on the host with the ledger of the jobs.
    type: path
    default: ""
  command:
    description: The command that runs a job, for the crontab that a refusal proposes.
    type: list
    elements: str
    default: []
  changed:
    description: Whether an installation changed anything. Not given outside of one.
    type: bool
  removed:
    description: Whether the units were to be removed.
    type: bool
    default: false
attributes:
  check_mode:
    description: Nothing is changed, with or without check mode.
    support: full
author:
  - The Windlass authors
"""

EXAMPLES = r"""
- name: Look
  db_schedule:
    stage: look
    name: prod
    state: /srv/windlass/.windlass/schedule/prod
"""

RETURN = r"""
windlass_units:
  description: The role's variables, with O(stage=plan).
  returned: success
  type: dict
windlass_timers:
  description: How the timers stand, with O(stage=look).
  returned: success
  type: dict
  sample:
    "":
      jobs:
        - job: backup
          timer: active
          enabled: true
          next: "2025-11-22T01:04:11+00:00"
          service_result: success
          last:
            status: ok
            exit_code: 0
            finished: "2025-11-21T01:03:12.511+00:00"
            message: 3 databases, 1.4 GB in 41.2 s
"""
