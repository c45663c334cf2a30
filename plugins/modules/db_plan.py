#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: db_plan
short_description: Plan what would bring databases up to their projects, or back
description:
  - Reads the systems' scripts on the control node, then with M(db_info) what stands on the target, and compares.
  - A mistake in a script or its layout is refused before any target is touched.
  - Judges the risk of each pending statement, and looks for rows that would make one fail, as the policy's C(probes)
    says. C(docs/risk.md) explains both.
  - Changes nothing. The plan has a digest; what is shown is what M(db_migrate) runs.
extends_documentation_fragment:
  - windlass
options:
  project_root:
    description: Folder on the control node that holds C(sql/). By default the checkout that this plugin is part of.
    type: str
    default: ""
  direction:
    description:
      - C(up) applies what is pending.
      - C(down) undoes the last O(steps) migrations, all that came after O(to), or those of O(names).
      - C(to) goes whichever way O(to) lies, so that it is the last one applied.
      - C(baseline) marks what stands already as applied, up to O(to), once the verify scripts pass.
    type: str
    choices: [up, down, baseline, to]
    default: up
  to:
    description: The migration to stop at. Going down, it stays applied.
    type: str
    default: ""
  steps:
    description: How many migrations to undo.
    type: int
    default: 0
  names:
    description: For each database the migrations to undo. Databases that are not named are left out.
    type: dict
  down_from:
    description:
      - Whose down scripts undo migrations. C(journal) means those that were kept when they were applied.
      - C(checkout) means those of O(project_root), for a down script that was mended since. What differs is a warning
        of the plan and part of its digest.
    type: str
    choices: [journal, checkout]
    default: journal
  atomic:
    description: Whether all that is pending runs in one transaction. The policy can ask for it as well.
    type: bool
    default: false
  archive:
    description: Whether a rollback will archive what it takes away, for a plan that goes down to say so.
    type: bool
    default: true
  losses:
    description:
      - Whether a plan that goes down says what it takes away, and what it will meet. Plays that undo what was reviewed
        leave it out, since the review said it, and the archives of M(db_migrate) say it anyway.
    type: bool
    default: true
  refuse_failing:
    description: Whether a plan that goes down is refused where one of its scripts fails when it is tried beforehand, or
      where nobody can tell what it takes away and that is to be archived. Needs O(losses).
    type: bool
    default: false
  break_glass:
    description:
      - Why the plan shall pass a closed gate, in a sentence. Drift that the policy's C(stop) would refuse is then told
        as an unmet point of the gate, which M(db_gate) passes by this reason.
    type: str
    default: ""
  report:
    description:
      - Whether to say only how things stand and make no plan. An edited or unknown migration, or a database that
        cannot be read, is then part of RV(windlass_info) and no failure.
    type: bool
    default: false
  strict:
    description: With O(report), whether it is a failure that a newest verified backup is older than policy allows.
    type: bool
    default: false
  backup_dir:
    description: Folder on the target for backups, for O(report).
    type: path
    default: ""
notes:
  - This is an action plugin. On the target it runs M(db_info).
seealso:
  - module: db_migrate
"""

EXAMPLES = r"""
- name: Plan
  db_plan:
    databases: "{{ windlass_databases }}"
  register: windlass_planned

- name: Plan the way back of one step
  db_plan:
    databases: "{{ windlass_databases }}"
    only: [salon]
    direction: down
    steps: 1
"""

RETURN = r"""
pending:
  description: Whether any plan has a step.
  returned: always
  type: bool
windlass_plan:
  description: The plans by database, for people.
  returned: always
  type: dict
  sample:
    salon:
      digest: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
      system: salon
      direction: up
      schema_version: ""
      confirm: "yes"
      atomic: false
      warnings: []
      probes: []
      risk:
        class: zero
        open_class: zero
        breaking: false
        reversible: "yes"
        data_loss: false
      steps:
        - action: apply
          kind: migration
          name: 20251109_create_business_tables_phase_08
          reason: pending
          reversible: true
          checksum: v1:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
          statements: 71
          sql: CREATE TABLE …
windlass_packed:
  description: The plans that have steps, by database, as M(db_migrate) takes them.
  returned: always
  type: dict
windlass_info:
  description: What stands, by database, as M(db_info) finds it, and how it differs from the project.
  returned: always
  type: dict
windlass_at_work:
  description: The runs that were going on when the plans were made, by database. M(db_migrate) follows them.
  returned: always
  type: dict
windlass_error:
  description: Why there is no plan, with a stable word as C(code).
  returned: on failure
  type: dict
"""
