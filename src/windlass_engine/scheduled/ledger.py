"""The ledger of an environment's scheduled jobs: how each ended last, and what was learnt of the databases.

One JSON file in a folder of its own, replaced as a whole.  A job also has a lock file there: it runs once at a time,
whoever starts it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, Callable

from .. import files
from ..model import Wire

OK, FAILED = "ok", "failed"
_FILE = "ledger.json"


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
            "duration_ms": round(spent.total_seconds() * 1000), "exit_code": exit_code, "message": message,
            "run_id": run_id, "succeeded": known.get("succeeded", "") if exit_code else moment,
        }  # fmt: skip

    return _change(folder, job, ended)


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
    descriptor = os.open(os.path.join(folder, f"{job}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


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
