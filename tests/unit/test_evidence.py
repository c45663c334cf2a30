"""The chain of evidence: what it holds, and that whatever is changed in it is seen."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tests.unit.gated import BLOCK, DIGEST, judged, keep, run_of, step
from windlass.records import evidence, record, rehearsals
from windlass_engine.errors import WindlassError


def test_the_evidence_is_a_chain(tmp_path):
    for number in range(3):
        keep(tmp_path, step(), run_id=f"r{number}")
    kept = evidence.read(tmp_path, "staging")
    assert [item.number for item in kept] == [1, 2, 3]
    assert [(item.content or {})["previous"] for item in kept] == ["", kept[0].sha256, kept[1].sha256]
    assert list(evidence.faults(tmp_path, "staging")) == []
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (item.path for item in kept))


def test_the_evidence_holds_rehearsal_backup_and_fingerprints(tmp_path):
    part = {"duration_ms": 2000, "longest_block": BLOCK, "locks": [], "log_bytes": 5, "statements": ["much"]}
    rehearsals.keep(tmp_path, DIGEST, "r0", {"failed": "", "backup": "b1", "parts": [part]})
    run = run_of(step())
    data = run["hosts"]["db1"]["databases"]["d"]
    data["plan"]["drift"] = {"fingerprint": "f1", "changes": []}
    data["run"]["fingerprint"] = "f2"
    data["backup"] = {"id": "b2", "fingerprint": "other"}
    evidence.keep(tmp_path, run, "")
    (kept,) = evidence.read(tmp_path, "staging")
    (found,) = evidence.databases(kept.content or {})
    assert found["fingerprints"] == {"before": "f1", "after": "f2"} and found["backup"]["id"] == "b2"
    told = found["rehearsal"]
    assert (told["run_id"], told["backup"], told["duration_ms"], told["longest_block"]) == ("r0", "b1", 2000, BLOCK)
    assert "statements" not in told


def edit(path: Path) -> None:
    path.write_text(path.read_text().replace('"who"', '"by"', 1))


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("tamper", [edit, Path.unlink], ids=["edited", "removed"])
def test_tampered_evidence_is_seen(tmp_path, number, tamper):
    for each in range(3):
        keep(tmp_path, step(), run_id=f"r{each}")
    tamper(evidence.read(tmp_path, "staging")[number].path)
    with pytest.raises(WindlassError, match="not whole") as caught:
        evidence.require_whole(tmp_path, "staging")
    assert caught.value.code == "evidence_broken"
    assert not judged(tmp_path, {"staged": "staging"})["staged"]["met"], "and proves nothing any more"


def leaves(value, way=()):
    """The way to each field of plain data that holds no other."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [leaf for key, item in inner for leaf in leaves(item, (*way, key))]
    return found or [way]


def changed(value, way):
    """Plain data with one field changed."""
    if not way:
        return "something else"
    copy = value.copy()
    copy[way[0]] = changed(copy[way[0]], way[1:])
    return copy


def test_a_change_in_any_field_of_any_bundle_is_seen(tmp_path):
    for each in range(3):
        keep(tmp_path, step(), run_id=f"r{each}")
    head = tmp_path / ".windlass" / "evidence" / "staging" / "head.json"
    tried = 0
    for path in [*(kept.path for kept in evidence.read(tmp_path, "staging")), head]:
        text = path.read_text()
        for way in leaves(json.loads(text)):
            path.write_text(json.dumps(changed(json.loads(text), way), indent=1) + "\n")
            assert list(evidence.faults(tmp_path, "staging")), (path.name, way)
            tried += 1
        path.write_text(text)
    assert tried > 100 and list(evidence.faults(tmp_path, "staging")) == []


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", '{"number": 5}', "no JSON"])
@pytest.mark.parametrize("name", ["head.json", "000002-r1.json"])
def test_files_that_are_something_else_are_told_and_stop_nobody(tmp_path, name, text):
    for each in range(3):
        keep(tmp_path, step(), run_id=f"r{each}")
    (tmp_path / ".windlass" / "evidence" / "staging" / name).write_text(text)
    assert list(evidence.faults(tmp_path, "staging"))
    assert keep(tmp_path, step(), run_id="r3"), "the next run is kept all the same …"
    assert list(evidence.faults(tmp_path, "staging")), "… and mends nothing"


def at_the_head(monkeypatch, happens):
    """Let something happen when a bundle is written and its head is not."""
    genuine = record.write

    def write(path, text):
        if path.name == "head.json":
            happens()
        genuine(path, text)

    monkeypatch.setattr(record, "write", write)


def test_whoever_reads_while_a_bundle_is_added_finds_the_chain_whole(tmp_path, monkeypatch):
    keep(tmp_path, step(), run_id="r0")
    found = []
    reader = threading.Thread(target=lambda: found.append(evidence.faults(tmp_path, "staging")))

    def read():
        reader.start()
        reader.join(0.5)  # it waits for the head; one that does not is done by now

    at_the_head(monkeypatch, read)
    keep(tmp_path, step(), run_id="r1")
    reader.join()
    assert found == [[]]


@pytest.mark.parametrize("before", [0, 2])
def test_a_run_that_was_killed_before_the_head_breaks_no_chain(tmp_path, monkeypatch, before):
    for each in range(before):
        keep(tmp_path, step(), run_id=f"r{each}")

    def die():
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        at_the_head(patched, die)
        keep(tmp_path, step(), run_id="killed")
    assert evidence.faults(tmp_path, "staging") == []
    keep(tmp_path, step(), run_id="next")
    assert evidence.faults(tmp_path, "staging") == []
    numbers = [(item.number, (item.content or {})["run_id"]) for item in evidence.read(tmp_path, "staging")]
    assert numbers[before:] == [(before + 1, "killed"), (before + 2, "next")]


def test_a_changed_record_is_seen(tmp_path):
    keep(tmp_path, step())
    path = tmp_path / ".windlass" / "runs" / "r1" / "record.json"
    record.write(path, "the record\n")
    assert list(evidence.faults(tmp_path, "staging")) == []
    record.write(path, "another record\n")
    assert "the record of run r1 was changed since" in list(evidence.faults(tmp_path, "staging"))


def test_a_dry_run_and_a_look_leave_no_evidence(tmp_path):
    assert evidence.keep(tmp_path, {**run_of(step()), "check": True}, "") is None
    assert evidence.keep(tmp_path, run_of(step(), verb="verify"), "") is None
    assert evidence.keep(tmp_path, {**run_of(step()), "digest": ""}, "") is None
