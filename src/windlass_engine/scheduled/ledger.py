"""The ledger of an environment's scheduled jobs: how each ended last, and what was learnt of the databases.

One JSON file in a folder of its own, replaced as a whole.  A job also has a lock file there: it runs once at a time,
whoever starts it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, Callable

from .. import files
from ..errors import CODES
from ..model import Wire

OK, FAILED = "ok", "failed"
_FILE = "ledger.json"
#: Whoever only looks whether a job runs holds its lock for an instant, for longer on a busy machine: a job that begins
#: does not mistake that for one, of which the ledger knows after so long that it began.
_PATIENCE_S, _LONG_PATIENCE_S, _PAUSE_S = 1.0, 30.0, 0.05


def read(folder: str) -> Wire:
    """Return ``{jobs: {name: entry}, facts: {host: {database: facts}}}``; empty where there is none yet.

    An entry tells of the last run that ended: ``status`` (``ok``, ``failed``), ``started`` and ``finished`` (ISO 8601),
    ``duration_ms``, ``exit_code``, ``message``, ``run_id``; besides ``succeeded``, when one last ended well, and
    ``began``, when the one under way started ("": none is).  Facts are what
    :mod:`windlass_engine.scheduled.metrics` shows.
    """
    empty: Wire = {"jobs": {}, "facts": {}}
    try:
        with open(os.path.join(folder, _FILE), encoding="utf-8") as file:
            found: Any = json.load(file)
    except (OSError, ValueError):
        return empty
    return {**empty, **found} if isinstance(found, dict) else empty


def begin(folder: str, job: str) -> Wire:
    """Note that a job runs; return its entry.  Raise OSError."""
    return _change(folder, job, lambda known: {**known, "began": now()})


def finish(folder: str, job: str, *, exit_code: int, message: str, run_id: str = "") -> Wire:
    """Note how a job ended; return its entry.  Raise OSError."""

    def ended(known: Wire) -> Wire:
        moment, started = now(), known.get("began") or now()
        spent = datetime.fromisoformat(moment) - datetime.fromisoformat(started)
        return {
            "status": FAILED if exit_code else OK, "began": "", "started": started, "finished": moment,
            "duration_ms": max(round(spent.total_seconds() * 1000), 0),  # a clock may be put back meanwhile
            "exit_code": exit_code, "message": message,
            "run_id": run_id, "succeeded": known.get("succeeded", "") if exit_code else moment,
        }  # fmt: skip

    return _change(folder, job, ended)


def fall(folder: str, job: str = "") -> dict[str, Wire]:
    """Close the entries of runs that ended without a word; return them by job.  Raise OSError.

    ``job`` is one whose lock the caller holds; of the others those are meant whose lock nobody holds.
    """
    began = {name: entry["began"] for name, entry in read(folder)["jobs"].items() if entry.get("began")}
    gone: dict[str, Wire] = {}
    for name, since in began.items():
        # Held for an instant only: the disk may take its time, and a job that begins meanwhile has to get its lock.
        if name == job or _is_free(folder, name):
            gone.update(_close_fallen(folder, name, since))
    return gone


def _close_fallen(folder: str, job: str, since: str) -> dict[str, Wire]:
    """Close a job's entry, unless somebody did so meanwhile, and it may have begun anew."""
    with _locked(folder):
        ledger = read(folder)
        entry = ledger["jobs"].get(job, {})
        if entry.get("began") != since:
            return {}
        ledger["jobs"][job] = fallen(entry)
        _write(folder, ledger)
        return {job: ledger["jobs"][job]}


def fallen(entry: Wire) -> Wire:
    """Return the entry of a run that ended without a word; when it did so nobody knows."""
    began = entry.get("began", "")
    return {
        "status": FAILED, "began": "", "started": began, "finished": began, "duration_ms": 0,
        "exit_code": CODES["run_lost"][0],
        "message": "did not come to its end: the machine was restarted, or its process ended",
        "run_id": "", "succeeded": entry.get("succeeded", ""),
    }  # fmt: skip


def keep_only(folder: str, standing: Mapping[str, Collection[str]]) -> None:
    """Forget hosts and databases that are no longer there; a host without names keeps what it has.  Raise OSError."""
    with _locked(folder):
        ledger = read(folder)
        left = {
            host: {name: known for name, known in databases.items() if not standing[host] or name in standing[host]}
            for host, databases in ledger["facts"].items() if host in standing
        }  # fmt: skip
        if left != ledger["facts"]:
            _write(folder, {**ledger, "facts": left})


def learn(folder: str, facts: Mapping[str, Mapping[str, Wire]]) -> Wire:
    """Lay what was learnt (by host and database) over what was known; return the whole ledger.  Raise OSError."""
    with _locked(folder):
        ledger = read(folder)
        for host, databases in facts.items():
            for name, known in databases.items():
                ledger["facts"].setdefault(host, {}).setdefault(name, {}).update(known)
        _write(folder, ledger)
    return ledger


@contextmanager
def alone(folder: str, job: str) -> Iterator[bool]:
    """Tell whether this process is the only one that runs a job; it stays so for the length of the block."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with _held(folder, job, _PATIENCE_S, _LONG_PATIENCE_S) as held:
        yield held


@contextmanager
def _held(folder: str, job: str, patience_s: float, long_patience_s: float = 0.0) -> Iterator[bool]:
    """Hold a job's lock for the length of the block; tell whether it could be had.

    The longer patience is for one that somebody has of whose run nothing is known.
    """
    descriptor = os.open(os.path.join(folder, f"{job}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    began = time.monotonic()
    try:
        while not _locks(descriptor):
            waited_s = time.monotonic() - began
            if waited_s >= (patience_s if _is_under_way(folder, job) else max(patience_s, long_patience_s)):
                yield False
                return
            time.sleep(_PAUSE_S)
        yield True
    finally:
        os.close(descriptor)


def _is_free(folder: str, job: str) -> bool:
    with _held(folder, job, 0.0) as free:
        return free


def _is_under_way(folder: str, job: str) -> bool:
    return bool(read(folder)["jobs"].get(job, {}).get("began"))


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def publish(path: str, text: str, mode: int = 0o600) -> None:
    """Replace a file as a whole: whoever reads it sees the old text or the new one.  Raise OSError."""
    with files.replacing(path, mode) as file:
        file.write(text)


def now() -> str:
    """Return the time: ISO 8601, UTC, milliseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _change(folder: str, job: str, changed: Callable[[Wire], Wire]) -> Wire:
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with _locked(folder):
        ledger = read(folder)
        entry = ledger["jobs"][job] = changed(ledger["jobs"].get(job, {}))
        _write(folder, ledger)
    return entry


def _write(folder: str, ledger: Wire) -> None:
    publish(os.path.join(folder, _FILE), json.dumps(ledger, ensure_ascii=False, indent=1) + "\n")


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Let one process at a time change the ledger; held for moments only."""
    descriptor = os.open(os.path.join(folder, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
