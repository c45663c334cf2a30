"""What a restore would meet, looked up before anything is touched: obstacles, and what is worth knowing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Optional

from ...model import Wire
from ..link import Link, ServerError
from . import server_files
from .own import Own
from .text import literal

_SCHEMA = "schema.json"
_NAMED = 5
#: SERVERPROPERTY('EngineEdition') of Express, and the most that one of its databases may have, in GB, by version.
_EXPRESS = 4
_EXPRESS_GB, _EXPRESS_GB_2025 = 10, 50
_VERSION_2025 = 170_000
_SERVER = Own(
    "SELECT CAST(SERVERPROPERTY('Edition') AS nvarchar(128)), CAST(SERVERPROPERTY('EngineEdition') AS int), "
    "CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), "
    "CAST(DATABASEPROPERTYEX(N'master', 'Version') AS int), "
    "COALESCE(HAS_PERMS_BY_NAME(NULL, NULL, 'CREATE ANY DATABASE'), 0)"
)
_CERTIFICATES = Own("SELECT CONVERT(varchar(172), thumbprint, 1) FROM master.sys.certificates")
_LOGINS = Own("SELECT CONVERT(varchar(172), sid, 1) FROM sys.server_principals WHERE sid IS NOT NULL")
_SESSIONS = """
SELECT COALESCE(NULLIF(s.program_name, N''), N'no name'), s.login_name, COUNT(*) FROM sys.dm_exec_sessions s
WHERE s.database_id = DB_ID({name}) AND s.is_user_process = 1 GROUP BY s.program_name, s.login_name
ORDER BY COUNT(*) DESC, 1, 2
"""
#: A name of three parts, `USE`, and the functions that take a database's name.
_MEANS = r"""(?:{name}\s*\.\s*(?:\[[^\]]*\]|"[^"]*"|[\w$#@]*)\s*\.|\buse\s+{name}|\bdb_id\s*\(\s*N?'{bare}')"""


def obstacles(admin: Link, known: Wire, name: str) -> list[str]:
    """Return what stands in the way of a restore into the database ``name``.  Raise ServerError."""
    edition, engine, version, internal, may_create = admin.query(_SERVER)[0]
    found = [_taken(admin, name)]
    if not may_create:
        found.append("the login may not make databases (ALTER SERVER ROLE dbcreator ADD MEMBER it)")
    if int(known["header"].get("DatabaseVersion") or 0) > int(internal or 0) > 0:
        found.append(f"the server is SQL Server {version}, the backup comes from {known['client_version']}")
    found += [_certificates(admin, known), _too_large(admin, known, int(engine), str(edition)), space(admin, known)[1]]
    return [line for line in found if line]


def lines(admin: Link, known: Wire, folder: str, original: str) -> list[str]:
    """Return what to know before a restore of the backup whose plain files are in ``folder``.  Raise ServerError."""
    edition, engine, version, _, _ = admin.query(_SERVER)[0]
    found = [
        f"the backup comes from SQL Server {known['client_version']} ({known['edition']}), the server is {version} "
        f"({edition})",
        space(admin, known)[0],
        _features(known, int(engine), str(edition)),
        _orphans(admin, known),
        _lost(known),
        _sessions(admin, original),
        *_bodies(folder, original),
    ]
    return [line for line in found if line]


def space(admin: Link, known: Wire) -> tuple[str, str]:
    """Return what is to be said of the room that a restore takes, and the obstacle that it is, if any."""
    data, log = server_files.database_folders(admin)
    needed = {data: 0}
    for each in known["file_list"]:
        place = log if each["Type"] == "L" else data
        needed[place] = needed.get(place, 0) + int(each["Size"])
    told, wrong = [], []
    for place, count in needed.items():
        there = server_files.free(admin, place)
        if there is None:
            told.append(f"{_size(count)} in {place}, where what is free cannot be seen")
            continue
        told.append(f"{_size(count)} in {place}, where {_size(there)} are free")
        if count > there:
            wrong.append(f"it takes {told[-1]}")
    return f"it will take {'; '.join(told)}", "; ".join(wrong)


def _taken(admin: Link, name: str) -> str:
    if admin.query(Own(f"SELECT 1 WHERE DB_ID({literal(name)}) IS NOT NULL")):
        return "there is a database of that name already, and nothing is ever restored over one"
    return ""


