"""The road on a local database: preview, apply, nothing to do; the gate; what is refused before anything is touched."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.playbooks.background import playing
from tests.project import Play, Project
from tests.servers.pgbouncer import Pgbouncer
from tests.servers.postgresql import PostgresServer
from windlass.environment import part_url
from windlass_engine.model import Target
from windlass_engine.session import connect

FREE = {"confirm": "none", "backup": "never"}
FIRST = "CREATE TABLE public.a (id int PRIMARY KEY);\nINSERT INTO public.a VALUES (1);\n"
SECOND = "ALTER TABLE public.a ADD COLUMN note text;\n"
Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def ask(database: str) -> Ask:
    """Run a query in the test's database."""

    def query(sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(database, autocommit=True) as session:
            return session.execute(sql).fetchall()

    return query


@pytest.fixture
def tried(project: Project, database: str, pg: PostgresServer) -> Project:
    """A system of two migrations and an environment `here` with one database of it."""
    project.write("inventories/here/group_vars/all/clients.yml", f"windlass_client_bin: {pg.bin}\n")
    project.system("tried")
    project.migration("001_table", FIRST, down="DROP TABLE public.a;\n")
    project.migration("002_note", SECOND, down="ALTER TABLE public.a DROP COLUMN note;\n")
    project.local_environment("here", [{"name": "d", "system": "tried", "url": database}], policy=FREE)
    return project


def columns(ask: Ask) -> list[str]:
    found = ask("SELECT column_name FROM information_schema.columns WHERE table_name = 'a' ORDER BY ordinal_position")
    return [name for (name,) in found]


def good(play: Play, changed: int) -> None:
    assert (play.code, play.changed) == (0, changed), play.output


def refused(play: Play, code: str) -> str:
    assert play.code != 0, play.output
    assert f'"code": "{code}"' in play.output, play.output
    return play.output


def test_check_then_apply_then_nothing(tried: Project, ask: Ask) -> None:
    preview = tried.playbook("deploy", "here", check=True)
    good(preview, 1)
    shown = [line for line in FIRST.splitlines() + SECOND.splitlines()]
    for line in shown:
        assert line.rstrip(";") in preview.output
    assert columns(ask) == []
    assert ask("SELECT 1 FROM pg_namespace WHERE nspname = 'windlass'") == [], "check mode leaves nothing"

    good(tried.playbook("deploy", "here"), 1)
    assert columns(ask) == ["id", "note"]
    good(tried.playbook("deploy", "here"), 0)
    good(tried.playbook("deploy", "here", check=True), 0)
    assert ask("SELECT * FROM public.a") == [(1, None)]


def test_rollback_by_steps_and_to_a_name(tried: Project, ask: Ask) -> None:
    tried.migration("003_more", "ALTER TABLE public.a ADD COLUMN more text;\n",
                    down="ALTER TABLE public.a DROP COLUMN more;\n")  # fmt: skip
    good(tried.playbook("deploy", "here"), 1)
    preview = tried.playbook("rollback", "here", variables={"windlass_steps": 1}, check=True)
    good(preview, 1)
    assert "DROP COLUMN more" in preview.output
    good(tried.playbook("rollback", "here", variables={"windlass_steps": 1}), 1)
    assert columns(ask) == ["id", "note"]
    good(tried.playbook("rollback", "here", variables={"windlass_to": "001_table"}), 1)
    assert columns(ask) == ["id"]
    good(tried.playbook("rollback", "here", variables={"windlass_to": "001_table"}), 0)
    good(tried.playbook("deploy", "here", variables={"windlass_to": "002_note"}), 1)
    assert columns(ask) == ["id", "note"]


def test_the_journal_undoes_what_the_checkout_has_lost(tried: Project, ask: Ask) -> None:
    good(tried.playbook("deploy", "here"), 1)
    (tried.root / "sql/tried/migrations/002_note/down.sql").unlink()
    (tried.root / "sql/tried/migrations/002_note/up.sql").write_text("-- windlass: irreversible lost\nSELECT 1;\n")
    good(tried.playbook("rollback", "here", variables={"windlass_steps": 1}), 1)
    assert columns(ask) == ["id"]


def test_baseline_marks_what_stands_and_runs_nothing(tried: Project, ask: Ask, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("CREATE TABLE public.a (id int PRIMARY KEY)")
    stands = "SELECT 'table a is missing' WHERE to_regclass('public.a') IS NULL;\n"
    tried.migration("001_table", FIRST, down="DROP TABLE public.a;\n", verify=stands)
    good(tried.playbook("baseline", "here", variables={"windlass_to": "001_table"}), 1)
    assert ask("SELECT * FROM public.a") == []
    good(tried.playbook("deploy", "here"), 1)
    assert columns(ask) == ["id", "note"]


def test_baseline_refuses_what_does_not_stand(tried: Project, ask: Ask) -> None:
    tried.migration("001_table", FIRST, verify="SELECT 'table a is missing' WHERE to_regclass('public.a') IS NULL;\n")
    tried.write("sql/tried/migrations/001_table/down.sql", "DROP TABLE public.a;\n")
    output = refused(tried.playbook("baseline", "here", variables={"windlass_to": "001_table"}), "verify_failed")
    assert "table a is missing" in output


def test_only_the_reviewed_plan_runs(tried: Project, ask: Ask, database: str) -> None:
    tried.local_environment(
        "here", [{"name": "d", "system": "tried", "url": database}], policy={**FREE, "confirm": "yes"}
    )
    asked = refused(tried.playbook("deploy", "here"), "not_approved")
    digest = asked.split("windlass_plan_digest=")[1][:12]
    refused(tried.playbook("deploy", "here", variables={"windlass_plan_digest": "0" * 12}), "plan_stale")
    refused(tried.playbook("deploy", "here", variables={"windlass_plan_digest": digest[:7]}), "usage")
    assert columns(ask) == []
    tried.migration("003_late", "SELECT 1;\n", down="SELECT 1;\n")
    refused(tried.playbook("deploy", "here", variables={"windlass_plan_digest": digest}), "plan_stale")
    assert columns(ask) == []
    now = refused(tried.playbook("deploy", "here"), "not_approved").split("windlass_plan_digest=")[1][:8]
    good(tried.playbook("deploy", "here", variables={"windlass_plan_digest": now}), 1)
    assert columns(ask) == ["id", "note"]


def test_a_mistake_in_the_project_is_refused_before_the_server_is_asked(tried: Project) -> None:
    tried.local_environment(
        "nowhere", [{"name": "d", "system": "tried", "url": "postgresql://u@127.0.0.1:1/x"}], policy=FREE
    )
    refused(tried.playbook("deploy", "nowhere"), "database_unreachable")
    tried.write("sql/tried/migrations/002_note/down.sql", b"")
    output = refused(tried.playbook("deploy", "nowhere"), "project_invalid")
    assert "002_note/down.sql" in output


def test_a_mistake_in_a_script_beside_the_plan_is_refused_too(tried: Project, ask: Ask) -> None:
    tried.write("sql/tried/migrations/002_note/down.sql", "SELECT 'open;\n")
    refused(tried.playbook("deploy", "here"), "project_invalid")
    assert columns(ask) == []


def test_a_syntax_error_in_statement_three_of_five_leaves_nothing(tried: Project, ask: Ask) -> None:
    good(tried.playbook("deploy", "here"), 1)
    broken = "ALTER TABLE public.a ADD COLUMN x int;\nSELECT 1;\nSELEC 2;\nSELECT 3;\nSELECT 4;\n"
    tried.migration("003_broken", broken, down="SELECT 1;\n")
    output = refused(tried.playbook("deploy", "here"), "migration_failed")
    assert "003_broken/up.sql:3" in output and "statement 3" in output, output
    assert columns(ask) == ["id", "note"]
    tried.migration("003_broken", broken.replace("SELEC 2", "SELECT 2"), down="SELECT 1;\n")
    good(tried.playbook("deploy", "here"), 1)
    assert columns(ask) == ["id", "note", "x"]


def test_an_edited_applied_migration_is_shown_and_refused(tried: Project) -> None:
    good(tried.playbook("deploy", "here"), 1)
    tried.write("sql/tried/migrations/001_table/up.sql", FIRST.replace("VALUES (1)", "VALUES (2)"))
    output = refused(tried.playbook("deploy", "here"), "checksum_changed")
    assert "-INSERT INTO public.a VALUES (1);" in output and "+INSERT INTO public.a VALUES (2);" in output


def test_a_failing_check_stops_and_names_its_rows(tried: Project, ask: Ask) -> None:
    tried.write("sql/tried/checks/rows.sql", "-- check: no_ones\nSELECT 'row ' || id FROM public.a WHERE id = 1;\n")
    output = refused(tried.playbook("deploy", "here"), "verify_failed")
    assert "no_ones" in output and "row 1" in output
    assert columns(ask) == ["id", "note"], "the policy is to stop"
    refused(tried.playbook("verify", "here"), "verify_failed")
    tried.write("sql/tried/checks/rows.sql", "-- check: no_twos\nSELECT 'row ' || id FROM public.a WHERE id = 2;\n")
    good(tried.playbook("verify", "here"), 0)


def test_what_failed_its_check_is_undone_where_the_policy_says_so(tried: Project, ask: Ask, database: str) -> None:
    good(tried.playbook("deploy", "here", variables={"windlass_to": "001_table"}), 1)
    tried.local_environment(
        "here", [{"name": "d", "system": "tried", "url": database}], policy={**FREE, "on_failure": "rollback"}
    )
    tried.write("sql/tried/samples/never.sql", "-- check: never\nSELECT 'no';\n")
    output = refused(tried.playbook("deploy", "here"), "sample_failed")
    assert "undone again: 002_note" in output
    assert columns(ask) == ["id"], "what this run applied is gone, what stood before stays"


def test_samples_leave_nothing_behind_and_can_be_left_out(tried: Project, ask: Ask) -> None:
    sample = "INSERT INTO public.a VALUES (99);\n-- check: arrived\nSELECT 'no' WHERE NOT EXISTS (SELECT FROM public.a WHERE id = 99);\n"
    tried.write("sql/tried/samples/row.sql", sample)
    good(tried.playbook("deploy", "here"), 1)
    assert ask("SELECT id FROM public.a") == [(1,)]
    tried.write("sql/tried/samples/row.sql", "-- check: never\nSELECT 'no';\n")
    refused(tried.playbook("verify", "here"), "sample_failed")
    good(tried.playbook("verify", "here", variables={"windlass_samples": False}), 0)


def test_a_backup_stands_before_the_first_statement(tried: Project, database: str) -> None:
    listed = [{"name": "d", "system": "tried", "url": database}]
    tried.local_environment("here", listed, policy={"confirm": "none"})
    good(tried.playbook("deploy", "here"), 2)
    manifests = list((tried.root / ".windlass/state/backups/d").glob("*/manifest.json"))
    assert len(manifests) == 1
    assert json.loads(manifests[0].read_text())["journal_applied"] == ""
    assert stat.S_IMODE(manifests[0].stat().st_mode) == 0o600
    good(tried.playbook("deploy", "here"), 0)
    assert len(list((tried.root / ".windlass/state/backups/d").glob("*/manifest.json"))) == 1


def test_without_the_required_backup_nothing_begins(tried: Project, ask: Ask, database: str) -> None:
    listed = [{"name": "d", "system": "tried", "url": database}]
    tried.local_environment("here", listed, policy={"confirm": "none"})
    blocked = tried.write("file", "no folder")
    nowhere = {"windlass_backup_dir": str(blocked / "backups")}
    refused(tried.playbook("deploy", "here", variables=nowhere), "backup_failed")
    assert columns(ask) == []
    tried.local_environment("here", listed, policy={"confirm": "none", "backup": "optional"})
    play = tried.playbook("deploy", "here", variables=nowhere)
    good(play, 1)
    assert "goes on without a backup" in play.output


def test_restore_stands_beside_and_the_swap_can_be_undone(
    tried: Project, ask: Ask, database: str, pg: PostgresServer
) -> None:
    tried.local_environment("here", [{"name": "d", "system": "tried", "url": database}], policy={"confirm": "none"})
    good(tried.playbook("deploy", "here"), 2)
    good(tried.playbook("backup", "here"), 1)
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("DELETE FROM public.a")
    into = {"windlass_restore_into": f"side_{Path(database).name[-8:]}"}
    good(tried.playbook("restore", "here", variables=into, check=True), 0)
    looked = tried.invoke("restore", "--env", "here", "--dry-run")
    assert "would stand in" in looked.stdout, looked.stdout
    assert "it will take about" in looked.stdout and "nobody is in" in looked.stdout
    try:
        some = tried.invoke("restore", "--env", "here", "--table", "public.a", "--yes")
        assert some.returncode == 0 and "with the rows of these tables only: public.a" in some.stdout, some.stdout
        swapped = tried.invoke("restore", "--env", "here", "--table", "public.a", "--swap", "--yes")
        assert swapped.returncode != 0 and "single tables cannot take the place of a database" in swapped.stdout
        both = tried.invoke("restore", "--env", "here", "--undo", "--drop", "side_of_it", "--yes")
        assert both.returncode == 2 and "--undo and --drop are different things" in both.stdout
        good(tried.playbook("restore", "here", variables={**into, "windlass_swap": True}), 1)
        assert ask("SELECT id FROM public.a") == [(1,)]
        good(tried.playbook("restore", "here", variables={"windlass_undo_swap": True}), 1)
        assert ask("SELECT id FROM public.a") == []
        told = [tried.invoke("restore", "--env", "here", "--yes", *more).stdout for more in ((), ("--swap-standing",))]
        assert "--swap-standing" in told[0] and "--drop" in told[1] and ask("SELECT id FROM public.a") == [(1,)]
        refused = tried.invoke("restore", "--env", "here", "--yes", "--drop", Path(database).name)
        assert refused.returncode == 28 and "is no name that" in refused.stdout, refused.stdout
        undone = tried.invoke("restore", "--env", "here", "--yes", "--undo").stdout
        [way] = [line for line in undone.splitlines() if "to take it back: invoke restore" in line]
        assert ask("SELECT id FROM public.a") == []
        again = tried.invoke(*way.partition("invoke ")[2].split(), "--yes").stdout
        assert ask("SELECT id FROM public.a") == [(1,)]
        aside = next(line.rpartition(" ")[2] for line in again.splitlines() if "--drop" in line)
        dropped = tried.invoke("restore", "--env", "here", "--yes", "--drop", aside)
        assert dropped.returncode == 0 and f"{aside} is dropped" in dropped.stdout, dropped.stdout
    finally:
        name = Path(database).name
        with pg.connect() as admin:
            kept = admin.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{name}_%"]).fetchall()
        for (other,) in kept:
            pg.drop_database(other)


def test_a_wrong_password_is_told_and_never_shown(tried: Project, database: str) -> None:
    wrong = database.replace("@", "-hush-hush@", 1)
    tried.local_environment("here", [{"name": "d", "system": "tried", "url": wrong}], policy=FREE)
    play = tried.playbook("deploy", "here", "-vvv")
    refused(play, "login_refused")
    assert "hush" not in play.output


@pytest.mark.parametrize("playbook", ["deploy", "status", "history", "verify", "backup"])
def test_a_password_is_nowhere_in_the_output_or_the_files(tried: Project, pg: PostgresServer, playbook: str) -> None:
    good_run = tried.playbook("deploy", "here", "-vvv") if playbook != "deploy" else None
    play = tried.playbook(playbook, "here", "-vvv")
    assert play.code == 0, play.output
    outputs = play.output + (good_run.output if good_run else "")
    assert pg.password not in outputs
    kept = [path for path in (tried.root / ".windlass").rglob("*") if path.is_file()]
    assert kept, "there are run files to look into"
    assert not [path for path in kept if pg.password.encode() in path.read_bytes()]


def test_a_password_that_is_a_common_word_changes_nothing(tried: Project, pg: PostgresServer, database: str) -> None:
    """Ansible replaces a secret wherever it finds it; names, SQL and digests must not suffer."""
    name = Path(database).name
    with pg.connect() as admin:
        admin.execute("CREATE ROLE word_user LOGIN PASSWORD 'table' SUPERUSER")
    try:
        url = pg.url_of(name, user="word_user", password="table")
        tried.local_environment("here", [{"name": "d", "system": "tried", "url": url}], policy=FREE)
        good(tried.playbook("deploy", "here"), 1)
        play = tried.playbook("deploy", "here")
        good(play, 0)
    finally:
        with pg.connect() as admin:
            admin.execute(f'ALTER DATABASE "{name}" OWNER TO postgres')
        with pg.connect(name) as session:
            session.execute("DROP OWNED BY word_user CASCADE")
        with pg.connect() as admin:
            admin.execute("DROP ROLE word_user")


def test_a_read_only_server_is_refused_before_anything(tried: Project, database: str, pg: PostgresServer) -> None:
    name = Path(database).name
    with pg.connect() as admin:
        admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    refused(tried.playbook("deploy", "here"), "read_only_server")
    refused(tried.playbook("plan", "here"), "read_only_server")


def test_a_transaction_pooler_is_refused_before_anything(tried: Project, pgbouncer: Pgbouncer) -> None:
    with pgbouncer.server.database() as url:
        pooled = pgbouncer.url_of(Path(url).name)
        tried.local_environment("here", [{"name": "d", "system": "tried", "url": pooled}], policy={"confirm": "none"})
        tried.write("inventories/here/group_vars/all/clients.yml", f"windlass_client_bin: {pgbouncer.server.bin}\n")
        refused(tried.playbook("deploy", "here"), "pooler_detected")
        refused(tried.playbook("plan", "here"), "pooler_detected")
        refused(tried.playbook("deploy", "here", check=True), "pooler_detected")
        assert not list(tried.root.rglob("manifest.json")), "nothing was backed up"
        with psycopg.connect(url) as direct:
            assert direct.execute("SELECT to_regclass('windlass.migrations')").fetchall() == [(None,)]


def test_a_login_without_rights_is_told_which_it_lacks(tried: Project, database: str, pg: PostgresServer) -> None:
    name = Path(database).name
    with pg.connect() as admin:
        admin.execute("CREATE ROLE poor LOGIN PASSWORD 'poor-poor'")
    try:
        url = pg.url_of(name, user="poor", password="poor-poor")
        tried.local_environment("here", [{"name": "d", "system": "tried", "url": url}], policy=FREE)
        output = refused(tried.playbook("deploy", "here"), "preflight_failed")
        assert "GRANT CREATE ON DATABASE" in output
    finally:
        with pg.connect() as admin:
            admin.execute("DROP ROLE poor")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pasword": "x"}, "pasword"),
        ({"policy": {"confirm": "maybe"}}, "none, yes, typed"),
        ({"url": "host=db user=u"}, "does not have the form"),
        ({"url": ""}, "is the variable behind it set?"),
    ],
)
def test_a_mistake_in_the_inventory_is_named(tried: Project, database: str, change: dict[str, Any], says: str) -> None:
    listed = [{"name": "d", "system": "tried", "url": database, **change}]
    tried.local_environment("here", listed, policy=FREE)
    play = tried.playbook("plan", "here")
    assert play.code != 0
    assert says in play.output, play.output


