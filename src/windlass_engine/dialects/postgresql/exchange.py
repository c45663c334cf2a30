"""Two databases exchange their names.

Logins are blocked and sessions ended first, for a rename waits for nobody.  Both renames and the unblocking are one
transaction, so at every moment there is a database of the name, or the old state.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Callable, Optional

from ...errors import WindlassError
from ...model import Target
from .. import backups
from ..link import Link, ServerError
from . import driver, dump, locks
from .surroundings import quoted
from .text import literal

_PATIENCE_S = 30.0
_POLL_S = 0.1
LOGIN_S = 10
_APPLICATION = "windlass restore"
_CREATES = "SELECT rolname::text, rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
_OWNER = """
SELECT pg_get_userbyid(datdba)::text, pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = {name}"""
_END_LOST = f"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = {{pid}} AND usename = current_user AND application_name = '{_APPLICATION}'"""


@contextmanager
def maintenance(target: Target, avoid: tuple[str, ...] = ()) -> Iterator[Link]:
    """Log in to a database of the same server that is neither restored nor renamed."""
    names = [name for name in ("postgres", "template1") if name not in avoid]
    link: Optional[Link] = None
    for name in names:
        try:
            link = driver.connect(dump.elsewhere(target, name), _APPLICATION, LOGIN_S)
            break
        except WindlassError as error:
            if error.code not in ("database_unreachable", "login_refused") or name == names[-1]:
                raise
    assert link is not None
    try:
        yield link
    finally:
        link.close()


def exchange(target: Target, incoming: str, kept: str, started: Callable[[str], None]) -> backups.Exchanged:
    """Block, end, rename; or leave everything as it was."""
    name = dump.database_name(target)
    with maintenance(target, (name, incoming)) as admin:
        names = [name, incoming] if _exists(admin, name) else [incoming]
        kept = kept if name in names else ""
        _require_possible(admin, name, incoming)
        with _alone(target, name) as deployer:
            started(kept)
            with _logins_blocked(target, admin, names):
                ended = _end_sessions(admin, names, deployer)
                if deployer:
                    deployer.close()
                    _end_sessions(admin, names)
                _rename(target, admin, name, incoming, kept)
    return backups.Exchanged(kept, ended)


@contextmanager
def _alone(target: Target, name: str) -> Iterator[Optional[Link]]:
    """Hold the deployer lock, in the database itself; None where that lets nobody in, and so no deployment either."""
    try:
        link = driver.connect(target, "windlass restore", LOGIN_S)
    except WindlassError:
        yield None
        return
    try:
        backups.wait_for_deployer(name, lambda: locks.try_lock(link), lambda: _holder(link))
        yield link
    finally:
        link.close()


def _holder(link: Link) -> str:
    """Return who holds the deployer lock, in words."""
    found = locks.lock_holder(link)
    return f"pid {found.pid}, {found.application}" if found else "nobody any more"


def lacking(target: Target) -> list[str]:
    """Return what would keep the login from making a database and letting it take the target's place."""
    name = dump.database_name(target)
    with maintenance(target, (name,)) as admin:
        user, creates = admin.query(_CREATES)[0]
        owners = admin.query(_OWNER.format(name=literal(name)))
        prepared = _prepared(admin, (name,))
    found = [] if creates else [f"{user} may not create databases (ALTER ROLE {quoted(user)} CREATEDB)"]
    for owner, is_its in owners:
        found += [] if is_its else [f"{name} belongs to {owner} (GRANT {quoted(owner)} TO {quoted(user)})"]
    return found + ([prepared] if prepared else [])


def databases(target: Target, prefix: str) -> list[str]:
    """Return the databases whose names begin so."""
    with maintenance(target, (dump.database_name(target),)) as admin:
        rows = admin.query(
            f"SELECT datname::text FROM pg_database WHERE starts_with(datname::text, {literal(prefix)}) ORDER BY 1"
        )
    return [str(name) for (name,) in rows]


def _rename(target: Target, admin: Link, name: str, incoming: str, kept: str) -> None:
    """Exchange the names.  Where the session is lost, look whether that came through all the same."""
    number = _number(admin, incoming)
    try:
        admin.run(_renames(name, incoming, kept))
    except ServerError as error:
        if not error.lost:
            raise
        try:
            with _another(target, admin, (name, incoming)) as link:
                done = _number(link, name) == number
        except (ServerError, WindlassError):
            error.hint = (
                f"when the server answers, look which databases it has: where {incoming!r} is gone, the exchange is "
                "done; else start again, which lets sessions in again"
            )
            raise error from None
        if not done:
            error.hint = "everything is as it was; mend the cause and start again"
            raise


def _number(admin: Link, name: str) -> int:
    """Return a database's number, which it keeps whatever it is called; 0 where there is none."""
    rows = admin.query(f"SELECT oid::int8 FROM pg_database WHERE datname = {literal(name)}")
    return int(rows[0][0]) if rows else 0


