"""A person's backup does not wait for a timer's: the real thing, held up by a lock on a table."""

from __future__ import annotations

from pathlib import Path

import psycopg

from testbed.waiting import LIMIT_S, wait_until
from tests.playbooks.background import playing
from tests.project import Project
from tests.servers.postgresql import PostgresServer
from windlass_engine.keeping import catalogue

WAITING = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'public.a'::regclass"


def test_a_timers_backup_is_ended_and_the_persons_backup_is_taken_for_both(
    project: Project, database: str, pg: PostgresServer
) -> None:
    let_backups_wait_for_locks(project)
    project.system("tried")
    project.write("inventories/here/group_vars/all/more.yml", f"windlass_client_bin: {pg.bin}\n")
    project.local_environment("here", [{"name": "d", "system": "tried", "url": database}])
    with psycopg.connect(database) as holder, psycopg.connect(database, autocommit=True) as watcher:

        def waiting() -> set[int]:
            return {pid for (pid,) in watcher.execute(WAITING).fetchall()}

        watcher.execute("CREATE TABLE public.a (id int PRIMARY KEY)")
        holder.execute("LOCK TABLE public.a IN ACCESS EXCLUSIVE MODE")
        scheduled = {"windlass_scheduled": True, "windlass_who": "ann by the clock"}
        with playing(project, "backup", "here", variables=scheduled) as timer:
            wait_until(waiting, what="the timer's backup")
            first = waiting()
            with playing(project, "backup", "here") as person:
                assert timer.ends() != 0
                assert "gave way to a person's run" in timer.output
                wait_until(lambda: waiting() - first, what="the person's")
                wait_until(lambda: not waiting() & first, what="the timer's session to end")
                with playing(project, "backup", "here", variables=scheduled) as again:
                    again.says("is at work here since")
                    holder.rollback()
                    assert (person.ends(), again.ends()) == (0, 0), again.output
    directory = Path(project.root / ".windlass/state/backups")
    assert len(catalogue.read(str(directory), ["d"])["d"]) == 1
    assert not list(directory.glob("d/.partial-*"))


def let_backups_wait_for_locks(project: Project) -> None:
    """Let the project's engine wait for the locked table until it is let go: three plays begin meanwhile, however slowly."""
    path = project.root / "src/windlass_engine/backups/backup.py"
    usual, patient = "lock_wait_s: float = 60.0", f"lock_wait_s: float = {10 * LIMIT_S}"
    assert usual in path.read_text()
    path.write_text(path.read_text().replace(usual, patient))
