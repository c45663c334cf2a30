"""The client programs of MySQL and MariaDB: which ones to use, and how they log in.

Nothing secret is ever in an argument or on a disk: the login is an options file in memory, which the programs open by
its descriptor.  They read no other options file, so nobody's ``~/.my.cnf`` changes what a backup holds.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Optional

from ... import processes
from ...errors import WindlassError
from ...model import Target
from .address import connect_options
from .driver import MARIADB

_FOLDERS = ("/usr/bin", "/usr/local/bin", "/usr/local/mysql/bin", "/opt/mariadb/bin")
_PACKERS = ("zstd", "gzip")
#: The fastest level of each method: a backup holds up a deployment.
_LEVELS = {"zstd": ("--quiet", "-1"), "gzip": ("-1",)}
ENDS = {"zstd": ".zst", "gzip": ".gz"}
#: MariaDB's client knows the line that its newer dumps begin with from these on.
_SANDBOX_SINCE = {(10, 5): 25, (10, 6): 18, (10, 11): 8, (11, 0): 6, (11, 1): 5, (11, 2): 4, (11, 4): 2}


@dataclass(frozen=True)
class Client:
    """A dump program and a client of one version; ``is_mariadb`` says of whose make they are."""

    dump: str
    client: str
    version: str
    is_mariadb: bool

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Return the version as three numbers."""
        first, second, third = (int(part) for part in self.version.split("."))
        return first, second, third

    @property
    def knows_sandbox(self) -> bool:
        """Return whether the client takes the line that MariaDB's dumps begin with."""
        first, second, third = self.numbers
        return self.is_mariadb and ((first, second) > (11, 4) or third >= _SANDBOX_SINCE.get((first, second), 999))


@dataclass(frozen=True)
class Login:
    """How a program logs in: the options file's descriptor, and what must not be repeated."""

    descriptor: int
    secrets: Sequence[str] = field(repr=False)

    @property
    def option(self) -> str:
        """Return the first argument of every program."""
        return f"--defaults-file=/dev/fd/{self.descriptor}"


@contextmanager
def login(target: Target, is_mariadb: bool) -> Iterator[Login]:
    """Give the login of a target to the programs that are started meanwhile and hold its descriptor."""
    options = connect_options(target)
    descriptor = os.memfd_create("windlass-login")
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, _options_file(options, is_mariadb).encode("utf-8"))
        yield Login(descriptor, [str(options["password"])])
    finally:
        os.close(descriptor)


