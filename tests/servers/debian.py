"""Servers out of other Debian releases: packages unpacked into a folder, with the C library that they need beside them.

Nothing of them is installed, and they need no chroot: the programs' headers are made to name the loader and the libraries
of that folder, so they run as any account, see the same files as the tests, and are called by their paths.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from testbed import TestbedError, TestbedUnavailable, building, image, mirror, shell

_PACKAGES = {
    "trixie": ("mariadb-server-core", "mariadb-client", "postgresql-17"),
    "sid": ("mysql-server-core", "mysql-client"),
}
_PROGRAMS = ("usr/bin", "usr/sbin", "usr/lib/postgresql/*/bin")
#: A mirror may be a snapshot that is older than its release file wants to be.
_APT_OPTION = 'Acquire::Check-Valid-Until "false"'
_BUILDERS = ("mmdebstrap", "patchelf")


def get(suite: str) -> Path:
    """Return the folder with the packages of a release, unpacking them (some ten seconds) where that was not done yet.

    Raises TestbedUnavailable with the reason.
    """
    folder = image.SERVERS / f"{suite}-{_recipe(suite)}"
    if not (folder / "ready").exists():
        _require_builders(suite)
        building.once(folder.with_suffix(".lock"), (folder / "ready").exists, lambda: _build(suite, folder))
    return folder / "root"


def _recipe(suite: str) -> str:
    recipe = "\n".join([*_PACKAGES[suite], Path(__file__).read_text()])
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def _require_builders(suite: str) -> None:
    if os.geteuid() != 0:
        raise TestbedUnavailable(f"Debian {suite}'s packages were not unpacked here yet, which needs root once")
    missing = [program for program in _BUILDERS if shutil.which(program) is None]
    if missing:
        raise TestbedUnavailable(f"{' and '.join(missing)} missing: apt-get install {' '.join(missing)}")


def _build(suite: str, folder: Path) -> None:
    """Unpack at the final place, which the programs are told; what a build that died left goes first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    root = folder / "root"
    try:
        source = mirror.find(suite)
        shell.run(
            "mmdebstrap", "--variant=extract", f"--aptopt={_APT_OPTION}", f"--include={','.join(_PACKAGES[suite])}",
            suite, str(root), source.url, timeout=300, env={**os.environ, **source.environment},
        )  # fmt: skip
    except TestbedError as error:
        raise TestbedUnavailable(f"Debian {suite}'s packages cannot be had: {error}") from error
    for program in _programs(root):
        _relink(program, root)
    (folder / "ready").touch()


def _programs(root: Path) -> Iterator[Path]:
    """Yield the programs that are linked to a loader."""
    for pattern in _PROGRAMS:
        for path in (found for folder in root.glob(pattern) for found in folder.iterdir()):
            if path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF" and _loader(path):
                yield path


def _relink(program: Path, root: Path) -> None:
    """Let a program load what is below `root`: its libraries' libraries, too (that is why rpath, not runpath)."""
    loader = root / "usr" / _loader(program).lstrip("/")
    libraries = ":".join(str(folder) for folder in root.glob("usr/lib/*-linux-gnu*"))
    shell.run(
        "patchelf", "--set-interpreter", str(loader), "--force-rpath", "--set-rpath", libraries, str(program),
    )  # fmt: skip


def _loader(program: Path) -> str:
    """Return the loader that a program names, or nothing where it needs none."""
    return shell.run("patchelf", "--print-interpreter", str(program), check=False).stdout.strip()
