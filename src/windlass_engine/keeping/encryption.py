"""Encryption of a backup's files for age recipients.  The target knows public keys only.

The manifest stays readable and lists the encrypted files, so a backup can be listed, copied and hashed by those who
cannot read it.  The identity (the private key) reaches age through a pipe: never an argument, never a file.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Optional

from .. import processes
from ..errors import WindlassError
from ..model import Wire
from . import workplace

#: How an encrypted file is called after its plain name.
END = ".age"
_RECIPIENT = re.compile(r"age1[0-9a-z]{8,}|ssh-(ed25519|rsa) [A-Za-z0-9+/=]+( .*)?")
_IDENTITY = re.compile(r"AGE-SECRET-KEY-[0-9A-Z]+|AGE-PLUGIN-[0-9A-Z-]+|-----BEGIN OPENSSH PRIVATE KEY-----")
_PIPE_BYTES = 65_536
#: What age says of an identity that is not one of the recipients': nothing about the backup.
_STRANGER = "no identity matched"


def program() -> str:
    """Return the path of age.  Raise WindlassError (preflight_failed)."""
    found = shutil.which("age", path=f"{os.environ.get('PATH', '')}:/usr/local/bin:/usr/bin")
    if not found:
        raise WindlassError(
            "preflight_failed",
            "the program age is not installed on this host, and backups are to be encrypted",
            hint="install it (Debian, Ubuntu: apt-get install age)",
        )
    return found


def require_recipients(recipients: Sequence[str]) -> None:
    """Refuse what is no public key, and above all a private one.  Raise WindlassError (inventory_invalid)."""
    for each in recipients:
        if _IDENTITY.search(each):
            raise WindlassError(
                "inventory_invalid",
                "windlass_backup_recipients holds an identity (a private key)",
                hint="give the public key (age-keygen -y FILE prints it), and make a new pair: this one was shown",
            )
        if not _RECIPIENT.fullmatch(each):
            raise WindlassError(
                "inventory_invalid",
                f"windlass_backup_recipients: {each[:24]!r} is no recipient of age",
                hint="a recipient looks like age1… ; age-keygen -y FILE prints it",
            )


def described(recipients: Sequence[str]) -> Optional[Wire]:
    """Return what a manifest says of the encryption; None where there is none."""
    return {"method": "age", "recipients": list(recipients)} if recipients else None


def seal(folder: str, files: Sequence[str], recipients: Sequence[str], jobs: int = 1, held: Sequence[int] = ()) -> None:
    """Encrypt ``files`` (relative paths) of a folder, each into one with :data:`END`; the plain ones go.

    ``held`` are file descriptors that age keeps open, such as a lock's.  Raises WindlassError (backup_failed,
    preflight_failed, inventory_invalid), OSError.
    """
    require_recipients(recipients)
    to = [word for each in recipients for word in ("--recipient", each)]
    commands = [
        [program(), "--encrypt", *to, "--output", os.path.join(folder, path + END), os.path.join(folder, path)]
        for path in files
    ]
    _run_all([(command, None) for command in commands], jobs, "backup_failed", held)
    for path in files:
        os.unlink(os.path.join(folder, path))


@contextmanager
def opened(path: str, known: Wire, identity: str, jobs: int = 1) -> Iterator[str]:
    """Give the folder of a backup's plain files: the backup itself, or for an encrypted one a decrypted copy.

    The copy lies beside the backup for its owner alone and is gone at the end; what a killed process left goes with
    the next backup.  Raises WindlassError (restore_failed; preflight_failed for a missing or wrong
    identity; space_missing), OSError.
    """
    if not known.get("encryption"):
        yield path
        return
    _require_given(known, identity)
    _require_space(path, known)
    with workplace.folder(os.path.dirname(path), "opened") as place:
        _decrypt(path, place, sorted(known["files"]), identity, jobs)
        yield place.path


def require_opens(path: str, known: Wire, identity: str) -> None:
    """Refuse an identity that does not open a backup, by opening its smallest file, and a disk that is too small.

    Raises WindlassError as :func:`opened` does.
    """
    if not known.get("encryption"):
        return
    _require_given(known, identity)
    _require_space(path, known)
    name = min(known["files"], key=lambda each: (not each.endswith(END), known["files"][each]["bytes"]))
    command = [program(), "--decrypt", "--output", os.devnull, os.path.join(path, name)]
    _run_all([(command, identity)], 1, "restore_failed")


def _require_given(known: Wire, identity: str) -> None:
    """Refuse to begin without an identity."""
    if not identity.strip():
        raise WindlassError(
            "preflight_failed",
            f"the backup {known['id']} is encrypted, and no identity was given",
            hint="set WINDLASS_AGE_IDENTITY on the control node to the identity file of one of its recipients",
        )


def _decrypt(path: str, place: workplace.Place, files: Sequence[str], identity: str, jobs: int) -> None:
    """Decrypt the files of a backup into another folder."""
    work = []
    for name in files:
        plain = os.path.join(place.path, name[: -len(END)] if name.endswith(END) else name)
        os.makedirs(os.path.dirname(plain), mode=0o700, exist_ok=True)
        if name.endswith(END):
            work.append(([program(), "--decrypt", "--output", plain, os.path.join(path, name)], identity))
        else:
            shutil.copyfile(os.path.join(path, name), plain)
    _run_all(work, jobs, "restore_failed", [place.lock])


def _run_all(work: Sequence[tuple[list[str], object]], jobs: int, code: str, held: Sequence[int] = ()) -> None:
    """Run age once for each file, some at a time; all must end well."""
    for start in range(0, len(work), max(jobs, 1)):
        batch = work[start : start + max(jobs, 1)]
        running = [_Age(command, str(identity) if identity else "", held) for command, identity in batch]
        try:
            for each in running:
                each.finish(code)
        finally:
            for each in running:
                each.end()


class _Age:
    """One age at work on one file."""

    def __init__(self, command: list[str], identity: str, held: Sequence[int]) -> None:
        """Start it; an identity is put into a pipe, which holds all of it at once."""
        self._reading = -1
        secrets = [identity, *identity.split()] if identity else []
        if identity:
            data = identity.encode("utf-8") + b"\n"
            if len(data) > _PIPE_BYTES:
                raise WindlassError("restore_failed", "the identity is too large to be one")
            self._reading, writing = os.pipe()
            os.write(writing, data)
            os.close(writing)
            command = [command[0], command[1], "--identity", f"/dev/fd/{self._reading}", *command[2:]]
            held = [*held, self._reading]
        self._process = processes.Process(command, {}, secrets=secrets, held=held)

    def finish(self, code: str) -> None:
        """Wait for its end, and raise where it was no good one."""
        finished = self._process.wait()
        if finished.code != 0:
            raise WindlassError(
                "preflight_failed" if _STRANGER in finished.errors else code,
                f"age {finished.how}",
                hint="nothing was kept" if code == "backup_failed" else "is it the identity of one of the recipients?",
                detail={"exit_status": finished.code},
            )

    def end(self) -> None:
        """End the process and close the pipe."""
        self._process.end()
        if self._reading >= 0:
            os.close(self._reading)
            self._reading = -1


def _require_space(path: str, known: Wire) -> None:
    """Refuse to begin what would fill the disk."""
    needed, free = int(known["bytes"]), shutil.disk_usage(os.path.dirname(path)).free
    if needed > free:
        raise WindlassError(
            "space_missing",
            f"decrypting the backup needs {needed} bytes beside it, and {free} are free",
            hint="make room there",
            detail={"needed_bytes": needed, "free_bytes": free},
        )
