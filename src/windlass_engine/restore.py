"""Restores: beside, never over.

A backup goes into a new database, which is compared with the manifest before anybody is told that it is good.  Taking
the place of the original is a step of its own, in :mod:`.exchange`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Callable

from . import backup_store, introspect, manifest, processes
from .backup import DUMP, SCHEMA, Emit, job_count, require_engine, stamped
from .dialects.postgresql import contents, dump, surroundings
from .dialects.postgresql.surroundings import quoted
from .dialects.postgresql.text import literal
from .errors import WindlassError
from .exchange import UNFINISHED, maintenance, swap, told, undo_swap
from .introspect import Schema
from .keeping import encryption, workplace
from .model import Target, Wire
from .session import ServerError, Session, connect

__all__ = ["UNFINISHED", "beside", "swap", "undo_swap"]

_NAME_BYTES = 63
_LOCK_WAIT_MS = 60_000
#: What a restored database must have in common with the original, besides its content.
_COMPARED = ("owner", "encoding", "collate", "ctype", "connection_limit", "acl", "settings", "role_settings")
_CONTROL = "windlass_write_test"


def beside(
    target: Target, backup_path: str, new_name: str, client_bin: str, jobs: int, emit: Emit, identity: str = ""
) -> Wire:
    """Restore a backup into the new database ``new_name`` on the target's server, and verify it.

    ``client_bin`` is the folder of pg_restore (empty: found by itself), ``jobs`` the workers (0: by the processors),
    ``identity`` the private key of age that opens an encrypted backup.
    Returns ``{into, backup, path, tables, total_rows, differences, duration_ms, swapped}``; ``differences`` are notes
    that do not make it a bad restore.  Emits ``restore_started``, ``restore_progress`` and ``restore_done``.

    Raises WindlassError: ``backup_failed`` when the backup is not whole (nothing was touched), ``restore_failed``,
    ``connection_lost``, and those of a login.  After a failure the new database is gone.
    """
    require_engine(target)
    with told(target, "restore"), workplace.in_use(backup_path):
        emit = stamped(emit, target.name)
        began = time.monotonic()
        emit({"event": "restore_started", "path": backup_path, "into": new_name})
        backup_store.check(backup_path, job_count(jobs))
        known = manifest.load(backup_path)
        with encryption.opened(backup_path, known, identity, job_count(jobs)) as folder:
            client = _prepare(target, known, new_name, client_bin)
            with _dropped_on_failure(target, new_name):
                notes = _Restoring(target, folder, known, new_name, client, job_count(jobs), emit, began).run()
        result = {
            "into": new_name,
            "backup": known["id"],
            "path": backup_path,
            "tables": known["tables"],
            "total_rows": known["total_rows"],
            "differences": notes,
            "duration_ms": int((time.monotonic() - began) * 1000),
            "swapped": False,
        }
        emit({"event": "restore_done", **{key: result[key] for key in ("into", "backup", "duration_ms")}})
        return result


class _Restoring:
    """One restore under way, into a database that is there and empty."""

    def __init__(
        self,
        target: Target,
        path: str,
        known: Wire,
        name: str,
        client: dump.Client,
        jobs: int,
        emit: Emit,
        began: float,
    ) -> None:
        """Keep what is needed."""
        self.target = target
        self.path = path
        self.known = known
        self.name = name
        self.client = client
        self.jobs = jobs
        self.emit = emit
        self.began = began

    def run(self) -> list[str]:
        """Restore and verify; return the notes.  Raise WindlassError, ServerError."""
        self._restore()
        self._administer(surroundings.carry_over(self.name, self.known["settings"]))
        self._phase("verifying")
        with connect(dump.elsewhere(self.target, self.name), "windlass restore") as session:
            failures, notes = self._compare(session)
            if failures:
                raise _differs(self.known["id"], failures)
            _write_test(session)
            self._phase("analysing")
            session.run("SET statement_timeout = 0; ANALYZE")
        self._administer([surroundings.comment_statement(self.name, self.known["settings"]["comment"])])
        return notes

    def _administer(self, statements: list[str]) -> None:
        """Run statements about the new database, in a session that did not have to wait for hours."""
        with maintenance(self.target) as admin:
            for statement in statements:
                admin.run(statement)

    def _restore(self) -> None:
        """Run pg_restore to its end, or to its first error."""
        way = dump.login(self.target, self.name)
        argv = dump.restore_command(self.client, way, os.path.join(self.path, DUMP), self.jobs)
        self._phase("restoring")
        finished = processes.run(argv, way.env, secrets=way.secrets, tick=_throttled(lambda: self._phase("restoring")))
        if finished.code != 0:
            raise WindlassError(
                "restore_failed",
                f"pg_restore {finished.how}",
                hint="the new database was dropped again; mend the cause and start again",
                detail={"exit_status": finished.code, "errors": finished.errors[-4000:]},
            )

    def _compare(self, session: Session) -> tuple[list[str], list[str]]:
        """Compare the new database with the manifest; return what is wrong, and what is worth a note."""
        contents.begin_reading(session, _LOCK_WAIT_MS)
        names = contents.tables(session)
        failures = _rows_lines(self.known["rows"], contents.count_rows(session, names))
        objects = contents.count_large_objects(session)
        if objects != self.known["large_objects"]:
            failures.append(f"{objects} large objects instead of {self.known['large_objects']}")
        behind = contents.sequences_behind(session)
        failures += [line for line in behind if line not in self.known["sequences_behind"]]
        notes = [f"{line}, as in the original" for line in behind if line in self.known["sequences_behind"]]
        failures += self._settings_lines(surroundings.settings(session.query, session.server_version))
        wrong, different = self._schema_lines(session, introspect.snapshot(session))
        session.run("COMMIT")
        return failures + wrong, notes + different

    def _schema_lines(self, session: Session, found: Schema) -> tuple[list[str], list[str]]:
        """Return the differences of the schema that matter, and those that are another spelling or version."""
        if introspect.fingerprint(found) == self.known["fingerprint"]:
            return [], []
        with open(os.path.join(self.path, SCHEMA), encoding="utf-8") as file:
            saved = Schema.from_wire(json.load(file))
        dialect, server_major = session.dialect, session.server_version // 10000
        real = introspect.real_difference(saved, found, dialect.loose_spelling)
        # A newer server prints many definitions in its own way, and brings its own versions of extensions.
        newer = server_major != self.known["server_version"] // 10000
        wrong = [line for line in real if not line.startswith("~ extension ") and not (newer and line[0] == "~")]
        return wrong, [line for line in introspect.difference(saved, found) if line not in wrong]

    def _settings_lines(self, found: Wire) -> list[str]:
        """Return which of the database's own settings differ; their values may be secret."""
        known = self.known["settings"]
        return [f"the database's {key} differs from the original's" for key in _COMPARED if found[key] != known[key]]

    def _phase(self, phase: str) -> None:
        """Tell what is going on."""
        self.emit(
            {"event": "restore_progress", "phase": phase, "elapsed_ms": int((time.monotonic() - self.began) * 1000)}
        )


