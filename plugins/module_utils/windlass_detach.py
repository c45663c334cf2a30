# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Work on the target that outlives the link: one detached process a job, followed through its log.

A job has a folder (one a database), a log with one JSON event a line, and a lock that its process holds as long as
it lives.  Whoever asks for a job that exists already follows it; nobody can start it twice.  A log without a closing
line whose lock is free belongs to a process that died.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Callable, Optional

from ansible.module_utils.windlass_engine.errors import WindlassError
from ansible.module_utils.windlass_locks import (
    PATIENCE_S,
    holder_of,
    identity,
    is_free,
    let_go,
    running,
    sign,
    try_lock,
)

Event = dict[str, Any]
Work = Callable[[Callable[[Event], None]], dict[str, Any]]

SYSTEM_STATE = "/var/lib/windlass"
USER_STATE = "~/.local/state/windlass"
KEPT_LOGS = 50
REPLY_BYTES = 256 * 1024
#: Signals that wait while a job is begun: a run is begun whole, or not at all.
_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
#: Room that a job keeps for its closing line, for the case that the disk is full by then.
RESERVE_BYTES = 256 * 1024
CLOSING = "job_ended"
#: Made once: a run of a thousand migrations tells of four thousand events.
_ENCODER = json.JSONEncoder(separators=(",", ":"), default=str)


@dataclass(frozen=True)
class Job:
    """One piece of detached work: ``kind`` is migrate, revert, backup …; jobs with one ``lock`` exclude each other."""

    folder: str
    run_id: str
    kind: str
    lock: str = "run"

    @property
    def log(self) -> str:
        """Return the path of the job's events."""
        return os.path.join(self.folder, f"{self.run_id}.{self.kind}.jsonl")

    @property
    def lock_path(self) -> str:
        """Return the path of the lock, which also holds who has it."""
        return os.path.join(self.folder, f"{self.lock}.lock")

    @property
    def reserve_path(self) -> str:
        """Return the path of the file that keeps room for the closing line."""
        return os.path.join(self.folder, f"{self.lock}.reserve")


@dataclass(frozen=True)
class News:
    """What a look at a job's log brought; ``offset`` is where the next look begins.  ``end`` is the closing line."""

    events: list[Event]
    offset: int
    end: Optional[Event] = None
    lost: bool = False


class GaveWay(BaseException):
    """A person wants what scheduled work holds.  No failure, so nothing on the way takes it for one."""

    def to_wire(self) -> Event:
        """Return it as the error of the job."""
        hint = "nothing is lost: it is done again, by the clock or with systemctl start"
        error = WindlassError("deploy_locked", "gave way to a person's run", hint=hint, detail={"gave_way": True})
        return error.to_wire()


# ---------------------------------------------------------------- places


def state_dir(chosen: str = "", make: bool = True) -> str:
    """Return the folder for run files: the chosen one, the system's, or the login user's own.

    Unless ``make`` is off it is made where it is missing.
    """
    candidates = [chosen] if chosen else [SYSTEM_STATE, os.path.expanduser(USER_STATE)]
    for path in candidates:
        try:
            if make:
                os.makedirs(path, mode=0o700, exist_ok=True)
        except OSError:
            continue
        if os.access(path, os.W_OK | os.X_OK):
            return path
    if not make:
        return candidates[-1]
    raise WindlassError(
        "preflight_failed",
        f"the login user cannot write to {' or '.join(candidates)}",
        hint="set windlass_state_dir to a folder that it may write to",
    )


def job_folder(state: str, name: str, url: str) -> str:
    """Return the folder of one database's jobs; the URL tells databases of one name apart."""
    slug = re.sub(r"[^A-Za-z0-9_.-]", "_", name).strip(".")[:40]
    key = hashlib.sha256(f"{name}\n{url}".encode()).hexdigest()[:8]
    return os.path.join(state, "runs", f"{slug}-{key}")


# ---------------------------------------------------------------- starting


def ensure(job: Job, holder: dict[str, Any], work: Work) -> Job:
    """Start a job, or find it running or ended; return the job to follow, another's when that holds the lock.

    ``holder`` says for people whose work it is.  ``work`` gets a function that takes events and returns the result.
    Raises WindlassError (space_missing, deploy_locked).
    """
    try:
        return _ensure(job, holder, work)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise WindlassError(
            "space_missing",
            f"there is no room for the run's own files in {job.folder}; nothing was begun",
            hint="make room there, or set windlass_state_dir to a folder on another disk",
        ) from None