def test_databases_can_be_chosen_and_a_wrong_name_is_refused(tried: Project, pg: PostgresServer, database: str) -> None:
    with pg.database() as other:
        listed = [
            {"name": "d", "system": "tried", "url": database},
            {"name": 'o"ö', "system": "tried", "url": other},
        ]
        tried.local_environment("here", listed, policy=FREE)
        good(tried.playbook("deploy", "here", variables={"windlass_database": ['o"ö']}), 1)
        with psycopg.connect(database) as session:
            assert session.execute("SELECT to_regclass('public.a')").fetchone() == (None,)
        good(tried.playbook("deploy", "here"), 1)
        refused(tried.playbook("deploy", "here", variables={"windlass_database": ["x"]}), "usage")


def test_another_deployers_lock_is_waited_for_and_its_holder_named(tried: Project, ask: Ask, database: str) -> None:
    url, password = part_url(database)
    with connect(Target("d", "tried", url, password), "windlass of ann") as other:
        assert other.dialect.try_lock(other.link)
        impatient = {**FREE, "deploy_lock_wait": "1s"}
        tried.local_environment("here", [{"name": "d", "system": "tried", "url": database}], policy=impatient)
        output = refused(tried.playbook("deploy", "here"), "deploy_locked")
        assert "windlass of ann" in output
        assert columns(ask) == []
    good(tried.playbook("deploy", "here"), 1)


