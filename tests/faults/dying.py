"""A deployer in a process of its own that kills itself with -9 at the nth message that it sends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from windlass_engine.dialects.mssql.driver import SQLServerLink
from windlass_engine.dialects.mysql.driver import MySQLLink
from windlass_engine.dialects.postgresql.driver import PostgresLink

#: What sends a message, by engine.
WAYS = ((PostgresLink, "run"), (PostgresLink, "_send_ahead"), (MySQLLink, "execute"), (SQLServerLink, "_exchange"))


@contextmanager
def heard(before: Callable[[], None], after: Callable[[], None]) -> Iterator[None]:
    """Call one function before each message that is sent, and one after it."""

    def hearing(genuine: Callable[..., Any]) -> Callable[..., Any]:
        def send(*arguments: Any, **more: Any) -> Any:
            before()
            try:
                return genuine(*arguments, **more)
            finally:
                after()

        return send

    genuine = [getattr(owner, name) for owner, name in WAYS]
    for (owner, name), way in zip(WAYS, genuine, strict=True):
        setattr(owner, name, hearing(way))
    try:
        yield
    finally:
        for (owner, name), way in zip(WAYS, genuine, strict=True):
            setattr(owner, name, way)


def messages_of(work: Callable[[], object]) -> int:
    """Do the work undisturbed and return how many messages it sends."""
    sent = 0

    def count() -> None:
        nonlocal sent
        sent += 1

    with heard(count, lambda: None):
        work()
    return sent


def dies_at(message: int, after: bool, work: Callable[[], object]) -> bool:
    """Do the work in a child that kills itself before or after its nth message; tell whether it died."""
    sent = 0

    def begin() -> None:
        nonlocal sent
        sent += 1
        if sent == message and not after:
            os.kill(os.getpid(), signal.SIGKILL)

    def end() -> None:
        if sent == message and after:
            os.kill(os.getpid(), signal.SIGKILL)

    def in_child() -> None:
        with heard(begin, end):
            work()

    return os.WIFSIGNALED(status_of(in_child))


def killed_while(at_work: Callable[[], object], work: Callable[[], object]) -> bool:
    """Do the work in a child that is killed -9 as soon as ``at_work()`` holds; tell whether that was before its end."""
    child = _child(work)
    while not at_work() and not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def status_of(work: Callable[[], object]) -> int:
    """Fork, do the work, and return the child's wait status."""
    return os.waitpid(_child(work), 0)[1]


def _child(work: Callable[[], object]) -> int:
    """Fork, and let the child do the work; it never comes back."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return pid
