"""The doctor on the target: everything that a deployment will need, looked at and not touched.

Each check says what was found, what is needed and how to mend it.  One that meets an error becomes a finding as
well, so that a broken database does not hide what is wrong with the next.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Callable, Optional

from .. import journal
from ..dialects import for_url, get, names
from ..errors import WindlassError
from ..finding import Finding, failure, good, skipped, warning
from ..model import Target
from ..session import ServerError, Session, connect

OLDEST_PYTHON = (3, 9)
CLOCK_WARN_S, CLOCK_FAIL_S = 5.0, 60.0
CONNECT_TIMEOUT_S = 10
_PREPARE = "ansible-playbook -i inventories/ENV playbooks/prepare.yml"
#: The key under which a host's own findings stand: no database can be called so.
HOST = ""


@dataclass(frozen=True)
class Places:
    """Folders on the target: candidates for run files, the best first; backups; client programs (empty: the usual).

    ``programs`` are the names of other programs that backups will need there.
    """

    state: Sequence[str]
    backups: str = ""
    client_bin: str = ""
    programs: Sequence[str] = ()


def examine(
    targets: Sequence[Target], places: Places, extensions: Mapping[str, Sequence[str]]
) -> dict[str, list[Finding]]:
    """Look at a host and its databases; the host's findings stand under :data:`HOST`.

    ``extensions`` names by database those that its scripts will create.
    """
    host = [_python(), *_drivers(targets), _state_folder(places.state), *map(_program, places.programs)]
    patients = {target.name: _Patient(target, extensions.get(target.name, ()), places.client_bin) for target in targets}
    found = {name: list(patient.findings()) for name, patient in patients.items()}
    sizes = [patient.size for patient in patients.values()]
    backups = places.backups or os.path.join(_chosen(places.state) or places.state[0], "backups")
    return {HOST: [*host, _space(backups, sizes)], **found}


def clock_finding(name: str, ahead_s: float) -> Finding:
    """Judge a clock that is so many seconds ahead of ours (behind when negative)."""
    way = "ahead of" if ahead_s > 0 else "behind"
    distance = abs(ahead_s)
    needed = f"within {CLOCK_WARN_S:.0f} s"
    if distance <= CLOCK_WARN_S:
        return good(name, f"agrees ({distance:.1f} s)" if distance >= 0.1 else "agrees", needed)
    found, mend = f"{distance:.0f} s {way} this clock", "let both keep time: timedatectl set-ntp true, chronyc tracking"
    return failure(name, found, needed, mend) if distance > CLOCK_FAIL_S else warning(name, found, needed, mend)


def apart(clock: float, before: float, after: float) -> float:
    """Return how far a clock, read between two moments of ours, certainly is ahead (behind when negative)."""
    return max(clock - after, 0.0) + min(clock - before, 0.0)


# ---------------------------------------------------------------- the host


def _python() -> Finding:
    version, needed = sys.version_info[:3], ".".join(map(str, OLDEST_PYTHON))
    text = f"{'.'.join(map(str, version))} ({sys.executable})"
    if version[:2] < OLDEST_PYTHON:
        mend = "install a newer Python and name it in ansible_python_interpreter"
        return failure("python", text, f"{needed} or newer", mend)
    return good("python", text, f"{needed} or newer")


def _drivers(targets: Sequence[Target]) -> Iterator[Finding]:
    """Look for the driver of each engine that a target's URL names; one that names none fails at its login."""
    engines = set()
    for target in targets:
        with suppress(WindlassError):
            engines.add(for_url(target.url).name)
    yield from (get(engine).driver() for engine in sorted(engines) or names()[:1])


def _program(name: str) -> Finding:
    """Look for a program that the inventory's settings for backups call for."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/local/bin:/usr/bin")
    needed = f"the program {name}, for backups"
    if not found:
        return failure(name, "not installed", needed, f"install it (Debian, Ubuntu: apt-get install {name})")
    return good(name, found, needed)


def _state_folder(candidates: Sequence[str]) -> Finding:
    name, needed = "state folder", "a folder of the login user's own, mode 0700"
    path = _chosen(candidates)
    if not path:
        mend = "set windlass_state_dir to a folder that the login user may write to"
        return failure(name, f"cannot write to {' or '.join(candidates)}", needed, mend)
    if not os.path.exists(path):
        return good(name, f"{path}, made when it is needed", needed)
    return _judged_folder(path, needed)


def _chosen(candidates: Sequence[str]) -> str:
    """Return the folder that a run would take: the first that can be written to or made."""
    return next((path for path in candidates if _may_write(_standing(path))), "")


def _judged_folder(path: str, needed: str) -> Finding:
    state = os.stat(path)
    mode = stat.S_IMODE(state.st_mode)
    if state.st_uid not in (os.geteuid(), 0):
        mend = f"chown {os.geteuid()} {path}"
        return failure("state folder", f"{path} belongs to user {state.st_uid}", needed, mend)
    if mode & 0o022:
        return failure("state folder", f"{path} has mode {mode:04o}: others may write", needed, f"chmod 0700 {path}")
    if mode & 0o055:
        return warning("state folder", f"{path} has mode {mode:04o}: others may look", needed, f"chmod 0700 {path}")
    return good("state folder", path, needed)


def _space(folder: str, sizes: Sequence[Optional[int]]) -> Finding:
    """Compare the room for backups with the databases' sizes: a compressed dump takes half of that, seldom more."""
    name, standing = "room for backups", _standing(folder)
    if not _may_write(standing):
        mend = "set windlass_backup_dir to a folder that the login user may write to"
        return failure(name, f"cannot write to {standing}", f"write access to {folder}", mend)
    room = os.statvfs(standing)
    free = room.f_bavail * room.f_frsize
    found = f"{_bytes(free)} free in {folder}"
    known = [size for size in sizes if size is not None]
    if not known:
        return skipped(name, f"{found}; no database could be asked for its size")
    likely = sum(known) // 2
    needed, mend = f"about {_bytes(likely)}", "make room, or set windlass_backup_dir to a larger disk"
    if free < max(known) // 4:
        return failure(name, found, needed, mend)
    return warning(name, found, needed, mend) if free < likely else good(name, found, needed)