def test_a_session_that_blocks_the_table_is_named_while_it_is_waited_for(
    tried: Project, ask: Ask, database: str
) -> None:
    good(tried.playbook("deploy", "here", variables={"windlass_to": "001_table"}), 1)
    patient = {**FREE, "lock_retries": 10_000}
    tried.local_environment("here", [{"name": "d", "system": "tried", "url": database}], policy=patient)
    with psycopg.connect(database, application_name="crm") as session:
        session.execute("SELECT * FROM public.a")
        with playing(tried, "deploy", "here") as deploy:
            deploy.says('"crm"')
            session.rollback()
            assert deploy.ends() == 0, deploy.output
    assert columns(ask) == ["id", "note"]


def test_all_in_one_transaction(tried: Project, ask: Ask) -> None:
    tried.migration("003_broken", "SELECT 1/0;\n", down="SELECT 1;\n")
    refused(tried.playbook("deploy", "here", variables={"windlass_atomic": True}), "migration_failed")
    assert columns(ask) == []
    refused(tried.playbook("deploy", "here"), "migration_failed")
    assert columns(ask) == ["id", "note"]


def test_the_shipped_systems_go_all_the_way_up_and_down(project: Project, database: str) -> None:
    project.shipped_system("salon")
    listed = [{"name": "salon", "system": "salon", "url": database}]
    project.local_environment("here", listed, policy=FREE)
    good(project.playbook("deploy", "here"), 1)
    good(project.playbook("deploy", "here"), 0)
    steps = len(list((project.root / "sql/salon/migrations").iterdir()))
    down = {"windlass_steps": steps, "windlass_allow_data_loss": True}
    good(project.playbook("rollback", "here", variables=down), 1)
    good(project.playbook("deploy", "here"), 1)