def _ensure(job: Job, holder: dict[str, Any], work: Work) -> Job:
    """Do what :func:`ensure` says; whatever the system refuses is raised as it is."""
    os.makedirs(job.folder, mode=0o700, exist_ok=True)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        lock = None if os.path.exists(job.log) else try_lock(job.lock_path)
        if os.path.exists(job.log):  # looked at again under the lock: it may have come and gone meanwhile
            let_go(lock)
            return job
        if lock is not None:
            _start(job, lock, holder, work)
            return job
        info = running(job.folder, job.lock)
        other = Job(job.folder, info["run_id"], info["kind"], job.lock) if info else None
        if other and not has_ended(other):
            return other
        time.sleep(0.02)  # its process is about to go
    raise WindlassError("deploy_locked", f"{job.lock_path} is held, and its holder does not say who it is")


def current(folder: str, lock: str = "run") -> Optional[Job]:
    """Return the job that last took a lock, or None."""
    info = holder_of(os.path.join(folder, f"{lock}.lock"))
    return Job(folder, info["run_id"], info["kind"], lock) if info else None


def change_under_way(folder: str) -> Optional[Job]:
    """Return the job that changes a database at this moment and has not told its end yet, or None."""
    info = running(folder)
    job = Job(folder, info["run_id"], info["kind"]) if info else None
    return job if job and not has_ended(job) else None


def has_ended(job: Job) -> bool:
    """Return whether a job has left its closing line."""
    news = look(job, 0)
    while news.events and not news.end:
        news = look(job, news.offset)
    return news.end is not None


def _is_alive(job: Job) -> bool:
    """Return whether a job's process lives: the lock is held, and not by another job.

    A holder that has not yet said who it is may be this one: only what is known to be dead is called so.
    """
    return not is_free(job.lock_path) and current(job.folder, job.lock) in (None, job)


def _start(job: Job, lock: int, holder: dict[str, Any], work: Work) -> None:
    """Fork the detached process; it inherits the lock, and this process lets go of it."""
    info = {**holder, "run_id": job.run_id, "kind": job.kind}
    with _undisturbed() as usual:
        log = -1
        try:
            _make_ready(job, lock, info)
            log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            child = os.fork()
            if not child:
                _detached(job, lock, log, info, usual, work)
            os.waitpid(child, 0)
        finally:
            if log >= 0:
                os.close(log)
            os.close(lock)


@contextmanager
def _undisturbed() -> Iterator[set[int]]:
    """Let signals that end a process wait; give those that waited before."""
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield {int(number) for number in usual}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, usual)


def _make_ready(job: Job, lock: int, info: dict[str, Any]) -> None:
    """Say whose work it is, drop old logs, take the room that the closing line may need.

    The log comes last: whoever sees it finds who has the lock, and a run that never began has none.
    """
    sign(lock, {**info, **identity(os.getpid())})
    _prune(job)
    with open(job.reserve_path, "wb") as stream:
        stream.write(bytes(RESERVE_BYTES))


def _detached(job: Job, lock: int, log: int, info: dict[str, Any], usual: set[int], work: Work) -> None:
    """Leave session and terminal, do the work, write the closing line.  Never returns.

    The process in between writes into the lock which process does the work, so that it stands there from the start.
    """
    try:
        os.setsid()
        child = os.fork()
        if child:
            sign(lock, {**info, **identity(child), "gives_way": bool(info.get("scheduled"))})
            os._exit(0)
        _cut_loose((lock, log))
        closing = {"event": CLOSING, **_outcome(work, lambda event: _tell(log, event), usual, info.get("scheduled"))}
        with suppress(OSError):
            os.unlink(job.reserve_path)
        _append(log, closing)
        os.fsync(log)
    finally:
        os._exit(0)  # nothing of Ansible's own clean-up may run twice