def _standing(path: str) -> str:
    """Return the nearest folder above (or the one itself) that exists."""
    while path and not os.path.exists(path):
        path = os.path.dirname(path)
    return path or "/"


def _may_write(path: str) -> bool:
    return os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


# ---------------------------------------------------------------- a database


class _Patient:
    """One database under examination; ``size`` (bytes) is known after :meth:`findings` when it could be asked."""

    def __init__(self, target: Target, extensions: Sequence[str], client_bin: str) -> None:
        self.target = target
        self.extensions = extensions
        self.client_bin = client_bin
        self.size: Optional[int] = None

    def findings(self) -> Iterator[Finding]:
        """Yield what is found; an error is a finding, and the checks that need a login are left out after it."""
        began = time.monotonic()
        try:
            session = connect(self.target, "windlass doctor", CONNECT_TIMEOUT_S)
        except WindlassError as error:
            yield _as_finding("login", error)
            yield skipped("everything else", "not looked at without a login")
            return
        with session:
            yield good("login", f"answers in {1000 * (time.monotonic() - began):.0f} ms")
            for checks in (self._server, self._backups, self._clock, self._pooler, self._lock, self._journal):
                yield from _guarded(checks, session)

    def _server(self, session: Session) -> Iterable[Finding]:
        return session.dialect.examine(session.link, self.extensions, self.client_bin)

    def _backups(self, session: Session) -> Iterable[Finding]:
        if "backup" not in session.dialect.capabilities:
            return ()
        return session.dialect.backups().examine(self.target, session.link)

    def _clock(self, session: Session) -> Iterable[Finding]:
        before = time.time()
        facts = session.dialect.facts(session.link)
        after = time.time()
        self.size = facts.size_bytes
        clock = datetime.strptime(facts.clock, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
        yield clock_finding("clock of the database server", apart(clock.timestamp(), before, after))

    def _pooler(self, session: Session) -> Iterable[Finding]:
        found = session.pooler()
        needed = "a session of one's own, for the deployer lock"
        if not found:
            yield good("pooler", "none that pools transactions", needed)
            return
        yield failure("pooler", found, needed, "let the url lead to the server itself, or to a pool in session mode")

    def _lock(self, session: Session) -> Iterable[Finding]:
        holder = session.dialect.lock_holder(session.link)
        if holder is None:
            yield good("deployer lock", "free")
            return
        mend = "wait until that run has ended; it is no fault by itself"
        yield warning("deployer lock", f"held by {journal.holder_text(holder)}", "free", mend)

    def _journal(self, session: Session) -> Iterable[Finding]:
        try:
            stands = journal.read(session)
        except WindlassError as error:
            yield _as_finding("journal", error)
            return
        unfinished = [entry.name for entry in stands.entries if entry.state in ("partial", "reverting")]
        if not unfinished:
            text = f"{len(stands.entries)} applied" if stands.exists else "none yet"
            yield good("journal", text)
            return
        mend = "the next deployment goes on where it stopped; `invoke plan` shows it"
        yield warning("journal", f"half done: {', '.join(unfinished)}", "every entry whole", mend)


def _guarded(checks: Callable[[Session], Iterable[Finding]], session: Session) -> Iterator[Finding]:
    """Yield a group's findings; an error ends the group and is one of them."""
    try:
        yield from checks(session)
    except WindlassError as error:
        yield _as_finding("examination", error)
    except ServerError as error:
        hint = error.hint or "the checks after this one were not made"
        yield failure("examination", error.message, "an answer", hint)


def _as_finding(name: str, error: WindlassError) -> Finding:
    return failure(name, f"{error.code}: {error.message}", "", error.hint)
