"""Restore tests: a backup is known to restore only when it was restored.

The scratch database is dropped at the end, whatever happened; that of a killed run goes with the next test.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Callable

from .. import journal, scratch
from ..checking import verify
from ..dialects.link import ServerError
from ..errors import WindlassError
from ..model import Script, Target, Wire, to_wire
from ..session import Session, connect
from . import restore


@dataclass(frozen=True)
class Trial:
    """What is tested and how: the backup's folder, and the system's checks and samples that shall pass on it.

    They are written for what stands after all of the system's ``migrations``: a backup of before one of them is held
    against its manifest alone.
    """

    path: str
    checks: Sequence[Script] = ()
    samples: Sequence[Script] = ()
    client_bin: str = ""
    identity: str = ""
    migrations: Sequence[str] = ()


def run(server: Target, trial: Trial, emit: Callable[[Wire], None]) -> Wire:
    """Restore a backup into a scratch database of ``server``, compare it, run the checks, drop it.

    Returns ``{backup, failed, duration_ms, restored, checks, samples, lacking}``: ``failed`` says what was wrong, and
    is empty for a good backup; ``duration_ms`` is the time until the database could be used; ``lacking`` are migrations
    that checks and samples wait for.  Raises WindlassError only for what
    says nothing about the backup: no login, no program, no room.
    """
    began = time.monotonic()
    found: Wire = {"failed": "", "restored": None, "checks": [], "samples": [], "lacking": []}
    with scratch_place(server) as (name, reached):
        try:
            found["restored"] = restore.beside(server, trial.path, name, trial.client_bin, 0, emit, trial.identity)
        except WindlassError as error:
            # What the server lacks, users for instance, says nothing about the backup either.
            if error.code not in ("backup_failed", "restore_failed") or "obstacles" in error.detail:
                raise
            found["failed"] = error.message
        found["duration_ms"] = int((time.monotonic() - began) * 1000)
        if found["restored"]:
            found["lacking"] = _lacking(reached, trial.migrations)
        if found["restored"] and not found["lacking"]:
            found["checks"] = _run(reached, trial.checks, "check", emit)
            found["samples"] = _run(reached, trial.samples, "sample", emit)
    bad = [each for each in (*found["checks"], *found["samples"]) if each["failures"] or each["error"]]
    if bad:
        found["failed"] = f"restored, but {len(bad)} of its checks failed, the first: {bad[0]['name']}"
    return found


def _lacking(target: Target, migrations: Sequence[str]) -> list[str]:
    """Return the migrations that had not been applied when the backup was made."""
    with connect(target, "windlass restore test") as session:
        entries = journal.read(session).entries
    applied = {entry.name for entry in entries if entry.kind == "migration" and entry.state == "applied"}
    return [name for name in migrations if name not in applied]


def _run(target: Target, scripts: Sequence[Script], kind: str, emit: Callable[[Wire], None]) -> list[Wire]:
    """Run checks or samples; in a scratch database also those that commit."""
    return [to_wire(each) for each in verify.run_checks(target, scripts, kind, True, emit)] if scripts else []


@contextmanager
def scratch_place(server: Target) -> Iterator[tuple[str, Target]]:
    """Give the name of a database that a restore may make, and how to reach it; it is gone afterwards."""
    name = scratch.PREFIX + secrets.token_hex(6)
    with connect(server, name) as keeper:
        _drop_stale(keeper, server)
        for statement in keeper.dialect.keep_database(name):
            keeper.run(statement)
        try:
            yield name, replace(server, url=keeper.dialect.url_of_database(server.url, name))
        finally:
            _drop(keeper, server, name)


def _drop_stale(keeper: Session, server: Target) -> None:
    """Drop what killed runs left behind."""
    try:
        scratch.drop_stale(keeper)
    except ServerError as error:
        raise WindlassError(
            "preflight_failed", f"an old scratch database cannot be dropped: {error.message}",
            hint="drop it as its owner", where={"database": server.name},
        ) from None  # fmt: skip


def _drop(keeper: Session, server: Target, name: str) -> None:
    """Drop the database, over a new connection where the first was lost meanwhile."""
    try:
        keeper.run(keeper.dialect.drop_database(name))
    except ServerError:
        try:
            with connect(server, name) as other:
                other.run(other.dialect.drop_database(name))
        except (ServerError, WindlassError):
            return  # the next test takes it away
