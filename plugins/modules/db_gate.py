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
windlass_error:
  description: C(plan_stale), C(not_approved) or C(usage).
  returned: on failure
  type: dict
"""
