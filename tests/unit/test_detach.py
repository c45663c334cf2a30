"""Detached work outlives whoever started it, is never started twice, and its death is noticed."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import windlass_detach as detach
from ansible.module_utils import windlass_locks as locks
from ansible.module_utils.windlass_detach import Job, current, ensure, follow, look, state_dir

from testbed.waiting import LIMIT_S, wait_until
from windlass_engine.errors import WindlassError

WHO = {"who": "ann", "origin": "desk", "since": "2025-11-21T04:05:06Z", "digest": "d" * 64}
Emit = Callable[[dict[str, Any]], None]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(str(tmp_path / "salon"), "run-1", "migrate")


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file whose coming lets `held` work end."""
    return tmp_path / "open"


def held(gate: Path) -> detach.Work:
    def work(emit: Emit) -> dict[str, Any]:
        emit({"event": "began", "pid": os.getpid(), "session": os.getsid(0)})
        wait_until(gate.exists, what="the gate")
        return {"status": "done"}

    return work


def begun(job: Job) -> dict[str, Any]:
    wait_until(lambda: look(job, 0).events, what="the first event")
    first: dict[str, Any] = look(job, 0).events[0]
    return first


def test_work_ends_with_its_result(job: Job) -> None:
    def work(emit: Emit) -> dict[str, Any]:
        for number in range(3):
            emit({"event": "tick", "number": number})
        return {"status": "done"}

    assert ensure(job, WHO, work) == job
    news = follow(job, 0, LIMIT_S)
    assert [event["number"] for event in news.events] == [0, 1, 2]
    assert news.end == {"event": "job_ended", "result": {"status": "done"}, "error": None}
    assert not news.lost


def test_the_worker_is_nobodys_child_and_has_a_session_of_its_own(job: Job, gate: Path) -> None:
    ensure(job, WHO, held(gate))
    event = begun(job)
    assert event["pid"] != os.getpid()
    assert event["session"] != os.getsid(0)
    with pytest.raises(ChildProcessError):
        os.waitpid(event["pid"], os.WNOHANG)
    gate.touch()
    assert follow(job, 0, LIMIT_S).end


def test_the_same_run_is_followed_and_not_started_again(job: Job, gate: Path) -> None:
    ensure(job, WHO, held(gate))
    first = begun(job)

    def never(emit: Emit) -> dict[str, Any]:
        raise AssertionError("started twice")

    assert ensure(job, WHO, never) == job
    gate.touch()
    news = follow(job, 0, LIMIT_S)
    assert news.end and news.end["error"] is None
    assert [event["pid"] for event in news.events] == [first["pid"]]
    assert ensure(job, WHO, never) == job, "nor after its end"


def test_another_run_is_found_at_work_and_followed(job: Job, gate: Path) -> None:
    ensure(job, WHO, held(gate))
    begun(job)
    mine = Job(job.folder, "run-2", "migrate")
    assert ensure(mine, {**WHO, "who": "bob"}, held(gate)) == job
    info = locks.running(job.folder)
    assert info is not None
    assert {key: info[key] for key in WHO} == WHO
    assert (info["run_id"], info["kind"]) == ("run-1", "migrate")
    gate.touch()
    assert follow(job, 0, LIMIT_S).end
    assert not Path(mine.log).exists()


def test_after_the_end_the_next_run_starts(job: Job, gate: Path) -> None:
    gate.touch()
    ensure(job, WHO, held(gate))
    follow(job, 0, LIMIT_S)
    mine = Job(job.folder, "run-2", "migrate")
    assert ensure(mine, WHO, held(gate)) == mine
    assert follow(mine, 0, LIMIT_S).end


def test_a_killed_worker_is_lost_and_the_next_one_starts(job: Job, gate: Path) -> None:
    ensure(job, WHO, held(gate))
    os.kill(begun(job)["pid"], signal.SIGKILL)
    news = follow(job, 0, LIMIT_S)
    assert news.lost and news.end is None
    mine = Job(job.folder, "run-2", "migrate")
    gate.touch()
    assert ensure(mine, WHO, held(gate)) == mine
    assert follow(mine, 0, LIMIT_S).end
    assert follow(job, 0, LIMIT_S).lost, "the dead run stays dead while another is at work"


