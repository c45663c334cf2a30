"""Backups and restores beside the server's own tools: one database, everything in turn, round after round."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import machine, mariadb, tables
from bench.measure import run
from bench.server import Database, Server
from bench.tools import Command
from bench.ways import Rounds, Way, compared, ours, ratio, timed

_JOBS = 4
#: Customers that make about a megabyte of database, indexes and all.
_ROWS_A_MEGABYTE = 390
#: Four tables of a shop: keys, times, amounts, states, documents, and sentences out of a vocabulary in which few words
#: are frequent and many are rare.  The largest table is about half of all.
_FILL = """
SELECT setseed(0.5);
CREATE TEMPORARY TABLE phrase AS
    WITH known AS (SELECT array_agg(translate(substr(md5(i::text), 1, 2 + i % 7), '0123456789', 'aeioulnrst')) AS words
                   FROM generate_series(1, 3000) i)
    SELECT p AS n, (SELECT string_agg(words[1 + floor(3000 * random() ^ 3 + 0 * (p + k))::int], ' ')
                    FROM generate_series(1, 6) k) AS t
    FROM generate_series(0, 9999) p, known;
CREATE TABLE customer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email text UNIQUE,
    born date, doc jsonb);
INSERT INTO customer (name, email, born, doc)
    SELECT initcap(left(p.t, 20)), 'c' || i || '@example.org', date '1950-01-01' + i * 37 % 20000,
           jsonb_build_object('tags', ARRAY[left(p.t, 5), 'b' || i % 30], 'points', i * 71 % 5000)
    FROM generate_series(1, {rows}) i JOIN phrase p ON p.n = i::bigint * 7919 % 10000 ORDER BY i;
CREATE TABLE booking (id bigserial PRIMARY KEY, customer_id bigint REFERENCES customer, at timestamptz,
    price numeric(10, 2), note text, status text);
INSERT INTO booking (customer_id, at, price, note, status)
    SELECT 1 + i::bigint * 104729 % {rows}, timestamptz '2025-01-01' + i * interval '1 minute',
           (i::bigint * 7907 % 20000) / 100.0, p.t || ', ' || q.t, (ARRAY['new', 'paid', 'gone'])[1 + i * 31 % 3]
    FROM generate_series(1, {rows} * 6) i
    JOIN phrase p ON p.n = i::bigint * 6151 % 10000 JOIN phrase q ON q.n = i::bigint * 4421 / 7 % 10000 ORDER BY i;
CREATE TABLE message (id bigserial PRIMARY KEY, booking_id bigint, body text, sent timestamptz);
INSERT INTO message (booking_id, body, sent)
    SELECT i::bigint * 3571 % {rows}, concat_ws('. ', p.t, q.t, p.t || q.n, q.t), now() - i * interval '17 seconds'
    FROM generate_series(1, {rows} * 2) i
    JOIN phrase p ON p.n = i::bigint * 5333 % 10000 JOIN phrase q ON q.n = i::bigint * 3907 / 11 % 10000 ORDER BY i;
CREATE TABLE event (id bigserial PRIMARY KEY, kind int, payload jsonb);
INSERT INTO event (kind, payload)
    SELECT i % 7, jsonb_build_object('path', '/' || left(p.t, 9), 'ms', i * 13 % 977, 'session', md5((i / 9)::text))
    FROM generate_series(1, {rows} * 3) i JOIN phrase p ON p.n = i::bigint * 7013 % 10000 ORDER BY i;
