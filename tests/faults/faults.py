"""The faults, each a function that disturbs one run of a verb and returns how that run ended, in a few words."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from testbed.waiting import wait_until
from tests.faults.ground import IMPATIENT, Database, Ground, at_once
from tests.faults.stories import FIRST
from tests.playbooks.background import Playing, playing
from tests.project import Play

#: How long a command goes on around the work on the host, more or less.
AROUND_S = 4.0
DAY_S = 86_400
#: What a command says of a full disk.  The rows that a rollback archives may be the first that find no room, and on a
#: disk that is full to the last byte PostgreSQL lets nobody in: it writes a file for the first session of a database.
FULL_DISK = {
    "deploy": ("migration_failed", "database_unreachable"),
    "rollback": ("rollback_failed", "archive_failed", "database_unreachable"),
}
VARIABLES = {"deploy": {}, "rollback": {"windlass_to": FIRST}}
ARGUMENTS = {"deploy": (), "rollback": ("--to", FIRST)}
# A container shares its machine's clock, so it is the host's Python that is told another time of day.
_SKEWED_PYTHON = """\
#!/bin/sh
PYTHONPATH=/opt/skewed exec /usr/bin/python3 "$@"
"""
_SKEW = """\
import datetime, time

def other(genuine, unit=1):
    return lambda: genuine() + unit * type(genuine())(open("/opt/skewed/seconds").read())

time.time, time.time_ns = other(time.time), other(time.time_ns, 10**9)
gmtime, localtime = time.gmtime, time.localtime
time.gmtime = lambda at=None: gmtime(time.time() if at is None else at)
time.localtime = lambda at=None: localtime(time.time() if at is None else at)

class Skewed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

datetime.datetime = Skewed
"""


@dataclass
class Case:
    """One verb on one database, to be disturbed once."""

    ground: Ground
    verb: str
    database: Database
    dice: random.Random
    environment: str = ""

    def __post_init__(self) -> None:
        self.environment = self.ground.environment(self.database)
        self.worker = self.ground.host

    @contextmanager
    def command(self) -> Iterator[Playing]:
        """The verb's command in the background, for the length of a block."""
        variables = VARIABLES[self.verb]
        with playing(self.ground.project, self.verb, self.environment, variables=variables) as play:
            yield play

    def once_more(self) -> Play:
        """One ordinary command of the verb, to its end."""
        return self.ground.project.playbook(self.verb, self.environment, variables=VARIABLES[self.verb])

    def at_work(self, play: Playing) -> None:
        """Wait until the work on the host has begun, then for a random moment within it."""
        wait_until(
            lambda: self.ground.run_has_begun(self.database, self.worker) or play.process.poll() is not None,
            what="the run on the host",
        )  # fmt: skip
        at_once(self.dice.uniform(0, self.ground.work_s[self.verb]))

    def any_time(self, play: Playing) -> None:
        """Wait for a random moment of the whole command; three of four are in the work itself."""
        if self.dice.random() < 0.25:
            at_once(self.dice.uniform(0, AROUND_S + self.ground.work_s[self.verb]))
        else:
            self.at_work(play)


def engine_killed(case: Case) -> str:
    """The process that does the work on the host is killed -9 inside a statement or between two."""
    with case.command() as play:
        case.at_work(play)
        hit = case.ground.kill_run()
        return _ended(play, hit)


def link_cut(case: Case) -> str:
    """The host's cable is pulled, and plugged in again before ssh has noticed or afterwards."""
    case.ground.environment(case.database, ansible_ssh_args=IMPATIENT)
    with case.command() as play:
        case.any_time(play)
        hit = play.process.poll() is None
        with case.ground.host.cut_off():
            at_once(case.dice.uniform(0.5, 14))
        ended = _ended(play, hit)
    case.ground.environment(case.database)
    return ended


def controller_killed(case: Case) -> str:
    """`ansible-playbook` and all its workers are killed -9; the next command comes at once."""
    with case.command() as play:
        case.any_time(play)
        hit = play.process.poll() is None
        play.kill()
        return _ended(play, hit)


def server_killed(case: Case) -> str:
    """The database server is killed -9, all its processes, and started again."""
    with case.command() as play:
        case.at_work(play)
        hit = play.process.poll() is None
        case.ground.kill_server()
        case.ground.start_server()
        return _ended(play, hit)


def power_lost(case: Case) -> str:
    """The host loses its power and is booted again."""
    with case.command() as play:
        case.at_work(play)
        hit = play.process.poll() is None
        case.ground.host.kill()
        case.ground.boot()
        return _ended(play, hit)


def runner_lost(case: Case) -> str:
    """The work is on another machine than the database, and that one is gone: the server is not told that it is.

    The next command comes from elsewhere.
    """
    case.worker = case.ground.runner
    case.ground.environment(case.database, worker=case.worker, url=case.database.bench.target.url)
    with case.command() as play:
        case.at_work(play)
        hit = play.process.poll() is None
        case.worker.kill()
        play.kill()
    case.ground.environment(case.database)
    return "killed" if hit else "done before the fault came"


def disk_of_data_full(case: Case) -> str:
    """The file system that holds the database's files is full, until somebody makes room."""
    with case.ground.full_disk_below(case.database, case.dice.choice([0, 100, 400])):
        failed = case.once_more()
        assert failed.code != 0, failed.output
        assert any(f'"code": "{code}"' in failed.output for code in FULL_DISK[case.verb]), failed.output
    return "refused, as the disk is full"


