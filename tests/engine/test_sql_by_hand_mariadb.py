"""The scripts of the MySQL/MariaDB systems as a person runs them: the engine's own client, in order, twice."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.servers.mariadb import MariaDBServer
from tests.servers.mariadb_by_hand import ByHand, MariadbByHand

SQL = Path(__file__).parents[2] / "sql"
SYSTEMS = ("blazz", "jobs")
LOSE = "SET @windlass_allow_data_loss = 1"
# What scripts meet on servers that are older than the product's own habits.
CHARSETS = ("utf8mb4", "latin1", "utf8mb3 COLLATE utf8mb3_unicode_ci")
OTHER_SESSION = (
    "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_520_ci, time_zone = '+09:00', sql_mode = 'ANSI,TRADITIONAL', "
    "group_concat_max_len = 1024"
)


def migrations(system: str) -> list[Path]:
    found = sorted((SQL / system / "migrations").iterdir())
    assert found
    return found


def looks(system: str) -> list[Path]:
    """The files that only look: a row is a failure."""
    return [folder / "verify.sql" for folder in migrations(system)] + sorted((SQL / system / "checks").glob("*.sql"))


def samples(system: str) -> list[Path]:
    return sorted((SQL / system / "samples").glob("*.sql"))


def deploy(hand: ByHand, system: str) -> None:
    for folder in migrations(system):
        hand.run(folder / "up.sql")


def take_back(hand: ByHand, system: str, *before: str) -> None:
    for folder in reversed(migrations(system)):
        hand.run(*before, folder / "down.sql")


@pytest.fixture(scope="module")
def server(mariadb: MariaDBServer) -> MariadbByHand:
    return MariadbByHand(mariadb)


@pytest.fixture
def empty(server: MariadbByHand) -> Iterator[ByHand]:
    with server.database() as hand:
        yield hand


@pytest.fixture(scope="module")
def deployed(server: MariadbByHand) -> Iterator[dict[str, ByHand]]:
    """Each system on a database of its own, for tests that undo what they do there."""
    with server.database() as blazz, server.database() as jobs:
        hands = {"blazz": blazz, "jobs": jobs}
        for system, hand in hands.items():
            deploy(hand, system)
        yield hands


@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_up_and_down_in_order_each_twice(server: MariadbByHand, system: str, charset: str) -> None:
    with server.database(charset) as hand:
        before = hand.schema()
        deploy(hand, system)
        after = hand.schema()
        assert after != before
        deploy(hand, system)
        assert hand.schema() == after, "a second run changed the schema"
        assert [hand.run(file) for file in looks(system)] == [""] * len(looks(system))
        assert [file.name for file in samples(system) if "failure" in hand.undone(file)] == []
        take_back(hand, system)
        assert hand.schema() == before, "the down scripts leave something behind"
        take_back(hand, system)
        deploy(hand, system)
        assert hand.schema() == after, "up, down, up is not up"


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_file_run_twice_in_a_row(empty: ByHand, system: str) -> None:
    for folder in migrations(system):
        empty.run(folder / "up.sql", folder / "up.sql")
        assert empty.run(folder / "verify.sql", folder / "verify.sql") == ""
    for file in sorted((SQL / system / "maintenance").glob("*.sql")):
        empty.run(file, file)
    for folder in reversed(migrations(system)):
        empty.run(folder / "down.sql", folder / "down.sql")
        missing = empty.attempt(folder / "verify.sql")
        assert missing.stdout.startswith("failure"), "nothing is missing afterwards"


@pytest.mark.parametrize("system", SYSTEMS)
def test_checks_only_read(deployed: dict[str, ByHand], system: str) -> None:
    for file in looks(system):
        assert deployed[system].run(OTHER_SESSION, "START TRANSACTION READ ONLY", file, "ROLLBACK") == ""


@pytest.mark.parametrize("sample", [pytest.param(file, id=file.stem) for system in SYSTEMS for file in samples(system)])
def test_samples_pass_and_leave_nothing(deployed: dict[str, ByHand], sample: Path) -> None:
    hand = deployed[sample.parents[1].name]
    before = hand.rows()
    for steps in ((sample,), (OTHER_SESSION, sample), (OTHER_SESSION, "START TRANSACTION", sample, "ROLLBACK")):
        printed = hand.run(*steps)
        assert "failure" not in printed, printed
        assert hand.rows() == before
    with_transaction = hand.run("START TRANSACTION", sample, "SELECT @@in_transaction AS still_open", "ROLLBACK")
    assert with_transaction.endswith("still_open\n1"), "the sample ended the transaction that it ran in"


@pytest.mark.parametrize("system", SYSTEMS)
def test_interrupted_anywhere(server: MariadbByHand, system: str) -> None:
    """Killed between any two statements, a script is run again from its start, or goes on in another session."""
    for folder in migrations(system):
        earlier = [known / "up.sql" for known in migrations(system) if known.name < folder.name]
        for kind, before in (("up", earlier), ("down", [*earlier, folder / "up.sql"])):
            script = folder / f"{kind}.sql"
            statements = split(script)
            assert len(statements) == statements_by_client(script)
            with server.database() as whole:
                whole.run(*before, script)
                wanted = whole.schema()
            cases = [(kept, again) for kept in range(1, len(statements)) for again in (True, False)]

            def interrupted(
                case: tuple[int, bool],
                before: list[Path] = before,
                statements: list[str] = statements,
                script: Path = script,
                wanted: str = wanted,
            ) -> str:
                kept, again = case
                with server.database() as hand:
                    hand.run(*before)
                    hand.run(*statements[:kept])
                    if again:
                        hand.run(script)
                    else:
                        hand.run(*statements[kept:])
                    same = hand.schema() == wanted
                return "" if same else f"{script}: cut after statement {kept}, {'again' if again else 'resumed'}"

            with ThreadPoolExecutor(4) as pool:
                assert [said for said in pool.map(interrupted, cases) if said] == []


def split(script: Path) -> list[str]:
    """Part one of our own scripts into statements, each with the delimiter that its body needs."""
    found, delimiter, lines = [], ";", []
    for line in script.read_text().splitlines():
        if line.startswith("DELIMITER "):
            delimiter = line.split()[1]
        elif not line.startswith("--"):
            lines.append(line)
            if line.endswith(delimiter):
                body = "\n".join(lines).removesuffix(delimiter).strip()
                found.append(f"DELIMITER //\n{body}//\nDELIMITER ;" if delimiter == "//" else body)
                lines = []
    assert not "".join(lines).strip(), f"{script} ends in the middle of a statement"
    return found


def statements_by_client(script: Path) -> int:
    """Count the lines that end a statement by looking for what begins one."""
    text = re.sub(r"BEGIN\n.*?\nEND//", "", script.read_text(), flags=re.DOTALL)
    return len(re.findall(r"^(?:DROP|CREATE|CALL|ALTER)\b", text, flags=re.MULTILINE))


ROWS = {
    "blazz/001_standing_tables": "INSERT INTO workspaces (name) VALUES ('one')",
    "blazz/004_phase_3_queue_and_cleanup_logs": "INSERT INTO workspaces (name) VALUES ('one'); INSERT INTO "
    "session_cleanup_logs (workspace_id, cleanup_type, reason) SELECT id, 'manual', 'stale_qr' FROM workspaces",
    "jobs/001_standing_tables": "INSERT INTO user_sessions (phone) VALUES ('1')",
    "jobs/002_surgical_patch": "INSERT INTO sync_runs (`cursor`) VALUES ('{}')",
}


@pytest.mark.parametrize("place", ROWS)
def test_down_refuses_to_lose_rows(empty: ByHand, place: str) -> None:
    system, name = place.split("/")
    down = SQL / system / "migrations" / name / "down.sql"
    for folder in migrations(system):
        empty.run(folder / "up.sql")
        if folder.name == name:
            break
    empty.run(ROWS[place])
    before, held = empty.tables(), empty.rows()
    refused = empty.attempt(down)
    assert refused.returncode != 0
    assert "holds rows" in refused.stderr and "@windlass_allow_data_loss = 1" in refused.stderr
    assert empty.tables() == before and empty.rows() == held
    empty.run(LOSE, down)
    assert empty.tables() != before


def test_standing_tables_are_left_as_they_are(empty: ByHand) -> None:
    base = (SQL / "blazz/migrations/001_standing_tables/up.sql").read_text()
    empty.run(base.replace("phone_number      varchar(50) ", "phone_number varchar(60), extra int"))
    empty.run("ALTER TABLE chats ADD INDEX idx_of_their_own (wam_id)")
    before = empty.schema()
    adopted = SQL / "blazz/migrations/001_standing_tables"
    assert empty.run(adopted / "verify.sql") == ""
    empty.run(adopted / "up.sql")
    assert empty.schema() == before
    for folder in migrations("blazz")[1:]:
        empty.run(folder / "up.sql")
        assert empty.run(folder / "verify.sql") == ""
    for folder in reversed(migrations("blazz")[1:]):
        empty.run(folder / "down.sql")
    assert empty.schema() == before


# --- blazz -----------------------------------------------------------------------------------------------------------


def test_what_blazz_is_made_of(deployed: dict[str, ByHand]) -> None:
    hand = deployed["blazz"]
    assert hand.value("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()") == "9"
    added = "SELECT GROUP_CONCAT(column_name ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '{}' AND ordinal_position > {}"
    assert (
        hand.value(added.format("chats", 22)) == "webhook_sent_at,webhook_retry_count,webhook_last_error,queue_job_id"
    )
    assert (
        hand.value(added.format("whatsapp_accounts", 18))
        == "last_cleanup_at,session_restore_count,remote_session_path,health_score"
    )
    indexes = hand.value(
        "SELECT GROUP_CONCAT(DISTINCT index_name ORDER BY index_name) FROM information_schema.statistics "
        "WHERE table_schema = DATABASE() AND table_name = 'chats' AND non_unique = 1"
    )
    assert indexes == (
        "idx_account_recent,idx_account_status,idx_contact_recent,idx_read_created,idx_webhook_retry,"
        "idx_workspace_created,idx_workspace_status,idx_workspace_type"
    )
    keys = (
        "SELECT COUNT(*) FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE() "
        "AND delete_rule = '{}'"
    )
    assert (hand.value(keys.format("CASCADE")), hand.value(keys.format("SET NULL"))) == ("7", "4")


def test_additions_do_not_copy_the_table(empty: ByHand) -> None:
    """Each addition says that it is instant, or online; a server that cannot keep it refuses and changes nothing."""
    texts = [(SQL / f"blazz/migrations/{folder.name}/up.sql").read_text() for folder in migrations("blazz")]
    alters = [alter for text in texts for alter in re.findall(r"'(ALTER TABLE .*?)'\)", text, flags=re.DOTALL)]
    assert len(alters) == 12
    for alter in alters:
        promise = "ALGORITHM = INSTANT" if "ADD COLUMN" in alter else "ALGORITHM = INPLACE, LOCK = NONE"
        assert alter.endswith(promise), alter
    first, phase_1 = migrations("blazz")[:2]
    empty.run(first / "up.sql", "ALTER TABLE chats ROW_FORMAT = COMPRESSED")
    before = empty.tables()
    refused = empty.attempt(phase_1 / "up.sql")
    assert refused.returncode != 0 and "INSTANT is not supported" in refused.stderr
    assert empty.tables() == before


WORKSPACE = (
    "INSERT INTO workspaces (id, name) VALUES (1, 'one'), (2, 'two')",
    "INSERT INTO users (id, name, email) VALUES (1, 'Ann', 'ann@example.org')",
)


def account(number: int, workspace: int, status: str, phone: str, age: str) -> str:
    return (
        "INSERT INTO whatsapp_accounts (id, uuid, session_id, workspace_id, created_by, status, phone_number, "
        "last_connected_at, last_activity_at, created_at, updated_at) VALUES "
        f"({number}, '{number}', '{number}', {workspace}, 1, '{status}', {phone}, "
        f"NOW() - INTERVAL {age}, NOW() - INTERVAL {age}, NOW() - INTERVAL {age}, NOW() - INTERVAL {age})"
    )


def test_clean_up_jobs_take_all_that_is_stale(empty: ByHand) -> None:
    deploy(empty, "blazz")
    empty.run(
        *WORKSPACE,
        account(1, 1, "qr_scanning", "NULL", "31 MINUTE"),
        account(2, 2, "qr_scanning", "NULL", "29 MINUTE"),
        account(3, 1, "disconnected", "'1'", "25 HOUR"),
        account(4, 2, "disconnected", "'1'", "23 HOUR"),
        account(5, 1, "connected", "'2'", "3 DAY"),
        account(6, 1, "connected", "'2'", "2 DAY"),
        account(7, 1, "failed", "'2'", "1 DAY"),
        account(8, 2, "connected", "'2'", "3 DAY"),
        account(9, 2, "failed", "''", "3 DAY"),
        account(10, 2, "failed", "''", "3 DAY"),
        # A backlog of more than one batch.
        "INSERT INTO whatsapp_accounts (uuid, session_id, workspace_id, created_by, status, created_at) "
        "SELECT 1000 + seq, 1000 + seq, 1, 1, 'qr_scanning', NOW() - INTERVAL 1 DAY FROM seq_1_to_1200",
    )
    counts = [empty.run(file).split()[-1] for file in sorted((SQL / "blazz/maintenance").glob("*.sql"))]
    assert counts == ["1201", "1", "2", "0"]
    live = "SELECT GROUP_CONCAT(id ORDER BY id) FROM whatsapp_accounts WHERE deleted_at IS NULL"
    assert empty.value(live) == "2,4,6,8,9,10"
    logs = "SELECT CONCAT(whatsapp_account_id, ' ', cleanup_type, ' ', reason) FROM session_cleanup_logs WHERE whatsapp_account_id < 11 ORDER BY 1"
    assert empty.values(logs) == [
        "1 scheduled stale_qr",
        "3 scheduled disconnected_24h",
        "5 scheduled duplicate",
        "7 scheduled duplicate",
    ]
    details = empty.value("SELECT details FROM session_cleanup_logs WHERE whatsapp_account_id = 7")
    assert json.loads(details)["kept_account"] == 6
    again = [empty.run(file).split()[-1] for file in sorted((SQL / "blazz/maintenance").glob("*.sql"))]
    assert again == ["0", "0", "0", "0"]


def test_a_clean_up_that_fails_leaves_no_half(empty: ByHand) -> None:
    deploy(empty, "blazz")
    empty.run(
        *WORKSPACE,
        account(1, 1, "qr_scanning", "NULL", "31 MINUTE"),
        "CREATE TRIGGER refuse BEFORE UPDATE ON whatsapp_accounts FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'",
    )
    failed = empty.attempt(SQL / "blazz/maintenance/1_stale_qr.sql")
    assert failed.returncode != 0 and "no" in failed.stderr
    assert empty.value("SELECT COUNT(*) FROM session_cleanup_logs") == "0"
    wrong = empty.attempt("CALL clean_up_whatsapp_accounts('old', 'manual', NULL, NULL, 10, @n)")
    assert "the reason must be stale_qr" in wrong.stderr


def queue(rows: int) -> str:
    return (
        "INSERT INTO webhook_retry_queue (uuid, workspace_id, event_type, endpoint, payload, next_retry_at) "
        "SELECT CONCAT('row-', seq), 1 + seq % 2, 'message', 'https://example.org', '{}', "
        f"NOW() - INTERVAL seq SECOND FROM seq_1_to_{rows}"
    )


def test_a_claim_reads_the_index_and_passes_over_what_others_hold(empty: ByHand) -> None:
    deploy(empty, "blazz")
    empty.run(*WORKSPACE, queue(2000), "ANALYZE TABLE webhook_retry_queue")
    plan = empty.run(
        "EXPLAIN SELECT q.id FROM webhook_retry_queue q WHERE q.status = 'pending' AND "
        "(q.next_retry_at IS NULL OR q.next_retry_at <= NOW()) ORDER BY q.next_retry_at, q.id LIMIT 25 FOR UPDATE SKIP LOCKED"
    )
    assert "idx_status_next_retry" in plan and "filesort" not in plan
    held = "(SELECT id FROM webhook_retry_queue WHERE uuid = 'row-2000')"
    with empty.session() as other:
        other.send("START TRANSACTION", f"SELECT id FROM webhook_retry_queue WHERE id = {held} FOR UPDATE")
        claimed = empty.run("SET innodb_lock_wait_timeout = 1", "CALL claim_webhook_retries(NULL, 1, 300)")
        assert "row-1999" in claimed
        other.send("ROLLBACK")
    assert "row-2000" in empty.run("CALL claim_webhook_retries(NULL, 1, 300)")
    assert "row-1" not in empty.run("CALL claim_webhook_retries(3, 10, 300)")


DRAIN = """
CREATE TABLE claims (webhook bigint unsigned NOT NULL, worker int NOT NULL, attempt int NOT NULL) ENGINE = InnoDB;
DELIMITER //
CREATE PROCEDURE drain(IN p_worker int)
BEGIN
    REPEAT
        CALL claim_webhook_retries(NULL, 20, 300);
    UNTIL NOT EXISTS (SELECT 1 FROM webhook_retry_queue WHERE status = 'pending') END REPEAT;
