"""What the tests of backups and restores share: targets, settings, and clients that misbehave on purpose."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import psycopg

from tests.engine import awkward
from tests.servers.postgresql import PostgresServer
from windlass_engine.backups import backup
from windlass_engine.backups.backup import BackupSettings
from windlass_engine.model import Target

Event = dict[str, Any]


def target_of(url: str, **parts: str) -> Target:
    """Return a target; the password is given as the inventory gives it, beside a URL without one."""
    known = psycopg.conninfo.conninfo_to_dict(url)
    password = str(known["password"])
    plain = url.replace(f":{password}@", "@")
    return Target(**{"name": str(known["dbname"]), "system": "test", "url": plain, "password": password, **parts})


def settings_for(folder: Path, server: PostgresServer, **changes: Any) -> BackupSettings:
    """Return settings for backups in a folder below ``folder``."""
    given = {"directory": str(folder / "backups"), "client_bin": str(server.bin), "jobs": 2, "run_id": "run-1"}
    return BackupSettings(**{**given, **changes})


def fill(url: str, *statements: str) -> None:
    """Run statements on a database."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def fill_awkwardly(url: str) -> None:
    """Put everything awkward into a database."""
    fill(url, awkward.ROLE, awkward.SCHEMA, awkward.DATA)


def fill_with_noise(url: str, megabytes: int) -> None:
    """Put about so many megabytes into two tables that no compression makes smaller."""
    rows = megabytes * 8
    for name in ("noise_a", "noise_b"):
        blob = "string_agg(decode(md5(random()::text || j || i), 'hex'), '')"
        fill(
            url,
            f"CREATE TABLE {name} (id int PRIMARY KEY, raw bytea)",
            f"INSERT INTO {name} SELECT i, (SELECT {blob} FROM generate_series(1, 4096) j) FROM generate_series(1, {rows}) i",
        )


def make(url: str, folder: Path, server: PostgresServer, **changes: Any) -> Event:
    """Make a backup and return its summary."""
    return backup.make(target_of(url), settings_for(folder, server, **changes), lambda _: None)


def client(folder: Path, server: PostgresServer, pg_dump: str = "", pg_restore: str = "") -> str:
    """Return a folder with programs that run a shell script; ``$real`` is the real program, ``$folder`` the dump's.

    Asked for their version they answer as the real ones do.
    """
    made = folder / "client"
    made.mkdir()
    for name, script in (("pg_dump", pg_dump), ("pg_restore", pg_restore)):
        real = shlex.quote(str(server.bin / name))
        lines = (
            "#!/bin/sh",
            f"real={real}",
            'case "$*" in --version) exec $real --version;; *host=/nonexistent*) exec $real "$@";; esac',
            'for word in "$@"; do case $word in --file=*) folder=${word#--file=};; esac; done',
            script or 'exec $real "$@"',
        )
        (made / name).write_text("\n".join(lines) + "\n")
        (made / name).chmod(0o755)
    return str(made)


def left_behind(folder: Path) -> list[str]:
    """Return what lies in the folder of the backups, but for locks of their own."""
    return sorted(path.name for path in folder.glob("backups/*/*") if path.name != ".lock") + sorted(
        path.name for path in folder.glob("backups/*/.partial*")
    )