def _prepare(target: Target, known: Wire, name: str, client_bin: str) -> dump.Client:
    """Find the programs, look for obstacles, and make the new database, marked as not finished."""
    with maintenance(target) as admin:
        major = admin.server_version // 10000
        client = dump.find_client(major, client_bin, known["client_major"], code="restore_failed")
        _require_fit(admin, known, name)
        admin.run(surroundings.create_statement(name, known["settings"]))
        with _dropped_on_failure(target, name):
            admin.run(surroundings.comment_statement(name, UNFINISHED))
        return client


def _require_fit(admin: Session, known: Wire, name: str) -> None:
    """Refuse, before anything is touched, what cannot end well."""
    lines = _obstacles(admin, known, name)
    if lines:
        raise WindlassError(
            "restore_failed",
            f"the backup {known['id']} cannot be restored into {name!r}: {'; '.join(lines)}",
            hint="nothing was touched",
            detail={"obstacles": lines},
        )


def _obstacles(admin: Session, known: Wire, name: str) -> list[str]:
    """Return what stands in the way."""
    lines = []
    if not name or len(name.encode("utf-8")) > _NAME_BYTES:
        lines.append(f"a database's name has 1 to {_NAME_BYTES} bytes")
    if admin.query(f"SELECT 1 FROM pg_database WHERE datname = {literal(name)}"):
        lines.append("there is a database of that name already, and nothing is ever restored over one")
    if admin.server_version // 10000 < known["server_version"] // 10000:
        ours, theirs = admin.server_version // 10000, known["server_version"] // 10000
        lines.append(f"the server is PostgreSQL {ours}, the backup comes from {theirs}")
    roles = {role for (role,) in admin.query("SELECT rolname::text FROM pg_roles")}
    lacking = [role for role in known["globals"]["needed_roles"] if role not in roles]
    if lacking:
        lines.append(f"the server lacks the roles {', '.join(lacking)} (CREATE ROLE them first)")
    extensions = {extension for (extension,) in admin.query("SELECT name::text FROM pg_available_extensions")}
    missing = [item["name"] for item in known["settings"]["extensions"] if item["name"] not in extensions]
    if missing:
        lines.append(f"the server has no files of the extensions {', '.join(missing)}")
    return lines


@contextmanager
def _dropped_on_failure(target: Target, name: str) -> Iterator[None]:
    """Take the new database away again when anything fails."""
    try:
        yield
    except BaseException:
        with suppress(ServerError, WindlassError), maintenance(target) as admin:
            admin.run(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)")
        raise


def _write_test(session: Session) -> None:
    """Write, change and delete in a transaction that is taken back.  Raise ServerError."""
    table = f"{_CONTROL}.{_CONTROL}"
    session.run(
        f"BEGIN READ WRITE; CREATE SCHEMA {_CONTROL}; CREATE TABLE {table} (id int PRIMARY KEY, note text); "
        f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b'); UPDATE {table} SET note = 'c' WHERE id = 2; "
        f"DELETE FROM {table} WHERE id = 1; ROLLBACK"
    )


def _rows_lines(expected: Wire, found: Wire) -> list[str]:
    """Return the tables whose rows are not those of the manifest."""
    return [
        f"table {name}: {found.get(name, 'no')} rows instead of {expected.get(name, 'none')}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]


def _differs(backup: str, lines: list[str]) -> WindlassError:
    """Return the error of a restored database that is not what was saved."""
    return WindlassError(
        "restore_failed",
        f"what was restored from {backup} is not what was saved: {'; '.join(lines[:5])}"
        + (f"; and {len(lines) - 5} more" if len(lines) > 5 else ""),
        hint="the new database was dropped again; choose another backup",
        detail={"differences": lines},
    )


def _throttled(tell: Callable[[], None]) -> Callable[[float], None]:
    """Return a tick that tells once a second."""
    last = [0.0]

    def tick(elapsed: float) -> Any:
        if elapsed - last[0] >= 1.0:
            last[0] = elapsed
            tell()

    return tick
