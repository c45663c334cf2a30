"""The one error tree of Windlass, and the one table of exit codes.

Every refusal is a :class:`WindlassError` with a stable machine word (``code``).  The table below maps each word to
the exit code of the front door; ``docs/exit-codes.md`` repeats it and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

#: code -> (exit code, one line for the documentation).  Numbers are stable: add, never renumber.
CODES: Mapping[str, tuple[int, str]] = {
    "internal_error": (1, "Windlass itself failed; nothing is assumed about the database"),
    "usage": (2, "the command line or a variable is not usable"),
    "project_invalid": (3, "a script or its layout is wrong; nothing was touched"),
    "inventory_invalid": (4, "the inventory or a policy is wrong; nothing was touched"),
    "host_unreachable": (5, "a host does not answer over SSH"),
    "host_key_changed": (6, "a host's SSH key is unknown or not the recorded one"),
    "database_unreachable": (7, "the database server does not answer"),
    "login_refused": (8, "the database refused the user or password"),
    "driver_missing": (9, "the target has no database driver"),
    "preflight_failed": (10, "a check before the change failed: rights, space, version, clock"),
    "read_only_server": (11, "the server is a standby or read-only"),
    "pooler_detected": (12, "a transaction pooler stands between, session locks would not hold"),
    "plan_stale": (13, "the database is no longer as it was when the plan was made"),
    "not_approved": (14, "the plan was not confirmed"),
    "checksum_changed": (15, "an applied migration was edited"),
    "journal_unknown": (16, "the journal names a migration that the project does not have"),
    "out_of_order": (17, "a pending migration sorts before an applied one"),
    "deploy_locked": (18, "another run holds the deployer lock"),
    "lock_timeout": (19, "other sessions kept a table locked for the whole patience"),
    "migration_failed": (20, "a statement of a migration failed"),
    "statement_unsettled": (21, "an interrupted statement cannot be judged by the catalogue"),
    "rollback_failed": (22, "a down script failed"),
    "irreversible": (23, "a migration to be undone has no down script"),
    "verify_failed": (24, "a check returned failures"),
    "sample_failed": (25, "a sample-data test failed"),
    "backup_failed": (26, "a backup could not be made or is not whole"),
    "space_missing": (
        27,
        "there is not enough room for a backup, a rollback's archive, or the run's own files",
    ),
    "restore_failed": (28, "a restore failed or does not agree with its manifest"),
    "connection_lost": (29, "the connection to the database was lost during the work"),
    "fleet_stopped": (30, "a host failed, so the hosts after it were left untouched"),
    "tunnel_failed": (31, "the SSH tunnel could not be opened"),
    "run_lost": (32, "a run on the target ended without leaving its result"),
    "maintenance_failed": (33, "a maintenance job failed"),
    "not_proved": (34, "a script is not idempotent, not reversible, or not verified by its own checks"),
    "offsite_failed": (35, "a backup has no sound off-site copy; the local one stands"),
    "backup_overdue": (36, "the newest verified backup is older than policy allows"),
    "lint_failed": (38, "lint found something that no script allows"),
    "gate_closed": (45, "a point of the environment's gate is not met"),
    "rehearsal_failed": (47, "a plan failed on a copy of the data, or could not be rehearsed"),
    "evidence_broken": (46, "the chain of evidence was changed or is not whole"),
    "archive_failed": (39, "what a rollback would take away could not be archived, or an archive not be used"),
    "restore_untested": (37, "a restore test failed, or a database was skipped"),
    "run_incomplete": (42, "a scheduled run left a database out"),
    "would_fail": (50, "a pending statement would fail on rows that are there today; nothing was begun"),
    "drift_found": (51, "the schema is no longer as the last run left it"),
    "audit_gaps": (52, "the live schema lacks what its system requires"),
}


class WindlassError(Exception):
    """What went wrong, where, and what to do next.

    ``code`` is a word of :data:`CODES`; ``message`` says what; ``where`` names the place (keys such as ``file``,
    ``line``, ``host``, ``database``, ``migration``, ``statement``); ``hint`` says what to do next.  ``detail`` carries
    plain data for machines (never a secret).
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str = "",
        where: Optional[Mapping[str, Any]] = None,
        detail: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Raise ``KeyError`` for a word that the table does not know."""
        self.exit_code = CODES[code][0]
        self.code = code
        self.message = message
        self.hint = hint
        self.where = dict(where or {})
        self.detail = dict(detail or {})
        super().__init__(message)

    def located(self, **where: Any) -> WindlassError:
        """Add places that an inner layer could not know; what is known already stays."""
        self.where = {**{key: value for key, value in where.items() if value}, **self.where}
        return self

    def to_wire(self) -> dict[str, Any]:
        """Return the plain data that crosses from the target to the control node."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "where": self.where,
            "detail": self.detail,
        }

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> WindlassError:
        """Rebuild an error; a word of a newer engine becomes ``internal_error``."""
        code = data["code"] if data["code"] in CODES else "internal_error"
        return cls(code, data["message"], hint=data["hint"], where=data["where"], detail=data["detail"])

    def __str__(self) -> str:
        """Return one paragraph for people: where, what, what next."""
        place = place_text(self.where)
        text = f"{place}: {self.message}" if place else self.message
        return f"{text}\n  -> {self.hint}" if self.hint else text


def place_text(where: Mapping[str, Any]) -> str:
    """Return ``file:line, host h, database d, …`` for the known places."""
    parts = []
    if where.get("file"):
        parts.append(f"{where['file']}:{where['line']}" if where.get("line") else str(where["file"]))
    for key in ("host", "database", "migration", "check", "sample", "statement"):
        if where.get(key):
            parts.append(f"{key} {where[key]}")
    return ", ".join(parts)