@pytest.mark.parametrize("written", ["", '{"run_id": "run-1", "kind": "migr'])
def test_a_holder_that_is_just_writing_who_it_is_is_not_dead(job: Job, gate: Path, written: str) -> None:
    ensure(job, WHO, held(gate))
    whole = Path(job.lock_path).read_text()
    Path(job.lock_path).write_text(written)
    news = follow(job, 0, 0.2)
    assert not news.lost and news.end is None
    Path(job.lock_path).write_text(whole)
    told = locks.running(job.folder)
    gate.touch()
    assert told and told["run_id"] == "run-1"
    assert follow(job, 0, LIMIT_S).end


def test_jobs_with_other_locks_do_not_exclude_each_other(job: Job, gate: Path) -> None:
    ensure(job, WHO, held(gate))
    backup = Job(job.folder, "run-1", "backup", lock="backup")
    assert ensure(backup, WHO, held(gate)) == backup
    begun(backup)
    gate.touch()
    assert follow(job, 0, LIMIT_S).end and follow(backup, 0, LIMIT_S).end


def test_of_many_at_once_one_starts(job: Job, gate: Path) -> None:
    """Each contender is a process of its own, as modules are."""
    script = (
        "import sys, pathlib\n"
        "from tests import module_names; module_names.install()\n"
        "from tests.unit import test_detach as t\n"
        "from ansible.module_utils.windlass_detach import Job, ensure\n"
        "mine = Job(sys.argv[1], sys.argv[2], 'migrate')\n"
        "print(ensure(mine, t.WHO, t.held(pathlib.Path(sys.argv[3]))).run_id)\n"
    )
    path = os.pathsep.join(["src", "."])
    contenders = [
        subprocess.Popen(
            [sys.executable, "-c", script, job.folder, f"run-{number}", str(gate)],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path},
        )
        for number in range(6)
    ]  # fmt: skip
    followed = {process.communicate(timeout=LIMIT_S)[0].strip() for process in contenders}
    assert len(followed) == 1
    found = current(job.folder)
    assert found is not None and found.run_id in followed
    assert len(list(Path(job.folder).glob("*.jsonl"))) == 1
    gate.touch()
    assert follow(found, 0, LIMIT_S).end


def test_a_refusal_arrives_as_it_was_raised(job: Job) -> None:
    def work(emit: Emit) -> dict[str, Any]:
        raise WindlassError("plan_stale", "too late", hint="plan again", where={"database": "salon"})

    ensure(job, WHO, work)
    end = follow(job, 0, LIMIT_S).end
    assert end is not None
    assert (end["result"], end["error"]["code"], end["error"]["hint"]) == (None, "plan_stale", "plan again")


def test_a_mistake_of_windlass_tells_its_place_but_not_its_text(job: Job) -> None:
    def work(emit: Emit) -> dict[str, Any]:
        raise ValueError("postgresql://ann:hush@db/salon")

    ensure(job, WHO, work)
    end = follow(job, 0, LIMIT_S).end
    assert end is not None
    assert end["error"]["code"] == "internal_error"
    assert "ValueError in test_detach.py:" in end["error"]["message"]
    assert "hush" not in str(end)


def test_following_goes_on_where_it_stopped(job: Job, gate: Path) -> None:
    ensure(job, WHO, held(gate))
    begun(job)
    first = follow(job, 0, LIMIT_S, eager=0)
    assert [event["event"] for event in first.events] == ["began"]
    threading.Timer(0.1, gate.touch).start()
    rest = follow(job, first.offset, LIMIT_S)
    assert (rest.events, rest.end is not None) == ([], True)


