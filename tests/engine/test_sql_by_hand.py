"""The scripts of the PostgreSQL systems as a person runs them: psql, a file at a time, in order, twice."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.servers.postgresql import PostgresServer

SQL = Path(__file__).parents[2] / "sql"
SYSTEMS = ("messaging", "salon")
KEEP = "-c client_min_messages=warning"
LOSE = f"{KEEP} -c windlass.allow_data_loss=on"


class ByHand:
    """A person with psql at one database."""

    def __init__(self, server: PostgresServer, url: str) -> None:
        self.bin = server.bin
        login = conninfo_to_dict(url)
        names = {"user": "PGUSER", "password": "PGPASSWORD", "host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE"}
        self.env = {**os.environ, **{names[key]: str(value) for key, value in login.items()}}

    def attempt(self, *steps: str | Path, options: str = KEEP) -> subprocess.CompletedProcess[str]:
        """Run files and statements in one session, up to the first error."""
        command = [str(self.bin / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1"]
        for step in steps:
            command += ["-f", str(step)] if isinstance(step, Path) else ["-c", step]
        env = {**self.env, "PGOPTIONS": options}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def run(self, *steps: str | Path, options: str = KEEP) -> str:
        """Run files and statements; return the rows they gave."""
        done = self.attempt(*steps, options=options)
        assert done.returncode == 0, f"{steps}: {done.stderr}"
        return done.stdout.strip()

    def undone(self, *steps: str | Path) -> str:
        """Run in a transaction that is rolled back; return rows and error."""
        done = self.attempt("BEGIN", *steps, "ROLLBACK")
        return done.stdout + done.stderr

    def schema(self) -> str:
        """Return the dump of the schema, without the key that is new in every dump."""
        done = subprocess.run(
            [str(self.bin / "pg_dump"), "--schema-only"], env=self.env, capture_output=True, text=True, check=True
        )
        return "\n".join(line for line in done.stdout.splitlines() if "restrict " not in line[:12])


def migrations(system: str) -> list[Path]:
    found = sorted((SQL / system / "migrations").iterdir())
    assert found
    return found


def looks(system: str) -> list[Path]:
    """The files that only look: a row is a failure."""
    return [folder / "verify.sql" for folder in migrations(system)] + sorted((SQL / system / "checks").glob("*.sql"))


def deploy(hand: ByHand, system: str) -> None:
    for folder in migrations(system):
        hand.run(folder / "up.sql")


def take_back(hand: ByHand, system: str) -> None:
    for folder in reversed(migrations(system)):
        hand.run(folder / "down.sql")


@pytest.fixture(scope="module")
def deployed(pg: PostgresServer) -> Iterator[dict[str, ByHand]]:
    """Each system on a database of its own; tests undo what they do there."""
    hands = {}
    for system in SYSTEMS:
        hands[system] = ByHand(pg, pg.create_database(f"by_hand_{system}"))
        deploy(hands[system], system)
    yield hands
    for system in SYSTEMS:
        pg.drop_database(f"by_hand_{system}")


@pytest.fixture
def empty(pg: PostgresServer, database: str) -> ByHand:
    return ByHand(pg, database)


@pytest.mark.parametrize("system", SYSTEMS)
def test_up_and_down_in_order_each_twice(each_pg: PostgresServer, system: str) -> None:
    with each_pg.database() as url:
        hand = ByHand(each_pg, url)
        before = hand.schema()
        deploy(hand, system)
        after = hand.schema()
        assert after != before
        deploy(hand, system)
        assert hand.schema() == after, "a second run changed the schema"
        take_back(hand, system)
        assert hand.schema() == before, "the down scripts leave something behind"
        take_back(hand, system)
        deploy(hand, system)
        assert hand.schema() == after, "up, down, up is not up"
        assert [hand.run(file) for file in looks(system)] == [""] * len(looks(system))


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_file_run_twice_in_a_row(empty: ByHand, system: str) -> None:
    for folder in migrations(system):
        empty.run(folder / "up.sql", folder / "up.sql")
        assert empty.run(folder / "verify.sql", folder / "verify.sql") == ""
    for file in sorted((SQL / system / "maintenance").glob("*.sql")):
        empty.run(file, file)
    for folder in reversed(migrations(system)):
        empty.run(folder / "down.sql", folder / "down.sql")
        assert empty.run(folder / "verify.sql") != "" or folder.name.startswith("005"), "nothing is missing afterwards"


@pytest.mark.parametrize("system", SYSTEMS)
def test_checks_only_read(deployed: dict[str, ByHand], system: str) -> None:
    # Another time zone and an empty search path: a person's session is not the one that built the schema.
    options = f"{KEEP} -c default_transaction_read_only=on -c TimeZone=Asia/Tokyo -c search_path="
    for file in looks(system):
        assert deployed[system].run(file, options=options) == ""


@pytest.mark.parametrize("sample", ["messaging/samples/message_life.sql", "salon/samples/sample_data.sql"])
def test_samples_pass_and_leave_nothing(deployed: dict[str, ByHand], sample: str) -> None:
    hand = deployed[sample.partition("/")[0]]
    assert hand.run("BEGIN", SQL / sample, "ROLLBACK") == ""
    without = hand.attempt(SQL / sample)
    committed = hand.attempt("BEGIN", SQL / sample, "COMMIT")
    for refused in (without, committed):
        assert "sample_data_must_be_rolled_back" in refused.stderr
        assert refused.returncode != 0
    table = "companies" if sample.startswith("salon") else "whatsapp_messages"
    assert hand.run(f"SELECT count(*) FROM public.{table}") == "0"


def test_salon_at_volume(deployed: dict[str, ByHand]) -> None:
    options = f"{KEEP} -c windlass.sample_messages=20000"
    assert deployed["salon"].run(SQL / "salon/samples/volume.sql", options=options) == ""
    assert deployed["salon"].run("SELECT count(*) FROM public.companies") == "0"


def test_what_salon_is_made_of(deployed: dict[str, ByHand]) -> None:
    hand = deployed["salon"]
    relations = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname !~ 'whatsapp'"
    assert hand.run(f"{relations} AND relkind IN ('r', 'p') AND NOT relispartition") == "11"
    assert hand.run(f"{relations} AND relkind = 'r' AND relispartition") == "6"
    assert int(hand.run(f"{relations} AND relkind IN ('i', 'I') AND NOT relispartition")) >= 60
    functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname !~ 'whatsapp'"
    assert hand.run(functions) == "8"
    assert hand.run("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgname ~ '_set_updated_at$'") == "9"
    files = [*sorted((SQL / "salon/checks").glob("*.sql")), SQL / "salon/samples/sample_data.sql"]
    assert sum(file.read_text().count("\n-- check: ") for file in files) == 9


# What is broken, the file that must notice, and a part of what it must say.
BROKEN = [
    ("salon/checks/1_tables", "DROP TABLE sync_status", "table public.sync_status is missing"),
    ("salon/checks/2_partitions", "DROP TABLE {next}", "partition public.{next} is missing"),
    (
        "salon/checks/2_partitions",
        "SELECT create_messages_partition((now() - interval '8 months')::date) IS NULL",
        "is past the six months",
    ),
    ("salon/checks/3_indexes", "DROP INDEX idx_clients_phone", "index idx_clients_phone on public.clients is missing"),
    (
        "salon/checks/3_indexes",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_clients_phone'::regclass",
        "index idx_clients_phone on public.clients is invalid",
    ),
    (
        "salon/samples/sample_data",
        "ALTER TABLE bookings DROP CONSTRAINT bookings_client_id_fkey",
        "was accepted: DELETE FROM public.clients",
    ),
    (
        "salon/samples/sample_data",
        "ALTER TABLE clients DROP CONSTRAINT clients_company_id_fkey, ADD CONSTRAINT clients_company_id_fkey "
        "FOREIGN KEY (company_id) REFERENCES companies ON DELETE RESTRICT",
        "a delete that should cascade was refused",
    ),
    (
        "salon/samples/sample_data",
        "ALTER TABLE reminders DISABLE TRIGGER reminders_set_updated_at",
        "an update of public.reminders does not set updated_at",
    ),
    (
        "salon/checks/6_functions",
        "ALTER TABLE dialog_contexts RENAME expires_at TO expires",
        'cleanup_expired_dialog_contexts(): column "expires_at" does not exist',
    ),
    ("salon/checks/6_functions", "DROP FUNCTION get_messages_stats()", "get_messages_stats() does not exist"),
    (
        "salon/samples/sample_data",
        "ALTER TABLE clients DROP CONSTRAINT clients_phone_check",
        "was accepted: INSERT INTO public.clients",
    ),
    (
        "salon/samples/sample_data",
        "CREATE OR REPLACE FUNCTION cleanup_expired_appointments_cache() RETURNS integer LANGUAGE sql AS 'SELECT 0'",
        "after the clean-up",
    ),
    (
        "salon/samples/sample_data",
        "CREATE RULE lossy AS ON INSERT TO staff_schedules WHERE NEW.work_date = '2030-03-04' DO INSTEAD NOTHING",
        "working days from 4 to 10 March: expected Daria 5, Galina 5, got Daria 4, Galina 4",
    ),
    ("salon/checks/9_partition_pruning", "SET enable_partition_pruning = off", "a query for {next} reads messages_"),
    ("messaging/checks/1_schema", "ALTER TABLE whatsapp_messages ALTER read_at SET NOT NULL", "column public.whatsapp"),
    (
        "messaging/checks/1_schema",
        "DROP INDEX idx_whatsapp_messages_read_at",
        "idx_whatsapp_messages_read_at is missing",
    ),
    ("messaging/checks/1_schema", "DROP FUNCTION apply_message_status", "apply_message_status() is missing"),
    (
        "messaging/checks/2_recent_statuses",
        "INSERT INTO whatsapp_messages (to_phone, from_phone, direction, status, read_at) "
        "VALUES ('79001234567', '79001234567', 'outgoing', 'sent', now())",
        "is sent, though it was read",
    ),
    (
        "messaging/checks/2_recent_statuses",
        "INSERT INTO whatsapp_messages (to_phone, from_phone, direction, status, failed_at, failed_reason) "
        "VALUES ('79001234567', '79001234567', 'outgoing', 'failed', now(), 'no idea')",
        "without a reason of the form",
    ),
]


@pytest.mark.parametrize(("file", "breakage", "said"), BROKEN, ids=[f"{file}: {how}"[:70] for file, how, _ in BROKEN])
def test_checks_notice_what_is_broken(deployed: dict[str, ByHand], file: str, breakage: str, said: str) -> None:
    hand = deployed[file.partition("/")[0]]
    next_month = hand.run("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '1 month', '\"messages_\"YYYY_MM')")
    found = hand.undone(breakage.format(next=next_month), SQL / f"{file}.sql")
    assert said.format(next=next_month) in found


ROWS = {
    "salon/20251101_messenger_session_store": "INSERT INTO whatsapp_auth VALUES ('1', '{}')",
    "salon/20251109_create_business_tables_phase_08": "INSERT INTO companies (name) VALUES ('Sample')",
    "salon/20251109_create_partitioned_messages_table": "INSERT INTO companies (name) VALUES ('Sample'); "
    "INSERT INTO messages (company_id, phone, direction) SELECT id, '79001234567', 'incoming' FROM companies",
    "messaging/001_standing_tables": "INSERT INTO whatsapp_messages (to_phone, from_phone, direction) "
    "VALUES ('79001234567', '79001234567', 'incoming')",
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
    before = empty.schema()
    refused = empty.attempt(down)
    assert refused.returncode != 0
    assert "holds rows" in refused.stderr and "windlass.allow_data_loss" in refused.stderr
    assert empty.schema() == before
    empty.run(down, options=LOSE)
    assert empty.schema() != before


def test_a_standing_session_store_is_left_as_it_is(empty: ByHand) -> None:
    empty.run(
        "CREATE TABLE whatsapp_auth (company_id varchar(50) PRIMARY KEY, creds jsonb, updated_at timestamp, extra int);"
        "CREATE TABLE whatsapp_keys (company_id varchar(50), key_type varchar(50), key_id varchar(255), value jsonb, "
        "expires_at timestamp, PRIMARY KEY (company_id, key_type, key_id));"
        "CREATE FUNCTION cleanup_expired_whatsapp_keys() RETURNS bigint LANGUAGE sql AS 'SELECT 7::bigint';"
        "CREATE FUNCTION get_whatsapp_auth_stats() RETURNS json LANGUAGE sql AS $$ SELECT '{}'::json $$"
    )
    before = empty.schema()
    store = SQL / "salon/migrations/20251101_messenger_session_store"
    assert empty.run(store / "verify.sql") == ""
    empty.run(store / "up.sql")
    assert empty.schema() == before


def test_a_standing_message_table_is_left_as_it_is(empty: ByHand) -> None:
    times = "sent_at timestamp, delivered_at timestamp, read_at timestamp, failed_at timestamp, failed_reason text"
    empty.run(
        "CREATE TABLE whatsapp_messages (id serial PRIMARY KEY, message_id varchar(255) UNIQUE, to_phone varchar(20), "
        "from_phone varchar(20), direction varchar(10), status varchar(20), body text, created_at timestamp);"
        f"CREATE TABLE campaign_recipients (id serial PRIMARY KEY, status varchar(20), {times});"
    )
    before = empty.schema()
    standing, *later = migrations("messaging")
    assert empty.run(standing / "verify.sql") == ""
    empty.run(standing / "up.sql")
    assert empty.schema() == before
    for folder in later:
        empty.run(folder / "up.sql")
        assert empty.run(folder / "verify.sql") == ""
    assert empty.run("BEGIN", SQL / "messaging/samples/message_life.sql", "ROLLBACK") == ""


def test_partitions_follow_the_calendar(deployed: dict[str, ByHand]) -> None:
    maintain = SQL / "salon/maintenance/messages_partitions.sql"
    assert deployed["salon"].run(maintain) == ""
    month = "to_char(now() AT TIME ZONE 'UTC' + interval '{} months', '\"messages_\"YYYY_MM')"
    last, old, older = (deployed["salon"].run("SELECT " + month.format(n)) for n in (5, -6, -8))
    printed = deployed["salon"].undone(
        f"DROP TABLE {last}",
        "SELECT FROM generate_series(6, 8) AS n "
        "WHERE create_messages_partition((now() AT TIME ZONE 'UTC' - make_interval(months => n))::date) IS NULL",
        # Its name says a month long past, its bounds do not: it is not the tool's to drop.
        "CREATE TABLE messages_2001_01 PARTITION OF messages FOR VALUES FROM ('2001-01-02') TO ('2001-02-01')",
        maintain,
    )
    done = printed.split()
    assert f"created|{last}" in done
    assert f"dropped|{older}" in done
    assert f"dropped|{old}" not in done
    assert "dropped|messages_2001_01" not in done


def test_backfill_gives_standing_rows_their_times(empty: ByHand) -> None:
    folders = migrations("messaging")
    empty.run(folders[0] / "up.sql")
    empty.run(
        "INSERT INTO whatsapp_messages (message_id, to_phone, from_phone, direction, status, created_at) "
        "SELECT status || direction, '79001234567', '79001234568', direction, status, '2020-02-03 04:05:06Z' "
        "FROM unnest(ARRAY['pending', 'received', 'sent', 'delivered', 'read', 'failed']) AS status, "
        "unnest(ARRAY['incoming', 'outgoing']) AS direction"
    )
    for folder in folders[1:4]:
        empty.run(folder / "up.sql")
    # Two events reach messages that the back-fill has not: it keeps their times.
    event = "SELECT apply_message_status('{}outgoing', '{}', '2020-02-03 {}Z')"
    assert empty.run(event.format("sent", "delivered", "05:00")) == "applied"
    assert empty.run(event.format("delivered", "failed", "06:00")) == "applied"
    assert "no status time is set" in empty.run(folders[4] / "verify.sql")
    empty.run(folders[4] / "up.sql")
    assert empty.run(folders[4] / "verify.sql") == ""
    lives = (
        "SELECT message_id, to_char(sent_at, 'HH24:MI'), to_char(delivered_at, 'HH24:MI'), to_char(read_at, 'HH24:MI'), "
        "to_char(failed_at, 'HH24:MI') FROM whatsapp_messages "
        "WHERE (sent_at, delivered_at, read_at, failed_at) IS DISTINCT FROM (NULL, NULL, NULL, NULL) ORDER BY 1"
    )
    filled = empty.run("SET TimeZone = 'UTC'", lives)
    assert filled.splitlines() == [
        "deliveredoutgoing||||06:00",
        "failedoutgoing||||04:05",
        "readoutgoing|04:05|04:05|04:05|",
        "sentoutgoing|04:05|05:00||",
    ]
    versions = "SELECT sum(xmin::text::bigint) FROM whatsapp_messages"
    assert empty.run(versions) == empty.run(folders[4] / "up.sql", versions), "a second run changed rows"


def test_the_job_fills_times_that_an_old_application_left_out(empty: ByHand) -> None:
    deploy(empty, "messaging")
    job = SQL / "messaging/maintenance/missing_times.sql"
    empty.run(
        "INSERT INTO whatsapp_messages (message_id, to_phone, from_phone, direction, status, created_at) "
        "SELECT status || days, '79001234567', '79001234568', 'outgoing', status, now() - make_interval(days => days) "
        "FROM unnest(ARRAY['pending', 'sent', 'delivered', 'read', 'failed']) AS status, unnest(ARRAY[1, 8]) AS days",
        "SELECT apply_message_status('sent1', 'sent', now())",
    )
    empty.run(job)
    filled = empty.run(
        "SELECT message_id, sent_at = created_at, delivered_at = created_at, read_at = created_at, failed_at = created_at "
        "FROM whatsapp_messages WHERE (sent_at, delivered_at, read_at, failed_at) IS DISTINCT FROM (NULL, NULL, NULL, NULL) "
        "ORDER BY 1"
    )
    assert filled.splitlines() == ["delivered1|t|t||", "failed1||||t", "read1|t|t|t|", "sent1|f|||"]
    versions = "SELECT sum(xmin::text::bigint) FROM whatsapp_messages"
    assert empty.run(versions) == empty.run(job, versions), "a second run changed rows"
