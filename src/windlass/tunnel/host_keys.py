"""Host keys: what the known_hosts files say of a host, held against the key that it shows.

paramiko's own reader knows neither wildcards nor ``@revoked`` marks, and its error does not say which line of
which file disagrees, so the files are read here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from windlass_engine.errors import WindlassError

SSH_PORT = 22


class HostKey(Protocol):
    """The parts of a paramiko key that are looked at."""

    def get_name(self) -> str:
        """Return the key's type, ``ssh-ed25519``."""

    def get_base64(self) -> str:
        """Return the public part as a known_hosts line writes it."""


@dataclass(frozen=True)
class Entry:
    """One line of a known_hosts file."""

    file: Path
    line: int
    marker: str
    names: str
    key_type: str
    key: str

    def applies_to(self, name: str) -> bool:
        """Return whether this line speaks of ``name`` (``host`` or ``[host]:port``)."""
        if self.names.startswith("|1|"):
            return _hashed_equal(self.names, name)
        patterns = self.names.lower().split(",")
        refused = any(_like(p[1:], name) for p in patterns if p.startswith("!"))
        return not refused and any(_like(p, name) for p in patterns if not p.startswith("!"))


def read(files: Iterable[Path]) -> tuple[Entry, ...]:
    """Return the entries of the files that are there, in order."""
    return tuple(entry for file in files if file.is_file() for entry in _entries(file))


def name_of(host: str, port: int) -> str:
    """Return a host's name as known_hosts files write it."""
    return host.lower() if port == SSH_PORT else f"[{host.lower()}]:{port}"


def recorded_types(entries: Sequence[Entry], name: str) -> tuple[str, ...]:
    """Return the key types on record for a host, so that the server can be asked for one of these."""
    return tuple(dict.fromkeys(e.key_type for e in entries if not e.marker and e.applies_to(name)))


def check(key: HostKey, entries: Sequence[Entry], host: str, port: int, files: Sequence[Path]) -> None:
    """Accept a key that is on record.  Raise WindlassError (host_key_changed) for every other."""
    name = name_of(host, port)
    of_host = [entry for entry in entries if entry.applies_to(name)]
    shown = key.get_base64()
    if any(entry.marker == "@revoked" and entry.key == shown for entry in of_host):
        raise _refusal(
            f"the SSH key of {name}, {fingerprint(shown)}, is marked @revoked", "do not connect to this host"
        )
    recorded = [entry for entry in of_host if not entry.marker]
    if any(entry.key == shown for entry in recorded):
        return
    if not recorded and port != SSH_PORT and _known_without_port(shown, entries, host):
        return
    raise _changed(key, recorded, name) if recorded else _unknown(key, name, files)


def fingerprint(key: str) -> str:
    """Return ``SHA256:…`` of a base64 key, as ssh-keygen prints it."""
    try:
        digest = hashlib.sha256(base64.b64decode(key)).digest()
    except ValueError:
        return "(unreadable)"
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def _known_without_port(shown: str, entries: Sequence[Entry], host: str) -> bool:
    """OpenSSH also takes a key that is on record for the host under its usual port."""
    return any(e.key == shown and not e.marker for e in entries if e.applies_to(host.lower()))


def _changed(key: HostKey, recorded: Sequence[Entry], name: str) -> WindlassError:
    places = ", ".join(f"{e.file}:{e.line} {fingerprint(e.key)} ({e.key_type})" for e in recorded)
    message = f"the SSH key of {name} is {fingerprint(key.get_base64())} ({key.get_name()}), recorded is {places}"
    removal = "; ".join(f"ssh-keygen -R '{name}' -f {file}" for file in dict.fromkeys(e.file for e in recorded))
    hint = (
        "somebody may stand in between: do not go on unless the host was rebuilt or its key renewed on "
        f"purpose. Then compare with the host's own console ({_console(key)}), forget the old key with: "
        f"{removal} and record the new one with: {_recording(key, name, recorded[0].file)}"
    )
    return _refusal(message, hint)


def _unknown(key: HostKey, name: str, files: Sequence[Path]) -> WindlassError:
    message = f"the SSH key of {name} is not on record; it is {fingerprint(key.get_base64())} ({key.get_name()})"
    looked = ", ".join(str(file) for file in files)
    hint = (
        f"looked in {looked}. Compare with the host's own console ({_console(key)}); when the two agree, "
        f"record it with: {_recording(key, name, files[0])}"
    )
    return _refusal(message, hint)


def _console(key: HostKey) -> str:
    kind = key.get_name().removeprefix("ssh-").partition("-")[0]
    return f"ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub"


def _recording(key: HostKey, name: str, file: Path) -> str:
    return f"echo '{name} {key.get_name()} {key.get_base64()}' >> {file}"


def _refusal(message: str, hint: str) -> WindlassError:
    return WindlassError("host_key_changed", message, hint=hint)


def _entries(file: Path) -> Iterable[Entry]:
    for number, text in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        fields = text.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) >= 3 and not fields[0].startswith("#"):
            yield Entry(file, number, marker, fields[0], fields[1], fields[2])


def _hashed_equal(field: str, name: str) -> bool:
    """Compare with a hashed name, ``|1|salt|HMAC-SHA1 of the name|``."""
    try:
        salt, digest = (base64.b64decode(part) for part in field.split("|")[2:4])
    except ValueError:
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)


def _like(pattern: str, name: str) -> bool:
    """Match ``*`` and ``?`` only: the square brackets of ``[host]:port`` are letters here."""
    wild = {"*": ".*", "?": "."}
    return re.fullmatch("".join(wild.get(c, re.escape(c)) for c in pattern), name) is not None
