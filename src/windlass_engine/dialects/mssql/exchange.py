"""Two databases exchange their names.

ALTER DATABASE … MODIFY NAME is no part of any transaction, so what is going on stands as a property in both databases
while it does: an exchange that was killed goes on with the next one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Callable, Optional

from ...errors import WindlassError
from ...model import Target
from .. import backups
from ..link import Link, ServerError
from . import contents, databases, driver, locks
from .own import Own
from .restoring import PARTIAL_PROPERTY
from .server_files import maintenance
from .text import literal, quoted

_PROPERTY = "windlass_swap"
_PATIENCE_S = 30.0
_POLL_S = 0.2
_LOGIN_S = 10
#: The database cannot be locked, or is in single-user mode with somebody in it.
_BUSY = (5061, 5064, 5069, 5070, 924, 1205, 1222)
_STATE = """
SELECT d.state_desc, d.user_access_desc, CAST(CASE WHEN d.replica_id IS NULL THEN 0 ELSE 1 END AS int),
  CAST(CASE WHEN m.mirroring_guid IS NULL THEN 0 ELSE 1 END AS int),
  (SELECT COUNT(*) FROM sys.databases s WHERE s.source_database_id = d.database_id)
FROM sys.databases d LEFT JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = {name}
"""
_SESSIONS = "SELECT session_id FROM sys.dm_exec_sessions WHERE database_id = DB_ID({name}) AND session_id <> @@SPID"
_MARKED = Own("SELECT name FROM sys.databases WHERE user_access_desc = N'SINGLE_USER' AND state_desc = N'ONLINE'")


def exchange(target: Target, incoming: str, kept: str, started: Callable[[str], None]) -> backups.Exchanged:
    """Let nobody in, rename both, let everybody in; or leave everything as it was."""
    name = databases.name_of(target.url)
    with maintenance(target) as admin:
        kept = kept if _stands(admin, name) else ""
        _require_possible(admin, name, incoming, bool(kept))
        there = [each for each in (name if kept else "", incoming) if each]
        broker = "on" if kept and contents.settings(admin, name)["is_broker_enabled"] else ""
        plan = {"name": name, "incoming": incoming, "kept": kept, "broker": broker}
        with _alone(target, name) as deployer, _put_right(admin, plan):
            started(kept)
            for each in there:
                _mark(admin, each, json.dumps(plan))
            ended = sum(_close(admin, each, deployer) for each in there)
            if kept:
                _hand_over(admin, plan)
                _rename(admin, name, kept)
            _rename(admin, incoming, name)
        _open(admin, name, kept)
    return backups.Exchanged(kept, ended)


@contextmanager
def _alone(target: Target, name: str) -> Iterator[Optional[Link]]:
    """Hold the deployer lock, in the database itself; None where that lets nobody in, and so no deployment either."""
    try:
        link = driver.connect(target, "windlass restore", _LOGIN_S)
    except WindlassError:
        yield None
        return
    try:
        backups.wait_for_deployer(name, lambda: locks.take(link, locks.DEPLOYER), lambda: _holder(link))
        yield link
    finally:
        link.close()


def _holder(link: Link) -> str:
    """Return who holds the deployer lock, in words."""
    found = locks.lock_holder(link)
    return f"session {found.pid}, {found.application}" if found else "nobody any more"


def unfinished(target: Target) -> Optional[Callable[[], backups.Exchanged]]:
    """Return how an exchange goes on that was killed, or None where there is none."""
    name = databases.name_of(target.url)
    with maintenance(target) as admin:
        plan = _plan(admin, name)
        if plan is None or not any(_stands(admin, plan[key]) for key in ("name", "incoming")):
            return None
    return lambda: _go_on(target, plan)


def names(target: Target, prefix: str) -> list[str]:
    """Return the databases whose names begin so."""
    with maintenance(target) as admin:
        rows = admin.query(
            Own(f"SELECT name FROM sys.databases WHERE LEFT(name, {len(prefix):d}) = {literal(prefix)} ORDER BY name")
        )
    return [str(found) for (found,) in rows]


def _go_on(target: Target, plan: dict[str, str]) -> backups.Exchanged:
    """Do what is left of an exchange; what was done already is told by the names that are there."""
    name, incoming, kept = plan["name"], plan["incoming"], plan["kept"]
    with maintenance(target) as admin:
        with _put_right(admin, plan):
            if _stands(admin, incoming):
                ended = _close(admin, incoming)
                if kept and not _stands(admin, kept):
                    ended += _close(admin, name)
                    _hand_over(admin, plan)
                    _rename(admin, name, kept)
                _rename(admin, incoming, name)
            else:
                ended = 0
        _open(admin, name, kept)
    return backups.Exchanged(kept, ended)


# ---------------------------------------------------------------- steps


@contextmanager
def _put_right(admin: Link, plan: dict[str, str]) -> Iterator[None]:
    """After a failure give the original its name again, and let everybody in."""
    name, incoming, kept = plan["name"], plan["incoming"], plan["kept"]
    try:
        yield
    except BaseException as error:
        if kept and _is_there(admin, kept) and not _is_there(admin, name):
            try:
                _rename(admin, kept, name)
            except (ServerError, WindlassError) as second:
                raise _halfway(plan, error, second) from None
        if plan["broker"]:
            with suppress(ServerError):
                _move_broker(admin, incoming, name)
        for each in (name if kept else "", incoming):
            if each:
                with suppress(ServerError):
                    admin.run(Own(f"ALTER DATABASE {quoted(each)} SET MULTI_USER"))
                with suppress(ServerError):
                    _unmark(admin, each)
        raise


def _close(admin: Link, name: str, deployer: Optional[Link] = None) -> int:
    """End the sessions of a database and let only one in; return how many others there were.  Raise ServerError."""
    ended = len(set(_sessions(admin, name)) - {deployer.backend_pid if deployer else 0})
    _insist(admin, name, Own(f"ALTER DATABASE {quoted(name)} SET SINGLE_USER WITH ROLLBACK IMMEDIATE"))
    return ended


def _rename(admin: Link, name: str, new: str) -> None:
    _insist(admin, name, Own(f"ALTER DATABASE {quoted(name)} MODIFY NAME = {quoted(new)}"))


def _insist(admin: Link, name: str, statement: Own) -> None:
    """Run a statement that needs a database for itself; a session that was quicker is ended, and it is tried again."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            admin.run(statement)
            return
        except ServerError as error:
            if error.lost or error.number not in _BUSY or time.monotonic() > deadline:
                raise
        _end_sessions(admin, name)
        time.sleep(_POLL_S)


