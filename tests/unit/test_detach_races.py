"""Detached work among other processes that do the same at the same moment: each test makes the moment happen."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import windlass_detach as detach
from ansible.module_utils import windlass_locks as locks
from ansible.module_utils.windlass_detach import Job, ensure, follow

from testbed.waiting import LIMIT_S
from tests.unit.test_detach import WHO, begun, held

TIMER = {**WHO, "scheduled": True}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    folder = tmp_path / "salon"
    folder.mkdir()
    return Job(str(folder), "run-1", "migrate")


@contextmanager
def lock_of(job: Job, word: dict[str, Any] | None = None) -> Iterator[int]:
    """Hold a job's lock, in which somebody's word stands."""
    descriptor = os.open(job.lock_path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        if word:
            os.write(descriptor, json.dumps(word).encode())
        yield descriptor
    finally:
        os.close(descriptor)


def word_of(job: Job, pid: int, born: int | None) -> dict[str, Any]:
    return {**WHO, "run_id": job.run_id, "kind": job.kind, "pid": pid, "born": born}


def at_first_pause(monkeypatch: pytest.MonkeyPatch, happens: Any) -> None:
    """Let something happen while the code under test waits for the first time."""
    left, genuine = [happens], time.sleep

    def sleep(seconds: float) -> None:
        if left:
            left.pop()()
        genuine(seconds)

    monkeypatch.setattr(detach.time, "sleep", sleep)


def test_a_process_that_got_the_number_of_a_scheduled_one_is_not_ended(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timer's job ended long ago; somebody has just taken the lock and not yet written who it is."""
    monkeypatch.setattr(locks, "WAY_S", 0.2)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        born = locks._born(other.pid)
        assert born is not None
        with lock_of(job, {**word_of(job, other.pid, born - 1), "scheduled": True, "gives_way": True}):
            assert locks.make_way(job.folder, "run") is None
        assert other.communicate(b"alive", timeout=LIMIT_S)[0] == b"alive"


def test_the_process_that_wrote_itself_is_asked_to_end(job: Job) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as timer:
        with lock_of(job, {**word_of(job, timer.pid, locks._born(timer.pid)), "gives_way": True}) as lock:
            locks._ask_to_end(json.loads(os.pread(lock, 4096, 0)))
        assert timer.wait(LIMIT_S) == -signal.SIGTERM