END//
DELIMITER ;
"""


@pytest.mark.slow
def test_eight_workers_claim_ten_thousand_webhooks_once_each(empty: ByHand) -> None:
    workers, rows = 8, 10_000
    deploy(empty, "blazz")
    empty.run(*WORKSPACE, queue(rows), DRAIN)
    with ThreadPoolExecutor(workers) as pool:
        printed = list(pool.map(lambda worker: empty.run(f"CALL drain({worker})"), range(workers)))
    claimed = [
        [line.split("\t")[1] for line in text.splitlines() if line.split("\t")[1:2] != ["uuid"]] for text in printed
    ]
    everything = list(itertools.chain.from_iterable(claimed))
    assert len(everything) == rows
    assert len(set(everything)) == rows
    assert sum(1 for worker in claimed if worker) > 1, "one worker did everything: nothing was tried"
    once = "SELECT COUNT(*) FROM webhook_retry_queue WHERE status = 'retrying' AND retry_count = 1 AND next_retry_at > NOW()"
    assert empty.value(once) == str(rows)


# --- jobs ------------------------------------------------------------------------------------------------------------

COLLATION = "DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
NARROW = "enum('ACTIVE','OPT_OUT','CLOSED')"
WIDE = "enum('ACTIVE','BLOCKED','PAUSED','OPT_OUT','CLOSED')"
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


def random_states(seed: int, count: int) -> list[set[Part]]:
    """Subsets of single columns, indexes and tables, from almost none to almost all."""
    chance = random.Random(seed)
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


def all_reach_one_schema(server: MariadbByHand, states: list[set[Part]]) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda state: patched(server, state), states))
    wrong = [f"{sorted(state)}: {said}" for state, (_, said) in zip(states, results, strict=True) if said]
    assert wrong == []
    assert len({final for final, _ in results}) == 1, "not every state reaches the same schema"


@pytest.mark.slow
def test_jobs_from_every_coarse_state(server: MariadbByHand) -> None:
    states = coarse_states()
    assert len(states) == 2**7
    all_reach_one_schema(server, states)


@pytest.mark.slow
def test_jobs_from_random_states(server: MariadbByHand) -> None:
    seed = int(os.environ.get("WINDLASS_TEST_SEED", random.randrange(10**6)))
    print(f"seed {seed} (WINDLASS_TEST_SEED={seed} repeats it)")
    all_reach_one_schema(server, [set(PARTS), set(), *random_states(seed, 40)])


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


def test_an_index_of_another_name_serves(empty: ByHand) -> None:
    first, patch = migrations("jobs")
    empty.run(first / "up.sql", "ALTER TABLE processing_jobs ADD INDEX theirs (created_at)")
    empty.run(patch / "up.sql")
    assert empty.run(patch / "verify.sql") == ""
    assert "idx_processing_jobs_created_at" not in empty.schema()
    empty.run(patch / "down.sql")
    assert "theirs" in empty.schema()


def test_the_enum_keeps_its_other_properties(empty: ByHand) -> None:
    first, patch = migrations("jobs")
    theirs = "CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL DEFAULT 'CLOSED' COMMENT 'who''s there'"
    empty.run(first / "up.sql", f"ALTER TABLE user_sessions MODIFY contact_status {NARROW} {theirs}")
    before = empty.schema()
    empty.run(patch / "up.sql")
    shown = empty.run("SHOW CREATE TABLE user_sessions")
    assert f"{WIDE} CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL DEFAULT 'CLOSED' COMMENT" in shown
    empty.run(patch / "down.sql")
    assert empty.schema() == before


@pytest.mark.parametrize(
    "theirs", ["enum('ACTIVE','OPT_OUT','CLOSED','VIP')", "varchar(20)", "enum('active','closed')"]
)
def test_an_unknown_enum_is_refused_and_left(empty: ByHand, theirs: str) -> None:
    first, patch = migrations("jobs")
    empty.run(first / "up.sql", f"ALTER TABLE user_sessions MODIFY contact_status {theirs}")
    refused = empty.attempt(patch / "up.sql")
    assert refused.returncode != 0 and "unknown to this patch" in refused.stderr
    assert theirs in empty.run("SHOW CREATE TABLE user_sessions")


STATUSES = ("ACTIVE", "BLOCKED", "PAUSED", "OPT_OUT", "CLOSED")
STATUS_ROWS = "INSERT INTO user_sessions (phone, contact_status) VALUES " + ", ".join(
    f"('{number}', '{status}')" for number, status in enumerate(STATUSES)
)
STATUS_LIST = "SELECT GROUP_CONCAT(contact_status ORDER BY phone) FROM user_sessions"


@pytest.mark.parametrize("mode", ["", "STRICT_TRANS_TABLES"])
def test_the_enum_is_turned_back_only_on_an_explicit_word(empty: ByHand, mode: str) -> None:
    first, patch = migrations("jobs")
    empty.run(first / "up.sql")
    before = empty.schema()
    empty.run(patch / "up.sql", STATUS_ROWS)
    outline = empty.outline()
    loose = f"SET sql_mode = '{mode}'"
    refused = empty.attempt(loose, patch / "down.sql")
    assert refused.returncode != 0
    assert "BLOCKED, PAUSED" in refused.stderr and "@windlass_allow_data_loss = 1" in refused.stderr
    assert empty.outline() == outline
    assert empty.value(STATUS_LIST) == ",".join(STATUSES)
    said = empty.run(loose, LOSE, patch / "down.sql")
    assert "1 sessions were BLOCKED and are OPT_OUT now; 1 were PAUSED and are CLOSED now" in said
    assert empty.value(STATUS_LIST) == "ACTIVE,OPT_OUT,CLOSED,OPT_OUT,CLOSED"
    assert empty.schema().replace(" AUTO_INCREMENT=6", "") == before


def test_rows_without_blocked_or_paused_do_not_stop_the_rollback(empty: ByHand) -> None:
    first, patch = migrations("jobs")
    empty.run(
        first / "up.sql", patch / "up.sql", "INSERT INTO user_sessions (phone, contact_status) VALUES ('1', 'OPT_OUT')"
    )
    empty.run(patch / "down.sql")
    assert empty.value(STATUS_LIST) == "OPT_OUT"
    # The column was the patch's own: its values would go with it.
    empty.run("ALTER TABLE user_sessions DROP COLUMN contact_status", patch / "up.sql")
    empty.run("UPDATE user_sessions SET contact_status = 'OPT_OUT'")
    assert "contact_status holds" in empty.attempt(patch / "down.sql").stderr
    empty.run(LOSE, patch / "down.sql")
    assert "contact_status" not in empty.schema()


def test_expired_locks_are_released(empty: ByHand) -> None:
    deploy(empty, "jobs")
    empty.run(
        "INSERT INTO processing_jobs (job_type, locked_by, locked_until) VALUES ('a', 'h:1', NOW() - INTERVAL 6 MINUTE), "
        "('b', 'h:1', NOW() - INTERVAL 1 MINUTE), ('c', 'h:1', NOW() + INTERVAL 1 MINUTE)"
    )
    empty.run(SQL / "jobs/maintenance/expired_locks.sql")
    assert (
        empty.value("SELECT GROUP_CONCAT(job_type ORDER BY job_type) FROM processing_jobs WHERE locked_by IS NOT NULL")
        == "b,c"
    )


# What is broken, the file that must notice, and a part of what it must say.
BROKEN = [
    (
        "blazz/migrations/001_standing_tables/verify",
        "ALTER TABLE chats DROP COLUMN wam_id",
        "column chats.wam_id is missing",
    ),
    (
        "blazz/migrations/001_standing_tables/verify",
        "ALTER TABLE whatsapp_accounts MODIFY status enum('connected', 'failed') NOT NULL",
        "column whatsapp_accounts.status is enum('connected','failed')",
    ),
    (
        "blazz/migrations/001_standing_tables/verify",
        "ALTER TABLE contacts DROP INDEX unique_active_phone_workspace",
        "contacts has no unique index on (workspace_id, phone, deleted_at)",
    ),
    (
        "blazz/migrations/001_standing_tables/verify",
        "ALTER TABLE chats DROP FOREIGN KEY chats_contact_id_foreign",
        "chats has no foreign key on contact_id to contacts(id), on delete CASCADE",
    ),
    (
        "blazz/migrations/001_standing_tables/verify",
        "ALTER TABLE campaigns DROP INDEX idx_campaign_workspace_status",
        "index idx_campaign_workspace_status of campaigns should be (workspace_id, status), is missing",
    ),
    (
        "blazz/migrations/002_phase_1_chats_webhook/verify",
        "ALTER TABLE chats MODIFY webhook_retry_count int NULL",
        "chats.webhook_retry_count should be int not null default 0, is int null default none",
    ),
    (
        "blazz/migrations/002_phase_1_chats_webhook/verify",
        "ALTER TABLE chats DROP INDEX idx_webhook_retry, ADD INDEX idx_webhook_retry (webhook_sent_at)",
        "should be (webhook_retry_count, webhook_sent_at), is (webhook_sent_at)",
    ),
    (
        "blazz/migrations/003_phase_2_account_health/verify",
        "ALTER TABLE whatsapp_accounts ALTER health_score SET DEFAULT 50",
        "should be int not null default 100, is int not null default 50",
    ),
    (
        "blazz/migrations/003_phase_2_account_health/verify",
        "ALTER TABLE whatsapp_accounts DROP INDEX idx_stale_detection",
        "idx_stale_detection of whatsapp_accounts should be (status, last_activity_at), is missing",
    ),
    (
        "blazz/migrations/004_phase_3_queue_and_cleanup_logs/verify",
        "ALTER TABLE webhook_retry_queue MODIFY status enum('pending', 'success') NOT NULL DEFAULT 'pending'",
        "webhook_retry_queue.status should be enum('pending','retrying','success','failed')",
    ),
    (
        "blazz/migrations/004_phase_3_queue_and_cleanup_logs/verify",
        "ALTER TABLE webhook_retry_queue DROP INDEX webhook_retry_queue_uuid_unique, ADD INDEX webhook_retry_queue_uuid_unique (uuid)",
        "should be unique (uuid), is (uuid)",
    ),
    (
        "blazz/migrations/004_phase_3_queue_and_cleanup_logs/verify",
        "ALTER TABLE session_cleanup_logs DROP FOREIGN KEY session_cleanup_logs_whatsapp_account_id_foreign",
        "session_cleanup_logs has no foreign key on whatsapp_account_id to whatsapp_accounts(id), on delete SET NULL",
    ),
    (
        "blazz/migrations/005_phase_4_chats_account_status/verify",
        "ALTER TABLE chats DROP INDEX idx_account_status",
        "idx_account_status of chats should be (whatsapp_account_id, message_status), is missing",
    ),
    (
        "blazz/migrations/006_webhook_retry_procedures/verify",
        "DROP PROCEDURE finish_webhook_retry",
        "procedure finish_webhook_retry is missing",
    ),
    (
        "blazz/migrations/007_session_cleanup_procedures/verify",
        "DROP PROCEDURE clean_up_whatsapp_accounts",
        "procedure clean_up_whatsapp_accounts is missing",
    ),
    (
        "blazz/checks/1_schema",
        "ALTER TABLE chats DROP COLUMN queue_job_id",
        "chats.queue_job_id should be varchar(255)",
    ),
    ("blazz/checks/1_schema", "DROP TABLE session_cleanup_logs", "session_cleanup_logs.reason should be enum("),
    ("blazz/checks/1_schema", "DROP PROCEDURE expire_webhook_retries", "procedure expire_webhook_retries is missing"),
    (
        "blazz/checks/2_health",
        f"{WORKSPACE[0]}; {queue(1)}; UPDATE webhook_retry_queue SET next_retry_at = NOW() - INTERVAL 3 HOUR",
        "and no worker claims it",
    ),
    (
        "blazz/checks/2_health",
        f"{WORKSPACE[0]}; {queue(1)}; UPDATE webhook_retry_queue SET status = 'retrying', updated_at = NOW(), "
        "next_retry_at = NOW() - INTERVAL 3 HOUR",
        "its worker was given up for lost",
    ),
    (
        "blazz/checks/2_health",
        f"{WORKSPACE[0]}; {queue(1)}; UPDATE webhook_retry_queue SET retry_count = 3",
        "is pending after 3 of 3 tries",
    ),
    (
        "blazz/checks/2_health",
        f"{';'.join(WORKSPACE)}; {account(1, 1, 'disconnected', 'NULL', '27 HOUR')}",
        "account 1 is disconnected and untouched",
    ),
    (
        "blazz/checks/2_health",
        f"{';'.join(WORKSPACE)}; {account(1, 1, 'failed', 'NULL', '1 HOUR')}; "
        "UPDATE whatsapp_accounts SET deleted_at = NOW(), last_cleanup_at = NOW()",
        "without a row in session_cleanup_logs",
    ),
    (
        "blazz/samples/webhook_retries",
        "ALTER TABLE webhook_retry_queue DROP FOREIGN KEY webhook_retry_queue_workspace_id_foreign",
        "outlived its workspace",
    ),
    (
        "blazz/samples/webhook_retries",
        "CREATE TRIGGER t BEFORE UPDATE ON webhook_retry_queue FOR EACH ROW SET NEW.status = "
        "IF(NEW.status = 'failed', 'pending', NEW.status)",
        "a failure of the last try: expected failed, got pending",
    ),
    (
        "blazz/samples/webhook_retries",
        "CREATE TRIGGER t BEFORE UPDATE ON webhook_retry_queue FOR EACH ROW SET NEW.next_retry_at = OLD.next_retry_at, "
        "NEW.status = IF(OLD.status = 'pending', 'pending', NEW.status)",
        "should be retrying 1 leased, is pending 1",
    ),
    (
        "blazz/samples/session_cleanup",
        "CREATE TRIGGER t BEFORE INSERT ON session_cleanup_logs FOR EACH ROW SET NEW.reason = 'manual_request'",
        "sample-qr-31 should be deleted, scheduled stale_qr, is deleted, scheduled manual_request",
    ),
    (
        "blazz/samples/session_cleanup",
        "CREATE TRIGGER t BEFORE UPDATE ON whatsapp_accounts FOR EACH ROW SET NEW.deleted_at = "
        "IF(NEW.phone_number = '15550003', OLD.deleted_at, NEW.deleted_at)",
        "sample-old should be deleted",
    ),
    (
        "jobs/migrations/001_standing_tables/verify",
        "ALTER TABLE processing_jobs DROP COLUMN status",
        "processing_jobs.status is missing",
    ),
    (
        "jobs/migrations/002_surgical_patch/verify",
        "ALTER TABLE processing_jobs MODIFY locked_by varchar(50) NULL",
        "processing_jobs.locked_by should be varchar(100) null default none, is varchar(50) null default none",
    ),
    (
        "jobs/migrations/002_surgical_patch/verify",
        f"ALTER TABLE user_sessions MODIFY contact_status {NARROW}",
        "user_sessions.contact_status should be enum('ACTIVE','BLOCKED','PAUSED','OPT_OUT','CLOSED'), is enum(",
    ),
    (
        "jobs/migrations/002_surgical_patch/verify",
        "DROP TABLE analytics_watermarks",
        "analytics_watermarks.name is missing",
    ),
    (
        "jobs/migrations/002_surgical_patch/verify",
        "ALTER TABLE sync_runs DROP COLUMN `cursor`",
        "sync_runs.cursor should be json",
    ),
    (
        "jobs/migrations/002_surgical_patch/verify",
        "ALTER TABLE user_sessions DROP INDEX idx_user_sessions_cooldown_until",
        "user_sessions has no index on (cooldown_until)",
    ),
    ("jobs/checks/1_start_up", "ALTER TABLE processing_jobs DROP COLUMN locked_until", "Unknown column 'locked_until'"),
    (
        "jobs/checks/1_start_up",
        "ALTER TABLE user_sessions DROP COLUMN contact_status",
        "Unknown column 'contact_status'",
    ),
    *(
        ("jobs/checks/1_start_up", f"DROP TABLE {table}", f"{table}' doesn't exist")
        for table in ("processing_job_logs", "analytics_watermarks", "sync_runs", "conversation_analysis")
    ),
    (
        "jobs/checks/2_leftovers",
        "SET sql_mode = ''; INSERT INTO user_sessions (phone, contact_status) VALUES ('1', 'VIP')",
        "has an empty contact status",
    ),
    (
        "jobs/checks/2_leftovers",
        "INSERT INTO processing_jobs (job_type, locked_until) VALUES ('a', NOW() + INTERVAL 1 HOUR)",
        "by nobody",
    ),
    (
        "jobs/checks/2_leftovers",
        "INSERT INTO processing_jobs (job_type, locked_by, locked_until) VALUES ('a', 'h:1', NOW() - INTERVAL 3 HOUR)",
        "is still held by h:1",
    ),
    (
        "jobs/samples/start_up",
        "CREATE TRIGGER t BEFORE UPDATE ON processing_jobs FOR EACH ROW SET NEW.locked_until = NULL",
        "is held by host:4712 after 2 tries",
    ),
    (
        "jobs/samples/start_up",
        "CREATE TRIGGER t BEFORE UPDATE ON sync_runs FOR EACH ROW SET NEW.`cursor` = OLD.`cursor`",
        "not found again: the cursor of a sync run",
    ),
    (
        "jobs/samples/start_up",
        "CREATE TRIGGER t BEFORE INSERT ON user_sessions FOR EACH ROW SET NEW.contact_status = 'ACTIVE'",
        "ACTIVE 0, ACTIVE 0, ACTIVE 0",
    ),
]


@pytest.mark.parametrize(
    ("file", "breakage", "said"), BROKEN, ids=[f"{file}: {how}"[:100].replace("/", ".") for file, how, _ in BROKEN]
)
def test_checks_notice_what_is_broken(empty: ByHand, file: str, breakage: str, said: str) -> None:
    deploy(empty, file.partition("/")[0])
    empty.run(breakage)
    done = empty.attempt(SQL / f"{file}.sql")
    assert said in done.stdout + done.stderr
