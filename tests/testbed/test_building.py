"""What several workers want at once is built once; why that cannot be is found out once, too."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbed import TestbedError, TestbedUnavailable, building, image, mirror, shell
from testbed.waiting import wait_until


class Site:
    """Something to be built, with a lock; whoever builds waits for the word to go on, and fails as long as `broken`."""

    def __init__(self, folder: Path) -> None:
        self.lock, self.made = folder / "lock", folder / "made"
        self.tries = 0
        self.broken: TestbedError | None = None
        self.go_on = threading.Event()

    def once(self) -> None:
        building.once(self.lock, self.made.exists, self._build)

    def _build(self) -> None:
        self.tries += 1
        assert self.go_on.wait(timeout=60)
        if self.broken:
            raise self.broken
        self.made.touch()

    def wait_for_waiting(self) -> None:
        """Wait until somebody waits for the lock, as the kernel lists it."""
        inode = f":{os.stat(self.lock).st_ino} "
        blocked = lambda: any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())  # noqa: E731
        wait_until(blocked, what="somebody who waits for the builder")


def two_at_once(site: Site) -> list[BaseException | None]:
    """Let one wait while the other builds; return what each met."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(site.once)
        wait_until(lambda: site.tries, what="the first to build")
        second = pool.submit(site.once)
        site.wait_for_waiting()
        site.go_on.set()
        return [first.exception(timeout=60), second.exception(timeout=60)]


def test_who_waited_finds_it_built(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert two_at_once(site) == [None, None]
    assert site.tries == 1


def test_who_waited_is_told_why_it_was_not_possible_and_the_next_tries_again(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.broken = TestbedUnavailable("the mirror says nothing")
    first, second = two_at_once(site)
    assert isinstance(first, TestbedUnavailable) and isinstance(second, TestbedUnavailable)
    assert (str(first), str(second), site.tries) == ("the mirror says nothing", "the mirror says nothing", 1)
    with pytest.raises(TestbedUnavailable):
        site.once()
    site.broken = None
    site.once()
    assert (site.made.exists(), site.tries, site.lock.read_text()) == (True, 3, "")


def test_what_is_wrong_with_the_recipe_is_no_reason_to_go_without(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.broken = TestbedError("set-up failed")
    first, second = two_at_once(site)
    assert (str(first), str(second), site.tries) == ("set-up failed", "set-up failed", 2)


def test_a_system_whose_packages_cannot_be_had_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So its tests are skipped with the reason, and wget was told to be patient with the mirror."""
    seen: dict[str, str] = {}

    def refuse(*arguments: str, env: dict[str, str], **_: object) -> None:
        seen.update(program=arguments[0], wgetrc=Path(env["WGETRC"]).read_text())
        raise TestbedError("debootstrap ended with 1")

    monkeypatch.setattr(image, "_CACHE", tmp_path)
    monkeypatch.setattr(image, "SERVERS", tmp_path / "servers")
    monkeypatch.setattr(mirror, "find", lambda suite: mirror.Mirror("http://127.0.0.1:9/", {}))
    monkeypatch.setattr(shell, "run", refuse)
    with pytest.raises(TestbedUnavailable, match="Debian bookworm cannot be had: debootstrap ended with 1"):
        image.get()
    assert seen["program"] == "debootstrap" and "timeout = 30" in seen["wgetrc"]
