"""What a restore would meet, looked up before anything is touched, as far as it is no obstacle."""

from __future__ import annotations

import os
import shutil
import socket
from typing import Optional

from ...model import Wire
from ..link import Link
from .text import literal

_NAMED = 5
_SESSIONS = "SELECT user, COUNT(*) FROM information_schema.PROCESSLIST WHERE db = {name} GROUP BY 1 ORDER BY 2 DESC, 1"
_LOCAL = ("localhost", "127.0.0.1", "::1")


def lacking_room(admin: Link, needed: int, host: str) -> list[str]:
    """Return that the room is too small for so many bytes, where it can be seen from here."""
    seen = free(admin, host)
    if seen is None or needed <= seen:
        return []
    there = f"the server's data folder, where {seen / 1e6:.1f} MB are free"
    return [f"it would take about {needed / 1e6:.1f} MB in {there}"]


def lines(admin: Link, known: Wire, original: str, client: str, host: str, whole: bool) -> list[str]:
    """Return what to know: versions, what is needed, room, and who is in the original now.

    Of a restore that is not ``whole`` nobody knows the room, and it makes no code.
    """
    version = str(admin.query("SELECT VERSION()")[0][0])
    versions = f"the backup is of {dotted(int(known['server_version']))}, the server is {version}, the client {client}"
    if not whole:
        return [versions, _sessions(admin, original)]
    users = f"users as whom its code runs: {', '.join(known['globals']['definers']) or 'none'}"
    return [versions, users, _room(admin, int(known["database_bytes"]), host), _sessions(admin, original)]


def dotted(version: int) -> str:
    """Return 10.11.9 for 101109."""
    return f"{version // 10000}.{version // 100 % 100}.{version % 100}"


def _room(admin: Link, needed: int, host: str) -> str:
    """Tell the room that a restore takes."""
    seen = free(admin, host)
    text = f"it will take about {needed / 1e6:.1f} MB"
    if seen is None:
        return f"{text}; how much is free there cannot be seen from here"
    return f"{text} in the server's data folder, where {seen / 1e6:.1f} MB are free"


def free(admin: Link, host: str) -> Optional[int]:
    """Return the bytes that are free for a server on this machine, None where that cannot be told.

    A loopback address may lead through a tunnel or into a container, whose server calls its machine by another name.
    """
    folder, machine = (str(value) for value in admin.query("SELECT @@datadir, @@hostname")[0])
    if host not in _LOCAL or machine != socket.gethostname():
        return None
    try:
        while not os.path.ismount(folder) and not os.access(folder, os.X_OK):
            folder = os.path.dirname(folder.rstrip("/"))
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _sessions(admin: Link, original: str) -> str:
    """Tell who is in the original now."""
    rows = admin.query(_SESSIONS.format(name=literal(original)))
    total = sum(int(count) for _, count in rows)
    if not total:
        return f"nobody is in {original} now"
    who = ", ".join(str(user) for user, _ in rows[:_NAMED]) + (" and others" if len(rows) > _NAMED else "")
    sessions = "1 session is" if total == 1 else f"{total} sessions are"
    return f"{sessions} in {original} now ({who}); a swap ends those that keep tables locked"
