"""What a fault happens on: a target host with one of the engines, databases to break, and how one looks at them."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

from testbed import Host, Testbed, cgroups
from testbed.host import ROLE
from testbed.waiting import wait_until
from tests.faults.stories import FIRST, STORIES
from tests.project import Project
from tests.servers.mysql_pool import MySQLPool
from tests.servers.pgbouncer import Behind, Pool
from tests.systems import Bench
from windlass import planning
from windlass.planning import Wish
from windlass.project import load
from windlass_engine.model import Options, Plan
from windlass_engine.running import execute

#: For a host whose link is cut: that is noticed after some eight seconds, not after half a minute.
IMPATIENT = "-o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=2 -o ServerAliveCountMax=3"
_RUN_FILES = "home/deploy/.local/state/windlass/runs"
_QUERIES: Final = {
    "ledger": "SELECT id, n FROM ledger ORDER BY id",
    "words": "SELECT word FROM words ORDER BY word",
    "done": "SELECT event, name, count(*) FROM {events} WHERE event IN ('applied', 'reverted') GROUP BY event, name ORDER BY 1, 2",
}
_EVENTS = {"postgresql": "windlass.events", "mysql": "windlass_events"}
_SERVICES = {"postgresql": "postgresql@*-main.service", "mysql": "mariadb.service"}


@dataclass(frozen=True)
class State:
    """All that a fault must not change: the schema, every row, what the journal says and how often it was done."""

    fingerprint: str
    states: dict[str, str]
    rows: dict[str, list[tuple[Any, ...]]]


@dataclass
class Database:
    """One database under test: `on_host` is its URL as the host sees it, `bench` looks at it from outside."""

    name: str
    on_host: str
    bench: Bench
    ground: Ground
    small_disk: str = ""

    def state(self) -> State:
        """How it stands; only to be asked when nobody is at work."""
        events = _EVENTS[self.ground.engine]
        rows = {name: self.bench.query(sql.format(events=events)) for name, sql in _QUERIES.items()}
        return State(self.bench.fingerprint(), self.bench.states(), rows)

    def run(self, wish: Wish) -> None:
        """Do what is wished for from outside, undisturbed."""
        project = load(self.ground.project.root, self.ground.engine)
        names = {entry.name for entry in self.bench.journal().entries}
        plan: Plan = planning.plan(project, self.bench.journal(*names), wish, "here", self.name)
        done = execute.run(self.bench.target, plan, Options("undisturbed", "tester", "here"), lambda _: None)
        assert done["error"] is None, done


class Ground:
    """One host with one engine, and a project whose system bears the engine's name."""

    def __init__(self, bed: Testbed, host: Host, engine: str, project: Project) -> None:
        self.bed = bed
        self.host = host
        #: A host without a database of its own, which reaches this one's over the network.
        self.runner = bed["db3"]
        self.engine = engine
        self.project = project
        #: How long each verb's work takes undisturbed; known as soon as `wanted` is.
        self.work_s: dict[str, float] = {}
        self._count = 0
        self._write_system()

    def database(self, verb: str) -> Database:
        """A new database that stands where the verb begins."""
        self._count += 1
        name = f"fault_{self.engine}_{self._count}"
        make = self.host.create_database if self.engine == "postgresql" else self.host.create_mariadb_database
        on_host = make(name)
        made = Database(name, on_host, Bench(self._from_outside(on_host)), self)
        made.run(Wish("up", to=FIRST if verb == "deploy" else ""))
        return made

    def drop(self, database: Database) -> None:
        """Drop a database."""
        if self.engine == "postgresql":
            self.host.drop_database(database.name)
            self._drop_tablespace(database)
        else:
            self.host.console(f"umount --lazy /var/lib/mysql/{database.name}", check=False)
            self.host.drop_mariadb_database(database.name)

    @contextmanager
    def fresh(self, verb: str) -> Iterator[Database]:
        """A new database for the length of a block; it stays where the test failed, and goes with the host."""
        made = self.database(verb)
        yield made
        self.drop(made)

    @cached_property
    def wanted(self) -> dict[str, State]:
        """What each verb leaves when nothing disturbs it."""
        found = {}
        for verb, wish in (("deploy", Wish("up")), ("rollback", Wish("down", to=FIRST))):
            with self.fresh(verb) as database:
                began = time.monotonic()
                database.run(wish)
                self.work_s[verb] = time.monotonic() - began
                found[verb] = database.state()
        return found

    def environment(self, database: Database, name: str = "", **more: Any) -> str:
        """Write an environment with this one database, and return its name; `more` are variables of the host."""
        name = name or database.name
        listed = {"name": database.name, "system": self.engine, "url": more.pop("url", database.on_host)}
        worker: Host = more.pop("worker", self.host)
        variables = {"windlass_databases": [listed], **more}
        policy = {"confirm": "none", "backup": "never", **variables.pop("policy", {})}
        self.bed.inventory(
            self.project.root / "inventories" / name,
            hosts=[worker.name],
            variables={"windlass_policy": policy, "ansible_ssh_timeout": 20},
            host_variables={worker.name: variables},
        )
        return name

    # ------------------------------------------------------------ disks

    @contextmanager
    def full_disk_below(self, database: Database, left_kb: int) -> Iterator[None]:
        """Put a database on a small disk of its own which, for the length of a block, has no more than this left."""
        move = self._move_postgresql if self.engine == "postgresql" else self._move_mariadb
        folder = move(database)
        fill = f"dd if=/dev/zero of={folder}/ballast bs=1k count=$(($(df -k --output=avail {folder} | tail -1) - {left_kb}))"
        self.host.console(f"{fill} status=none")
        try:
            yield
        finally:
            self.host.console(f"rm {folder}/ballast")

    def _move_postgresql(self, database: Database) -> str:
        folder = database.small_disk = f"/mnt/{database.name}"
        self._mount(folder, "postgres")
        self.host.psql(f"CREATE TABLESPACE {database.name} LOCATION '{folder}'", "postgres")
        self.host.psql(f"ALTER DATABASE {database.name} SET TABLESPACE {database.name}", "postgres")
        return folder

    def _move_mariadb(self, database: Database) -> str:
        folder, console = f"/var/lib/mysql/{database.name}", self.host.console
        console("systemctl stop mariadb")
        console(f"mv {folder} /var/tmp/moved")
        self._mount(folder, "mysql")
        console(f"cp -a /var/tmp/moved/. {folder} && rm -r /var/tmp/moved && systemctl start mariadb")
        return folder

    def _mount(self, folder: str, owner: str) -> None:
        self.host.console(
            f"mkdir -p {folder} && mount -t tmpfs -o size=24m,uid={owner},gid={owner},mode=0700 tmpfs {folder}"
        )

    def _drop_tablespace(self, database: Database) -> None:
        if database.small_disk:
            self.host.psql(f"DROP TABLESPACE {database.name}", "postgres")
            self.host.console(f"umount {database.small_disk}")

    # ------------------------------------------------------------ the run on the host

    def run_has_begun(self, database: Database, worker: Host) -> bool:
        """Whether the process that does the work has said its first word."""
        runs = (worker.root / _RUN_FILES).glob(f"{database.name}-*/*.jsonl")
        return any(log.stat().st_size for log in runs)

    def began_at(self, database: Database) -> float:
        """When the run on the host began, by its own clock (seconds since 1970)."""
        (lock,) = (self.host.root / _RUN_FILES).glob(f"{database.name}-*/run.lock")
        return datetime.fromisoformat(json.loads(lock.read_text())["since"]).timestamp()

    def kill_run(self) -> bool:
        """Kill the process that holds a run's lock with -9; tell whether there was one."""
        for pid in cgroups.processes(self.host.group):
            with suppress(OSError):
                if any(_holds_run_lock(pid, entry) for entry in os.scandir(f"/proc/{pid}/fd")):
                    os.kill(pid, signal.SIGKILL)
                    return True
        return False

    # ------------------------------------------------------------ the server

    def kill_server(self) -> None:
        """Kill the database server with -9, all of its processes."""
        self.host.console(f"systemctl kill --signal=KILL '{_SERVICES[self.engine]}'")

    def start_server(self) -> None:
        """Start the database server and wait until it answers."""
        service = "postgresql" if self.engine == "postgresql" else "mariadb"
        self.host.console(f"systemctl reset-failed; systemctl restart {service}")
        answers = "pg_isready --quiet" if self.engine == "postgresql" else "mariadb-admin ping --silent"
        answered: Callable[[], bool] = lambda: self.host.console(answers, check=False).returncode == 0  # noqa: E731
        wait_until(answered, what=f"{self.engine} on {self.host.name}", every=0.1)

    @contextmanager
    def pooler(self, mode: str) -> Iterator[Pool | MySQLPool]:
        """A pooler on this machine in front of the host's server, which the host reaches over the bridge."""
        make: Callable[..., Pool | MySQLPool] = Pool if self.engine == "postgresql" else MySQLPool
        port = 5432 if self.engine == "postgresql" else 3306
        server = Behind(self.host.address, port, ROLE, self.bed.password)
        running = make(server, mode=mode, listen=self.host.address.rpartition(".")[0] + ".1")
        try:
            yield running
        finally:
            running.remove()

    def boot(self) -> None:
        """Give the host its power back, and start the database server where it does not start by itself."""
        self.host.boot()
        self.start_server()

    def _from_outside(self, on_host: str) -> str:
        return on_host.replace("@127.0.0.1:", f"@{self.host.address}:")

    def _write_system(self) -> None:
        head = {"name": self.engine, "engine": self.engine, "title": "Faults", "description": "For a test."}
        self.project.write(f"sql/{self.engine}/system.yml", yaml.safe_dump(head))
        for story in STORIES[self.engine]:
            self.project.migration(story.name, story.up, down=story.down, verify="", system=self.engine)


def _holds_run_lock(pid: int, descriptor: os.DirEntry[str]) -> bool:
    """Whether a process has taken a run's lock; whoever follows the run only opens it, for moments."""
    if not os.readlink(descriptor).endswith("/run.lock"):
        return False
    return (
        re.search("^lock:.* WRITE ", Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text(), re.MULTILINE)
        is not None
    )


def at_once(moment_s: float) -> None:
    """Let a random time pass: the one thing that is not to be waited for, but to be hit."""
    time.sleep(moment_s)
