"""Between Ansible and the engine: what travels arrives unchanged, secrets stay hidden, long work goes in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils import windlass_detach as detach
from hypothesis import given
from hypothesis import strategies as st

from testbed.waiting import LIMIT_S, wait_until
from windlass_engine.model import Target
from windlass_engine.wire import pack, unpack

Emit = Callable[[dict[str, Any]], None]
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(PLAIN, st.lists(st.text(min_size=1, max_size=4, alphabet="abcXYZ019+/=")))
def test_packed_data_arrives_unchanged_and_holds_no_secret(value: Any, secrets: list[str]) -> None:
    text = pack(value, secrets)
    assert unpack(text) == value
    assert not any(secret in text for secret in secrets)


def test_secrets_are_hidden_in_texts_for_people_only() -> None:
    data = {
        "error": {"code": "login_refused", "message": "no: salon", "hint": "salon?", "where": {"database": "salon"}},
        "events": [{"event": "retry", "reason": "salon waits", "migration": "salon"}],
        "name": "salon",
    }
    assert adapter.hidden(data, ["salon"]) == {
        "error": {
            "code": "login_refused",
            "message": "no: ********",
            "hint": "********?",
            "where": {"database": "salon"},
        },
        "events": [{"event": "retry", "reason": "******** waits", "migration": "salon"}],
        "name": "salon",
    }


class Fleet:
    """Orders for databases a, b, …, each with work of its own, and a module that asks for them."""

    def __init__(self, folder: Path, **works: detach.Work) -> None:
        self.params: dict[str, Any] = {
            "state_dir": str(folder), "run_id": "run-1", "cursor": None, "seconds": LIMIT_S,
            "settings": {name: {"who": "ann", "origin": "desk"} for name in works},
        }  # fmt: skip
        self.orders = [self.order(name, work) for name, work in works.items()]

    def order(
        self,
        name: str,
        work: detach.Work,
        kind: str = "migrate",
        lock: str = "run",
        seen: Any = None,
        digest: str = "d" * 64,
    ) -> adapter.Order:
        target = Target(name, "tried", f"postgresql:///{name}")
        return adapter.order(SimpleNamespace(params=self.params), target, kind, digest, lock, work, seen)

    def advance(self, **params: Any) -> dict[str, Any]:
        self.params.update(params)
        found: dict[str, Any] = adapter.advance(SimpleNamespace(params=self.params), self.orders)
        return found


def done(name: str) -> detach.Work:
    def work(emit: Emit) -> dict[str, Any]:
        emit({"event": name})
        return {"status": "done", "name": name}

    return work


def fails(emit: Emit) -> dict[str, Any]:
    return {"status": "failed"}


def until(gate: Path) -> detach.Work:
    def work(emit: Emit) -> dict[str, Any]:
        emit({"event": "began"})
        wait_until(gate.exists, what="the gate")
        return {"status": "done"}

    return work


def test_orders_go_one_after_the_other(tmp_path: Path) -> None:
    reply = Fleet(tmp_path, a=done("a"), b=done("b")).advance()
    assert [event["event"] for event in reply["events"]] == ["a", "b"]
    assert [event["database"] for event in reply["events"]] == ["a", "b"]
    assert {name: end["result"]["name"] for name, end in reply["outcomes"].items()} == {"a": "a", "b": "b"}
    assert reply["cursor"] is None


def test_the_first_failure_is_the_last_order(tmp_path: Path) -> None:
    reply = Fleet(tmp_path, a=done("a"), b=fails, c=done("c")).advance()
    assert list(reply["outcomes"]) == ["a", "b"]
    assert reply["cursor"] is None
    assert not list(tmp_path.glob("runs/c-*/*.jsonl"))


def test_a_slice_ends_in_time_and_the_next_goes_on(tmp_path: Path) -> None:
    gate = tmp_path / "open"
    fleet = Fleet(tmp_path, a=done("a"), b=until(gate), c=done("c"))
    slices = [fleet.advance(seconds=0.1)]
    while slices[-1]["cursor"]["database"] != "b":
        slices.append(fleet.advance(cursor=slices[-1]["cursor"], seconds=0.1))
    slices.append(fleet.advance(cursor=slices[-1]["cursor"], seconds=0.1))
    assert slices[-1]["cursor"]["database"] == "b"
    gate.touch()
    slices.append(fleet.advance(cursor=slices[-1]["cursor"], seconds=LIMIT_S))
    assert slices[-1]["cursor"] is None
    assert [name for reply in slices for name in reply["outcomes"]] == ["a", "b", "c"]
    events = [event["event"] for reply in slices for event in reply["events"]]
    assert events == ["a", "began", "c"], "each event is told once"


def test_a_lost_reply_is_asked_for_again_without_starting_anything_twice(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, a=done("a"), b=done("b"))
    assert fleet.advance() == fleet.advance()
    assert len(list(tmp_path.glob("runs/*/*.jsonl"))) == 2


@pytest.mark.parametrize(("kind", "followed"), [("migrate", True), ("restore", False)])
def test_a_change_seen_at_work_is_followed_though_it_has_ended_since(tmp_path: Path, kind: str, followed: bool) -> None:
    other = Fleet(tmp_path, a=done("theirs"))
    other.orders = [other.order("a", done("theirs"), kind)]
    other.advance()
    mine = Fleet(tmp_path, a=done("mine"))
    mine.params["run_id"] = "run-2"
    mine.orders = [mine.order("a", done("mine"), seen={"run_id": "run-1", "kind": kind})]
    reply = mine.advance()
    assert reply["outcomes"]["a"]["result"]["name"] == ("theirs" if followed else "mine")
    assert ("a" in reply["attached"]) == followed


def test_a_change_seen_at_work_that_has_died_is_not_waited_for(tmp_path: Path) -> None:
    mine = Fleet(tmp_path, a=done("mine"))
    mine.orders = [mine.order("a", done("mine"), seen={"run_id": "run-0", "kind": "migrate"})]
    assert mine.advance()["outcomes"]["a"]["result"]["name"] == "mine"


def test_anothers_change_is_followed_to_its_end(tmp_path: Path) -> None:
    gate = tmp_path / "open"
    other = Fleet(tmp_path, a=until(gate))
    other.advance(seconds=0.2)
    mine = Fleet(tmp_path, a=done("a"))
    mine.params["run_id"] = "run-2"
    mine.orders = [mine.order("a", done("a"))]
    reply = mine.advance(seconds=0.2)
    assert (reply["attached"]["a"]["who"], reply["attached"]["a"]["run_id"]) == ("ann", "run-1")
    gate.touch()
    last = mine.advance(cursor=reply["cursor"], seconds=LIMIT_S)
    assert last["outcomes"]["a"]["result"] == {"status": "done"}
    assert len(list(tmp_path.glob("runs/*/*.jsonl"))) == 1


@pytest.mark.parametrize(("kind", "lock"), [("backup", "backup"), ("restore", "run")])
@pytest.mark.parametrize(("digest", "made"), [("other", True), ("", True), ("same", False)])
def test_anothers_backup_or_restore_is_waited_for_and_then_ours_is_made_unless_it_is_the_same(
    tmp_path: Path, kind: str, lock: str, digest: str, made: bool
) -> None:
    gate = tmp_path / "open"
    other = Fleet(tmp_path, a=until(gate))
    other.orders = [other.order("a", until(gate), kind, lock, digest=digest and "same")]
    other.advance(seconds=0.2)
    mine = Fleet(tmp_path, a=done("a"))
    mine.params["run_id"] = "run-2"
    mine.orders = [mine.order("a", done("mine"), kind, lock, digest=digest)]
    reply = mine.advance(seconds=0.2)
    assert reply["outcomes"] == {}
    gate.touch()
    last = mine.advance(cursor=reply["cursor"], seconds=LIMIT_S)
    assert last["outcomes"]["a"]["result"].get("name") == ("mine" if made else None)
    assert len(list(tmp_path.glob("runs/*/*.jsonl"))) == (2 if made else 1)


def test_a_run_that_died_is_told_as_lost(tmp_path: Path) -> None:
    def dies(emit: Emit) -> dict[str, Any]:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    reply = Fleet(tmp_path, a=dies, b=done("b")).advance()
    assert reply["outcomes"]["a"]["error"]["code"] == "run_lost"
    assert list(reply["outcomes"]) == ["a"]


def test_check_mode_works_in_this_process(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, a=done("a"), b=fails, c=done("c"))
    reply = adapter.directly(fleet.orders)
    assert list(reply["outcomes"]) == ["a", "b"]
    assert not list(tmp_path.glob("runs/*/*.jsonl"))
