"""How the server will do each change, as the server itself says, before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.project import ROOT
from tests.servers.mysqld import Mysqld
from tests.systems import Bench
from windlass import project
from windlass_engine import scratch, session
from windlass_engine.rehearsal import weigh


@pytest.fixture(params=["mariadb", "mariadb118", "mysql"])
def server(request: pytest.FixtureRequest) -> Mysqld:
    """A server of each make and line: what each can do at once or online is another thing."""
    found: Mysqld = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def shop(server: Mysqld) -> Iterator[Bench]:
    with server.database() as url:
        bench = Bench(url)
        bench.run_sql("CREATE TABLE customers (id int PRIMARY KEY, name varchar(20) NOT NULL) ENGINE=InnoDB")
        bench.run_sql("CREATE TABLE orders (id int PRIMARY KEY, customer_id int, total int) ENGINE=InnoDB")
        bench.run_sql(f"INSERT INTO orders VALUES {', '.join(f'({n}, {n}, {n})' for n in range(1, 2001))}")
        bench.run_sql("ANALYZE TABLE orders")
        yield bench


def ways(bench: Bench, *statements: str) -> list[str]:
    found = weigh.weigh(bench.target, statements)
    with session.connect(bench.target) as opened:
        assert opened.dialect.unkept_databases(opened.link, scratch.PREFIX) == ()
    return [fact.way or fact.note for facts in found for fact in facts]


@pytest.mark.parametrize(
    ("statement", "way"),
    [
        ("ALTER TABLE orders ADD COLUMN note text", "instant"),
        ("ALTER TABLE orders ADD INDEX by_customer (customer_id)", "online"),
        ("CREATE INDEX by_customer ON orders (customer_id)", "online"),
        ("ALTER TABLE orders MODIFY total bigint", "copies the table, writers wait"),
        ("ALTER TABLE customers ADD FULLTEXT INDEX words (name)", "in place, writers wait"),
        ("ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (customer_id) REFERENCES customers (id)", "copies the table, writers wait"),
        ("ALTER TABLE orders ADD COLUMN note text, ALGORITHM = INSTANT", "instant, as the script demands"),
        ("ALTER TABLE orders ADD INDEX c (customer_id), ALGORITHM=INPLACE, LOCK=NONE", "online, as the script demands"),
    ],
)  # fmt: skip
def test_what_the_server_says(shop: Bench, statement: str, way: str) -> None:
    assert ways(shop, statement) == [way]
    assert shop.query("SELECT count(*) FROM information_schema.statistics WHERE table_schema = DATABASE()") == [(2,)]


def test_the_table_is_measured(shop: Bench) -> None:
    [[fact]] = weigh.weigh(shop.target, ["ALTER TABLE orders MODIFY total bigint"])
    assert fact.table == "orders"
    assert 1500 < fact.rows < 2500
    assert fact.bytes >= 16384


def test_later_statements_stand_on_earlier_ones(shop: Bench) -> None:
    found = ways(
        shop,
        "ALTER TABLE orders ADD COLUMN state int NOT NULL DEFAULT 0",
        "CREATE TABLE states (id int PRIMARY KEY)",
        "ALTER TABLE states ADD COLUMN name text",
        "ALTER TABLE orders ADD INDEX by_state (state)",
    )
    assert found == ["instant", "online"]  # what is new has no rows, so there is nothing to say of it


def test_an_alter_in_the_arguments_of_a_call_is_seen(shop: Bench) -> None:
    call = (
        "CALL add_where_missing('orders', 'note', 'ALTER TABLE orders ADD COLUMN note varchar(9) DEFAULT ''it''''s''')"
    )
    assert ways(shop, call) == ["instant"]


def test_what_cannot_be_told_says_why(shop: Bench) -> None:
    [text] = ways(shop, "ALTER TABLE orders DROP COLUMN nowhere")
    assert text.startswith("not known: on an empty copy it fails")
    assert ways(shop, "UPDATE orders SET total = 0", "ALTER TABLE other.orders ADD COLUMN x int") == []


def test_the_phases_of_blazz_are_what_they_promise(server: Mysqld) -> None:
    found = project.load(ROOT, "blazz", parse="all")
    with server.database() as url:
        bench = Bench(url)
        bench.deploy(bench.make.system(found.migrations[0]))
        for migration in found.migrations[1:3]:
            statements = [migration.up.sql(statement) for statement in migration.up.statements]
            said = {fact.way for facts in weigh.weigh(bench.target, statements) for fact in facts}
            assert said == {"instant, as the script demands", "online, as the script demands"}