def _end_sessions(admin: Link, name: str) -> None:
    for session in _sessions(admin, name):
        with suppress(ServerError):
            admin.run(Own(f"KILL {session:d}"))


def _sessions(admin: Link, name: str) -> list[int]:
    return [int(session) for (session,) in admin.query(Own(_SESSIONS.format(name=literal(name))))]


def _hand_over(admin: Link, plan: dict[str, str]) -> None:
    """Give the incoming database what RESTORE takes away, as the original has it.  Raise ServerError."""
    giver, taker = plan["name"], plan["incoming"]
    has, lacks = contents.settings(admin, giver), contents.settings(admin, taker)
    if has["owner"] and has["owner"] != lacks["owner"]:
        admin.run(Own(f"ALTER AUTHORIZATION ON DATABASE::{quoted(taker)} TO {quoted(has['owner'])}"))
    for key, option in (("is_trustworthy_on", "TRUSTWORTHY"), ("is_db_chaining_on", "DB_CHAINING")):
        if bool(has[key]) != bool(lacks[key]):
            admin.run(Own(f"ALTER DATABASE {quoted(taker)} SET {option} {'ON' if has[key] else 'OFF'}"))
    if plan["broker"]:
        _move_broker(admin, giver, taker)


def _move_broker(admin: Link, giver: str, taker: str) -> None:
    """Move Service Broker: two databases of one origin cannot both have it on.  Raise ServerError."""
    for name, on in ((giver, False), (taker, True)):
        if bool(contents.settings(admin, name)["is_broker_enabled"]) != on:
            word = "ENABLE_BROKER" if on else "DISABLE_BROKER"
            admin.run(Own(f"ALTER DATABASE {quoted(name)} SET {word} WITH ROLLBACK IMMEDIATE"))


def _open(admin: Link, name: str, kept: str) -> None:
    """Let everybody in again: the names stand, so the one that people work in comes first.

    The marks go last: whoever finds a closed database needs them.
    """
    there = [each for each in (name, kept) if each]
    for each in there:
        _insist(admin, each, Own(f"ALTER DATABASE {quoted(each)} SET MULTI_USER"))
    for each in there:
        _unmark(admin, each)


