"""A database takes the place of another, though neither MySQL nor MariaDB can rename one.

All tables change their database in one ``RENAME TABLE`` statement, which waits for open transactions and is seen whole
or not at all.  A table with triggers cannot change its database, so

1. such tables of the old database first get a name of their own in it (with their triggers, at once): from then on a
   statement on them fails, and none runs without its triggers.  Then their triggers go;
2. the one statement moves the old tables to the kept database and the new ones here; those that shall have triggers
   get a name of their own again;
3. routines and triggers are made, and one more statement gives the tables with triggers their names;
4. views and events are made.

The code of the kept database is kept as text, for there it could reach into the new one.  What is done and what is to
be done stands in the incoming database (:mod:`.aside`), so that the next swap or undo goes on after a kill.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Callable, Optional

from ...errors import WindlassError
from ...model import Target, Wire
from .. import backups
from ..link import Link, ServerError
from . import aside, code, driver, locks, surroundings
from .address import connect_options
from .exchange_plan import is_there, planned, require_possible
from .restoring import maintenance
from .text import literal, quoted

_PATIENCE_S = 30.0
_TIMEOUT = 1205
_OLD, _NEW = "windlass_old_", "windlass_new_"
_HINT = "mend the cause and give the same command again: it goes on where this one ended"


def exchange(target: Target, incoming: str, kept: str, started: Callable[[str], None]) -> backups.Exchanged:
    """Write down what is to be done, and do it; or leave everything as it was."""
    name = str(connect_options(target)["database"])
    with maintenance(target) as admin, _alone(admin, name):
        require_possible(admin, name, incoming)
        work = planned(admin, name, incoming, kept)
        started(work["kept"])
        aside.put(admin, incoming, aside.EXCHANGE, work)
        return _Exchange(admin, work).run()


def unfinished(target: Target) -> Optional[Callable[[], backups.Exchanged]]:
    """Return how an exchange of the target's database that was broken off goes on, or None."""
    name = str(connect_options(target)["database"])
    with maintenance(target) as admin:
        work = _under_way(admin, name)
    return partial(_go_on, target, name) if work else None


def _go_on(target: Target, name: str) -> backups.Exchanged:
    """Go on, unless somebody else did meanwhile."""
    with maintenance(target) as admin, _alone(admin, name):
        work = _under_way(admin, name)
        return _Exchange(admin, work).run() if work else backups.Exchanged("", 0)


def _under_way(admin: Link, name: str) -> Optional[Wire]:
    for place in aside.places(admin):
        work: Optional[Wire] = aside.get(admin, place, aside.EXCHANGE)
        if work and work["name"] == name:
            return work
    return None


