"""What a restore would meet, looked up before anything is touched: obstacles, and what is worth knowing."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from typing import Any, Optional

from ...model import Wire
from ..link import Link
from .text import literal

_SCHEMA = "schema.json"
_NAMED = 5

#: The data folder of a server on this very machine: a connection to oneself comes from where it goes to.
_DATA_FOLDER = """
SELECT (SELECT setting FROM pg_settings WHERE name = 'data_directory'),
       inet_server_addr() IS NULL OR inet_server_addr() = inet_client_addr()"""

_SESSIONS = """
SELECT coalesce(nullif(application_name, ''), 'no name'), coalesce(usename::text, '?'), count(*)
FROM pg_stat_activity WHERE datname = {name} AND backend_type = 'client backend' GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"""

#: How a script says which database it means; the name comes behind.
_MEANS = (
    r"dbname\s*=\s*[\\'\"]*",
    r"\bdbname\s+'",
    r"current_database\(\)\s*(?:=|<>|!=)\s*'",
    r"current_catalog\s*(?:=|<>|!=)\s*'",
    r"\bdatabase\s+\"?",
    r"postgres(?:ql)?://[^\s'\"]*/",
)


def obstacles(admin: Link, known: Wire, name: str, whole: bool) -> list[str]:
    """Return what stands in the way of a restore into the database ``name``, of all or of a part that takes less."""
    found = (_name(admin, name), _older(admin, known), _roles(admin, known), _extensions(admin, known),
             _tablespaces(admin, known), _space(admin, known)[1] if whole else "")  # fmt: skip
    return [line for line in found if line]


def lines(admin: Link, known: Wire, folder: str, original: str, client: str, whole: bool) -> list[str]:
    """Return what to know before a restore of the backup whose plain files are in ``folder``."""
    found = [_versions(admin, known, client), _needed(known), *_extension_versions(admin, known)]
    found += [_space(admin, known)[0] if whole else "", _sessions(admin, original), *_bodies(folder, original)]
    return [line for line in found if line]


# ---------------------------------------------------------------- obstacles


def _name(admin: Link, name: str) -> str:
    if admin.query(f"SELECT 1 FROM pg_database WHERE datname = {literal(name)}"):
        return "there is a database of that name already, and nothing is ever restored over one"
    return ""


def _older(admin: Link, known: Wire) -> str:
    ours, theirs = admin.server_version // 10000, known["server_version"] // 10000
    return f"the server is PostgreSQL {ours}, the backup comes from {theirs}" if ours < theirs else ""


def _roles(admin: Link, known: Wire) -> str:
    lacking = _missing(known["globals"]["needed_roles"], admin, "SELECT rolname::text FROM pg_roles")
    return f"the server lacks the roles {', '.join(lacking)} (CREATE ROLE them first)" if lacking else ""


def _extensions(admin: Link, known: Wire) -> str:
    names = [item["name"] for item in known["settings"]["extensions"]]
    lacking = _missing(names, admin, "SELECT name::text FROM pg_available_extensions")
    return f"the server has no files of the extensions {', '.join(lacking)}" if lacking else ""


def _tablespaces(admin: Link, known: Wire) -> str:
    lacking = _missing(_needed_tablespaces(known), admin, "SELECT spcname::text FROM pg_tablespace")
    return f"the server lacks the tablespaces {', '.join(lacking)} (CREATE TABLESPACE them first)" if lacking else ""


def _needed_tablespaces(known: Wire) -> list[str]:
    """Return the tablespaces in which the database has something; older backups name its own only."""
    return list(known["globals"].get("needed_tablespaces") or [known["settings"]["tablespace"]])


def _missing(needed: Sequence[str], admin: Link, query: str) -> list[str]:
    there = {name for (name,) in admin.query(query)}
    return [name for name in needed if name not in there]


# ---------------------------------------------------------------- worth knowing


def _versions(admin: Link, known: Wire, client: str) -> str:
    return (
        f"the backup comes from PostgreSQL {_dotted(known['server_version'])}, the server is "
        f"{_dotted(admin.server_version)}, pg_restore {client} restores it"
    )


def _needed(known: Wire) -> str:
    roles, extensions = known["globals"]["needed_roles"], known["settings"]["extensions"]
    spaces = [name for name in _needed_tablespaces(known) if name != "pg_default"]
    listed = (("roles", roles), ("extensions", [item["name"] for item in extensions]), ("tablespaces", spaces))
    return "; ".join(f"{what} that it needs: {', '.join(names) or 'none'}" for what, names in listed) + " (all there)"


def _extension_versions(admin: Link, known: Wire) -> Iterator[str]:
    """Yield the extensions of which the server would install another version."""
    offered = dict(admin.query("SELECT name::text, default_version FROM pg_available_extensions"))
    for item in known["settings"]["extensions"]:
        new = offered.get(item["name"])
        if new and new != item["version"]:
            yield f"extension {item['name']}: the server installs version {new}, the original had {item['version']}"


def _space(admin: Link, known: Wire) -> tuple[str, str]:
    """Return what is to be said of the room that a restore takes, and the obstacle that it is, if any."""
    needed = int(known["database_bytes"])
    there = free(admin)
    if there is None:
        return f"it will take about {_size(needed)}; how much is free there cannot be seen from here", ""
    text = f"about {_size(needed)} in the server's data folder, where {_size(there)} are free"
    return f"it will take {text}", f"it would take {text}" if needed > there else ""


def free(admin: Link) -> Optional[int]:
    """Return the bytes that are free for a server on this machine, None where that cannot be told."""
    folder, here = admin.query(_DATA_FOLDER)[0]
    if not folder or not here:
        return None
    try:
        while not os.path.ismount(folder) and not os.access(folder, os.X_OK):
            folder = os.path.dirname(folder)
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _sessions(admin: Link, original: str) -> str:
    """Tell who is in the original now."""
    rows = admin.query(_SESSIONS.format(name=literal(original)))
    total = sum(count for _, _, count in rows)
    if not total:
        return f"nobody is in {original} now"
    who = ", ".join(f"{application} of {user}" for application, user, _ in rows[:_NAMED])
    more = " and others" if len(rows) > _NAMED else ""
    sessions = "1 session is" if total == 1 else f"{total} sessions are"
    return f"{sessions} in {original} now ({who}{more}); a restore leaves them alone, a swap ends them"


def _bodies(folder: str, original: str) -> Iterator[str]:
    """Yield the objects that name the original database: restored beside it, they would still reach it."""
    try:
        with open(os.path.join(folder, _SCHEMA), encoding="utf-8") as file:
            objects: list[Any] = json.load(file)["objects"]
    except (OSError, ValueError):  # encrypted: nobody opens it only to look
        yield f"which functions and servers name the database {original} was not looked for: it is encrypted"
        return
    means = re.compile(rf"(?i)(?:{'|'.join(_MEANS)}){re.escape(original)}(?![\w$])")
    for kind, identity, definition in objects:
        if means.search(str(definition)):
            yield f"{kind} {identity} names the database {original}: restored elsewhere, it still means that one"


def _dotted(version: int) -> str:
    return f"{version // 10000}.{version % 10000}"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
