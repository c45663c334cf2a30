"""Backups and restores beside the server's own tools: one database, everything in turn, round after round."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import machine, tables
from bench.measure import run
from bench.server import Database, Server
from bench.tools import ROOT, Command

_JOBS = 4
#: Rows that make about a megabyte of database, indexes and all.
_ROWS_A_MEGABYTE = 409
#: A few tables of different sizes, the largest about half of all, of data that compresses as data does.
_FILL = """
CREATE TABLE customer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email text UNIQUE,
    born date, doc jsonb);
INSERT INTO customer (name, email, born, doc)
    SELECT md5(i::text), 'c' || i || '@example.org', date '1950-01-01' + i % 20000,
           jsonb_build_object('tags', ARRAY[md5((i % 100)::text)], 'n', i) FROM generate_series(1, {rows}) i;
CREATE TABLE booking (id bigserial PRIMARY KEY, customer_id bigint REFERENCES customer, at timestamptz,
    price numeric(10, 2), note text, status text);
INSERT INTO booking (customer_id, at, price, note, status)
    SELECT 1 + i % {rows}, timestamptz '2025-01-01' + i * interval '1 minute', (i % 10000) / 100.0,
           repeat(md5(i::text), 2) || ' some words that repeat', (ARRAY['new', 'paid', 'gone'])[1 + i % 3]
    FROM generate_series(1, {rows} * 6) i;
CREATE TABLE message (id bigserial PRIMARY KEY, booking_id bigint, body text, sent timestamptz);
INSERT INTO message (booking_id, body, sent)
    SELECT i, repeat(md5(i::text) || ' words that repeat ', 4), now() FROM generate_series(1, {rows} * 2) i;
CREATE TABLE event (id bigserial PRIMARY KEY, kind int, payload jsonb);
INSERT INTO event (kind, payload)
    SELECT i % 7, jsonb_build_object('a', i, 'b', md5(i::text)) FROM generate_series(1, {rows} * 3) i;
CREATE INDEX ON booking (customer_id);
CREATE INDEX ON booking (at);
"""
_GZIP = "`pg_dump \\| gzip`"
#: What is measured in each round, by name: what prepares it (not timed), and the command.
Way = Callable[[], Command]
Rounds = Sequence[dict[str, float]]


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
    server = Server()
    try:
        database = server.database()
        server.run(_FILL.format(rows=megabytes * _ROWS_A_MEGABYTE), database)
        server.run("VACUUM ANALYZE", database)
        ground = Ground(server, database, server.room / "backups")
        before = machine.load()
        saved, sizes = _timed(_saving(ground), ground, rounds)
        brought, _ = _timed(_bringing(ground), ground, rounds)
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

    def new() -> str:
        name = ground.server.database().name
        return f"{ground.database.bare_url.rpartition('/')[0]}/{name}"

    def bare(then: str = "") -> Command:
        url = new()
        return _shell(ground, f"{restore} -d {url} {backup}/dump" + (f" && {then} -d {url}" if then else ""))

    def ours() -> Command:
        ground.server.settle()
        return _ours(ground, "restore", str(backup))

    return {
        f"`pg_restore -j{_JOBS}`": bare,
        f"`pg_restore -j{_JOBS}`, then `vacuumdb -Z -j{_JOBS}`": lambda: bare(analyse),
        "Windlass, with verification and statistics": ours,
    }


def _timed(ways: dict[str, Way], ground: Ground, rounds: int) -> tuple[Rounds, dict[str, int]]:
    """Time each way in every round, which begins with another one; return the bytes that each wrote too."""
    found: list[dict[str, float]] = []
    sizes: dict[str, int] = {}
    names = list(ways)
    for number in range(rounds):
        turn = number % len(names)
        took = {}
        for name in [*names[turn:], *names[:turn]]:
            took[name], said = run(ways[name]())
            if said:
                took[_inside(name)] = float(said)
            sizes[name] = sizes[_inside(name)] = sum(
                path.stat().st_size for path in ground.folder.rglob("*") if path.is_file()
            )
        found.append({name: took[name] for each in names for name in (each, _inside(each)) if name in took})
        print(f"round {number + 1} of {rounds}: {found[-1]}", file=sys.stderr, flush=True)
    return found, sizes


def _texts(ground: Ground, saved: Rounds, brought: Rounds, sizes: dict[str, int], before: float) -> list[str]:
    bare = _bare(_compression(ground))
    restore, ready = list(brought[0])[:2]
    saves = [
        [name, *_cells(saved, name, bare), _ratio(saved, _GZIP, name), f"{sizes.get(name, 0) / 1e6:.0f}"]
        for name in saved[0]
    ]
    brings = [[name, *_cells(brought, name, restore), _ratio(brought, name, ready)] for name in brought[0]]
    return [
        f"Measured on {machine.description()}; PostgreSQL {ground.server.version()} on {ground.server.disk.kind}; a "
        f"database of {ground.size / 1e6:.0f} MB. Load average {before:.1f} before and {machine.load():.1f} after: "
        "what was running beside it, and the tools themselves.",
        "**Backups**",
        tables.table(["Tool", "s", f"to {bare}", "times as fast as `pg_dump \\| gzip`", "MB"], saves),
        "**Restores** into a new database",
        tables.table(["Tool", "s", "to the bare one", "to the one with statistics"], brings),
        f"Medians of {len(saved)} rounds; ratios are medians of the ratios in each round.",
    ]


def _cells(rounds: Rounds, name: str, other: str) -> list[str]:
    return [tables.seconds(median(each[name] for each in rounds)), _ratio(rounds, name, other)]


def _ratio(rounds: Rounds, name: str, other: str) -> str:
    return tables.ratio(median(each[name] / each[other] for each in rounds))


def _inside(name: str) -> str:
    """Return what the time is called that our process tells: from connecting on."""
    return f"{name}, without the start of its process"


def _bare(method: str) -> str:
    return f"`pg_dump -Fd -j{_JOBS} -Z{method}`"


def _compression(ground: Ground) -> str:
    """Return how Windlass will compress, as pg_dump's option says it."""
    from windlass_engine.dialects.postgresql import dump

    client = dump.find_client(int(ground.server.version().partition(".")[0]), ground.database.programs)
    said = dump.compression_of(client)
    return said if client.major >= dump.ZSTD_SINCE else said.partition(":")[2]


def _ours(ground: Ground, verb: str, path: str) -> Command:
    """Return our engine in a process of its own, as on a target."""
    found = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = {
        "PYTHONPATH": found, "BENCH_URL": ground.database.bare_url, "BENCH_PASSWORD": ground.database.password,
        "BENCH_PROGRAMS": ground.database.programs,
    }  # fmt: skip
    return Command([sys.executable, "-m", "bench.ours_backup", verb, path, str(_JOBS)], ROOT, environment)


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
