#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_gate
short_description: Let only a reviewed or agreed plan pass
description:
  - Puts the plans of all hosts in the play together into one digest and compares it with the one that was reviewed.
  - Without a reviewed digest, fails with C(not_approved) where the strictest policy among the planned databases asks
    for a confirmation and none was given.
  - Fails with C(gate_closed) where a point of a policy's C(gate) is not met; it names each with the command that meets
    it.
  - Passes in check mode, and where there is nothing to do.
options:
  plans:
    description: Name of the variable under which each host registered what M(db_plan) returned.
    type: str
    default: windlass_planned
  digest:
    description: The digest that was reviewed, or its first eight or more digits.
    type: str
    default: ""
  approved:
    description: Whether the operator agreed to any plan.
    type: bool
    default: false
  only:
    description: Names of databases that were asked for; one that no host has is a mistake.
    type: list
    elements: str
  to:
    description: The migration at which the plans end, where one was named; it stands in the commands that are advised.
    type: str
    default: ""
  project_root:
    description: Folder on the control node that holds C(sql/) and C(approvals/). Empty means this checkout.
    type: path
    default: ""
  break_glass:
    description: Why the plan has to pass although points of the gate are not met; a sentence. It is written into the
      journal of each database, the record, the report and the evidence.
    type: str
    default: ""
  look:
    description: Only say how things stand; refuse nothing.
    type: bool
    default: false
notes:
  - This is an action plugin which does not connect to the host. Use it with C(run_once).
author:
  - The Windlass authors
"""

EXAMPLES = r"""
- name: Let only the reviewed plan pass
  db_gate:
    digest: 9f86d081884c
  run_once: true
"""

RETURN = r"""
windlass_digest:
  description: One digest for all plans in the play; empty when there is nothing to do.
  returned: always
  type: str
pending:
  description: Whether there is anything to do.
  returned: always
  type: bool
windlass_gate:
  description: The points of the gate on each host and database, the approvals, and the reason if it was broken.
  returned: when there is anything to do
  type: dict
windlass_error:
  description: C(plan_stale), C(not_approved), C(gate_closed) or C(usage).
  returned: on failure
  type: dict
"""
