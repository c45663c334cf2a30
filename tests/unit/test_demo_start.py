"""The demo's server is started once, whoever else wants it at the same moment."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from windlass import demo
from windlass.settings import Settings


def test_of_two_who_want_it_one_starts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(tmp_path)
    known = {"url": "postgresql://postgres@/salon"}
    running, started, found = [], [], []
    other = threading.Thread(target=lambda: found.append(demo.ensure(settings)))

    def start(_: Settings) -> dict[str, Any]:
        started.append(threading.current_thread())
        if len(started) == 1:
            other.start()
            other.join(0.5)  # it waits for the start; one that does not has begun its own by now
        running.append(known)
        return known

    monkeypatch.setattr(demo, "running", lambda _: running[0] if running else None)
    monkeypatch.setattr(demo, "_start", start)
    assert demo.ensure(settings) == known
    other.join()
    assert found == [known] and len(started) == 1