def _cut_loose(keep: tuple[int, ...]) -> None:
    """Give up everything that ties the process to the link."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o077)
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else map(str, range(3, 256)):
        if int(name) > 2 and int(name) not in keep:
            try:
                os.close(int(name))
            except OSError:
                continue  # the one that listed the folder


def _outcome(work: Work, emit: Callable[[Event], None], usual: set[int], scheduled: Any) -> dict[str, Any]:
    """Do the work, while signals may end it as usual; an error becomes data."""
    try:
        with _ended_in_order(usual) if scheduled else _ended_at_once(usual):
            return {"result": work(emit), "error": None}
    except (WindlassError, GaveWay) as error:
        return {"result": None, "error": error.to_wire()}
    except BaseException as error:
        return {"result": None, "error": unexpected(error).to_wire()}


@contextmanager
def _ended_at_once(usual: set[int]) -> Iterator[None]:
    """Let signals through again."""
    signal.pthread_sigmask(signal.SIG_SETMASK, usual)
    yield


@contextmanager
def _ended_in_order(usual: set[int]) -> Iterator[None]:
    """Take SIGTERM as the wish of a person who does not want to wait: what was started is ended in order.

    It comes once, and neither before the work nor after it: there its closing line would be lost.
    """

    def end(number: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise GaveWay

    signal.signal(signal.SIGTERM, end)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, usual - {signal.SIGTERM})
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def unexpected(error: BaseException) -> WindlassError:
    """Return a mistake of Windlass's own as an error: its kind and place, not its text, which may hold data."""
    trace, places = error.__traceback__, []
    while trace:
        code = trace.tb_frame.f_code
        places.append(f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    hint = "this is a mistake in Windlass: please report it with this line"
    return WindlassError("internal_error", f"{type(error).__name__} in {' < '.join(places[:-4:-1])}", hint=hint)


def _tell(log: int, event: Event) -> None:
    """Write an event, if there is room for it: no line of progress is worth the work that it tells of."""
    before = os.fstat(log).st_size
    try:
        _append(log, event)
    except OSError:
        os.ftruncate(log, before)


def _append(log: int, event: Event) -> None:
    """Write one event as one line."""
    data = _ENCODER.encode(event).encode() + b"\n"
    while data:
        data = data[os.write(log, data) :]


def _prune(job: Job) -> None:
    """Drop all but the newest logs, with room for one more; never that of a job that goes on, however silently.

    Jobs with other locks may do the same at this moment.
    """
    logs: list[tuple[int, str]] = []
    for entry in list(os.scandir(job.folder)):
        if entry.name.endswith(".jsonl"):
            with suppress(FileNotFoundError):
                logs.append((entry.stat().st_mtime_ns, entry.path))
    held = [name[: -len(".lock")] for name in os.listdir(job.folder) if name.endswith(".lock")]
    followed = {found.log for found in (current(job.folder, lock) for lock in held) if found}
    for _, path in sorted(logs, reverse=True)[KEPT_LOGS - 1 :]:
        if path not in followed:
            with suppress(FileNotFoundError):
                os.unlink(path)


# ---------------------------------------------------------------- following


def follow(job: Job, offset: int, seconds: float, eager: float = 1.0) -> News:
    """Follow a log from ``offset`` (bytes) for up to ``seconds``; with news, return after ``eager`` seconds already.

    Returns at once when the job has ended, or has died (``lost``).
    """
    begin, found, pause = time.monotonic(), News([], offset), 0.005
    while True:
        alive = _is_alive(job)  # asked before the last look, so nothing written before death is missed
        news = look(job, found.offset)
        found = dataclasses.replace(news, events=found.events + news.events, lost=not alive and not news.end)
        elapsed = time.monotonic() - begin
        full = found.offset - offset >= REPLY_BYTES
        if found.end or full or elapsed >= seconds or (found.events and elapsed >= eager):
            return dataclasses.replace(found, lost=False) if full else found
        if found.lost and not news.events:
            return found
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def look(job: Job, offset: int) -> News:
    """Read the whole lines after ``offset``."""
    try:
        with open(job.log, "rb") as stream:
            stream.seek(offset)
            data = stream.read(REPLY_BYTES)
            while data and b"\n" not in data:
                more = stream.read(REPLY_BYTES)
                if not more:
                    break
                data += more
    except FileNotFoundError:
        return News([], offset)
    whole = data[: data.rfind(b"\n") + 1]
    events = [json.loads(line) for line in whole.splitlines()]
    end = events.pop() if events and events[-1]["event"] == CLOSING else None
    return News(events, offset + len(whole), end)
