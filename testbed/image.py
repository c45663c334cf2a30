"""The Debian system that all hosts start from: built once with debootstrap, then kept in a cache folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed import machine, mirror, shell

_CACHE = Path(os.environ.get("WINDLASS_TESTBED_CACHE", "/var/cache/windlass-testbed"))
#: Servers of other releases, which are no images.
SERVERS = _CACHE / "servers"
_SUITE = "bookworm"
_PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "libpam-systemd",  # boots, and has login sessions
    "openssh-server", "sudo", "python3", "python3-apt",  # what Ansible needs on a target
    "iproute2", "procps", "ca-certificates", "zstd",
    "postgresql", "python3-psycopg", "python3-venv",
    "mariadb-server", "python3-pymysql",
)  # fmt: skip
_SETUP = Path(__file__).with_name("setup.sh")


@dataclass(frozen=True)
class Image:
    """A built system: `root` is its tree, `password` that of windlass_deploy on its PostgreSQL and its MariaDB."""

    root: Path
    password: str


def ready() -> bool:
    """Tell whether the image is in the cache already."""
    return _folder().exists()


def get() -> Image:
    """Return the image, building it (a minute or two) when the cache does not have it.

    Raises TestbedError when debootstrap or the set-up inside the new system fails.
    """
    folder = _folder()
    if not folder.exists():
        with _build_lock():
            if not folder.exists():
                _build(folder)
    return Image(folder / "root", (folder / "password").read_text())


def _folder() -> Path:
    recipe = "\n".join([_SUITE, *_PACKAGES, _SETUP.read_text()])
    return _CACHE / hashlib.sha256(recipe.encode()).hexdigest()[:16]


@contextmanager
def _build_lock() -> Iterator[None]:
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(folder: Path) -> None:
    _discard_unused()
    building = _CACHE / f"building-{os.getpid()}"
    root = building / "root"
    root.mkdir(parents=True)
    source = mirror.find(_SUITE)
    shell.run(
        "debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", _SUITE, str(root), source.url,
        timeout=1800, env={**os.environ, **source.environment},
    )  # fmt: skip
    password = secrets.token_urlsafe(15)
    machine.run_once(root, f"DEPLOY_PASSWORD='{password}'\n{_SETUP.read_text()}")
    secret = building / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    building.rename(folder)


def _discard_unused() -> None:
    """Delete what a build that died left, and images of other recipes that no host stands on."""
    mounts = Path("/proc/self/mounts").read_text()
    for folder in _CACHE.iterdir():
        if folder.is_dir() and folder != SERVERS and f"={folder}/root" not in mounts:
            shutil.rmtree(folder)