CREATE INDEX ON booking (customer_id);
CREATE INDEX ON booking (at);
"""
_TABLES = ("customer", "booking", "message", "event")
_GZIP = "`pg_dump \\| gzip`"


@dataclass(frozen=True)
class Ground:
    """Where all work: a filled database, and a folder for what they write."""

    server: Server
    database: Database
    folder: Path

    @property
    def size(self) -> int:
        """Return the bytes of the database."""
        return int(str(self.server.ask(f"SELECT pg_database_size('{self.database.name}')")[0]))

    def program(self, name: str) -> str:
        """Return the path of one of the server's own programs."""
        return str(Path(self.database.programs) / name)

    def fresh(self) -> Path:
        """Return a folder that is not there, to write to."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.server.settle()
        return self.folder / "written"


def report(rounds: int, megabytes: int) -> str:
    """Measure, and return the text for the document.  Raises Missing where there is no server."""
    # MariaDB takes several times as long to load the same rows.
    return f"{_postgresql(rounds, megabytes)}\n\n{mariadb.report(rounds, megabytes // 3)}"


def _postgresql(rounds: int, megabytes: int) -> str:
    server = Server()
    try:
        database = server.database()
        server.run(_FILL.format(rows=megabytes * _ROWS_A_MEGABYTE), database)
        server.run("VACUUM ANALYZE", database)
        ground = Ground(server, database, server.room / "backups")
        before = machine.load()
        saved, sizes = timed(_saving(ground), ground.folder, rounds)
        brought, _ = timed(_bringing(ground), ground.folder, rounds)
        return "\n\n".join(_texts(ground, saved, brought, sizes, before))
    finally:
        server.close()


def _saving(ground: Ground) -> dict[str, Way]:
    """Return the ways to make a backup."""
    pg_dump, url = ground.program("pg_dump"), ground.database.bare_url
    method = _compression(ground)
    ways: dict[str, Way] = {
        _GZIP: lambda: _shell(ground, f"{pg_dump} -d {url} | gzip > {ground.fresh()}"),
        "`pg_dump -Fc`": lambda: _command(ground, [pg_dump, "-Fc", "-f", str(ground.fresh()), "-d", url]),
        _bare(method): lambda: _command(
            ground, [pg_dump, "-Fd", f"-j{_JOBS}", f"-Z{method}", "-f", str(ground.fresh()), "-d", url]
        ),
        "Windlass": lambda: _ours(ground, "backup", str(ground.fresh())),
    }
    if shutil.which("pgbackrest"):
        ways["pgBackRest, the whole server, lz4"] = lambda: _pgbackrest(ground)
    else:
        print("SKIPPED: pgBackRest: pgbackrest is not installed", file=sys.stderr, flush=True)
    return ways


def _bringing(ground: Ground) -> dict[str, Way]:
    """Return the ways to restore one backup, each into a new database."""
    kept = ground.server.room / "kept"
    run(_ours(ground, "backup", str(kept)))
    (backup,) = (path for path in kept.glob("*/*") if path.is_dir())
    restore = f"{ground.program('pg_restore')} -e -j{_JOBS}"
    analyse = f"{ground.program('vacuumdb')} -q -Z -j{_JOBS}"
    counts = " ".join(f"-c 'SELECT count(*) FROM {table}'" for table in _TABLES)
    count = f"{ground.program('psql')} -X -q -o /dev/null {counts}"

    def new() -> str:
        name = ground.server.database().name
        return f"{ground.database.bare_url.rpartition('/')[0]}/{name}"

    def bare(first: str = "", *then: str) -> Command:
        url = new()
        parts = [
            *([first] if first else []),
            f"{restore} -d {url} {backup}/dump",
            *(f"{each} -d {url}" for each in then),
        ]
        return _shell(ground, " && ".join(parts))

    def beside() -> Command:
        ground.server.settle()
        return _ours(ground, "restore", str(backup))

    return {
        f"`pg_restore -j{_JOBS}`": bare,
        f"`pg_restore -j{_JOBS}`, then `vacuumdb -Z -j{_JOBS}`": lambda: bare("", analyse),
        f"`sha256sum`, `pg_restore -j{_JOBS}`, `vacuumdb -Z -j{_JOBS}`, `count(*)` of each table": lambda: bare(
            f"sha256sum {backup}/dump/* > /dev/null", analyse, count
        ),
        "Windlass, with verification and statistics": beside,
    }


def _texts(ground: Ground, saved: Rounds, brought: Rounds, sizes: dict[str, int], before: float) -> list[str]:
    bare = _bare(_compression(ground))
    restore, ready, same = list(brought[0])[:3]
    saves = [
        [name, *compared(saved, name, bare), ratio(saved, _GZIP, name), f"{sizes.get(name, 0) / 1e6:.0f}"]
        for name in saved[0]
    ]
    brings = [
        [name, *compared(brought, name, restore), ratio(brought, name, ready), ratio(brought, name, same)]
        for name in brought[0]
    ]
    return [
        f"Measured on {machine.description()}; PostgreSQL {ground.server.version()} on {ground.server.disk.kind}; a "
        f"database of {ground.size / 1e6:.0f} MB. Load average {before:.1f} before and {machine.load():.1f} after: "
        "what was running beside it, and the tools themselves.",
        "**Backups**",
        tables.table(["Tool", "s", f"to {bare}", "times as fast as `pg_dump \\| gzip`", "MB"], saves),
        "**Restores** into a new database",
        tables.table(
            ["Tool", "s", "to the bare one", "to the one with statistics", "to the one that hashes and counts, too"],
            brings,
        ),
        f"Medians of {len(saved)} rounds; ratios are medians of the ratios in each round.",
    ]


def _bare(method: str) -> str:
    return f"`pg_dump -Fd -j{_JOBS} -Z{method}`"


def _compression(ground: Ground) -> str:
    """Return how Windlass will compress, as pg_dump's option says it."""
    from windlass_engine.dialects.postgresql import dump

    client = dump.find_client(int(ground.server.version().partition(".")[0]), ground.database.programs)
    said = dump.compression_of(client)
    return said if client.major >= dump.ZSTD_SINCE else said.partition(":")[2]


def _ours(ground: Ground, verb: str, path: str) -> Command:
    database = ground.database
    return ours(verb, path, _JOBS, database.bare_url, database.password, database.programs)


def _pgbackrest(ground: Ground) -> Command:
    """Return a full backup of the server; its repository is made anew each time, which is not timed."""
    repository = ground.fresh()
    data, port, socket = ground.server.place()
    options = [
        "--stanza=bench", f"--repo1-path={repository}", f"--pg1-path={data}", f"--pg1-port={port}",
        f"--pg1-socket-path={socket}", f"--pg1-user={ground.database.user}", f"--log-path={repository}",
        f"--lock-path={repository}", "--log-level-console=error", "--log-level-file=off",
    ]  # fmt: skip
    repository.mkdir()
    run(_command(ground, ["pgbackrest", *options, "--no-online", "stanza-create"]))
    more = ["--type=full", "--compress-type=lz4", f"--process-max={_JOBS}", "--no-archive-check", "--start-fast"]
    return _command(ground, ["pgbackrest", *options, *more, "backup"])


def _shell(ground: Ground, line: str) -> Command:
    return _command(ground, ["bash", "-o", "pipefail", "-c", line])


def _command(ground: Ground, arguments: Sequence[str]) -> Command:
    return Command(arguments, ground.server.room, {"PGPASSWORD": ground.database.password})
