"""Programs that are started and ended while something else happens at that very moment."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from windlass_engine import processes, scratch
from windlass_engine.dialects.link import ServerError


class Wanted(BaseException):
    """What a person's wish raises in scheduled work."""


@pytest.fixture
def asked_to_end() -> Iterator[None]:
    """SIGTERM raises, as in scheduled work."""

    def handle(number: int, frame: Any) -> None:
        raise Wanted

    before = signal.signal(signal.SIGTERM, handle)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("asked_to_end")
def test_a_program_that_starts_when_its_work_has_to_end_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there already, and nobody knows its number yet."""
    genuine, started = subprocess.Popen, []

    def popen(*arguments: Any, **more: Any) -> Any:
        started.append(genuine(*arguments, **more))
        os.kill(os.getpid(), signal.SIGTERM)
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(Wanted):
        processes.Process(["sleep", "600"], {})
    assert started[0].poll() is not None


@pytest.mark.usefixtures("asked_to_end")
def test_the_wish_is_heard_also_where_the_program_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def popen(*_: Any, **__: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(Wanted):
        processes.Process(["no such program"], {})


class Keeper:
    """A session of a server on which somebody else drops what was left behind, too."""

    def __init__(self, *, gone: bool) -> None:
        self.left = [f"{scratch.PREFIX}1", f"{scratch.PREFIX}2"]
        self.gone = gone
        self.dialect = self.link = self

    def unkept_databases(self, link: Keeper, prefix: str) -> tuple[str, ...]:
        return tuple(name for name in self.left if name.startswith(prefix))

    def drop_database(self, name: str) -> str:
        return name

    def run(self, name: str) -> None:
        if name.endswith("1"):
            if self.gone:
                self.left.remove(name)
            raise ServerError("it does not exist, or you may not")
        self.left.remove(name)


def test_what_another_drops_at_the_same_moment_is_no_failure() -> None:
    keeper: Any = Keeper(gone=True)
    scratch.drop_stale(keeper)
    assert not keeper.left


def test_what_stays_is_one() -> None:
    keeper: Any = Keeper(gone=False)
    with pytest.raises(ServerError):
        scratch.drop_stale(keeper)
