"""What each statement of a plan leaves behind, measured between the statements on real servers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.servers.mysqld import Mysqld
from tests.servers.postgresql import PostgresServer
from tests.systems import Bench
from windlass_engine import session
from windlass_engine.model import Options, Plan, Target
from windlass_engine.rehearsal.scales import Scales
from windlass_engine.running import execute

PAGE = 8192
ROWS = 20_000
TABLES = (
    "CREATE TABLE public.bookings (id int PRIMARY KEY, note text)",
    f"INSERT INTO public.bookings SELECT i, repeat('x', 40) FROM generate_series(1, {ROWS}) i",
    "CREATE TABLE public.other AS SELECT i FROM generate_series(1, 3000) i",
)
SORT = "SELECT count(*) FROM (SELECT md5(id::text) FROM public.bookings ORDER BY 1 OFFSET 0) sorted"


@dataclass
class Weighed:
    """What was measured of a run: by the line of each statement its growth and its temporary files."""

    error: str
    note: str
    growth: dict[int, Any] = field(default_factory=dict)
    temporary: dict[int, Any] = field(default_factory=dict)


def weigh(target: Target, plan: Plan, emit: Any = lambda _: None, **options: Any) -> Weighed:
    """Run a plan as a rehearsal does."""
    with Scales(target) as scales:
        result = execute.run(target, plan, Options("run", "tester", "here", **options), emit, scales)
    weighed = Weighed(str(result["error"] or ""), scales.note)
    for step in plan.steps:
        for number, statement in enumerate(step.script.statements, 1):
            if (step.name, number) in scales.growth:
                growth = scales.growth[step.name, number]
                told = None if growth is None else {change["table"]: change for change in growth}
                weighed.growth[statement.line] = told
                weighed.temporary[statement.line] = scales.temporary[step.name, number]
    return weighed


@pytest.fixture
def shop(pg: PostgresServer) -> Iterator[Bench]:
    with pg.database() as url:
        bench = Bench(url)
        bench.run_all(*TABLES)
        yield bench


def plan_of(bench: Bench, *scripts: str) -> Plan:
    make = bench.make
    return bench.plan(make.system(*(make.migration(f"{n:03}_step", up) for n, up in enumerate(scripts, 1))))


IN_ONE = f"""SET LOCAL work_mem = '64kB';
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
CREATE INDEX by_note ON public.bookings (note, id);
UPDATE public.bookings SET note = 'seen' WHERE id <= {ROWS // 2};
{SORT};
CREATE TABLE public.made AS SELECT * FROM public.other;
ALTER TABLE public.made RENAME TO renamed;
DROP TABLE public.other;
COPY public.renamed FROM stdin;
1
2
\\.
TRUNCATE public.renamed;
"""


def test_each_statement_of_an_open_transaction_is_weighed_by_itself(each_pg: PostgresServer) -> None:
    with each_pg.database() as url:
        bench = Bench(url)
        bench.run_all(*TABLES)
        weighed = weigh(bench.target, plan_of(bench, IN_ONE))
    assert (weighed.error, weighed.note) == ("", "")
    assert weighed.growth[1] == weighed.growth[2] == {}, "settings come before any query: the script asks for that"
    index = weighed.growth[3]["public.bookings"]
    assert index["own"] == 0 and index["indexes"] == index["bytes"] > 50 * PAGE
    updated = weighed.growth[4]["public.bookings"]
    assert updated["own"] > 50 * PAGE and updated["indexes"] > PAGE, "every changed row is written anew"
    assert updated["bytes"] == updated["own"] + updated["indexes"]
    assert weighed.growth[5] == {} and weighed.growth[7] == {}, "to read or to name anew makes nothing grow"
    made = weighed.growth[6]["public.made"]
    assert made["own"] > 10 * PAGE and made["indexes"] == 0
    assert weighed.growth[8]["public.other"]["bytes"] < -10 * PAGE
    assert list(weighed.growth[13]) == ["public.renamed"] and weighed.growth[13]["public.renamed"]["bytes"] < 0

    assert weighed.temporary[5] > 100_000, "the sort did not fit"
    assert {line for line, written in weighed.temporary.items() if written == 0} >= {1, 2, 4, 6, 7, 8, 9, 13}


def test_what_runs_without_a_transaction_is_weighed_too(shop: Bench) -> None:
    loose = "-- windlass: no-transaction\nCREATE INDEX CONCURRENTLY by_note ON public.bookings (note);\n"
    loose += f"SET work_mem = '64kB';\n{SORT};\n"
    weighed = weigh(shop.target, plan_of(shop, loose, "CREATE TABLE public.small (id int PRIMARY KEY);\n"))
    assert weighed.error == ""
    assert weighed.growth[2]["public.bookings"]["indexes"] > 10 * PAGE
    assert weighed.temporary[4] > 100_000 and weighed.temporary[2] == 0


def test_a_script_that_hides_messages_does_not_hide_its_files(shop: Bench) -> None:
    quiet = f"SET client_min_messages = warning;\nSET LOCAL work_mem = '64kB';\n{SORT};\n"
    weighed = weigh(shop.target, plan_of(shop, quiet, f"SET LOCAL work_mem = '64kB';\n\n\n{SORT};\n"))
    assert weighed.temporary[3] > 100_000 and weighed.temporary[4] > 100_000


def test_what_was_rolled_back_and_tried_again_counts_once(shop: Bench) -> None:
    """The index is built twice: the first time the lock behind it could not be had."""
    both = "CREATE INDEX by_note ON public.bookings (note, id);\nALTER TABLE public.other ADD COLUMN more int;\n"
    with session.connect(shop.target) as holder:
        holder.run("BEGIN; LOCK TABLE public.other IN ACCESS SHARE MODE")
        tried: list[Any] = []

        def emit(event: Any) -> None:
            if event["event"] == "retry" and not tried:
                tried.append(event)
                holder.run("COMMIT")

        weighed = weigh(shop.target, plan_of(shop, both), emit)
    assert weighed.error == "" and tried
    assert weighed.growth[1]["public.bookings"]["indexes"] > 50 * PAGE


@pytest.fixture
def limited(pg: PostgresServer) -> Iterator[Bench]:
    """A database whose owner has no other right."""
    name = f"weigh_{os.urandom(3).hex()}"
    pg.create_database(name)
    with pg.connect(name) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
        connection.execute(f"ALTER DATABASE {name} OWNER TO {name}")
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {name}")
    bench = Bench(pg.url_of(name, user=name, password="pw"))
    bench.run_all(*TABLES)
    yield bench
    pg.drop_database(name)
    with pg.connect() as connection:
        connection.execute(f"DROP ROLE {name}")


def test_a_login_without_rights_knows_growth_and_what_a_counter_can_tell(limited: Bench, pg: PostgresServer) -> None:
    if pg.version < 15:
        pytest.skip("a session can have its statistics told at once from PostgreSQL 15 on")
    small = "SET LOCAL work_mem = '64kB';\n"
    alone, two = f"{small}{SORT};\n", f"{small}\n\n{SORT};\nALTER TABLE public.other ADD COLUMN more int;\n"
    none = "\n" * 9 + "CREATE TABLE public.made AS SELECT * FROM public.other;\nANALYZE public.made;\n"
    weighed = weigh(limited.target, plan_of(limited, alone, two, none))
    assert (weighed.error, weighed.note) == ("", "")
    assert weighed.temporary[2] > 100_000, "it was alone in its transaction"
    assert weighed.temporary[4] is None and weighed.temporary[5] is None, "one of the two; nobody tells which"
    assert weighed.temporary[10] == 0 and weighed.temporary[11] == 0, "the counter stood still"
    assert weighed.growth[10]["public.made"]["own"] > 10 * PAGE


# ---------------------------------------------------------------- MySQL and MariaDB

FILLED = (
    "CREATE TABLE bookings (id int PRIMARY KEY AUTO_INCREMENT, note varchar(200))",
    "INSERT INTO bookings (note) VALUES (REPEAT('x', 150))",
    *["INSERT INTO bookings (note) SELECT note FROM bookings"] * 13,
)
STEPS = """SET @seen = 1;
ALTER TABLE bookings ADD INDEX by_note (note), ALGORITHM=INPLACE;
CREATE TABLE `täglich` (id int PRIMARY KEY, note varchar(200)) PARTITION BY HASH (id) PARTITIONS 2;
INSERT INTO `täglich` SELECT id, note FROM bookings;
ALTER TABLE bookings DROP INDEX by_note;
DROP TABLE `täglich`;
SELECT 1;
"""


def test_files_and_built_indexes_are_told_of_innodb(mysqld: Mysqld) -> None:
    with mysqld.database() as url:
        bench = Bench(url)
        bench.run_all(*FILLED)
        weighed = weigh(bench.target, plan_of(bench, STEPS))
    assert (weighed.error, weighed.note) == ("", "")
    assert weighed.growth[1] == weighed.growth[7] == {}
    built = weighed.growth[2]["bookings"]
    assert built["indexes"] > 500_000 and built["own"] is None, "how much of a file is the table's own is not known"
    made = weighed.growth[3]["täglich"]
    assert made["bytes"] > 0, "both partitions, under the table's name"
    filled = weighed.growth[4]["täglich"]
    assert filled["bytes"] > 1_000_000 and filled["indexes"] is None
    assert weighed.growth[5]["bookings"]["indexes"] == -built["indexes"]
    assert weighed.growth[6]["täglich"]["bytes"] == -(made["bytes"] + filled["bytes"])


def test_a_login_that_may_not_see_files_is_told_so_and_the_run_goes_on(mysqld: Mysqld) -> None:
    with mysqld.database() as url:
        bench, name = Bench(url), urlsplit(url).path.strip("/")
        login = f"few_{name[-8:]}"
        bench.run_all(f"CREATE USER {login} IDENTIFIED BY 'pw'", f"GRANT ALL ON `{name}`.* TO {login}", *FILLED[:2])
        few = Bench(mysqld.url_of(name, user=login, password="pw"))
        try:
            weighed = weigh(few.target, plan_of(few, "ALTER TABLE bookings ADD INDEX by_note (note);\n"))
        finally:
            bench.run_sql(f"DROP USER {login}")
    assert weighed.error == "" and weighed.growth == {1: None}
    assert "GRANT PROCESS" in weighed.note
