"""Keeping what one step takes away: copied in batches, made whole at the last moment, marked when it is gone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Callable

from ..dialects import archives as contract
from ..dialects.link import ServerError, Tick
from ..model import Archive, Loss, Options, Step, Wire
from ..session import Session
from . import finding, kept

_SLUG = re.compile(r"[^a-z0-9]+")


class StepArchive:
    """The archives of one step that undoes a migration."""

    def __init__(self, session: Session, options: Options, step: Step, emit: Callable[[Wire], None]) -> None:
        """Know nothing yet."""
        self._session = session
        self._writer = session.dialect.archives
        self._options = options
        self._step = step
        self._emit = emit
        self._made: list[tuple[Archive, Loss]] = []
        self._empty: list[Loss] = []
        #: By table and number of statement: the columns that it takes away.
        self._taking: dict[str, dict[int, frozenset[str]]] = {}
        #: How the script failed when it was tried; empty: it did not.
        self.failure = ""

    def find(self, another: Callable[[], Session]) -> None:
        """Learn what will be lost.  Raise ServerError, WindlassError (archive_failed)."""
        script = self._step.script
        rest = replace(script, statements=script.statements[self._step.skip :])
        found = finding.find(self._session, [rest], another=another, scratch_allowed=self._options.scratch)
        [losses] = found.of
        self.failure = found.failure
        held = [loss for loss in losses if loss.rows or loss.about or loss.kind == "rows"]
        self._empty = [loss for loss in losses if loss not in held]
        self._made = list(zip(self._archives(held), held))
        self._require_room()

    def _require_room(self) -> None:
        """Refuse to begin what would fill the disk; what an earlier run copied already lies there.

        Raises WindlassError (space_missing).
        """
        anew = [loss for archive, loss in self._made if not archive.at]
        lacking = finding.lacking_room(self._session, [anew])
        if lacking:
            raise finding.no_room(lacking)

    def copy(self, tick: Tick) -> None:
        """Copy what is large in batches, each permanent by itself; an earlier run's batches are not copied again."""
        large = [(archive, loss) for archive, loss in self._made if _is_large(loss)]
        if large:
            self._session.run([*self._creation(), *self._opening(large)], tick)
        for archive, loss in large:
            self._copy_one(archive, loss, tick)

    def _copy_one(self, archive: Archive, loss: Loss, tick: Tick) -> None:
        done, count = 0, contract.BATCH
        while count >= contract.BATCH:
            count = self._writer.copy_batch(self._session.link, archive, loss, contract.BATCH)
            done += count
            tick(0)
            far = {"phase": f"archiving {loss.table}", "done": done, "total": max(loss.rows, done)}
            self._emit({"event": "progress", "migration": self._step.name, "statement": 0, **far})

    def before(self) -> tuple[str, ...]:
        """Return the SQL that makes the archives whole, right before the script runs."""
        guards = [sql for loss in self._empty for sql in self._writer.still_empty(loss)]
        if not self._made:
            return tuple(guards)
        return (*guards, *self._creation(), *self._opening(self._made), *self._whole(self._made))

    def inside(self, number: int = 0, sql: str = "") -> tuple[str, ...]:
        """Return the SQL that makes the archives whole once more in the transaction of a statement, or of all."""
        holding = self._writer.holding
        if holding is None or not self._made:
            return ()
        return self._completed(holding, number, self._taken(holding, number, sql)) if sql else self._whole(self._made)

    @contextmanager
    def held(self, number: int, sql: str) -> Iterator[None]:
        """Keep writers away while a statement runs that commits by itself, with all archived that it takes away.

        Raises ServerError, also (:meth:`is_beyond`) where they cannot be kept away.
        """
        holding = self._writer.holding
        tables = self._taken(holding, number, sql) if holding and (self._made or self._empty) else ()
        if holding is None or not tables:
            yield
            return
        try:
            self._hold(holding, number, tables)
            yield
        finally:
            with suppress(ServerError):
                self._session.run(holding.give())

    def is_beyond(self, error: ServerError) -> bool:
        """Return whether a statement has to run with writers about, for it changed nothing under :meth:`held`."""
        return self._writer.holding is not None and self._writer.holding.is_beyond(error)

    def steady(self) -> tuple[str, ...]:
        """Return what stands before the beginning of a transaction with :meth:`inside`."""
        return self._writer.holding.steady() if self._writer.holding else ()

    def _taken(self, holding: contract.Holding, number: int, sql: str) -> tuple[str, ...]:
        """Note the columns that a statement takes away; return their tables."""
        found = holding.taken_by(self._session.link, sql)
        for loss in found:
            self._taking.setdefault(loss.table, {})[number] = frozenset(loss.columns)
        return tuple(sorted({loss.table for loss in found}))

    def _hold(self, holding: contract.Holding, number: int, tables: Sequence[str]) -> None:
        """Lock tables, and copy what was written meanwhile, also into one that had nothing to lose before."""
        while True:
            mine = [archive for archive, loss in self._made if loss.table in tables]
            self._session.run(holding.take(tables, mine))
            empty = [loss for loss in self._empty if loss.table in tables]
            filled = [loss for loss in empty if self._session.query(holding.has_rows(loss))[0][0]]
            if not filled:
                break
            self._session.run(holding.give())
            self._empty = [loss for loss in self._empty if loss not in filled]
            new = list(zip(self._archives(filled), filled))
            self._session.run([*self._creation(), *self._opening(new)])
            self._made += new
        self._session.run(self._completed(holding, number, tables))

    def _completed(self, holding: contract.Holding, number: int, tables: Sequence[str]) -> tuple[str, ...]:
        """Return what makes the archives of tables whole; what earlier statements took of them stays as it was."""
        found: list[str] = []
        for archive, loss in self._made:
            if loss.table not in tables:
                continue
            taking = self._taking[loss.table]
            before = frozenset().union(*(columns for at, columns in taking.items() if at < number))
            if before:
                going = taking[number] - before
                found += holding.top_up(self._session.link, archive, loss, going)
                found += self._writer.counted(archive.name)
            else:
                found += self._whole([(archive, loss)])
        return tuple(found)

    def _whole(self, made: Sequence[tuple[Archive, Loss]]) -> tuple[str, ...]:
        """Return what makes archives hold exactly what stands now."""
        copies = [sql for archive, loss in made for sql in self._writer.catch_up(archive, loss)]
        return (*copies, *(sql for archive, _ in made for sql in self._writer.counted(archive.name)))

    def after(self) -> tuple[str, ...]:
        """Return the SQL that says that the archives are the only copies now."""
        resumed = self._step.resumed and self._writer.exists(self._session.link)
        return self._writer.finish(self._step.name, self._options.run_id) if self._made or resumed else ()

    def told(self) -> list[Wire]:
        """Return what was kept, and tell it."""
        if not self._made:
            return []
        lines = [kept.to_wire(archive) for archive in kept.of_run(self._session, self._options.run_id, self._step.name)]
        for line in lines:
            self._emit({"event": "archived", "migration": self._step.name, **line})
        return lines

    def _creation(self) -> tuple[str, ...]:
        """Return what makes the manifest where there is none: naming it anew may need a right that nobody has."""
        return () if self._writer.exists(self._session.link) else self._writer.create()

    def _opening(self, made: Sequence[tuple[Archive, Loss]]) -> list[str]:
        return [sql for archive, loss in made for sql in self._writer.open(archive, loss, self._options)]

    def _archives(self, losses: Sequence[Loss]) -> list[Archive]:
        """Return an archive for each loss: one that an earlier run left unfinished, or a new one."""
        known = kept.listed(self._session) if losses else []
        return [self._archive(loss, known) for loss in losses]

    def _archive(self, loss: Loss, known: Sequence[Archive]) -> Archive:
        run_id, migration = self._options.run_id, self._step.name
        wanted = ("copying", migration, loss.kind, loss.table, loss.columns)
        for archive in known:
            if (archive.state, archive.migration, archive.kind, archive.table, archive.columns) == wanted:
                return archive
        number = sum(archive.run_id == run_id for archive in known)  # a run's id may be given twice
        name = _name(f"{run_id} {number}", migration, loss)
        return Archive(name, run_id, migration, loss.kind, loss.table, loss.columns, loss.keys, "copying")


def _is_large(loss: Loss) -> bool:
    """Return whether rows are copied in batches before the last moment: there are many, and a key to go by."""
    return bool(loss.keys) and loss.rows > contract.BATCH and loss.kind != "rows"


def _name(run_id: str, migration: str, loss: Loss) -> str:
    """Return a name that says what it holds, short enough for every engine and different for every run."""
    digest = hashlib.sha256("\n".join((run_id, migration, loss.kind, loss.table)).encode()).hexdigest()[:6]
    table = _SLUG.sub("_", loss.table.lower()).strip("_")[-18:].strip("_")
    return f"{_SLUG.sub('_', migration.lower()).strip('_')[:16].strip('_')}_{table}_{digest}"
