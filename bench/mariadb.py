"""Backups and restores of MariaDB beside its own tools."""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import machine, tables
from bench.cache import Missing, need
from bench.disk import Disk
from bench.measure import run
from bench.tools import Command
from bench.ways import Rounds, Way, compared, ours, ratio, timed
from tests.servers.mariadb import MariaDBServer, program

_JOBS = 4
#: Rounds of restores at most: they take long.
_RESTORES = 3
_PRODUCTION = {
    "innodb-flush-log-at-trx-commit": "1",
    "innodb-flush-method": "fsync",
    "innodb-buffer-pool-size": "256M",
}
#: Customers that make about a megabyte of database.
_ROWS_A_MEGABYTE = 370
#: The same shop as PostgreSQL's, with sentences out of a smaller vocabulary.
_FILL = """
CREATE TABLE phrase AS SELECT p.seq AS n, GROUP_CONCAT(SUBSTR(MD5(FLOOR(3000 * POW(RAND(p.seq * 8 + k.seq), 3))), 1,
    2 + (p.seq + k.seq) % 7) ORDER BY k.seq SEPARATOR ' ') AS t FROM seq_0_to_9999 p, seq_1_to_6 k GROUP BY p.seq;
ALTER TABLE phrase ADD PRIMARY KEY (n);
CREATE TABLE customer (id bigint AUTO_INCREMENT PRIMARY KEY, name varchar(60) NOT NULL, email varchar(60) UNIQUE,
    born date, doc json);
INSERT INTO customer (name, email, born, doc)
    SELECT LEFT(p.t, 20), CONCAT('c', i.seq, '@example.org'), DATE '1950-01-01' + INTERVAL i.seq * 37 % 20000 DAY,
           JSON_OBJECT('tags', JSON_ARRAY(LEFT(p.t, 5)), 'points', i.seq * 71 % 5000)
    FROM seq_1_to_{rows} i JOIN phrase p ON p.n = i.seq * 7919 % 10000;
CREATE TABLE booking (id bigint AUTO_INCREMENT PRIMARY KEY, customer_id bigint, at datetime, price decimal(10, 2),
    note text, status varchar(10), KEY (customer_id), KEY (at));
INSERT INTO booking (customer_id, at, price, note, status)
    SELECT 1 + i.seq * 104729 % {rows}, TIMESTAMP '2025-01-01 00:00:00' + INTERVAL i.seq MINUTE,
           (i.seq * 7907 % 20000) / 100, CONCAT(p.t, ', ', q.t), ELT(1 + i.seq * 31 % 3, 'new', 'paid', 'gone')
    FROM seq_1_to_{six} i
    JOIN phrase p ON p.n = i.seq * 6151 % 10000 JOIN phrase q ON q.n = i.seq * 4421 DIV 7 % 10000;
CREATE TABLE message (id bigint AUTO_INCREMENT PRIMARY KEY, booking_id bigint, body text, sent datetime);
INSERT INTO message (booking_id, body, sent)
    SELECT i.seq * 3571 % {rows}, CONCAT_WS('. ', p.t, q.t, CONCAT(p.t, q.n), q.t), NOW() - INTERVAL i.seq * 17 SECOND
    FROM seq_1_to_{two} i
    JOIN phrase p ON p.n = i.seq * 5333 % 10000 JOIN phrase q ON q.n = i.seq * 3907 DIV 11 % 10000;
CREATE TABLE event (id bigint AUTO_INCREMENT PRIMARY KEY, kind int, payload json);
INSERT INTO event (kind, payload)
    SELECT i.seq % 7, JSON_OBJECT('path', LEFT(p.t, 9), 'ms', i.seq * 13 % 977, 'session', MD5(i.seq DIV 9))
    FROM seq_1_to_{three} i JOIN phrase p ON p.n = i.seq * 7013 % 10000;
DROP TABLE phrase"""
_GZIP = "`mariadb-dump \\| gzip`"
#: What a careful runbook says; Windlass's own options differ in what they must for its own reasons.
_DUMP = "mariadb-dump --single-transaction --quick --routines --events --triggers --hex-blob"


