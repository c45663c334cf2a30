"""The migrations that the fault matrix is run on: whatever is lost, done twice or left half-done shows in the rows.

Each story adds one to every `n` of the ledger, or leaves a word; its down takes exactly that back.
"""

from __future__ import annotations

from dataclasses import dataclass

#: What stands before a deployment, and stays after a rollback.
FIRST = "001_ledger"
KEYS = 60


@dataclass(frozen=True)
class Story:
    """One migration's scripts."""

    name: str
    up: str
    down: str


_LOOSE = "-- windlass: no-transaction\n"
_BATCHED = "-- windlass: no-transaction\n-- windlass: backfill table=ledger key=id batch=6 pause=30ms\n"

POSTGRESQL = (
    Story(
        FIRST,
        f"CREATE TABLE ledger (id int PRIMARY KEY, n int NOT NULL);\nINSERT INTO ledger SELECT g, 0 FROM generate_series(1, {KEYS}) g;\nCREATE TABLE words (word text NOT NULL);\nINSERT INTO words VALUES ('first')",
        "DROP TABLE words;\nDROP TABLE ledger",
    ),
    Story("002_count", "UPDATE ledger SET n = n + 1", "UPDATE ledger SET n = n - 1"),
    Story("003_word", "INSERT INTO words SELECT 'three' FROM pg_sleep(0.4)", "DELETE FROM words USING pg_sleep(0.4) WHERE word = 'three'"),
    Story(
        "004_column",
        "ALTER TABLE ledger ADD COLUMN c int;\nUPDATE ledger SET c = n, n = n + 1;\nSELECT pg_sleep(0.3);\nINSERT INTO words VALUES ('four')",
        "UPDATE ledger SET n = n - 1;\nSELECT pg_sleep(0.3);\nALTER TABLE ledger DROP COLUMN c;\nDELETE FROM words WHERE word = 'four'",
    ),
    Story(
        "005_online",
        f"{_LOOSE}CREATE INDEX CONCURRENTLY IF NOT EXISTS ledger_n ON ledger (n);\nINSERT INTO words SELECT 'five' FROM pg_sleep(0.3);\nUPDATE ledger SET n = n + 1;\nVACUUM ledger",
        f"{_LOOSE}DROP INDEX CONCURRENTLY IF EXISTS ledger_n;\nUPDATE ledger SET n = n - 1;\nDELETE FROM words USING pg_sleep(0.3) WHERE word = 'five'",
    ),
    Story(
        "006_batches",
        f"{_BATCHED}UPDATE ledger SET n = n + 1 WHERE true /* windlass: batch */",
        f"{_LOOSE}UPDATE ledger SET n = n - 1 WHERE id <= 30;\nSELECT pg_sleep(0.3);\nUPDATE ledger SET n = n - 1 WHERE id > 30",
    ),
    Story(
        "007_bulk",
        "CREATE TABLE bulk AS SELECT g AS id, repeat('x', 500) AS pad FROM generate_series(1, 3000) g",
        "CREATE TABLE kept AS SELECT * FROM bulk;\nDROP TABLE kept;\nDROP TABLE bulk",
    ),
    Story("008_total", "CREATE TABLE total AS SELECT count(*) AS n FROM words", "DROP TABLE total"),
)  # fmt: skip

MYSQL = (
    Story(
        FIRST,
        f"CREATE TABLE ledger (id int PRIMARY KEY, n int NOT NULL);\nINSERT INTO ledger WITH RECURSIVE g (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM g WHERE id < {KEYS}) SELECT id, 0 FROM g;\nCREATE TABLE words (word varchar(20) NOT NULL);\nINSERT INTO words VALUES ('first')",
        "DROP TABLE words;\nDROP TABLE ledger",
    ),
    Story("002_count", "UPDATE ledger SET n = n + 1", "UPDATE ledger SET n = n - 1"),
    Story("003_word", "INSERT INTO words SELECT IF(SLEEP(0.4), '', 'three')", "DELETE FROM words WHERE word = 'three' AND SLEEP(0.4) = 0"),
    Story(
        "004_column",
        "ALTER TABLE ledger ADD COLUMN c int;\nUPDATE ledger SET c = n, n = n + 1;\nDO SLEEP(0.3);\nINSERT INTO words VALUES ('four')",
        "UPDATE ledger SET n = n - 1;\nDO SLEEP(0.3);\nALTER TABLE ledger DROP COLUMN c;\nDELETE FROM words WHERE word = 'four'",
    ),
    Story(
        "005_index",
        "CREATE INDEX ledger_n ON ledger (n);\nINSERT INTO words SELECT IF(SLEEP(0.3), '', 'five');\nUPDATE ledger SET n = n + 1;\nALTER TABLE ledger MODIFY n bigint NOT NULL",
        "ALTER TABLE ledger MODIFY n int NOT NULL;\nDROP INDEX ledger_n ON ledger;\nUPDATE ledger SET n = n - 1;\nDELETE FROM words WHERE word = 'five' AND SLEEP(0.3) = 0",
    ),
    Story(
        "006_batches",
        f"{_BATCHED}UPDATE ledger SET n = n + 1 WHERE true /* windlass: batch */",
        f"{_LOOSE}UPDATE ledger SET n = n - 1 WHERE id <= 30;\nDO SLEEP(0.3);\nUPDATE ledger SET n = n - 1 WHERE id > 30",
    ),
    Story(
        "007_bulk",
        "CREATE TABLE bulk AS SELECT a.id * 60 + b.id AS id, REPEAT('x', 500) AS pad FROM ledger a CROSS JOIN ledger b LIMIT 3000",
        "CREATE TABLE kept AS SELECT * FROM bulk;\nDROP TABLE kept;\nDROP TABLE bulk",
    ),
    Story(
        "008_total",
        "CREATE TABLE total AS SELECT COUNT(*) AS n, SUM(SLEEP(0.1)) AS slow FROM words",
        "ALTER TABLE total ADD COLUMN gone int, ALGORITHM=COPY;\nDROP TABLE total",
    ),
)  # fmt: skip

STORIES = {"postgresql": POSTGRESQL, "mysql": MYSQL}
