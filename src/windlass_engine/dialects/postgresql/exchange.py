"""Two databases exchange their names.

Logins are blocked and sessions ended first, for a rename waits for nobody.  Both renames and the unblocking are one
transaction, so at every moment there is a database of the name, or the old state.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Callable, Optional

from ...errors import WindlassError
from ...model import Target
from .. import backups
from ..link import Link, ServerError
from . import driver, dump
from .surroundings import quoted
from .text import literal

_PATIENCE_S = 30.0
_POLL_S = 0.1
LOGIN_S = 10
_CREATES = "SELECT rolname::text, rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
_OWNER = """
SELECT pg_get_userbyid(datdba)::text, pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = {name}"""


@contextmanager
def maintenance(target: Target, avoid: tuple[str, ...] = ()) -> Iterator[Link]:
    """Log in to a database of the same server that is neither restored nor renamed."""
    names = [name for name in ("postgres", "template1") if name not in avoid]
    link: Optional[Link] = None
    for name in names:
        try:
            link = driver.connect(dump.elsewhere(target, name), "windlass restore", LOGIN_S)
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
        started(kept)
        with _logins_blocked(admin, names):
            ended = _end_sessions(admin, names)
            admin.run(_renames(name, incoming, kept))
    return backups.Exchanged(kept, ended)


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


def _renames(name: str, incoming: str, kept: str) -> str:
    """Return the one transaction that exchanges the names and allows logins again."""
    steps = ["BEGIN"]
    if kept:
        steps += [f"ALTER DATABASE {quoted(name)} RENAME TO {quoted(kept)}"]
    steps += [f"ALTER DATABASE {quoted(incoming)} RENAME TO {quoted(name)}"]
    steps += [f"ALTER DATABASE {quoted(each)} WITH ALLOW_CONNECTIONS true" for each in (name, kept) if each]
    return "; ".join([*steps, "COMMIT"])


@contextmanager
def _logins_blocked(admin: Link, names: list[str]) -> Iterator[None]:
    """Keep new sessions out; after a failure let them in again."""
    try:
        for each in names:
            admin.run(f"ALTER DATABASE {quoted(each)} WITH ALLOW_CONNECTIONS false")
        yield
    except BaseException:
        with suppress(ServerError):
            admin.run("ROLLBACK")
        for each in names:
            with suppress(ServerError):
                admin.run(f"ALTER DATABASE {quoted(each)} WITH ALLOW_CONNECTIONS true")
        raise


def _end_sessions(admin: Link, names: list[str]) -> int:
    """End every session of the databases; return how many there were.  Raise WindlassError when some stay."""
    listed = ", ".join(literal(each) for each in names)
    there = (
        "SELECT pid, coalesce(usename::text, backend_type), application_name FROM pg_stat_activity "
        f"WHERE datname IN ({listed}) AND pid <> pg_backend_pid() AND backend_type IS DISTINCT FROM 'autovacuum worker'"
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
