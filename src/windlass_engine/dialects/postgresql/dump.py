"""pg_dump and pg_restore: which ones to use, and how to call them.

Nothing secret is ever in an argument: the password goes by the environment.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional
from urllib.parse import quote, urlsplit

from ... import processes
from ...errors import WindlassError
from ...model import Target

#: Where packages put the programs of each major version.
_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/pgsql/bin")
#: From this version on, what pg_restore sends is refused by older servers (it sets transaction_timeout).
_NOT_FOR_OLDER = 17
#: The first pg_dump whose --compress names a method, such as zstd.
ZSTD_SINCE = 16
#: So many compressed bytes are read faster by one more process.
_WORTH_A_PROCESS = 16 << 20
#: The fastest level of each method: a backup holds up a deployment.
FAST_ZSTD, FAST_GZIP = "zstd:1", "gzip:1"
_LEFT_OUT = re.compile(
    r"\d+; \d+ \d+ "
    r"(FK CONSTRAINT|TRIGGER|EVENT TRIGGER|MATERIALIZED VIEW DATA|PUBLICATION|SUBSCRIPTION|BLOB|LARGE OBJECT)"
)
_TABLE_DATA = re.compile(r"\d+; \d+ \d+ TABLE DATA (.*)\n?$")
_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')
_NOT_FOR_ARGUMENTS = ("password", "sslpassword")


@dataclass(frozen=True)
class Client:
    """A folder that holds pg_dump and pg_restore of one version."""

    folder: str
    major: int
    version: str

    def program(self, name: str) -> str:
        """Return the path of one of its programs."""
        return os.path.join(self.folder, name)


@dataclass(frozen=True)
class Login:
    """How a program logs in: ``conninfo`` may be seen by everybody, ``env`` holds the password."""

    conninfo: str
    env: Mapping[str, str] = field(repr=False)
    secrets: Sequence[str] = field(repr=False)


def login(target: Target, dbname: str = "") -> Login:
    """Return the login of a target, to another database of its server if one is named."""
    from psycopg import conninfo

    parts: dict[str, Any] = conninfo.conninfo_to_dict(target.url)
    password = target.password or parts.get("password") or ""
    shown = {key: value for key, value in parts.items() if key not in _NOT_FOR_ARGUMENTS}
    shown["dbname"] = dbname or shown.get("dbname") or shown.get("user") or os.environ.get("PGDATABASE", "")
    env = {"PGPASSWORD": password} if password else {}
    return Login(conninfo.make_conninfo(**shown), env, (password, parts.get("sslpassword") or ""))


def database_name(target: Target) -> str:
    """Return the name that the target's database has on its server."""
    from psycopg import conninfo

    return str(conninfo.conninfo_to_dict(login(target).conninfo)["dbname"])


def elsewhere(target: Target, dbname: str) -> Target:
    """Return the target with another database of the same server."""
    parts = urlsplit(target.url)
    query = "&".join(item for item in parts.query.split("&") if item and not item.startswith("dbname="))
    url = f"postgresql://{parts.netloc}/{quote(dbname, safe='')}" + (f"?{query}" if query else "")
    return Target(target.name, target.system, url, target.password)


def find_client(server_major: int, client_bin: str = "", dumped_by: int = 0, code: str = "backup_failed") -> Client:
    """Return the programs for a server: of its own version where there are such, else of the next newer one.

    ``client_bin`` names the only folder to look at; ``dumped_by`` is the version that made the dump to be restored.
    Raises WindlassError (``code``) with what was found and what is needed.
    """
    found = [client for client in map(_client_in, _folders(client_bin)) if client]
    fit = [client for client in found if _fits(client.major, server_major, dumped_by)]
    if fit:
        return min(fit, key=lambda client: client.major)
    seen = ", ".join(f"{client.version} in {client.folder}" for client in found) or "none"
    where = f"in {client_bin}" if client_bin else "here"
    made = f", for a dump made by pg_dump {dumped_by}" if dumped_by > server_major else ""
    raise WindlassError(
        code,
        f"no pg_dump and pg_restore that fit PostgreSQL {server_major} {where}{made} (found: {seen})",
        hint=f"install PostgreSQL {server_major}'s client programs (postgresql-client-{server_major} or "
        f"postgresql{server_major}) on the host, or set windlass_client_bin to their folder",
        detail={"needed": server_major, "found": [client.version for client in found]},
    )


def compression_of(client: Client) -> str:
    """Return the fastest compression that this pg_dump was built with."""
    if client.major < ZSTD_SINCE:
        return FAST_GZIP
    # The option is looked at before the connection, and there is nothing to connect to.
    asked = [client.program("pg_dump"), "-w", f"--compress={FAST_ZSTD}", "-d", "host=/nonexistent connect_timeout=1"]
    return FAST_GZIP if "compress" in processes.run(asked, {}).errors else FAST_ZSTD