def test_half_a_line_waits_for_its_other_half(job: Job) -> None:
    Path(job.folder).mkdir()
    Path(job.log).write_bytes(b'{"event":"one"}\n{"event":"tw')
    news = look(job, 0)
    assert ([event["event"] for event in news.events], news.offset) == (["one"], 16)
    Path(job.log).write_bytes(b'{"event":"one"}\n{"event":"two"}\n')
    assert [event["event"] for event in look(job, news.offset).events] == ["two"]


def test_a_long_log_comes_in_parts_and_whole(job: Job) -> None:
    def work(emit: Emit) -> dict[str, Any]:
        for number in range(4000):
            emit({"event": "tick", "number": number, "text": "x" * 200})
        emit({"event": "tick", "number": 4000, "text": "x" * 2_000_000})
        return {}

    ensure(job, WHO, work)
    numbers: list[int] = []
    offset, end = 0, None
    while end is None:
        news = follow(job, offset, 10)
        assert not news.lost
        numbers += [event["number"] for event in news.events]
        offset, end = news.offset, news.end
    assert numbers == list(range(4001))


def test_a_disk_that_fills_up_costs_progress_and_not_the_work(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = detach._append

    def append(log: int, event: dict[str, Any]) -> None:
        if event["event"] == "second":
            os.write(log, b'{"event": "sec')
            raise OSError(errno.ENOSPC, "No space left on device")
        room_kept = os.path.exists(job.reserve_path)
        genuine(log, {**event, "room_kept": room_kept})

    def work(emit: Emit) -> dict[str, Any]:
        for name in ("first", "second", "third"):
            emit({"event": name})
        return {"status": "done"}

    monkeypatch.setattr(detach, "_append", append)
    news = follow(ensure(job, WHO, work), 0, LIMIT_S)
    while news.end is None:
        news = follow(job, 0, LIMIT_S)
    assert [(event["event"], event["room_kept"]) for event in news.events] == [("first", True), ("third", True)]
    assert (news.end["result"], news.end["room_kept"]) == ({"status": "done"}, False)


def test_without_room_for_its_files_nothing_begins(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(WindlassError) as refusal:
            ensure(job, WHO, lambda _: {"status": "done"})
    assert refusal.value.code == "space_missing"
    assert job.folder in refusal.value.message
    assert not os.path.exists(job.log)
    assert follow(ensure(job, WHO, lambda _: {"status": "done"}), 0, LIMIT_S).lost is False


def test_files_are_the_owners_alone(job: Job, gate: Path) -> None:
    gate.touch()
    ensure(job, WHO, held(gate))
    follow(job, 0, LIMIT_S)
    modes = {stat.S_IMODE(os.stat(path).st_mode) for path in (job.log, job.lock_path)}
    assert modes == {0o600}
    assert stat.S_IMODE(os.stat(job.folder).st_mode) == 0o700


def test_old_logs_go_and_the_newest_stay(job: Job, gate: Path) -> None:
    gate.touch()
    Path(job.folder).mkdir()
    for number in range(60):
        path = Path(job.folder) / f"old-{number:02}.migrate.jsonl"
        path.touch()
        os.utime(path, (number, number))
    ensure(job, WHO, held(gate))
    follow(job, 0, LIMIT_S)
    kept = sorted(path.name for path in Path(job.folder).glob("*.jsonl"))
    assert len(kept) == detach.KEPT_LOGS
    assert Path(job.log).name in kept and "old-59.migrate.jsonl" in kept and "old-00.migrate.jsonl" not in kept


def test_databases_of_one_name_have_folders_of_their_own() -> None:
    first = detach.job_folder("/state", "messaging", "postgresql://a/messaging")
    second = detach.job_folder("/state", "messaging", "postgresql://b/messaging")
    assert first != second
    strange = detach.job_folder("/state", '../"ö/x', "postgresql:///x")
    assert Path(strange).parent == Path("/state/runs")


def test_a_chosen_state_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(WindlassError) as caught:
        state_dir(str(blocked / "state"))
    assert caught.value.code == "preflight_failed"
    assert "windlass_state_dir" in caught.value.hint