def test_the_last_ones_word_is_not_taken_for_that_of_one_who_has_just_come(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        old = word_of(Job(job.folder, "yesterday", "migrate"), gone.pid, locks._born(gone.pid))
    with lock_of(job, old) as lock:
        new = word_of(job, os.getpid(), locks._born(os.getpid()))
        at_first_pause(monkeypatch, lambda: locks.sign(lock, new))
        assert locks.running(job.folder) == new


def test_a_word_is_never_seen_in_part(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two of the writer's steps a reader finds the old word or the new one, longer or shorter."""
    long, short = {"run_id": "x" * 500}, {"run_id": "y"}
    with lock_of(job, long) as lock:
        genuine = {name: getattr(os, name) for name in ("pwrite", "truncate")}
        seen = []

        def looked(name: str) -> Any:
            def do(*arguments: Any) -> Any:
                done = genuine[name](*arguments)
                seen.append(locks.holder_of(job.lock_path))
                return done

            return do

        for name in genuine:
            monkeypatch.setattr(os, name, looked(name))
        locks.sign(lock, short)
        locks.sign(lock, long)
    assert seen == [short, short, long, long]


def test_who_has_the_lock_stands_there_before_the_log(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same call, made again over a new link in the first moment, finds a run that lives."""
    seen = []
    genuine = os.open

    def opened(path: Any, *arguments: Any, **more: Any) -> int:
        descriptor = genuine(path, *arguments, **more)
        if path == job.log:
            seen.append(follow(job, 0, 0.0).lost)
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    ensure(job, WHO, lambda _: {})
    assert seen == [False]
    assert follow(job, 0, LIMIT_S).end


def test_a_job_that_begins_is_not_cut_in_two(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks the starting process to end, between the lock and the fork, is heard when the work is on its way."""
    order: list[str] = []
    make_ready, fork = detach._make_ready, os.fork

    def ready(*arguments: Any) -> None:
        make_ready(*arguments)
        order.append("ready")
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)  # a module has no other thread that could take it

    def forked() -> int:
        order.append("forked")
        return fork()

    monkeypatch.setattr(detach, "_make_ready", ready)
    monkeypatch.setattr(os, "fork", forked)
    before = signal.signal(signal.SIGTERM, lambda *_: order.append("asked to end"))
    try:
        ensure(job, WHO, lambda _: {"status": "done"})
    finally:
        signal.signal(signal.SIGTERM, before)
    assert order == ["ready", "forked", "asked to end"]
    end = follow(job, 0, LIMIT_S).end
    assert end and end["result"] == {"status": "done"}


def gave_way(job: Job) -> bool:
    end = follow(job, 0, LIMIT_S).end
    assert end is not None, "it was lost"
    return bool(end["error"] and end["error"]["detail"] == {"gave_way": True})


def test_a_scheduled_job_gives_way_in_its_first_moment(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = detach._cut_loose

    def cut_loose(keep: tuple[int, ...]) -> None:
        genuine(keep)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(detach, "_cut_loose", cut_loose)
    ensure(job, TIMER, lambda _: {"status": "done"})
    assert gave_way(job)


def test_a_scheduled_job_that_has_just_ended_tells_its_result(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = detach._append

    def append(log: int, event: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        genuine(log, event)

    monkeypatch.setattr(detach, "_append", append)
    ensure(job, TIMER, lambda _: {"status": "done"})
    news = follow(job, 0, LIMIT_S)
    assert news.end and news.end["result"] == {"status": "done"}


def test_giving_way_is_no_failure_that_work_could_go_on_after(job: Job) -> None:
    def work(emit: Any) -> dict[str, Any]:
        for _ in range(2):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except Exception as error:
                emit({"event": "taken for a failure", "error": str(error)})
        return {"status": "done"}

    ensure(job, TIMER, work)
    assert gave_way(job)


def old_logs(job: Job, count: int = 60) -> list[Path]:
    found = []
    for number in range(count):
        path = Path(job.folder) / f"old-{number:02}.backup.jsonl"
        path.touch()
        os.utime(path, (number, number))
        found.append(path)
    return found


def test_two_that_drop_old_logs_at_once_do_not_fail(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process drops one between the listing and the look at it, and one between that look and ours."""
    old = old_logs(job)
    scan, unlink = os.scandir, os.unlink

    def scandir(path: Any) -> Any:
        entries = list(scan(path))
        unlink(old[3])
        return iter(entries)

    def unlinked(path: Any) -> None:
        if path == str(old[0]):
            unlink(path)
        unlink(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", scandir)
        patched.setattr(os, "unlink", unlinked)
        ensure(job, WHO, lambda _: {})
    assert follow(job, 0, LIMIT_S).end
    assert len(list(Path(job.folder).glob("*.jsonl"))) == detach.KEPT_LOGS


def test_the_log_of_a_silent_job_stays_while_somebody_follows_it(job: Job, tmp_path: Path) -> None:
    gate = tmp_path / "open"
    ensure(job, WHO, held(gate))
    begun(job)
    os.utime(job.log, (0, 0))
    old_logs(job)
    other = Job(job.folder, "run-2", "backup", "backup")
    ensure(other, WHO, lambda _: {})
    assert follow(other, 0, LIMIT_S).end
    gate.touch()
    assert follow(job, 0, LIMIT_S).end


@pytest.mark.parametrize("lines", [1, 4000])
def test_a_job_that_has_told_its_end_is_waited_out_and_not_followed(
    job: Job, monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    """It holds the lock until its last line is on the disk."""
    ended = Job(job.folder, "run-0", "migrate")
    said = [json.dumps({"event": "tick", "text": "x" * 100})] * lines
    Path(ended.log).write_text("\n".join([*said, json.dumps({"event": detach.CLOSING}), ""]))
    with lock_of(job, word_of(ended, os.getpid(), locks._born(os.getpid()))) as lock:
        pauses = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 5:
                fcntl.flock(lock, fcntl.LOCK_UN)

        with monkeypatch.context() as patched:
            patched.setattr(detach.time, "sleep", sleep)
            assert detach.change_under_way(job.folder) is None
            assert ensure(job, WHO, lambda _: {}) == job
        assert len(pauses) == 5
    assert follow(job, 0, LIMIT_S).end