def _certificates(admin: Link, known: Wire) -> str:
    """Return which certificates of transparent encryption are not there."""
    needed = {each.get("TDEThumbprint") for each in known["file_list"]} | {known["header"].get("EncryptorThumbprint")}
    needed = {str(each).upper() for each in needed if each}
    if not needed:
        return ""
    there = {str(each).upper() for (each,) in admin.query(_CERTIFICATES) if each}
    lacking = sorted(needed - there)
    return f"master lacks the certificate that encrypts it, of the thumbprint {', '.join(lacking)}" if lacking else ""


def _too_large(admin: Link, known: Wire, engine: int, edition: str) -> str:
    """Return whether Express, which limits the size of a database, cannot take it."""
    data = sum(int(each["Size"]) for each in known["file_list"] if each["Type"] == "D")
    most = _EXPRESS_GB_2025 if admin.server_version >= _VERSION_2025 else _EXPRESS_GB
    if engine != _EXPRESS or data <= most << 30:
        return ""
    return f"{edition} holds databases of up to {most} GB, and its data files have {_size(data)}"


def _features(known: Wire, engine: int, edition: str) -> str:
    """Tell what of the database another edition may not hold."""
    names = known["globals"]["features"]
    if not names or edition == known["edition"]:
        return ""
    return f"it uses {', '.join(names)}, which {edition} may refuse: a restore then breaks off at its end"


def _orphans(admin: Link, known: Wire) -> str:
    """Tell which users will have no login on this server."""
    there = {str(sid) for (sid,) in admin.query(_LOGINS)}
    users = [each["user"] for each in known["globals"]["users"] if each["sid"] not in there]
    if not users:
        return ""
    listed = ", ".join(users[:_NAMED]) + (" and others" if len(users) > _NAMED else "")
    return f"users without a login on this server: {listed} (ALTER USER … WITH LOGIN afterwards)"


def _lost(known: Wire) -> str:
    """Tell what RESTORE never brings back."""
    settings = known["settings"]
    words = {
        "is_trustworthy_on": "TRUSTWORTHY", "is_db_chaining_on": "DB_CHAINING", "is_broker_enabled": "Service Broker"
    }  # fmt: skip
    names = [word for key, word in words.items() if settings.get(key)]
    listed = f"{', '.join(names)} and its owner" if names else "its owner"
    return f"RESTORE does not bring back {listed} ({settings['owner'] or 'unknown'}): a swap takes over the original's"


def _sessions(admin: Link, original: str) -> str:
    """Tell who is in the original now."""
    try:
        rows = admin.query(Own(_SESSIONS.format(name=literal(original))))
    except ServerError:
        return "who is in the original now cannot be seen (VIEW SERVER STATE)"
    total = sum(int(count) for _, _, count in rows)
    if not total:
        return f"nobody is in {original} now"
    who = ", ".join(f"{application} of {user}" for application, user, _ in rows[:_NAMED])
    more = " and others" if len(rows) > _NAMED else ""
    sessions = "1 session is" if total == 1 else f"{total} sessions are"
    return f"{sessions} in {original} now ({who}{more}); a restore leaves them alone, a swap ends them"


def _bodies(folder: str, original: str) -> Iterator[str]:
    """Yield the objects that name the original database: restored beside it, they would still reach it."""
    objects = _objects(folder)
    if objects is None:
        yield f"which procedures and views name the database {original} was not looked for: it is encrypted"
        return
    bare = re.escape(original)
    name = rf'(?:\[{re.escape(original.replace("]", "]]"))}\]|"{bare}"|(?<![\w.\]"#@$]){bare}(?![\w#@$]))'
    means = re.compile(f"(?i){_MEANS.format(name=name, bare=bare)}")
    for kind, identity, definition in objects:
        if means.search(str(definition)):
            yield f"{kind} {identity} names the database {original}: restored elsewhere, it still means that one"


def _objects(folder: str) -> Optional[Sequence[Any]]:
    with suppress(OSError, ValueError):
        with open(os.path.join(folder, _SCHEMA), encoding="utf-8") as file:
            found: list[Any] = json.load(file)["objects"]
        return found
    return None


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