# ---------------------------------------------------------------- marks


def _mark(admin: Link, name: str, text: str) -> None:
    _unmark(admin, name)
    place = f"{quoted(name)}.sys.sp_addextendedproperty"
    admin.run(Own(f"EXEC {place} @name = {literal(_PROPERTY)}, @value = {literal(text)}"))


def _unmark(admin: Link, name: str) -> None:
    where = f"class = 0 AND name = {literal(_PROPERTY)}"
    admin.run(
        Own(
            f"IF EXISTS (SELECT 1 FROM {quoted(name)}.sys.extended_properties WHERE {where}) "
            f"EXEC {quoted(name)}.sys.sp_dropextendedproperty @name = {literal(_PROPERTY)}"
        )
    )


def _plan(admin: Link, name: str) -> Optional[dict[str, str]]:
    """Return what an exchange was going to do with the database of that name, as a closed database tells."""
    for (found,) in admin.query(_MARKED):
        text = _property(admin, str(found), _PROPERTY)
        if not text and str(found).lower().startswith(name.lower()):
            _end_sessions(admin, str(found))  # whoever took the only place in it keeps us from reading it
            text = _property(admin, str(found), _PROPERTY)
        plan: Any = json.loads(text) if text else {}
        if plan.get("name") == name:
            return dict(plan)
    return None


def _property(admin: Link, name: str, key: str) -> str:
    """Return a property of a database; an empty one where there is none or nobody gets in."""
    query = (
        f"SELECT CAST(value AS nvarchar(3500)) FROM {quoted(name)}.sys.extended_properties "
        f"WHERE class = 0 AND name = {literal(key)}"
    )
    with suppress(ServerError):
        rows = admin.query(Own(query))
        return str(rows[0][0]) if rows else ""
    return ""


# ---------------------------------------------------------------- refusals


def _require_possible(admin: Link, name: str, incoming: str, kept: bool) -> None:
    """Refuse what cannot be renamed, before anybody is thrown out."""
    if not _stands(admin, incoming):
        raise backups.refusal(f"there is no database {incoming!r}")
    if incoming.lower() == name.lower():
        raise backups.refusal(f"{incoming!r} is the database itself")
    for each in (incoming, name) if kept else (incoming,):
        state, access, replicated, mirrored, snapshots = admin.query(Own(_STATE.format(name=literal(each))))[0]
        if state != "ONLINE":
            raise backups.refusal(f"{each!r} is {str(state).lower()}: only an online database can be renamed")
        if replicated or mirrored:
            raise backups.refusal(f"{each!r} is part of an availability group or mirrored: take it out first")
        if int(snapshots):
            raise backups.refusal(f"{each!r} has {snapshots} database snapshots, which keep it: drop them first")
        if each == incoming and access == "RESTRICTED_USER":
            raise backups.refusal(f"{each!r} was never restored to its end; drop it and restore again")
    if _property(admin, incoming, PARTIAL_PROPERTY).startswith(backups.PARTIAL):
        raise backups.refusal(f"{incoming!r} holds the rows of some tables only; restore the whole backup to swap")


def _halfway(plan: dict[str, str], error: BaseException, second: BaseException) -> WindlassError:
    """Return the error of an exchange that could be neither ended nor taken back."""
    name, kept = plan["name"], plan["kept"]
    return WindlassError(
        "restore_failed",
        f"there is no database {name!r} now: it is called {kept!r}, and could not be given its name back "
        f"({_words(second)}); the exchange itself had failed: {_words(error)}",
        hint="mend the cause and give the same command again, which goes on; or by hand: "
        f"ALTER DATABASE {quoted(kept)} MODIFY NAME = {quoted(name)}; ALTER DATABASE {quoted(name)} SET MULTI_USER",
    )


def _words(error: BaseException) -> str:
    return str(getattr(error, "message", error))


def _stands(admin: Link, name: str) -> bool:
    """Return whether there is a database of that name.  Raise ServerError."""
    return bool(admin.query(Own(f"SELECT 1 WHERE DB_ID({literal(name)}) IS NOT NULL")))


def _is_there(admin: Link, name: str) -> bool:
    """Return the same in the middle of a failure: what cannot be asked is taken for not there."""
    with suppress(ServerError):
        return _stands(admin, name)
    return False
