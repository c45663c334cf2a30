"""jobs from every partial state: one patch brings each to the same schema."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.engine.by_hand_mysql.rows import NARROW, WIDE
from tests.engine.by_hand_mysql.scripts import (
    SQL,
    looks,
    migrations,
)
from tests.faults.chance import dice, many, some
from tests.servers.mariadb_by_hand import MariadbByHand

COLLATION = "DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
DATE, COUNT, JSON_ = "datetime NULL DEFAULT NULL", "int NULL DEFAULT 0", "json NULL"
# Every part that may be there or missing: table → column → definition, then the indexes with their columns.
COLUMNS: dict[str, dict[str, str]] = {
    "processing_jobs": {
        "locked_by": "varchar(100) NULL DEFAULT NULL",
        "locked_until": "timestamp NULL DEFAULT NULL",
        "attempts": COUNT,
        "last_error": "text NULL",
        "finished_at": DATE,
    },
    "processing_job_logs": {
        "job_id": "bigint unsigned NULL DEFAULT NULL",
        "level": "varchar(20) NULL DEFAULT NULL",
        "category": "varchar(50) NULL DEFAULT NULL",
        "message": "text NULL",
        "details": JSON_,
        "created_at": DATE,
    },
    "user_sessions": {
        "contact_status": f"{WIDE} NULL DEFAULT 'ACTIVE'",
        "cooldown_until": DATE,
        "follow_up_attempts": COUNT,
        "last_activity": DATE,
    },
    "analytics_watermarks": {
        "name": "varchar(100) NULL DEFAULT NULL",
        "last_event_id": "bigint unsigned NULL DEFAULT NULL",
        "last_processed_at": DATE,
        "updated_at": DATE,
    },
    "sync_runs": {
        "source_type": "varchar(50) NULL DEFAULT NULL",
        "source_identifier": "varchar(255) NULL DEFAULT NULL",
        "status": "varchar(20) NULL DEFAULT NULL",
        "started_at": DATE,
        "completed_at": DATE,
        "sync_metadata": JSON_,
        "created_at": DATE,
        "updated_at": DATE,
        "cursor": JSON_,
    },
    "conversation_analysis": {
        "phone": "varchar(32) NULL DEFAULT NULL",
        "status": "varchar(20) NULL DEFAULT NULL",
        "summary": "text NULL",
        "intent": "varchar(100) NULL DEFAULT NULL",
        "objections": JSON_,
        "purchase_probability": "decimal(5,2) NULL DEFAULT NULL",
        "created_at": DATE,
        "updated_at": DATE,
        "result_json": JSON_,
        "finished_at": DATE,
    },
}
INDEXES: dict[str, dict[str, tuple[str, ...]]] = {
    "processing_jobs": {
        "idx_processing_jobs_status_locked_until": ("status", "locked_until"),
        "idx_processing_jobs_created_at": ("created_at",),
    },
    "processing_job_logs": {"idx_processing_job_logs_job_id": ("job_id",)},
    "user_sessions": {
        f"idx_user_sessions_{column}": (column,) for column in ("contact_status", "cooldown_until", "last_activity")
    },
}
STANDING: dict[str, set[str]] = {"processing_jobs": {"status", "created_at"}, "user_sessions": set()}
# (kind, table, name); a table that does not stand has its own part ("table", …).
Part = tuple[str, str, str]
PARTS: list[Part] = [
    *(("table", table, "") for table in COLUMNS if table not in STANDING),
    *(("column", table, name) for table, names in COLUMNS.items() for name in names),
    *(("index", table, name) for table, names in INDEXES.items() for name in names),
    ("narrow", "user_sessions", "contact_status"),
]
# The parts that earlier migrations added together.
COARSE: dict[str, list[Part]] = {
    "job locks": [part for part in PARTS if part[1] == "processing_jobs"],
    "job logs": [part for part in PARTS if part[1] == "processing_job_logs"],
    "wide status": [("wide", "user_sessions", "contact_status")],
    "follow-ups": [part for part in PARTS if part[1] == "user_sessions" and "contact_status" not in part[2]],
    "watermarks": [part for part in PARTS if part[1] == "analytics_watermarks"],
    "sync runs": [part for part in PARTS if part[1] == "sync_runs" and part[2] != "cursor"],
    "analyses": [
        part for part in PARTS if part[1] == "conversation_analysis" and part[2] not in ("result_json", "finished_at")
    ],
}


def partial(chosen: set[Part]) -> str:
    """Return what turns the two standing tables into the state that holds the chosen parts, as far as they can be."""
    changes = []
    for table, columns in COLUMNS.items():
        stands = table in STANDING or ("table", table, "") in chosen
        here = [name for name in columns if ("column", table, name) in chosen] if stands else []
        if stands and table not in STANDING:
            key = "id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY"
            changes.append(f"CREATE TABLE {table} ({key}) ENGINE = InnoDB {COLLATION}")
        for name in here:
            kind = columns[name].replace(WIDE, NARROW) if ("narrow", table, name) in chosen else columns[name]
            changes.append(f"ALTER TABLE {table} ADD COLUMN `{name}` {kind}")
        for name, over in INDEXES.get(table, {}).items():
            if stands and ("index", table, name) in chosen and set(over) <= {*here, *STANDING.get(table, ())}:
                changes.append(f"ALTER TABLE {table} ADD INDEX {name} ({', '.join(over)})")
    rows = [
        "INSERT INTO processing_jobs (job_type) VALUES ('kept')",
        "INSERT INTO user_sessions (phone) VALUES ('kept')",
    ]
    return ";\n".join(["ALTER TABLE user_sessions DROP COLUMN contact_status", *changes, *rows])


def coarse_states() -> list[set[Part]]:
    """Every subset of the coarse parts; `contact_status` is there, narrow or wide."""
    found = []
    for size in range(len(COARSE) + 1):
        for names in itertools.combinations(COARSE, size):
            state: set[Part] = {("column", "user_sessions", "contact_status")}
            state |= {part for name in names for part in COARSE[name]}
            if "wide status" not in names:
                state.add(("narrow", "user_sessions", "contact_status"))
            found.append(state)
    return found


def random_states(count: int) -> list[set[Part]]:
    """Subsets of single columns, indexes and tables, from almost none to almost all."""
    chance = dice("partial states")
    return [{part for part in PARTS if chance.random() < share} for share in (chance.random() for _ in range(count))]


def patched(server: MariadbByHand, state: set[Part]) -> tuple[str, str]:
    """Patch a state twice and take it back twice; return its final schema, and what went wrong."""
    first, patch = migrations("jobs")
    with server.database() as hand:
        hand.run(first / "up.sql", partial(state))
        before, held = hand.schema(), hand.rows()
        hand.run(patch / "up.sql")
        final, dumped = hand.outline(), hand.schema()
        hand.run(patch / "up.sql")
        wrong = ["a second run changed the schema"] if hand.schema() != dumped else []
        wrong += [f"{file.name}: {said}" for file in looks("jobs") if (said := hand.run(file))]
        wrong += ["the sample fails"] if "failure" in hand.undone(SQL / "jobs/samples/start_up.sql") else []
        hand.run(patch / "down.sql")
        wrong += ["it is not as it was"] if hand.schema() != before else []
        wrong += ["rows were lost"] if hand.rows() != held else []
        hand.run(patch / "down.sql")
        wrong += ["a second rollback changed something"] if hand.schema() != before else []
    return final, ", ".join(wrong)


def all_reach_one_schema(server: MariadbByHand, states: Sequence[set[Part]]) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda state: patched(server, state), states))
    wrong = [f"{sorted(state)}: {said}" for state, (_, said) in zip(states, results, strict=True) if said]
    assert wrong == []
    assert len({final for final, _ in results}) == 1, "not every state reaches the same schema"


@pytest.mark.slow
def test_jobs_from_coarse_states(server: MariadbByHand) -> None:
    """From every one where everything is to be tried."""
    states = coarse_states()
    assert len(states) == 2**7
    all_reach_one_schema(server, some(states, 40, "coarse states"))


@pytest.mark.slow
def test_jobs_from_random_states(server: MariadbByHand) -> None:
    all_reach_one_schema(server, [set(PARTS), set(), *random_states(many(20, 200))])


@pytest.fixture(scope="module")
def from_nothing(server: MariadbByHand) -> str:
    final, wrong = patched(server, set())
    assert not wrong
    return final


@pytest.mark.parametrize("part", PARTS, ids=["-".join(filter(None, part)) for part in PARTS])
def test_jobs_lacks_one_part(server: MariadbByHand, from_nothing: str, part: Part) -> None:
    everything = {*PARTS} - {("narrow", "user_sessions", "contact_status")}
    state = everything | {part} if part[0] == "narrow" else everything - {part}
    final, wrong = patched(server, state)
    assert not wrong
    assert final == from_nothing


def test_a_patch_that_a_lock_stops_goes_on_and_back(server: MariadbByHand, from_nothing: str) -> None:
    """Stopped in the middle of a statement: some parts are there, some are not, and one is noted but not made."""
    first, patch = migrations("jobs")
    impatient = "SET lock_wait_timeout = 1"
    with server.database() as hand:
        hand.run(first / "up.sql", partial(set()))
        before = hand.schema()
        with hand.session() as reader:
            reader.send("START TRANSACTION", "SELECT * FROM user_sessions")
            stopped = hand.attempt(impatient, patch / "up.sql")
            assert "Lock wait timeout" in stopped.stderr
        assert "locked_until" in hand.schema() and "contact_status" not in hand.tables()
        hand.run(patch / "up.sql")
        assert hand.outline() == from_nothing
        with hand.session() as reader:
            reader.send("START TRANSACTION", "SELECT * FROM processing_jobs")
            stopped = hand.attempt(impatient, patch / "down.sql")
            assert "Lock wait timeout" in stopped.stderr
        assert hand.outline() != from_nothing
        hand.run(patch / "down.sql")
        assert hand.schema() == before