@dataclass(frozen=True)
class _Ground:
    """Where all work: a filled database, and a folder for what they write."""

    server: MariaDBServer
    database: str
    folder: Path
    kind: str

    @property
    def size(self) -> int:
        """Return the bytes of the database's tables and indexes, as the server estimates them."""
        length = "CAST(SUM(data_length + index_length) AS SIGNED)"
        return int(self.ask(f"SELECT {length} FROM information_schema.tables WHERE table_schema = '{self.database}'"))

    @property
    def version(self) -> str:
        """Return the server's version, such as ``10.11.4``."""
        return self.ask("SELECT VERSION()").partition("-")[0]

    def ask(self, query: str) -> str:
        """Return the first value of an answer."""
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return str(cursor.fetchall()[0][0])

    @property
    def login(self) -> str:
        """Return the options with which every tool logs in; the password goes by the environment."""
        return f"--host=127.0.0.1 --port={self.server.port} --user={self.server.superuser}"

    def fresh(self) -> Path:
        """Return a folder that is not there, to write to."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        return self.folder / "written"

    def shell(self, line: str) -> Command:
        """Return a command line in which every part of a pipe counts."""
        return Command(["bash", "-o", "pipefail", "-c", line], self.folder.parent, {"MYSQL_PWD": self.server.password})

    def ours(self, verb: str, path: str) -> Command:
        """Return our own process."""
        url = f"mysql://{self.server.superuser}@127.0.0.1:{self.server.port}/{self.database}"
        return ours(verb, path, _JOBS, url, self.server.password, "")


def report(rounds: int, megabytes: int) -> str:
    """Measure, and return the text for the document, which says so where there is no server."""
    if not program("mariadbd"):
        return "**MariaDB** was not measured: the package mariadb-server is not installed."
    packer = "zstd" if shutil.which("zstd") else "gzip"
    try:
        need("mariadb-dump")
        need(packer)
    except Missing as missing:
        return f"**MariaDB** was not measured: {missing}."
    with _filled(megabytes) as ground:
        before = machine.load()
        saved, sizes = timed(_saving(ground, packer), ground.folder, rounds)
        brought, _ = timed(_bringing(ground, packer), ground.folder, min(rounds, _RESTORES))
        return "\n\n".join(_texts(ground, packer, saved, brought, sizes, before))


@contextmanager
def _filled(megabytes: int) -> Iterator[_Ground]:
    """Give a server with a filled database."""
    disk = Disk()
    before, tempfile.tempdir = tempfile.tempdir, str(disk.folder)
    try:
        server = MariaDBServer(_PRODUCTION)
    finally:
        tempfile.tempdir = before
    try:
        server.start()
        name = server.create_database("bench").rpartition("/")[2]
        room = disk.folder / "tools"
        (room / "backups").mkdir(parents=True)
        _fill(server, name, megabytes * _ROWS_A_MEGABYTE)
        yield _Ground(server, name, room / "backups", disk.kind)
    finally:
        server.remove()
        disk.close()


def _fill(server: MariaDBServer, name: str, rows: int) -> None:
    with server.connect(name) as connection, connection.cursor() as cursor:
        for statement in _FILL.format(rows=rows, two=rows * 2, three=rows * 3, six=rows * 6).split(";\n"):
            cursor.execute(statement)


def _saving(ground: _Ground, packer: str) -> dict[str, Way]:
    """Return the ways to make a backup."""
    dump = f"{_DUMP} {ground.login} {ground.database}"
    ways: dict[str, Way] = {
        _GZIP: lambda: ground.shell(f"{dump} | gzip > {ground.fresh()}"),
        _bare(packer): lambda: ground.shell(f"{dump} | {packer} -1 -c > {ground.fresh()}"),
        "Windlass": lambda: ground.ours("backup", str(ground.fresh())),
    }
    if shutil.which("mydumper"):
        line = f"mydumper {ground.login} --database={ground.database} --threads={_JOBS} --compress --outputdir="
        ways[f"mydumper, {_JOBS} threads, gzip"] = lambda: ground.shell(f"{line}{ground.fresh()}")
    else:
        print("SKIPPED: mydumper: mydumper is not installed", file=sys.stderr, flush=True)
    return ways


def _bringing(ground: _Ground, packer: str) -> dict[str, Way]:
    """Return the ways to restore one backup, each into a new database."""
    room = ground.folder.parent
    bare = room / "bare.sql"
    run(ground.shell(f"{_DUMP} {ground.login} {ground.database} | {packer} -1 -c > {bare}"))
    run(ground.ours("backup", str(room / "kept")))
    (backup,) = (path for path in (room / "kept").glob("*/*") if path.is_dir())

    def piped() -> Command:
        name = f"bare_{secrets.token_hex(4)}"
        ground.server.create_database(name)
        return ground.shell(f"{packer} -dc < {bare} | mariadb --binary-mode {ground.login} {name}")

    return {
        f"`{packer} -dc \\| mariadb`": piped,
        "Windlass, with verification and statistics": lambda: ground.ours("restore", str(backup)),
    }


def _texts(
    ground: _Ground, packer: str, saved: Rounds, brought: Rounds, sizes: dict[str, int], before: float
) -> Sequence[str]:
    bare, restore = _bare(packer), next(iter(brought[0]))
    saves = [
        [name, *compared(saved, name, bare), ratio(saved, _GZIP, name), f"{sizes.get(name, 0) / 1e6:.0f}"]
        for name in saved[0]
    ]
    brings = [[name, *compared(brought, name, restore)] for name in brought[0]]
    return [
        f"**MariaDB {ground.version}** on {ground.kind}; a database of {ground.size / 1e6:.0f} MB. "
        f"Load average {before:.1f} before and {machine.load():.1f} after.",
        tables.table(["Tool", "s", f"to {bare}", f"times as fast as {_GZIP}", "MB"], saves),
        "**Restores** into a new database",
        tables.table(["Tool", "s", "to the bare one"], brings),
        f"Medians of {len(saved)} and {len(brought)} rounds; ratios are medians of the ratios in each round.",
    ]


def _bare(packer: str) -> str:
    return f"`mariadb-dump \\| {packer} -1`"
