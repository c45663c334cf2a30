"""The scripts of the MySQL/MariaDB systems as a person runs them: the engine's own client, in order, twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine.by_hand_mysql.scripts import (
    CHARSETS,
    LOSE,
    OTHER_SESSION,
    SQL,
    SYSTEMS,
    deploy,
    looks,
    migrations,
    samples,
    split,
    statements_by_client,
    take_back,
)
from tests.faults.chance import some
from tests.servers.mariadb_by_hand import ByHand, MariadbByHand


@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_up_and_down_in_order_each_twice(each_server: MariadbByHand, system: str, charset: str) -> None:
    with each_server.database(charset) as hand:
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
    """Killed between two statements, a script is run again from its start, or goes on in another session."""
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
                chosen = some(cases, 8, "interrupted", system, folder.name, kind)
                assert [said for said in pool.map(interrupted, chosen) if said] == []


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
