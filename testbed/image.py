"""The Debian system that all hosts start from: built once with debootstrap, then kept in a cache folder."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from testbed import building, machine, mirror, shell
from testbed.errors import TestbedError, TestbedUnavailable

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
#: debootstrap downloads with wget, which would wait a quarter of an hour for a mirror that falls silent, and give up
#: at the first answer that a proxy is too busy.
_WGETRC = """\
timeout = 30
tries = 8
waitretry = 5
retry_connrefused = on
retry_on_host_error = on
retry_on_http_error = 429,500,502,503,504
"""


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

    Raises TestbedUnavailable when its packages cannot be had, TestbedError when the set-up inside the new system fails.
    """
    folder = _folder()
    if not folder.exists():
        building.once(_CACHE / "lock", folder.exists, lambda: _build(folder))
    return Image(folder / "root", (folder / "password").read_text())


def _folder() -> Path:
    recipe = "\n".join([_SUITE, *_PACKAGES, _SETUP.read_text()])
    return _CACHE / hashlib.sha256(recipe.encode()).hexdigest()[:16]


def _build(folder: Path) -> None:
    _discard_unused()
    begun = _CACHE / f"building-{os.getpid()}"
    root = begun / "root"
    root.mkdir(parents=True)
    _bootstrap(root, begun / "wgetrc")
    password = secrets.token_urlsafe(15)
    machine.run_once(root, f"DEPLOY_PASSWORD='{password}'\n{_SETUP.read_text()}")
    secret = begun / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    begun.rename(folder)


def _bootstrap(root: Path, wgetrc: Path) -> None:
    """Let debootstrap make a system.  Raises TestbedUnavailable when it cannot."""
    wgetrc.write_text(_WGETRC)
    try:
        source = mirror.find(_SUITE)
        shell.run(
            "debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", _SUITE, str(root), source.url,
            timeout=1800, env={**os.environ, **source.environment, "WGETRC": str(wgetrc)},
        )  # fmt: skip
    except TestbedError as error:
        raise TestbedUnavailable(f"Debian {_SUITE} cannot be had: {error}") from error


def _discard_unused() -> None:
    """Delete what a build that died left, and images of other recipes that no host stands on."""
    mounts = Path("/proc/self/mounts").read_text()
    for folder in _CACHE.iterdir():
        if folder.is_dir() and folder != SERVERS and f"={folder}/root" not in mounts:
            shutil.rmtree(folder)
