"""Rows that a statement would fail on are found before, on every engine, without a change and within a bounded time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.systems import Bench
from windlass.risk import Assessment, Pending
from windlass_engine.model import Probe, Wire
from windlass_engine.rehearsal import foresight

GRAMMARS = {"pg15": "postgresql", "pg18": "postgresql", "mariadb": "mysql", "mssql": "tsql"}
#: T-SQL has no function that waits: a count that takes long.
SLOW = "(SELECT COUNT_BIG(*) FROM sys.all_columns a CROSS JOIN sys.all_columns b CROSS JOIN sys.all_columns c)"
SCENE = (
    "CREATE TABLE customers (id int PRIMARY KEY, name varchar(20))",
    "CREATE TABLE orders (id int PRIMARY KEY, customer_id int, mail varchar(40), total bigint, code varchar(20))",
    "INSERT INTO customers VALUES (1, 'a'), (2, 'b')",
    "INSERT INTO orders VALUES (1, 1, 'a@example', 5, '17'), (2, 9, 'a@example', 3000000000, 'x7'), "
    "(3, NULL, NULL, -1, '18'), (4, 2, 'b@example', NULL, '19')",
)


@pytest.fixture(params=GRAMMARS, scope="module")
def shop(request: pytest.FixtureRequest) -> Iterator[tuple[Bench, str]]:
    with request.getfixturevalue(request.param).database() as url:
        bench = Bench(url)
        bench.run_all(*SCENE)
        yield bench, GRAMMARS[request.param]


def found(bench: Bench, grammar: str, *statements: str, timeout_ms: int = 60_000) -> list[Wire]:
    assessment = Assessment(grammar, [Pending(0, n, sql) for n, sql in enumerate(statements)])
    question = foresight.Question(tuple(assessment.tables), tuple(assessment.probes), timeout_ms)
    answer = foresight.look(bench.target, question)
    assert answer["unknown"] == []
    probes: list[Wire] = answer["probes"]
    return probes


#: The statement by grammar, how many bad rows, an example.
BAD: list[tuple[dict[str, str], int, str]] = [
    ({"postgresql": "ALTER TABLE orders ALTER mail SET NOT NULL",
      "mysql": "ALTER TABLE orders MODIFY mail varchar(40) NOT NULL",
      "tsql": "ALTER TABLE orders ALTER COLUMN mail varchar(40) NOT NULL"}, 1, "id 3"),
    (dict.fromkeys(("postgresql", "mysql", "tsql"), "CREATE UNIQUE INDEX u ON orders (mail)"), 1,
     "(a@example) in 2 rows"),
    ({"postgresql": "ALTER TABLE orders ADD CONSTRAINT u UNIQUE (mail)",
      "mysql": "ALTER TABLE orders ADD UNIQUE KEY u (mail(1))",
      "tsql": "ALTER TABLE orders ADD CONSTRAINT u UNIQUE (mail)"}, 1, " in 2 rows"),
    ({"postgresql": "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers",
      "mysql": "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (id)",
      "tsql": "ALTER TABLE orders WITH CHECK ADD CONSTRAINT f FOREIGN KEY (customer_id) REFERENCES customers (id)"}, 1, "id 2"),
    ({"postgresql": "ALTER TABLE orders ADD CHECK (total > 0)",
      "mysql": "ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0)",
      "tsql": "ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0)"}, 1, "id 3"),
    ({"postgresql": "ALTER TABLE orders ALTER total TYPE int", "mysql": "ALTER TABLE orders MODIFY total int",
      "tsql": "ALTER TABLE orders ALTER COLUMN total int"}, 1, "id 2"),
    ({"postgresql": "ALTER TABLE orders ALTER mail TYPE varchar(8)",
      "mysql": "ALTER TABLE orders MODIFY mail varchar(8)",
      "tsql": "ALTER TABLE orders ALTER COLUMN mail varchar(8)"}, 3, "id 1"),
]  # fmt: skip
GOOD: list[dict[str, str]] = [
    {"postgresql": "ALTER TABLE orders ALTER code SET NOT NULL",
     "mysql": "ALTER TABLE orders MODIFY code varchar(20) NOT NULL",
     "tsql": "ALTER TABLE orders ALTER COLUMN code varchar(20) NOT NULL"},
    dict.fromkeys(("postgresql", "mysql", "tsql"), "CREATE UNIQUE INDEX u ON orders (code)"),
    {"postgresql": "CREATE UNIQUE INDEX u ON orders (lower(mail)) WHERE total > 6",
     "mysql": "CREATE UNIQUE INDEX u ON orders (mail, id)",
     "tsql": "CREATE UNIQUE INDEX u ON orders (mail) WHERE total > 6"},
    {"postgresql": "ALTER TABLE orders ADD CHECK (total <> 6)", "mysql": "ALTER TABLE orders ADD CHECK (total <> 6)",
     "tsql": "ALTER TABLE orders ADD CONSTRAINT c CHECK (total <> 6)"},
    {"postgresql": "ALTER TABLE orders ALTER code TYPE varchar(4)",
     "mysql": "ALTER TABLE orders MODIFY code varchar(4)", "tsql": "ALTER TABLE orders ALTER COLUMN code nvarchar(4)"},
]  # fmt: skip


@pytest.mark.parametrize(("words", "count", "example"), BAD, ids=[case[0]["mysql"] for case in BAD])
def test_bad_rows_are_found(shop: tuple[Bench, str], words: dict[str, str], count: int, example: str) -> None:
    bench, grammar = shop
    hits = [item for item in found(bench, grammar, words[grammar]) if item["found"]]
    assert [item["found"] for item in hits] == [count]
    assert example in hits[0]["examples"][0]
    with pytest.raises(Exception):  # noqa: B017 the server agrees, in whatever words
        bench.run_sql(words[grammar])


def test_good_rows_are_no_news_and_nothing_is_changed(shop: tuple[Bench, str]) -> None:
    bench, grammar = shop
    before = bench.fingerprint()
    for words in GOOD:
        probes = found(bench, grammar, words[grammar])
        assert [(item["found"], item["unknown"]) for item in probes] == [(0, "")] * len(probes)
        assert probes, words[grammar]
    assert bench.fingerprint() == before


def test_a_type_that_only_the_server_can_try(shop: tuple[Bench, str]) -> None:
    bench, grammar = shop
    if grammar != "postgresql":
        verb = "MODIFY" if grammar == "mysql" else "ALTER COLUMN"
        [item] = found(bench, grammar, f"ALTER TABLE orders {verb} code int")
        assert (item["found"], item["examples"]) == (1, ["id 2"])
    else:
        [item] = found(bench, grammar, "ALTER TABLE orders ALTER code TYPE int USING code::int")
        by_rows = bench.query("SHOW server_version_num")[0][0] >= "160000"
        assert item["examples"] == (["id 2"] if by_rows else ['invalid input syntax for type integer: "x7"'])


def test_a_column_without_a_value_for_the_rows_that_stand(shop: tuple[Bench, str]) -> None:
    bench, grammar = shop
    if grammar != "mysql":  # MySQL and MariaDB fill in a zero or an empty text
        [item] = found(
            bench, grammar, f"ALTER TABLE orders ADD{' COLUMN' if grammar == 'postgresql' else ''} o int NOT NULL"
        )
        assert item["found"] == 4


def test_a_constraint_that_stands_is_validated_on_todays_rows(shop: tuple[Bench, str]) -> None:
    bench, grammar = shop
    if grammar != "mysql":
        before, behind, verb = ("", " NOT VALID", "VALIDATE")
        if grammar == "tsql":
            before, behind, verb = ("WITH NOCHECK ", "", "WITH CHECK CHECK")
        bench.run_all(
            f"ALTER TABLE orders {before}ADD CONSTRAINT c CHECK (total > 0){behind}",
            f"ALTER TABLE orders {before}ADD CONSTRAINT f FOREIGN KEY (customer_id) REFERENCES customers (id){behind}",
        )
        items = found(bench, grammar, *(f"ALTER TABLE orders {verb} CONSTRAINT {name}" for name in "cf"))
        assert [item["examples"] for item in items] == [["id 3"], ["id 2"]]


def test_what_does_not_stand_yet_is_not_probed(shop: tuple[Bench, str]) -> None:
    bench, grammar = shop
    statements = [
        "CREATE TABLE later (id int)",
        "CREATE UNIQUE INDEX u ON later (id)",
        "CREATE UNIQUE INDEX v ON orders (new)",
    ]
    [item] = found(bench, grammar, *statements)
    assert item["unknown"] == "orders does not stand as the statement will meet it"


def test_a_search_has_a_bounded_time(shop: tuple[Bench, str]) -> None:
    bench, grammar = shop
    slow = {"postgresql": "pg_sleep(2) IS NULL", "mysql": "SLEEP(2) = 7", "tsql": f"{SLOW} = 7"}[grammar]
    probe = Probe("violations", ("orders",), condition=slow)
    answer: dict[str, Any] = foresight.look(bench.target, foresight.Question((), (probe,) * 8, 200))
    told = [item["unknown"] for item in answer["probes"]]
    assert told[0] == "could not be probed in 0.2 s"
    assert told[-1] == "the searches before it used up the time"


def test_the_size_and_use_of_tables(shop: tuple[Bench, str]) -> None:
    bench, _ = shop
    bench.run_all(*bench.analyse("orders"))
    tables = foresight.look(bench.target, foresight.Question((("orders",), ("nowhere",))))["tables"]
    assert set(tables) == {"orders"}
    assert tables["orders"]["rows"] == 4 and tables["orders"]["bytes"] > 0
