"""The scripts of the SQL Server system as a person runs them: batch by batch, in order, twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from tests.faults.chance import dice
from tests.servers.mssql import SQLServer
from tests.servers.mssql_by_hand import ByHand, Failed

CLINIC = Path(__file__).parents[2] / "sql/clinic"
STANDING, STATUS, CLAIM, STALE = FOLDERS = sorted((CLINIC / "migrations").iterdir())
CHECKS = [folder / "verify.sql" for folder in FOLDERS] + sorted((CLINIC / "checks").glob("*.sql"))
SAMPLE = CLINIC / "samples/message_status.sql"
LOSE = "EXEC sys.sp_set_session_context N'windlass.allow_data_loss', N'yes'"
APPOINTMENTS, PHONES = "Clinic_PatientsAppointments", "Clinic_PatientsTelNumbers"
FLOWS = {  # procedure, table, key, prefix of the columns
    "Appointment": (APPOINTMENTS, "AppointmentID", "WhatsApp"),
    "Schedule": (APPOINTMENTS, "AppointmentID", "ScheduleWhatsApp"),
    "TelNumber": (PHONES, "TelNumberID", "WhatsApp"),
}
DIGITS = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))"


@pytest.fixture
def empty(mssql: SQLServer) -> Iterator[ByHand]:
    with mssql.database() as url:
        hand = ByHand(url)
        yield hand
        hand.close()


@pytest.fixture(scope="module")
def place(mssql: SQLServer) -> Iterator[str]:
    """A database with the system on it, for tests that leave its schema alone: deploying takes longer than they do."""
    with mssql.database() as url:
        hand = ByHand(url)
        deploy(hand)
        hand.close()
        yield url


@pytest.fixture
def deployed(place: str) -> Iterator[ByHand]:
    hand = ByHand(place)
    hand.run(f"TRUNCATE TABLE dbo.{APPOINTMENTS}", f"TRUNCATE TABLE dbo.{PHONES}")
    yield hand
    hand.close()


def deploy(hand: ByHand) -> None:
    hand.run(*(folder / "up.sql" for folder in FOLDERS))


def take_back(hand: ByHand) -> None:
    hand.run(*(folder / "down.sql" for folder in reversed(FOLDERS)))


def fill(hand: ByHand, table: str, rows: int) -> None:
    own = "AppointmentDate" if table == APPOINTMENTS else "TelNumber"
    value = "'20260102'" if table == APPOINTMENTS else "N'1555'"
    many = ", ".join(f"{DIGITS} AS d{n} (n)" for n in range(len(str(rows - 1))))
    hand.run(f"INSERT INTO dbo.{table} (PatientID, {own}) SELECT TOP ({rows}) 1, {value} FROM {many}")


def test_up_and_down_in_order_each_twice(empty: ByHand) -> None:
    before = empty.schema()
    deploy(empty)
    after = empty.schema()
    deploy(empty)
    assert empty.schema() == after, "a second run changed the schema"
    assert empty.run(*CHECKS) == []
    take_back(empty)
    assert empty.schema() == before, "the down scripts leave something behind"
    take_back(empty)
    deploy(empty)
    assert empty.schema() == after, "up, down, up is not up"


def test_each_file_run_twice_in_a_row(empty: ByHand) -> None:
    for folder in FOLDERS:
        empty.run(folder / "up.sql", folder / "up.sql")
        assert empty.run(folder / "verify.sql", folder / "verify.sql") == []
    for job in sorted((CLINIC / "maintenance").glob("*.sql")):
        assert {count for row in empty.run(job, job) for count in row} == {0}
    for folder in reversed(FOLDERS):
        empty.run(folder / "down.sql", folder / "down.sql")
        # The last look of 001 names columns that are gone; those in front of it say so.
        assert empty.run_on(folder / "verify.sql") or empty.run(folder / "verify.sql"), "nothing is missing afterwards"


def test_the_sample_passes_and_leaves_nothing(deployed: ByHand) -> None:
    for before, after in ((), ()), (("BEGIN TRANSACTION",), ("ROLLBACK",)):
        rows = deployed.run(*before, SAMPLE, *after)
        assert [row for row in rows if isinstance(row[0], str)] == []
        for table in (APPOINTMENTS, PHONES):
            assert deployed.value(f"SELECT COUNT(*) FROM dbo.{table}") == 0


Column = tuple[str, str, str]
ADDED: list[Column] = [
    (table, f"{prefix}{part}", kind)
    for table, _, prefix in FLOWS.values()
    for part, kind in (
        ("Status", "tinyint NOT NULL"),
        ("WorkerID", "nvarchar(128) NULL"),
        ("ProcessedAt", "datetime2(3) NULL"),
        ("RetryCount", "int NOT NULL"),
    )
]


def partial_states() -> list[dict[str, str]]:
    """What of the migration stands, by table and column: each column alone, all but one, and a seeded handful."""
    chance = dice("partial states")
    names = [f"{table}.{column}" for table, column, _ in ADDED]
    full = dict.fromkeys(names, "nameless default")
    states = [{}, full, dict.fromkeys(names, "no default")]
    states += [{name: how for name, how in full.items() if name != missing} for missing in names[::3]]
    kinds = ("", "no default", "nameless default", "index")
    states += [{name: how for name in names if (how := chance.choice(kinds))} for _ in range(4)]
    return states


def test_any_part_of_the_columns_becomes_the_whole_and_goes_again(empty: ByHand) -> None:
    empty.run(STANDING / "up.sql")
    before = empty.schema()
    empty.run(STATUS / "up.sql")
    whole = without_default_names(empty.schema())
    empty.run(STATUS / "down.sql")
    for state in partial_states():
        for table, column, kind in ADDED:
            how = state.get(f"{table}.{column}")
            if how:
                default = " DEFAULT (0)" if "NOT NULL" in kind and how != "no default" else ""
                empty.run(f"ALTER TABLE dbo.{table} ADD {column} {kind}{default}")
            if how == "index" and not column.endswith("Status"):
                empty.run(f"CREATE INDEX theirs_{column} ON dbo.{table} ({column})")
        empty.run(STATUS / "up.sql")
        assert empty.run(STATUS / "verify.sql") == [], state
        assert [row for row in without_default_names(empty.schema()) if "theirs_" not in str(row[1])] == whole, state
        if any(how == "index" for how in state.values()) and empty.is_babelfish():
            # Babelfish does not show an index under the name by which it could be dropped, and does not need it gone.
            for table, column, _ in ADDED:
                if state.get(f"{table}.{column}") == "index" and not column.endswith("Status"):
                    empty.run(f"DROP INDEX theirs_{column} ON dbo.{table}")
        empty.run(STATUS / "down.sql")
        assert empty.schema() == before, state


def without_default_names(schema: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted((row[:-1] if len(row) == 9 else row for row in schema), key=repr)


def test_old_flags_are_converted_and_stay(empty: ByHand) -> None:
    empty.run(STANDING / "up.sql")
    fill(empty, APPOINTMENTS, 100)
    fill(empty, PHONES, 10)
    empty.run(
        f"UPDATE dbo.{APPOINTMENTS} SET IsWhatsAppSent = AppointmentID % 2, "
        "IsScheduleWhatsAppSent = CASE WHEN AppointmentID % 3 = 0 THEN 1 ELSE 0 END",
        f"UPDATE dbo.{PHONES} SET IsWhatsAppSent = 1 WHERE TelNumberID <= 4",
    )
    empty.run(STATUS / "up.sql")
    flags = (
        f"SELECT IsWhatsAppSent, WhatsAppStatus, IsScheduleWhatsAppSent, ScheduleWhatsAppStatus, COUNT(*) "
        f"FROM dbo.{APPOINTMENTS} GROUP BY IsWhatsAppSent, WhatsAppStatus, IsScheduleWhatsAppSent, ScheduleWhatsAppStatus"
    )
    wanted = [(False, 0, False, 0, 34), (False, 0, True, 2, 16), (True, 2, False, 0, 33), (True, 2, True, 2, 17)]
    assert sorted(empty.run(flags)) == wanted
    assert empty.value(f"SELECT COUNT(*) FROM dbo.{PHONES} WHERE IsWhatsAppSent = 1 AND WhatsAppStatus = 2") == 4
    # What happened since is not converted again.
    empty.run(f"UPDATE dbo.{PHONES} SET WhatsAppStatus = 3 WHERE TelNumberID = 1", STATUS / "up.sql")
    assert empty.value(f"SELECT WhatsAppStatus FROM dbo.{PHONES} WHERE TelNumberID = 1") == 3
    assert sorted(empty.run(flags)) == wanted
    with pytest.raises(Failed, match="their status would be lost"):
        empty.run(STATUS / "down.sql")
    empty.run(f"UPDATE dbo.{PHONES} SET WhatsAppStatus = 2 WHERE TelNumberID = 1", STATUS / "down.sql")
    assert empty.value(f"SELECT COUNT(*) FROM dbo.{APPOINTMENTS} WHERE IsWhatsAppSent = 1") == 50


def test_what_was_converted_only_in_part_is_seen_by_verify(deployed: ByHand) -> None:
    fill(deployed, APPOINTMENTS, 3)
    deployed.run(f"UPDATE dbo.{APPOINTMENTS} SET IsScheduleWhatsAppSent = 1")
    ((said,),) = deployed.run(STATUS / "verify.sql")
    assert said.startswith("3 rows of Clinic_PatientsAppointments have IsScheduleWhatsAppSent = 1")


@pytest.mark.parametrize(
    "used",
    ["WhatsAppStatus = 1", "ScheduleWhatsAppStatus = 2", "WhatsAppWorkerID = N'h:1'", "ScheduleWhatsAppRetryCount = 1"],
)
def test_what_would_be_lost_stops_the_rollback_even_where_the_client_goes_on(deployed: ByHand, used: str) -> None:
    fill(deployed, APPOINTMENTS, 2)
    deployed.run(f"UPDATE dbo.{APPOINTMENTS} SET {used} WHERE AppointmentID = 2")
    before = deployed.schema()
    (error,) = deployed.run_on(STATUS / "down.sql")
    assert "back up, then set windlass.allow_data_loss" in error
    (error,) = deployed.run_on(STANDING / "down.sql")
    assert "the standing tables hold rows" in error
    assert deployed.schema() == before
    assert deployed.value(f"SELECT COUNT(*) FROM dbo.{APPOINTMENTS} WHERE {used}") == 1


def test_the_word_lets_rows_go(empty: ByHand) -> None:
    deploy(empty)
    fill(empty, APPOINTMENTS, 2)
    empty.run(f"UPDATE dbo.{APPOINTMENTS} SET WhatsAppStatus = 1", LOSE)
    take_back(empty)
    assert empty.value("SELECT COUNT(*) FROM sys.tables WHERE name LIKE 'Clinic[_]%'") == 0


@pytest.mark.parametrize(("flow", "rows"), [("Appointment", 10_000), ("Schedule", 1_000), ("TelNumber", 1_000)])
def test_eight_workers_claim_each_row_exactly_once(deployed: ByHand, flow: str, rows: int) -> None:
    table, key, prefix = FLOWS[flow]
    fill(deployed, table, rows)
    all_at_work = Barrier(8)

    def work(number: int) -> list[tuple[int, int]]:
        claim = f"EXEC dbo.Clinic_Claim{flow}Messages @WorkerID = N'host:{number}', @Limit = 50"
        with deployed.other() as session:
            claimed = until_no_deadlock(session, claim)
            # Nobody goes on before all of them have claimed something: however busy the machine is, they meet.
            all_at_work.wait(120)
            while session.value(f"SELECT COUNT(*) FROM dbo.{table} WITH (NOLOCK) WHERE {prefix}Status = 0"):
                claimed += until_no_deadlock(session, claim)
        return [(row[0], number) for row in claimed]

    with ThreadPoolExecutor(8) as pool:
        claims = [claim for claims in pool.map(work, range(8)) for claim in claims]
    assert len(claims) == rows
    assert len({row for row, _ in claims}) == rows
    assert {number for _, number in claims} == set(range(8)), "not all of them worked at once"
    kept = deployed.run(f"SELECT {key}, {prefix}WorkerID FROM dbo.{table} WHERE {prefix}Status = 1")
    assert sorted(kept) == sorted((row, f"host:{number}") for row, number in claims)


def until_no_deadlock(session: ByHand, statement: str) -> list[tuple[Any, ...]]:
    while True:
        try:
            return session.run(statement)
        except Failed as error:
            if "deadlock" not in str(error).lower():
                raise


def test_a_claim_passes_over_what_another_holds(deployed: ByHand) -> None:
    if deployed.is_babelfish():
        pytest.skip("Babelfish ignores READPAST: a second claim waits for the first")
    fill(deployed, APPOINTMENTS, 10)
    claim = "EXEC dbo.Clinic_ClaimAppointmentMessages @WorkerID = N'{}', @Limit = 6"
    with deployed.other() as first:
        held = first.run("BEGIN TRANSACTION", claim.format("first:1"))
        rest = deployed.run("SET LOCK_TIMEOUT 5000", claim.format("second:1"))
        first.run("COMMIT")
    assert (len(held), len(rest)) == (6, 4)
    assert not {row[0] for row in held} & {row[0] for row in rest}


@pytest.mark.parametrize("flow", FLOWS)
def test_a_table_with_a_trigger_and_a_strict_caller_are_served(deployed: ByHand, flow: str) -> None:
    table, key, prefix = FLOWS[flow]
    fill(deployed, table, 1)
    if not deployed.is_babelfish():
        deployed.run("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    deployed.run("BEGIN TRANSACTION", f"CREATE TRIGGER dbo.theirs ON dbo.{table} AFTER UPDATE AS SET NOCOUNT ON")
    ((found, retries, _),) = deployed.run(f"EXEC dbo.Clinic_Claim{flow}Messages @WorkerID = N'h:1'")
    assert (found, retries) == (1, 0)
    finish = (
        f"DECLARE @status tinyint; EXEC dbo.Clinic_Finish{flow}Message @{key} = 1, @WorkerID = N'{{}}', "
        "@RetryCount = 0, @Sent = 1, @Status = @status OUTPUT; SELECT @status"
    )
    assert deployed.value(finish.format("h:2")) is None
    assert deployed.value(finish.format("h:1")) == 2
    assert deployed.run(f"SELECT {prefix}Status, Is{prefix}Sent FROM dbo.{table}") == [(2, True)]
    deployed.run("ROLLBACK")


def test_a_claim_needs_a_worker(deployed: ByHand) -> None:
    fill(deployed, APPOINTMENTS, 1)
    for nobody in ("NULL", "N''"):
        with pytest.raises(Failed, match="needs the name of its worker"):
            deployed.run(f"EXEC dbo.Clinic_ClaimAppointmentMessages @WorkerID = {nobody}")
    assert deployed.value(f"SELECT WhatsAppStatus FROM dbo.{APPOINTMENTS}") == 0


def test_stale_claims_come_back_in_batches_and_fail_past_the_maximum(deployed: ByHand) -> None:
    job = CLINIC / "maintenance/1_stale_claims.sql"
    fill(deployed, APPOINTMENTS, 900)
    stale, young = (f"DATEADD(MINUTE, -{minutes}, SYSUTCDATETIME())" for minutes in (6, 4))
    deployed.run(
        f"UPDATE dbo.{APPOINTMENTS} SET WhatsAppStatus = 1, WhatsAppWorkerID = N'h:1', WhatsAppRetryCount = "
        f"CASE WHEN AppointmentID <= 600 THEN 2 ELSE 3 END, WhatsAppProcessedAt = "
        f"CASE WHEN AppointmentID <= 700 THEN {stale} ELSE {young} END"
    )
    passes = [deployed.run(job)[0] for _ in range(3)]
    assert [sum(counts) for counts in passes] == [500, 200, 0]
    assert sum(pending for pending, _ in passes) == 600
    lives = (
        f"SELECT WhatsAppStatus, WhatsAppRetryCount, MAX(WhatsAppWorkerID), COUNT(*) FROM dbo.{APPOINTMENTS} GROUP BY"
    )
    assert sorted(deployed.run(f"{lives} WhatsAppStatus, WhatsAppRetryCount"), key=repr) == [
        (0, 3, None, 600),
        (1, 3, "h:1", 200),
        (3, 3, "h:1", 100),
    ]


def test_old_code_may_go_on(deployed: ByHand) -> None:
    fill(deployed, PHONES, 3)
    deployed.run(f"UPDATE dbo.{PHONES} SET IsWhatsAppSent = 1 WHERE TelNumberID <= 2")
    claimed = deployed.run("EXEC dbo.Clinic_ClaimTelNumberMessages @WorkerID = N'h:1', @Limit = 10")
    assert [row[0] for row in claimed] == [3]
    job = CLINIC / "maintenance/2_old_flags.sql"
    assert deployed.run(job, job) == [(2,), (0,)]
    assert deployed.run(STATUS / "verify.sql") == []


# What is broken, the file that must notice, and a part of what it must say.
BROKEN = [
    (
        STANDING / "verify.sql",
        f"ALTER TABLE dbo.{PHONES} DROP CONSTRAINT PK_{PHONES}",
        f"{PHONES}.TelNumberID is not unique",
    ),
    (
        STATUS / "verify.sql",
        f"DROP INDEX IX_Patients_WhatsAppStatus ON dbo.{PHONES}",
        "index IX_Patients_WhatsAppStatus of Clinic_PatientsTelNumbers (WhatsAppStatus) is missing",
    ),
    (
        STATUS / "verify.sql",
        f"ALTER TABLE dbo.{PHONES} DROP CONSTRAINT CK_{PHONES}_WhatsAppStatus",
        f"check CK_{PHONES}_WhatsAppStatus is missing",
    ),
    (
        STATUS / "verify.sql",
        f"ALTER TABLE dbo.{PHONES} ALTER COLUMN WhatsAppWorkerID nvarchar(50)",
        "WhatsAppWorkerID should be nvarchar(128) null, is nvarchar(50) null",
    ),
    (
        CLINIC / "checks/1_schema.sql",
        "DROP PROCEDURE dbo.Clinic_TakeBackMessages",
        "procedure Clinic_TakeBackMessages is",
    ),
    (
        CLINIC / "checks/1_schema.sql",
        f"ALTER TABLE dbo.{APPOINTMENTS} DROP COLUMN ScheduleWhatsAppWorkerID",
        "ScheduleWhatsAppWorkerID should be nvarchar(128) null, is missing",
    ),
    (
        CLINIC / "checks/2_health.sql",
        f"INSERT INTO dbo.{PHONES} (PatientID, TelNumber, WhatsAppStatus, WhatsAppWorkerID, WhatsAppProcessedAt) "
        "VALUES (1, N'1', 1, N'h:1', '20260102 03:04:05')",
        "TelNumberID 1: WhatsAppStatus is PROCESSING since 2026-01-02",
    ),
    (
        CLINIC / "checks/2_health.sql",
        f"INSERT INTO dbo.{APPOINTMENTS} (PatientID, AppointmentDate, ScheduleWhatsAppStatus, ScheduleWhatsAppProcessedAt) "
        "VALUES (1, '20260102', 1, SYSUTCDATETIME())",
        "AppointmentID 1: ScheduleWhatsAppStatus is PROCESSING, ScheduleWhatsAppWorkerID is empty",
    ),
    (
        SAMPLE,
        f"CREATE TRIGGER dbo.theirs ON dbo.{APPOINTMENTS} AFTER UPDATE AS "
        f"UPDATE dbo.{APPOINTMENTS} SET WhatsAppRetryCount = 0 WHERE WhatsAppRetryCount > 0",
        "row 4 should be 0 of nobody, 3 retries",
    ),
]


def test_checks_notice_what_is_broken(deployed: ByHand) -> None:
    for file, breakage, wanted in BROKEN:
        said = deployed.run("BEGIN TRANSACTION", breakage, file, "ROLLBACK")
        told = [row[0] for row in said if isinstance(row[0], str)]
        assert wanted in " ".join(told), breakage
