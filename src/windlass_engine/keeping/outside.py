"""Files that backups write on the database server, where no folder of this host can hold them together.

Before such a file is begun its path is noted beside the backups.  It belongs to a backup when that one's manifest names
it; every other is remains, and the next run deletes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Callable

from ..errors import WindlassError
from ..model import Wire
from . import manifest
from .backup_store import is_under_way

_FOLDER = ".outside"
#: The key of a manifest that names a file on the server.
KEY = "server_file"


@dataclass(frozen=True)
class Server:
    """What the server of a database does with files of backups: look at one again, and delete some.

    ``recheck`` takes a manifest and raises WindlassError; ``clear`` returns those that stay, each with the reason.
    """

    recheck: Callable[[Wire], None]
    clear: Callable[[Sequence[str]], Mapping[str, str]]


def note(home: str, backup_id: str, path: str) -> None:
    """Note, before it is begun, which file a backup writes on the server.  Raise OSError."""
    folder = os.path.join(home, _FOLDER)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    descriptor = os.open(os.path.join(folder, f"{backup_id}.json"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"path": path}, file)
        file.flush()
        os.fsync(file.fileno())
    manifest.sync_path(folder)


def remains(home: str) -> dict[str, str]:
    """Return the files that belong to no backup, id -> path; not those of a backup that is being made."""
    found: dict[str, str] = {}
    for name in _noted(home):
        with suppress(OSError, ValueError, KeyError, TypeError):
            with open(os.path.join(home, _FOLDER, f"{name}.json"), encoding="utf-8") as file:
                path = str(json.load(file)["path"])
            if not is_under_way(home, name) and not _is_claimed(os.path.join(home, name), path):
                found[name] = path
    return found


def tidy(home: str, clear: Callable[[Sequence[str]], Mapping[str, str]]) -> list[str]:
    """Delete what is left of backups that are gone or were never ended; return a line for each that stays."""
    gone = remains(home)
    if not gone:
        return []
    try:
        left = clear(sorted(gone.values()))
    except Exception as error:  # the server is away: nothing is lost, and the next run tries again
        reason = str(getattr(error, "message", error))
        left = {path: reason for path in gone.values()}
    for name, path in gone.items():
        if path not in left:
            with suppress(OSError):
                os.unlink(os.path.join(home, _FOLDER, f"{name}.json"))
    return [
        f"a file of no backup is left on the server, delete it there: {path} ({left[path]})" for path in sorted(left)
    ]


def require_here(known: Wire, what: str, code: str) -> None:
    """Refuse what needs the data of a backup that lies on the server.  Raise WindlassError (``code``)."""
    path = known.get(KEY)
    if path:
        raise WindlassError(
            code,
            f"the data of the backup {known['id']} is the server's own file {path}, which this host cannot read: "
            f"it cannot be {what}",
            hint="let this host share the server's folder: ?backup_folder=…&backup_share=… in the database's URL",
            where={"database": known["database"]},
        )


def _noted(home: str) -> list[str]:
    """Return the ids of the backups that have noted a file."""
    with suppress(OSError):
        return sorted(name[: -len(".json")] for name in os.listdir(os.path.join(home, _FOLDER)))
    return []


def _is_claimed(folder: str, path: str) -> bool:
    """Return whether a backup in that folder has the file; one whose manifest cannot be read may well have it."""
    if not os.path.isdir(folder):
        return False
    try:
        known: Any = manifest.load(folder)
    except WindlassError:
        return True
    return bool(known.get(KEY) == path)