def disk_of_run_files_full(case: Case) -> str:
    """The file system of the run's own files fills up while the run is at work, which has to end well all the same."""
    folder = "/mnt/run-files"
    console = case.ground.host.console
    console(f"mkdir -p {folder} && mount -t tmpfs -o size=1m,uid=deploy,mode=0700 tmpfs {folder}")
    try:
        case.ground.environment(case.database, windlass_state_dir=folder)
        with case.command() as play:
            log = case.ground.host.root / folder.lstrip("/")
            begun = lambda: console(f"ls {folder}/runs/*/*.jsonl", check=False).returncode == 0  # noqa: E731
            wait_until(lambda: begun() or play.process.poll() is not None, what=f"the run in {log}")
            at_once(case.dice.uniform(0, case.ground.work_s[case.verb]))
            console(f"dd if=/dev/zero of={folder}/ballast bs=4k status=none", check=False)
            assert play.ends() == 0, play.output
            return "done"
    finally:
        console(f"umount --lazy {folder}")
        case.ground.environment(case.database)


def many_at_once(case: Case, count: int) -> str:
    """Deployers all at once, half of them with run files of their own: exactly one does the work."""
    other = case.ground.environment(
        case.database, f"{case.database.name}_other", windlass_state_dir="/home/deploy/other-state"
    )
    names = [other if number % 2 else case.environment for number in range(count)]

    def run(environment: str) -> int:
        arguments = (case.verb, "--env", environment, *ARGUMENTS[case.verb], "--yes")
        return case.ground.project.invoke(*arguments).returncode

    with ThreadPoolExecutor(count) as pool:
        codes = list(pool.map(run, names))
    assert set(codes) <= {0, 13, 18}, codes
    assert 0 in codes, codes
    events = {"postgresql": "windlass.events", "mysql": "windlass_events"}[case.ground.engine]
    word = {"deploy": "applied", "rollback": "reverted"}[case.verb]
    who = case.database.bench.query(
        f"SELECT DISTINCT run_id FROM {events} WHERE event = '{word}' AND run_id <> 'undisturbed'"
    )
    assert len(who) == 1, who
    return f"{count} at once: {codes.count(0)} ended with 0, {codes.count(13)} with 13, {codes.count(18)} with 18"


def pooler_between(case: Case) -> str:
    """A pooler in transaction mode is refused before anything happens; one in session mode is as good as none."""
    before = case.database.state()
    with case.ground.pooler("transaction") as pool:
        case.ground.environment(case.database, url=pool.url_of(case.database.name))
        refused = case.once_more()
        assert refused.code != 0 and '"code": "pooler_detected"' in refused.output, refused.output
    assert case.database.state() == before
    with case.ground.pooler("session") as pool:
        case.ground.environment(case.database, url=pool.url_of(case.database.name))
        done = case.once_more()
        assert done.code == 0, done.output
    case.ground.environment(case.database)
    return "refused in transaction mode, done in session mode"


def clock_skewed(case: Case) -> str:
    """The host's Python is a day or two ahead of controller and database, or behind, and jumps in mid-run."""
    host = case.ground.host
    folder, program = host.root / "opt/skewed", host.root / "opt/skewed-python"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_SKEW)
    program.write_text(_SKEWED_PYTHON)
    program.chmod(0o755)
    first, then = case.dice.sample([-2, -1, 1, 2], 2)
    skew = folder / "seconds"
    skew.write_text(str(first * DAY_S))
    case.ground.environment(case.database, ansible_python_interpreter="/opt/skewed-python")
    with case.command() as play:
        case.at_work(play)
        assert abs(case.ground.began_at(case.database) - time.time() - first * DAY_S) < DAY_S / 2, "no other clock"
        other = folder / "other"
        other.write_text(str(then * DAY_S))
        other.replace(skew)  # at once: somebody may read it at any moment
        assert play.ends() == 0, play.output
    return "done"


def _ended(play: Playing, hit: bool) -> str:
    """How the disturbed command ended."""
    code = play.ends()
    word = {0: "done"}.get(code, "killed" if code < 0 else "failed")
    return word if hit else f"{word} before the fault came"


@dataclass(frozen=True)
class Fault:
    """A fault with how often it is tried: in the sample, and in the whole matrix, for each verb and engine."""

    name: str
    happens: Callable[[Case], str]
    sample: int
    whole: int
    engines: tuple[str, ...] = ("postgresql", "mysql")


def faults(deployers: int) -> tuple[Fault, ...]:
    """All of them."""
    return (
        Fault("engine killed -9", engine_killed, 1, 8),
        Fault("SSH link cut", link_cut, 1, 25),
        Fault("controller killed -9", controller_killed, 1, 8),
        Fault("database server killed -9", server_killed, 1, 6),
        Fault("host without power", power_lost, 0, 3),
        Fault("runner without power", runner_lost, 0, 2),
        Fault("disk of the data full", disk_of_data_full, 1, 1),
        Fault("disk of the run files full", disk_of_run_files_full, 1, 2),
        Fault(f"{deployers} deployers at once", lambda case: many_at_once(case, deployers), 1, 1),
        Fault("pooler in between", pooler_between, 1, 1),
        Fault("clock skewed", clock_skewed, 1, 3),
    )