@contextmanager
def _another(target: Target, lost: Link, avoid: tuple[str, ...]) -> Iterator[Link]:
    """Log in anew in the place of a lost session, and wait until that has ended: it may go on with what it was sent.

    Raise WindlassError, ServerError where the server does not come back.
    """
    deadline = time.monotonic() + _PATIENCE_S
    with ExitStack() as stack:
        link: Optional[Link] = None
        while link is None or link.query(_END_LOST.format(pid=lost.backend_pid)):
            try:
                link = link or stack.enter_context(maintenance(target, avoid))
            except WindlassError:
                if time.monotonic() > deadline:
                    raise
            if link and time.monotonic() > deadline:
                raise ServerError(f"the lost session, pid {lost.backend_pid}, does not end")
            time.sleep(_POLL_S)
        yield link


def _renames(name: str, incoming: str, kept: str) -> str:
    """Return the one transaction that exchanges the names and allows logins again."""
    steps = ["BEGIN"]
    if kept:
        steps += [f"ALTER DATABASE {quoted(name)} RENAME TO {quoted(kept)}"]
    steps += [f"ALTER DATABASE {quoted(incoming)} RENAME TO {quoted(name)}"]
    steps += [f"ALTER DATABASE {quoted(each)} WITH ALLOW_CONNECTIONS true" for each in (name, kept) if each]
    return "; ".join([*steps, "COMMIT"])


@contextmanager
def _logins_blocked(target: Target, admin: Link, names: list[str]) -> Iterator[None]:
    """Keep new sessions out; after a failure let them in again, over another session where this one is lost."""
    try:
        for each in names:
            admin.run(f"ALTER DATABASE {quoted(each)} WITH ALLOW_CONNECTIONS false")
        yield
    except BaseException as error:
        if isinstance(error, ServerError) and error.lost:
            with suppress(ServerError, WindlassError), _another(target, admin, tuple(names)) as link:
                _let_in(link, names)
        else:
            _let_in(admin, names)
        raise


def _let_in(admin: Link, names: list[str]) -> None:
    """Give up what was begun, and let new sessions in again."""
    with suppress(ServerError):
        admin.run("ROLLBACK")
    for each in names:
        with suppress(ServerError):
            admin.run(f"ALTER DATABASE {quoted(each)} WITH ALLOW_CONNECTIONS true")


def _end_sessions(admin: Link, names: list[str], but: Optional[Link] = None) -> int:
    """End every session of the databases but one; return how many there were.  Raise WindlassError when some stay."""
    listed, stays = ", ".join(literal(each) for each in names), but.backend_pid if but else 0
    there = (
        "SELECT pid, coalesce(usename::text, backend_type), application_name FROM pg_stat_activity "
        f"WHERE datname IN ({listed}) AND pid NOT IN (pg_backend_pid(), {stays:d}) "
        "AND backend_type IS DISTINCT FROM 'autovacuum worker'"
    )
    ended: set[int] = set()
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        rows = admin.query(there)
        ended.update(pid for pid, _, _ in rows)
        if not rows:
            return len(ended)
        if time.monotonic() > deadline:
            who = ", ".join(f"pid {pid} ({user}, {application or 'no name'})" for pid, user, application in rows[:5])
            raise WindlassError(
                "restore_failed",
                f"sessions would not end: {who}",
                hint="end them, then swap again; nothing was changed",
            )
        admin.query(f"SELECT pg_terminate_backend(pid) FROM ({there}) s")
        time.sleep(_POLL_S)


def _require_possible(admin: Link, name: str, incoming: str) -> None:
    """Refuse what cannot be renamed, before anybody is thrown out."""
    if not _exists(admin, incoming):
        raise backups.refusal(f"there is no database {incoming!r}")
    if incoming == name:
        raise backups.refusal(f"{incoming!r} is the database itself")
    comment = admin.query(
        f"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = {literal(incoming)}"
    )[0][0]
    if comment == backups.UNFINISHED:
        raise backups.refusal(f"{incoming!r} was never restored to its end; drop it and restore again")
    if str(comment or "").startswith(backups.PARTIAL):
        raise backups.refusal(f"{incoming!r} holds the rows of some tables only; restore the whole backup to swap")
    prepared = _prepared(admin, (name, incoming))
    if prepared:
        raise backups.refusal(prepared)


def _prepared(admin: Link, names: tuple[str, ...]) -> str:
    """Return how prepared transactions keep databases in use, or an empty string."""
    listed = ", ".join(literal(name) for name in names)
    gids = ", ".join(gid for (gid,) in admin.query(f"SELECT gid FROM pg_prepared_xacts WHERE database IN ({listed})"))
    return f"prepared transactions keep the databases in use: {gids}; commit or roll them back" if gids else ""


def _exists(admin: Link, name: str) -> bool:
    """Return whether there is a database of that name."""
    return bool(admin.query(f"SELECT 1 FROM pg_database WHERE datname = {literal(name)}"))
