"""Backups between hosts and the control node: over SFTP with the host key checked, or on this machine.

What is on its way has a name that nobody takes for a backup, goes on where it broke off, and is hashed against its
manifest before it gets its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

from windlass.telling import console
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import manifest

_CHUNK = 1 << 18
_TOLD_S = 1.0
_SSH = ("ssh", "ansible.builtin.ssh", "smart")
Tell = Callable[[str], None]


class Files(Protocol):
    """The files of a host."""

    def open(self, path: str, mode: str) -> Any:
        """Open a file (``rb`` or ``wb``).  Raise OSError."""

    def mkdir(self, path: str) -> None:
        """Make a folder for its owner alone, where it is missing.  Raise OSError."""


class LocalFiles:
    """The files of this machine."""

    def open(self, path: str, mode: str) -> IO[bytes]:
        """Open a file."""
        return open(path, mode)

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        os.makedirs(path, mode=0o700, exist_ok=True)


class SftpFiles:
    """The files of a host that is reached over SSH."""

    def __init__(self, client: Any) -> None:
        """Take paramiko's SFTP client."""
        self._client = client

    def open(self, path: str, mode: str) -> Any:
        """Open a file; several requests are under way at once."""
        handle = self._client.open(path, mode)
        if "w" in mode:
            handle.set_pipelined(True)
            handle.chmod(0o600)
        else:
            handle.prefetch(handle.stat().st_size)
        return handle

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        with contextlib.suppress(OSError):
            self._client.mkdir(path, 0o700)
        self._client.stat(path)


@contextlib.contextmanager
def files_of(plugin: Any, host: str) -> Iterator[Files]:
    """Give the files of a host; ``plugin`` is its Ansible connection with options set.

    Raises WindlassError: ``host_unreachable``, ``host_key_changed``, ``tunnel_failed``.
    """
    if plugin.transport not in _SSH:
        yield LocalFiles()
        return
    import paramiko

    from windlass import playbook
    from windlass.tunnel import link, ssh_options

    hops = ssh_options.route(ssh_options.arguments_of(plugin, host), playbook.output)
    way = link.connect(hops, str(plugin.get_option("password") or ""))
    try:
        assert way.end is not None
        client = paramiko.SFTPClient.from_transport(way.end)
        assert client is not None
        yield SftpFiles(client)
    except (paramiko.SSHException, EOFError) as error:
        raise WindlassError(
            "connection_lost", f"the transfer broke off: {error}", hint="the same command goes on where it ended",
            where={"host": host},
        ) from None  # fmt: skip
    finally:
        way.close()


def download(source: Files, path: str, folder: Path, tell: Tell = lambda _: None) -> Path:
    """Bring a backup's folder to ``folder/<id>`` on this machine, going on where an earlier try ended.

    Raises WindlassError (``backup_failed`` when what came does not agree with the manifest; it is deleted then) and
    OSError.
    """
    name = path.rstrip("/").rpartition("/")[2]
    final, partial = folder / name, folder / f".partial-{name}"
    with _alone(partial, final, tell) as only_one:
        if not only_one:
            _refuse_damage(final, manifest.load(str(final)))
            return final
        known = _manifest(source, path, partial)
        progress = _Progress(sum(entry["bytes"] for entry in known["files"].values()), tell)
        for relative, entry in sorted(known["files"].items()):
            _bring(source, f"{path}/{relative}", _inside(partial, relative), entry, progress)
        _refuse_damage(partial, known)
        manifest.sync(str(partial))
        partial.rename(final)
        manifest.sync_path(str(folder))
    return final


@contextlib.contextmanager
def _alone(partial: Path, final: Path, tell: Tell) -> Iterator[bool]:
    """Make the folder and hold it, so that two who bring one backup do not write into the same files.

    False where the backup is there: also when another, for whom this one waited, has just brought it.
    """
    while not final.exists():
        partial.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = _held(partial, tell)
        try:
            if descriptor is not None and not final.exists():
                yield True
                return
        finally:
            if descriptor is not None:
                os.close(descriptor)
    yield False