def dump_command(
    client: Client, way: Login, folder: str, *, jobs: int, compression: str, snapshot: str, lock_wait_ms: int
) -> list[str]:
    """Return the call that writes a whole database into ``folder`` (which must not be there yet)."""
    level = compression if client.major >= ZSTD_SINCE else compression.partition(":")[2]
    return [
        client.program("pg_dump"), "--format=directory", f"--file={folder}", f"--jobs={jobs:d}", f"--compress={level}",
        f"--snapshot={snapshot}", f"--lock-wait-timeout={lock_wait_ms:d}", "--no-sync", "--no-password",
        "-d", way.conninfo,
    ]  # fmt: skip


def list_command(client: Client, folder: str, listing: str) -> list[str]:
    """Return the call that writes a dump's table of contents into the file ``listing``."""
    return [client.program("pg_restore"), "--list", f"--file={listing}", folder]


def read_commands(client: Client, folder: str, listings: Sequence[str]) -> list[list[str]]:
    """Return the calls that together read every byte of a dump, as a restore would."""
    program = client.program("pg_restore")
    return [[program, f"--use-list={listing}", "--file=/dev/null", folder] for listing in listings]


def part(listing: str, folder: str, parts: int) -> list[str]:
    """Part a table of contents into files of about the same amount of data; return these.  Raise OSError."""
    sizes = {entry.name.partition(".")[0]: entry.stat().st_size for entry in os.scandir(folder)}
    with open(listing, encoding="utf-8", errors="surrogateescape") as file:
        entries = [(sizes.get(line.partition(";")[0], 0), line) for line in file if not line.startswith(";")]
    parts = max(1, min(parts, 1 + sum(size for size, _ in entries) // _WORTH_A_PROCESS))
    weights = [0] * parts
    shares: list[list[str]] = [[] for _ in range(parts)]
    for size, line in sorted(entries, reverse=True):
        lightest = weights.index(min(weights))
        weights[lightest] += size
        shares[lightest].append(line)
    return [_write(f"{listing}.{number}", share) for number, share in enumerate(shares)]


def restore_command(client: Client, way: Login, folder: str, jobs: int, chosen: str = "") -> list[str]:
    """Return the call that restores a dump, or the ``chosen`` part of it, and stops at the first error.

    It says what it does, for :mod:`.unfolding`.
    """
    return [
        client.program("pg_restore"), "--exit-on-error", "--verbose", f"--jobs={jobs:d}", "--no-password",
        *([f"--use-list={chosen}"] if chosen else []), "-d", way.conninfo, folder,
    ]  # fmt: skip


def choose(listing: str, tables: Sequence[str], every: Sequence[str]) -> str:
    """Write a table of contents with the data of some tables only; return its path.  Raise OSError.

    ``every`` are the names of all tables.  What needs the other tables' rows is left out: foreign keys, triggers,
    contents of materialized views; and what would reach beyond: event triggers, publications, subscriptions.
    """
    spelled = {_as_listed(name): name for name in every}
    wanted = set(tables)
    with open(listing, encoding="utf-8", errors="surrogateescape") as file:
        lines = [line for line in file if not _LEFT_OUT.match(line)]
    kept = []
    for line in lines:
        data = _TABLE_DATA.match(line)
        if not data or spelled.get(_longest(data.group(1), spelled)) in wanted:
            kept.append(line)
    return _write(f"{listing}.chosen", kept)


def _longest(listed: str, spelled: Mapping[str, str]) -> str:
    """Return the name at the beginning of ``schema table owner``, each of which may hold blanks."""
    words = listed.split(" ")
    found = (" ".join(words[:count]) for count in range(len(words) - 1, 1, -1))
    return next((name for name in found if name in spelled), "")


def _as_listed(name: str) -> str:
    """Return a full name as pg_restore lists it: unquoted, a blank between, no line breaks."""
    parts = [quoted.replace('""', '"') or plain for quoted, plain in _PART.findall(name)]
    return re.sub(r"[\r\n]", " ", " ".join(parts))


def _write(path: str, lines: list[str]) -> str:
    """Write lines into a file; return its path."""
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(lines)
    return path


def _fits(client_major: int, server_major: int, dumped_by: int) -> bool:
    """Return whether a client can dump a server and restore into it again."""
    if client_major < max(server_major, dumped_by):
        return False
    return not server_major < _NOT_FOR_OLDER <= client_major


def _folders(client_bin: str) -> list[str]:
    """Return the folders to look at; packages' own ones before the PATH, whose pg_dump may be a wrapper."""
    if client_bin:
        return [client_bin]
    packaged = [folder for pattern in _FOLDERS for folder in sorted(glob.glob(pattern))]
    on_path = shutil.which("pg_dump")
    return [*packaged, *([os.path.dirname(on_path)] if on_path else [])]


def _client_in(folder: str) -> Optional[Client]:
    """Return the client in a folder, if pg_dump and pg_restore are there and of one version."""
    versions = {_version(os.path.join(folder, name)) for name in ("pg_dump", "pg_restore")}
    version = versions.pop()
    if versions or not version:
        return None
    return Client(folder, int(version.partition(".")[0]), version)


def _version(program: str) -> str:
    """Return what a program says its version is (15.18), or an empty string."""
    if not os.access(program, os.X_OK):
        return ""
    try:
        said = processes.run([program, "--version"], {})
    except OSError:
        return ""
    match = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", said.output)
    return match.group(1) if match and said.code == 0 else ""
