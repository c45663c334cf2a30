"""Keeping what one step takes away: copied in batches, made whole at the last moment, marked when it is gone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Callable

from ..dialects import archives as contract
from ..dialects.link import Tick
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
        copies = [sql for archive, loss in self._made for sql in self._writer.catch_up(archive, loss)]
        counts = [sql for archive, _ in self._made for sql in self._writer.counted(archive.name)]
        return (*guards, *self._creation(), *self._opening(self._made), *copies, *counts)

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
