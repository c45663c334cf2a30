"""What the clinic's scripts promise, held without a server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from windlass import project as projects
from windlass_engine.model import Script

ROOT = Path(__file__).parents[2]
FLAGS = {
    "Clinic_PatientsAppointments": ("WhatsApp", "ScheduleWhatsApp"),
    "Clinic_PatientsTelNumbers": ("WhatsApp",),
}
PARTS = ("Status", "WorkerID", "ProcessedAt", "RetryCount")
COLUMNS = [(table, prefix + part) for table, prefixes in FLAGS.items() for prefix in prefixes for part in PARTS]
INDEXES = ("IX_Appointments_WhatsAppStatus", "IX_Appointments_ScheduleWhatsAppStatus", "IX_Patients_WhatsAppStatus")


@pytest.fixture(scope="module")
def clinic() -> projects.Project:
    return projects.load(ROOT, "clinic", parse="all")


def part(clinic: projects.Project, name: str, which: str) -> Script:
    (found,) = (migration for migration in clinic.migrations if migration.name.startswith(name))
    script = {"up": found.up, "down": found.down, "verify": found.verify}[which]
    assert script
    return script


def test_the_migrations_and_their_order(clinic: projects.Project) -> None:
    assert [migration.name for migration in clinic.migrations] == [
        "000_standing_tables",
        "001_add_whatsapp_status_columns",
        "002_claim_procedures",
        "003_stale_claims",
    ]
    assert all(migration.down and migration.verify for migration in clinic.migrations)


def test_each_of_the_twelve_columns_is_added_where_missing_and_verified(clinic: projects.Project) -> None:
    up, verify = part(clinic, "001", "up"), part(clinic, "001", "verify")
    assert len(COLUMNS) == 12
    for table, column in COLUMNS:
        adds = f"IF COL_LENGTH(N'dbo.{table}', N'{column}') IS NULL\n    ALTER TABLE dbo.{table} ADD {column} "
        assert up.text.count(adds) == 1
        assert verify.text.count(f"(N'{table}', N'{column}', N'") == 1
    added = re.findall(r" ADD (\w+) ", up.text)
    assert sorted(name for name in added if name != "CONSTRAINT") == sorted(column for _, column in COLUMNS)


def test_the_columns_have_their_types(clinic: projects.Project) -> None:
    verify = part(clinic, "001", "verify").text
    for prefix in ("WhatsApp", "ScheduleWhatsApp"):
        assert f"N'{prefix}Status', N'tinyint not null default 0'" in verify
        assert f"N'{prefix}WorkerID', N'nvarchar(128) null'" in verify
        assert f"N'{prefix}ProcessedAt', N'datetime2(3) null'" in verify
        assert f"N'{prefix}RetryCount', N'int not null default 0'" in verify


def test_the_old_flags_are_converted_in_batches_and_stay(clinic: projects.Project) -> None:
    up, down = part(clinic, "001", "up"), part(clinic, "001", "down")
    tables = {backfill.table: backfill for backfill in (s.backfill for s in up.statements) if backfill}
    assert sorted(tables) == [f"dbo.{table}" for table in sorted(FLAGS)]
    # Row locks become a lock on the table at 5,000.
    assert all(backfill.batch < 5000 for backfill in tables.values())
    assert not up.directives.transactional and up.directives.rerunnable
    for script in (up, down):
        assert not re.search(r"DROP COLUMN Is|SET Is\w+Sent", script.text)


def test_indexes_and_constraints_go_before_columns(clinic: projects.Project) -> None:
    down = part(clinic, "001", "down").text
    changes = down[down.index("DROP INDEX") :]
    places = {
        what: [found.start() for found in re.finditer(what, changes)]
        for what in ("DROP INDEX", "DROP CONSTRAINT", "DROP COLUMN")
    }
    assert max(places["DROP INDEX"]) < min(places["DROP CONSTRAINT"])
    assert max(places["DROP CONSTRAINT"]) < min(places["DROP COLUMN"])
    # What runs at once is put into the same order.
    order = re.findall(r"SELECT (\d)(?: AS position)?, CONCAT\(N'(?:ALTER TABLE|DROP (INDEX))", changes)
    assert [number for number, _ in order] == ["1", "2", "2", "3"]
    assert "WITHIN GROUP (ORDER BY steps.position)" in changes
    for index in INDEXES:
        assert f"DROP INDEX IF EXISTS {index} ON dbo." in changes
    for place in ("sys.default_constraints", "sys.check_constraints", "sys.indexes"):
        assert place in changes, "names are looked up"


@pytest.mark.parametrize("name", ["000", "001"])
def test_what_loses_rows_asks_for_the_word_in_the_batch_that_drops(clinic: projects.Project, name: str) -> None:
    """sqlcmd and SSMS go on after a batch that failed."""
    down = part(clinic, name, "down")
    (batch,) = down.statements
    text = down.sql(batch)
    refuses, drops = text.index("RAISERROR"), text.index("DROP ")
    assert text.index("SESSION_CONTEXT(N'windlass.allow_data_loss')") < refuses < drops
    assert text[refuses:drops].count("IF @refusal IS NULL\nBEGIN") == 1


def test_claims_are_one_statement_that_passes_over_rows_of_others(clinic: projects.Project) -> None:
    procedures = [part(clinic, "002", "up").sql(statement) for statement in part(clinic, "002", "up").statements]
    claims = [text for text in procedures if "PROCEDURE dbo.Clinic_Claim" in text and "UPDATE" in text]
    assert len(claims) == 3
    for text in claims:
        assert len(re.findall(r"\bUPDATE\b", text)) == 1
        assert "WITH (ROWLOCK, READPAST, UPDLOCK)" in text and "OUTPUT inserted." in text
        assert "@WorkerID" in text and "SYSUTCDATETIME()" in text and "TOP (@Limit)" in text


def test_scripts_open_with_the_option_that_sqlcmd_lacks(clinic: projects.Project) -> None:
    for migration in clinic.migrations:
        assert migration.up.sql(migration.up.statements[0]) == "SET QUOTED_IDENTIFIER ON;"