def find(server_version: int, client_bin: str = "", code: str = "backup_failed") -> Client:
    """Return the server's own client programs, or newer ones of the same make.

    ``client_bin`` names the only folder to look at.  Raises WindlassError (``code``) with what was found and what is
    needed: programs of the other make, or older ones, leave things out or are refused in the middle.
    """
    is_mariadb = server_version >= MARIADB
    wanted = (server_version // 10000, server_version // 100 % 100)
    found = [client for client in _candidates(client_bin, is_mariadb) if client]
    fit = [client for client in found if client.is_mariadb == is_mariadb and client.numbers[:2] >= wanted]
    if fit:
        return min(fit, key=lambda client: client.numbers)
    make = "MariaDB" if is_mariadb else "MySQL"
    version = f"{make} {wanted[0]}.{wanted[1]}"
    seen = ", ".join(f"{'MariaDB' if each.is_mariadb else 'MySQL'} {each.version} ({each.dump})" for each in found)
    where = f"in {client_bin}" if client_bin else "here"
    raise WindlassError(
        code,
        f"no client programs that fit {version} {where} (found: {seen or 'none'})",
        hint=f"install {version}'s client programs ({'mariadb' if is_mariadb else 'mysql'}-client) on the host, or set "
        "windlass_client_bin to their folder",
        detail={"needed": version, "found": [each.version for each in found]},
    )


def packer() -> str:
    """Return the packer to use: zstd, or gzip where there is none.  Raise WindlassError (backup_failed)."""
    for name in _PACKERS:
        if _program(name):
            return name
    raise WindlassError("backup_failed", "neither zstd nor gzip is here", hint="install zstd on the host")


def has_packer(name: str) -> bool:
    """Return whether a packer is here."""
    return bool(_program(name))


def pack_command(name: str) -> list[str]:
    """Return the call that packs standard input."""
    return [_program(name), *_LEVELS[name], "-c"]


def unpack_command(name: str, path: str = "") -> list[str]:
    """Return the call that writes a packed file's content, or its input's.  Raise WindlassError (restore_failed)."""
    program = _program(name)
    if not program:
        raise WindlassError("restore_failed", f"the program {name} is not here", hint=f"install {name} on the host")
    return [program, "-dc", *([path] if path else [])]


def _program(name: str) -> str:
    """Return a program's path, or an empty string."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/local/bin:/usr/bin:/bin") or ""


def _candidates(client_bin: str, is_mariadb: bool) -> Iterator[Optional[Client]]:
    """Yield the programs in each folder; those that are called after the server's make first."""
    on_path = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    folders = [client_bin] if client_bin else list(dict.fromkeys([*on_path, *_FOLDERS]))
    names = (("mariadb-dump", "mariadb"), ("mysqldump", "mysql"))
    seen: set[tuple[str, str]] = set()
    for folder in folders:
        for dump, client in names if is_mariadb else reversed(names):
            pair = (os.path.join(folder, dump), os.path.join(folder, client))
            same = (os.path.realpath(pair[0]), os.path.realpath(pair[1]))
            if same not in seen:  # most folders and names are links to others, and asking a program takes a while
                seen.add(same)
                yield _client_in(*pair)


def _client_in(dump: str, client: str) -> Optional[Client]:
    """Return two programs, if they are there and of one version."""
    said = {_version(dump), _version(client)}
    version, is_mariadb = said.pop()
    return Client(dump, client, version, is_mariadb) if version and not said else None


def _version(program: str) -> tuple[str, bool]:
    """Return what a program says its version is, and whether it is MariaDB's."""
    if not os.access(program, os.X_OK):
        return "", False
    try:
        said = processes.run([program, "--version"], {}).output
    except OSError:
        return "", False
    match = re.search(r"(\d+\.\d+\.\d+)-MariaDB", said)
    if match:
        return match.group(1), True
    match = re.search(r"Ver (\d+\.\d+\.\d+)", said)
    return (match.group(1), False) if match else ("", False)


def _options_file(options: dict[str, object], is_mariadb: bool) -> str:
    """Return the login as an options file."""
    lines = {"user": options["user"], "password": options["password"], "host": options["host"], "port": options["port"]}
    if "unix_socket" in options:
        lines["socket"] = options["unix_socket"]
        lines["protocol"] = "socket"
    else:
        lines["protocol"] = "tcp"
    lines.update(_encryption(options, is_mariadb))
    return "[client]\n" + "".join(f"{key}={_quoted(str(value))}\n" for key, value in lines.items())


def _encryption(options: dict[str, object], is_mariadb: bool) -> dict[str, object]:
    """Return the options of an encrypted connection, in the words of each make."""
    files = {f"ssl-{key[4:]}": options[key] for key in ("ssl_ca", "ssl_cert", "ssl_key") if key in options}
    loose = options.get("ssl")
    if isinstance(loose, dict):
        files = {f"ssl-{key}": value for key, value in loose.items() if key in ("ca", "cert", "key")}
    if not files and loose is None:
        return {}
    verifies = "ssl_ca" in options
    if is_mariadb:
        return {**files, "ssl": "1", "ssl-verify-server-cert": "1" if options.get("ssl_verify_identity") else "0"}
    mode = "VERIFY_IDENTITY" if options.get("ssl_verify_identity") else "VERIFY_CA" if verifies else "REQUIRED"
    return {**files, "ssl-mode": mode}


def _quoted(value: str) -> str:
    """Return a value between quotes."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