def _held(folder: Path, tell: Tell) -> int | None:
    """Take a folder's lock, which ends with this process; None where the folder has gone to its place meanwhile."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        tell("somebody brings this backup here already; waiting for the end of that")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.stat(folder), os.fstat(descriptor)):
            return descriptor
    os.close(descriptor)
    return None


def upload(target: Files, folder: Path, path: str, tell: Tell = lambda _: None) -> None:
    """Put a backup's folder into ``path`` on a host, the manifest last.  Raise OSError."""
    known = manifest.load(str(folder))
    target.mkdir(path)
    progress = _Progress(known["bytes"], tell)
    for relative in [*sorted(known["files"]), manifest.NAME]:
        parents = relative.split("/")[:-1]
        for depth in range(len(parents)):
            target.mkdir("/".join([path, *parents[: depth + 1]]))
        with (folder / relative).open("rb") as source, target.open(f"{path}/{relative}", "wb") as sink:
            for chunk in iter(lambda source=source: source.read(_CHUNK), b""):  # type: ignore[misc]
                sink.write(chunk)
                progress.more(len(chunk))


def _manifest(source: Files, path: str, partial: Path) -> dict[str, Any]:
    """Bring the manifest; what was brought of another backup under this name does not count."""
    with source.open(f"{path}/{manifest.NAME}", "rb") as stream:
        data = stream.read()
    own = partial / manifest.NAME
    if not own.exists() or own.read_bytes() != data:
        for entry in partial.iterdir():  # the folder itself stays: it is what is locked
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        with open(own, "xb", opener=_private) as sink:
            sink.write(data)
    return manifest.load(str(partial))


def _bring(source: Files, path: str, own: Path, entry: Mapping[str, Any], progress: _Progress) -> None:
    """Bring what is missing of one file, and hash all of it; a file that differs is brought again from its start."""
    own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = own.stat().st_size if own.exists() else 0
    for start in dict.fromkeys((there if there <= entry["bytes"] else 0, 0)):
        digest = hashlib.sha256()
        with open(own, "ab" if start else "wb", opener=_private) as sink:
            for chunk in _pieces(own, start):
                digest.update(chunk)
            progress.more(start)
            if start < entry["bytes"]:
                with source.open(path, "rb") as stream:
                    stream.seek(start)
                    for chunk in iter(lambda stream=stream: stream.read(_CHUNK), b""):  # type: ignore[misc]
                        sink.write(chunk)
                        digest.update(chunk)
                        progress.more(len(chunk))
        if digest.hexdigest() == entry["sha256"]:
            return
    own.unlink()
    raise WindlassError(
        "backup_failed",
        f"{path} does not agree with the manifest, so it was not kept",
        hint="the backup on the host may be damaged: invoke backups --env ENV, and look at the disk",
    )


def _pieces(own: Path, length: int) -> Iterator[bytes]:
    with own.open("rb") as stream:
        while length > 0 and (chunk := stream.read(min(_CHUNK, length))):
            length -= len(chunk)
            yield chunk


def _inside(folder: Path, relative: str) -> Path:
    """Return a path below a folder; a manifest that leads out of it is not followed."""
    path = folder / relative
    if os.path.isabs(relative) or ".." in Path(relative).parts:
        raise WindlassError("backup_failed", f"the manifest names a file outside the backup: {relative}")
    return path


def _refuse_damage(folder: Path, known: Mapping[str, Any]) -> None:
    lines = manifest.damages(str(folder), dict(known))
    if lines:
        raise WindlassError("backup_failed", f"{folder} is damaged: {'; '.join(lines[:3])}", hint="delete it first")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, stat.S_IRUSR | stat.S_IWUSR)


class _Progress:
    """Tells about once a second how far a transfer is."""

    def __init__(self, total: int, tell: Tell) -> None:
        self._total, self._tell = total, tell
        self._done, self._began = 0, time.monotonic()
        self._told = self._began

    def more(self, count: int) -> None:
        """Count bytes."""
        self._done += count
        now = time.monotonic()
        if now - self._told >= _TOLD_S:
            self._told = now
            share = f"{100 * self._done // max(self._total, 1)} %"
            self._tell(
                f"{share} of {console.size(self._total)}, {console.size(int(self._done / (now - self._began)))}/s"
            )