class _Exchange:
    """One exchange.  Each step looks at what is there first, so that it can be taken twice."""

    def __init__(self, admin: Link, work: Wire) -> None:
        """Keep what is to be done."""
        self.admin = admin
        self.work = work
        self.name, self.incoming, self.kept = str(work["name"]), str(work["incoming"]), str(work["kept"])
        self.old = [code.Piece.from_wire(item) for item in work["old"]["pieces"]]
        self.new = [code.Piece.from_wire(item) for item in work["new"]["pieces"]]
        self.ended: set[int] = set()

    def run(self) -> backups.Exchanged:
        """Take the steps that are left."""
        steps = (("planned", self._close), ("closed", self._rename), ("renamed", self._recode), ("recoded", self._open))
        phases = [phase for phase, _ in steps]
        for phase, step in steps[phases.index(self.work["phase"]) :] if self.work["phase"] in phases else ():
            try:
                step()
            except (ServerError, WindlassError) as error:
                raise self._broken_off(phase, error) from None
            following = phases.index(phase) + 1
            self._note(phases[following] if following < len(phases) else "opened")
        self._finish()
        return backups.Exchanged(self.kept, len(self.ended))

    def _note(self, phase: str) -> None:
        self.work["phase"] = phase
        aside.put(self.admin, self.incoming, aside.EXCHANGE, self.work)

    def _close(self) -> None:
        """Take the old tables with triggers out of use, and the code of both databases away from its tables."""
        if not is_there(self.admin, self.name):
            self.admin.run(surroundings.create_statement(self.name, self.work["new"]["settings"]))
        if self.kept:
            self._make_kept()
            hidden = self._hidden(_OLD, self.work["old"]["triggered"])
            there = self._tables(self.name)
            self._rename_all([(self.name, table, self.name, own) for table, own in hidden.items() if table in there])
            self._drop_code(self.name, self.old, ("TRIGGER", "EVENT"))
        self._drop_code(
            self.incoming, [*self.new, *surroundings.code_of(self.admin, self.incoming, "restore_failed")], code.KINDS
        )

    def _rename(self) -> None:
        """Move all tables at once."""
        incoming = [table for table in self._tables(self.incoming) if table != aside.TABLE]
        if not incoming and (self.work["new"]["tables"] or not self.kept):
            return  # it was done already
        moved = []
        if self.kept:
            own = {name: table for table, name in self._hidden(_OLD, self.work["old"]["triggered"]).items()}
            # A database that stands beside another itself stays marked as such, whatever takes its place.
            there = [table for table in self._tables(self.name) if table != aside.TABLE]
            moved = [(self.name, table, self.kept, own.get(table, table)) for table in there]
        hidden = self._hidden(_NEW, self.work["new"]["triggered"])
        moved += [(self.incoming, table, self.name, hidden.get(table, table)) for table in incoming]
        self._rename_all(moved)

    def _recode(self) -> None:
        """Let defaults ask the sequences that came along; make routines and triggers."""
        strange = surroundings.own_defaults(self.admin, self.name, self.incoming)
        surroundings.point_defaults(self.admin, self.name, strange, self.incoming, self.name)
        replacing = self.admin.server_version >= driver.MARIADB
        routines = [piece for piece in self.new if piece.kind in code.ROUTINES and piece not in self.old]
        stay = {piece.label for piece in self.new if replacing or piece not in routines}
        gone = [piece for piece in [*self.old, *routines] if piece.label not in stay]
        self._drop_code(self.name, gone, code.ROUTINES)
        for piece in routines:
            code.make(self.admin, piece, replacing=replacing)
        self._drop_code(self.name, self.new, ("TRIGGER",))
        hidden = self._hidden(_NEW, self.work["new"]["triggered"])
        for piece in self.new:
            if piece.kind == "TRIGGER":
                code.make(self.admin, piece, hidden[piece.table])

    def _open(self) -> None:
        """Give the tables with triggers their names; make views; let events run again."""
        there = self._tables(self.name)
        hidden = self._hidden(_NEW, self.work["new"]["triggered"])
        self._rename_all([(self.name, own, self.name, table) for table, own in hidden.items() if own in there])
        self.admin.run(f"USE {quoted(self.name)}")
        same = [piece for piece in self.old if piece in self.new and piece.kind == "VIEW"]
        self._drop_code(self.name, [p for p in [*self.old, *self.new] if p not in same], ("VIEW", "EVENT"))
        failed = code.make_all(self.admin, [p for p in self.new if p.kind in ("VIEW", "EVENT") and p not in same])
        if failed and not self.work.get("into_copy"):
            piece, error = failed[0]
            raise ServerError(f"{piece.label} cannot be made: {error.message}", number=error.number)
        known = self.work["new"]["settings"]
        self.admin.run(
            f"ALTER DATABASE {quoted(self.name)} CHARACTER SET {known['charset']} COLLATE {known['collation']}"
        )

    def _finish(self) -> None:
        """Mark the kept database as whole, and drop the empty one."""
        if self.kept:
            aside.put(self.admin, self.kept, aside.STATE, aside.KEPT)
        left = [table for table in self._tables(self.incoming) if table != aside.TABLE]
        if left:
            raise ServerError(f"{self.incoming!r} still holds {', '.join(left[:5])}")
        self.admin.run(f"DROP DATABASE IF EXISTS {quoted(self.incoming)}")

    def _make_kept(self) -> None:
        """Make the database that takes the old tables, with the old code as text."""
        known = self.work["old"]
        rows = self.admin.query(f"SELECT 1 FROM information_schema.SCHEMATA WHERE schema_name = {literal(self.kept)}")
        if not rows:
            self.admin.run(surroundings.create_statement(self.kept, known["settings"]))
        aside.make(self.admin, self.kept, aside.UNFINISHED)
        aside.put(self.admin, self.kept, aside.CODE, {key: known[key] for key in ("pieces", "defaults", "named")})

    def _broken_off(self, phase: str, error: Exception) -> Exception:
        """Go back where nothing was moved yet; return the error to raise."""
        message = error.message if isinstance(error, (ServerError, WindlassError)) else str(error)
        if isinstance(error, ServerError) and error.lost:
            return error
        if phase in ("planned", "closed"):
            with suppress(ServerError):
                self._go_back()
                return WindlassError("restore_failed", f"the swap broke off: {message}", hint="everything is as it was")
        return WindlassError("restore_failed", f"the swap stopped in the middle ({phase}): {message}", hint=_HINT)

    def _go_back(self) -> None:
        """Open the old database again.  Raise ServerError."""
        if self.kept:
            there = self._tables(self.name)
            hidden = self._hidden(_OLD, self.work["old"]["triggered"])
            self.admin.run(f"USE {quoted(self.name)}")
            present = {piece.label for piece in code.read(self.admin, self.name)}
            for piece in self.old:
                if piece.kind == "TRIGGER" and piece.label not in present:
                    own = hidden[piece.table]
                    code.make(self.admin, piece, own if own in there else None)
            self._rename_all([(self.name, own, self.name, table) for table, own in hidden.items() if own in there])
            for piece in self.old:
                if piece.kind == "EVENT" and piece.label not in present:
                    code.make(self.admin, piece)
            self.admin.run(f"DROP DATABASE IF EXISTS {quoted(self.kept)}")
        aside.remove(self.admin, self.incoming, aside.EXCHANGE)

    def _hidden(self, prefix: str, triggered: Sequence[str]) -> dict[str, str]:
        """Return the names that tables with triggers have meanwhile."""
        return {table: f"{prefix}{number}" for number, table in enumerate(triggered)}

    def _tables(self, database: str) -> list[str]:
        """Return the tables and sequences that a database has now."""
        rows = self.admin.query(
            "SELECT table_name FROM information_schema.TABLES "
            f"WHERE table_schema = {literal(database)} AND table_type NOT LIKE '%VIEW' ORDER BY 1"
        )
        return [str(name) for (name,) in rows]

    def _drop_code(self, database: str, pieces: Sequence[code.Piece], kinds: Sequence[str]) -> None:
        self.admin.run(f"USE {quoted(database)}")
        code.drop(self.admin, [piece for piece in pieces if piece.kind in kinds])

    def _rename_all(self, moves: Sequence[tuple[str, str, str, str]]) -> None:
        """Rename tables in one statement; end the sessions that hold it up.  Raise ServerError, WindlassError."""
        if not moves:
            return
        listed = ", ".join(f"{quoted(a)}.{quoted(b)} TO {quoted(c)}.{quoted(d)}" for a, b, c, d in moves)
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self.admin.run(["SET SESSION lock_wait_timeout = 1", f"RENAME TABLE {listed}"])
                return
            except ServerError as error:
                if error.number != _TIMEOUT:
                    raise
                self._end_sessions(time.monotonic() > deadline)

    def _end_sessions(self, is_last: bool) -> None:
        """End the sessions in both databases."""
        rows = self.admin.query(
            "SELECT id, user, host FROM information_schema.PROCESSLIST WHERE id <> CONNECTION_ID() "
            f"AND db IN ({literal(self.name)}, {literal(self.incoming)})"
        )
        if is_last:
            who = (
                ", ".join(f"{user}@{host} (id {number})" for number, user, host in rows[:5])
                or "one of another database"
            )
            raise WindlassError(
                "restore_failed", f"sessions keep the tables locked: {who}", hint="end them, and swap again"
            )
        for number, _, _ in rows:
            with suppress(ServerError):
                self.admin.run(f"KILL {int(number)}")
                self.ended.add(int(number))


@contextmanager
def _alone(admin: Link, name: str) -> Iterator[None]:
    """Hold the deployer lock of a database.  Raise WindlassError (deploy_locked)."""
    lock = locks.name_of(name)
    backups.wait_for_deployer(
        name,
        lambda: bool(admin.query(f"SELECT GET_LOCK({lock}, 0)")[0][0] == 1),
        lambda: f"session {admin.query(f'SELECT IS_USED_LOCK({lock})')[0][0]}",
    )
    try:
        yield
    finally:
        with suppress(ServerError):
            admin.query(f"SELECT RELEASE_LOCK({lock})")
