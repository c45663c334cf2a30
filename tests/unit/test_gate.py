"""The gate: windows, policy, what was staged, approvals; and the chain of evidence."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from windlass.environment import Database, merge_policy
from windlass.gate import approvals, points, staged, verdict, window
from windlass.records import evidence, record, rehearsals
from windlass_engine.errors import WindlassError

NOW = datetime(2026, 3, 4, 21, 30, tzinfo=UTC)  # a Wednesday
DIGEST = "ab" * 32


def step(name="001_a", checksum="v1:1", action="apply", **more):
    return {"action": action, "kind": "migration", "name": name, "checksum": checksum, "proved": True, **more}


def plan(*steps, direction="up", **more):
    return {"digest": DIGEST, "system": "tried", "direction": direction, "steps": list(steps or [step()]), **more}


def run_of(*steps, verb="deploy", environment="staging", applied=None, status="done", failures=(), run_id="r1"):
    """A closed record of one run on one database."""
    run = record.new(verb, environment, run_id)
    names = [item["name"] for item in steps] if applied is None else applied
    checks = [{"name": "stands", "failures": list(failures), "error": ""}]
    data = {"plan": plan(*steps), "run": {"status": "done", "applied": names}, "checks": checks}
    run["hosts"]["db1"] = {"status": "done", "databases": {"d": data}, "error": None, "notes": []}
    return {**run, "digest": DIGEST, "status": status, "finished": NOW.isoformat()}


def keep(root, *steps, **more):
    return evidence.keep(root, run_of(*steps, **more), "the record\n")


def judged(root, gate, steps=(), info=None, now=NOW, whole=None, drift=None):
    policy = merge_policy({"gate": gate})
    database = Database("d", "tried", "postgresql://", policy=policy)
    more = {key: value for key, value in (("risk", whole), ("drift", drift)) if value}
    subject = points.Subject(root, "prod", database, plan(*steps, **more), info or {}, now)
    return {point["point"]: point for point in points.judged(subject)}


# ---------------------------------------------------------------- windows


@pytest.mark.parametrize(
    ("text", "moment", "inside"),
    [
        ("Mon-Thu 20:00-23:30", NOW, True),
        ("Mon-Thu 20:00-21:30", NOW, False),
        ("Thu 20:00-23:30", NOW, False),
        ("daily 21:30-21:31", NOW, True),
        ("Mon,Wed 9:00-22:00", NOW, True),
        ("Wed 22:00-02:00", NOW + timedelta(hours=3), True),  # past midnight it is still Wednesday's window
        ("Thu 22:00-02:00", NOW + timedelta(hours=3), False),
        ("Wed 22:00-23:00 Europe/Berlin", NOW, True),
        ("Wed 21:00-22:00 Europe/Berlin", NOW, False),
        ("Sat-Mon 00:00-23:59", datetime(2026, 3, 8, 12, tzinfo=UTC), True),
    ],
)
def test_a_window(text, moment, inside):
    assert window.is_open([text], moment) is inside


@pytest.mark.parametrize(
    ("texts", "opens"),
    [
        (["Thu 20:00-23:30"], "2026-03-05 20:00"),
        (["Wed 20:00-21:00"], "2026-03-11 20:00"),  # this week's is over
        (["Sat 10:00-11:00", "Fri 22:00-23:00 Europe/Berlin"], "2026-03-06 21:00"),
        (["daily 21:30-21:31"], "2026-03-05 21:30"),
    ],
)
def test_when_a_window_opens_next(texts, opens):
    assert f"{window.opens(texts, NOW):%Y-%m-%d %H:%M}" == opens


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ({"window": "Mon 20-23"}, "it cannot be read"),
        ({"window": ["Mo 20:00-23:00"]}, "no day of the week"),
        ({"window": "Mon 20:00-25:00"}, "gate.window"),
        ({"window": "Mon 20:00-23:00 Europe/Nowhere"}, "no such time zone"),
        ({"soak": "24h"}, "needs gate.staged"),
        ({"staged": "staging", "soak": "24"}, "needs a unit"),
        ({"approvals": "many"}, "gate.approvals is a whole number"),
        ({"aprovals": 1}, "did you mean approvals?"),
        (["staged"], "not a mapping"),
    ],
)
def test_a_wrong_gate_is_refused_with_its_key(gate, words):
    with pytest.raises(WindlassError, match="gate") as caught:
        merge_policy({"gate": gate}, database="d")
    assert (caught.value.code, caught.value.where) == ("inventory_invalid", {"database": "d"})
    assert words in caught.value.message


def test_a_database_lays_its_gate_over_the_environments():
    base = merge_policy({"gate": {"staged": "staging", "approvals": 2}})
    own = merge_policy({"gate": {"approvals": 1}}, base)
    assert (own.gate.staged, own.gate.approvals) == ("staging", 1)
    assert merge_policy({"gate": {}}, base).gate == merge_policy({}).gate, "an empty one opens it"


# ---------------------------------------------------------------- points


def test_nothing_is_asked_for_that_the_policy_does_not_name(tmp_path):
    assert judged(tmp_path, {}) == {}


def test_proved_names_what_is_not(tmp_path):
    assert judged(tmp_path, {"proved": True})["proved"]["met"]
    found = judged(tmp_path, {"proved": True}, [step(), step("002_b", proved=False)])["proved"]
    assert not found["met"] and "002_b" in found["found"] and "001_a" not in found["found"]
    assert found["command"] == "invoke prove --system tried"


def test_risk_above_the_class_has_to_be_allowed_by_name(tmp_path):
    gate = {"risk": "low"}
    assert judged(tmp_path, gate)["risk"]["met"]
    risks = [
        {"rule": "drop-column", "class": "high", "allowed": ""},
        {"rule": "add-index", "class": "low", "allowed": ""},
    ]
    whole = {"class": "high", "open_class": "high"}
    point = judged(tmp_path, gate, [step(risks=risks)], whole=whole)["risk"]
    assert not point["met"] and point["found"] == "001_a: drop-column high; low is allowed"
    allowed = [{**risks[0], "allowed": "nobody reads it"}, risks[1]]
    assert judged(tmp_path, gate, [step(risks=allowed)], whole={**whole, "open_class": "low"})["risk"]["met"]
    with pytest.raises(WindlassError, match=r"gate\.risk is one of zero"):
        merge_policy({"gate": {"risk": "tiny"}})


def test_drift_closes_the_gate_and_so_does_not_knowing(tmp_path):
    gate, known = {"drift": True}, {"run_id": "r", "who": "ada", "at": "now"}
    change = {"what": "added", "kind": "column", "identity": "a.b"}
    assert "nobody looked" in judged(tmp_path, gate)["drift"]["found"]
    for found, met in (
        ({"unknown": "", "known": known, "changes": []}, True),
        ({"unknown": "", "known": known, "changes": [change]}, False),
        ({"unknown": "no run has kept it", "known": None, "changes": []}, False),
        ({"unknown": "no run has kept it", "new": True, "known": None, "changes": []}, True),
    ):
        assert judged(tmp_path, gate, drift=found)["drift"]["met"] is met


def test_a_verified_backup_has_to_be_young(tmp_path):
    gate = {"backup_verified": "24h"}
    assert judged(tmp_path, gate, info={"verified": {"age_s": 3600}})["backup_verified"]["met"]
    old = judged(tmp_path, gate, info={"verified": {"age_s": 25 * 3600}})["backup_verified"]
    assert not old["met"] and "25 h old" in old["found"]
    assert "invoke backup-test --env prod --database d" in old["command"]
    assert not judged(tmp_path, gate)["backup_verified"]["met"], "none at all"


def test_the_window_is_open_or_says_when_it_opens(tmp_path):
    assert judged(tmp_path, {"window": ["Wed 21:00-22:00"]})["window"]["met"]
    point = judged(tmp_path, {"window": ["Thu 21:00-22:00"]})["window"]
    assert not point["met"] and "Wed 21:30 UTC is outside the window" in point["found"]
    assert point["command"] == "invoke deploy --env prod  # from Thu 2026-03-05 21:00 UTC on"


BLOCK = {"table": "t", "blocks": "writes", "mode": "X", "held_ms": 400, "longest_ms": 300}


@pytest.mark.parametrize(
    ("kept", "age", "met", "words"),
    [
        ({}, 1, True, "rehearsed 1 h ago: needs 2.0 s, keeps writes of t waiting for 0.3 s"),
        ({}, 25, False, "rehearsed 1 d ago"),
        ({"failed": "the plan fails: no such table"}, 1, False, "the plan fails: no such table"),
        ({"duration_ms": 9000}, 1, False, "5.0 s are allowed for the run"),
        ({"longest_block": {**BLOCK, "longest_ms": 600}}, 1, False, "0.5 s are allowed for keeping others waiting"),
        ({"longest_block": None}, 1, True, "keeps nobody waiting"),
        ({"longest_block": None, "unseen_ms": 499}, 1, True, "keeps nobody waiting for longer than 0.5 s"),
        ({"longest_block": None, "unseen_ms": 501}, 1, False, "for 0.5 s of it the server did not answer who waits"),
        ({"locks": None, "lock_note": "INSTALL SONAME"}, 1, False, "is not known, and the policy has a limit for that (INSTALL"),
    ],
    ids=[
        "met", "too old", "failed", "too long", "waits too long", "nobody waits", "unseen for a while", "unseen for too long",
        "locks unknown",
    ],
)  # fmt: skip
def test_rehearsed_within_time_and_budget(tmp_path, kept, age, met, words):
    part = {"duration_ms": 2000, "longest_block": BLOCK, "locks": [], **kept}
    rehearsals.keep(tmp_path, DIGEST, "r1", {"failed": kept.get("failed", ""), "parts": [part]})
    path = next(tmp_path.glob(".windlass/rehearsals/*"))
    at = (NOW - timedelta(hours=age)).isoformat()
    path.write_text(json.dumps({**json.loads(path.read_text()), "at": at}))
    point = judged(tmp_path, {"rehearsed": "24h", "longest_run": "5s", "longest_block": "500ms"})["rehearsed"]
    assert (point["met"], words in point["found"]) == (met, True), point
    assert bool(point["command"]) is not met and (met or "invoke rehearse --env prod --database d" in point["command"])


def test_what_was_never_rehearsed_is_not_met(tmp_path):
    point = judged(tmp_path, {"rehearsed": "24h"})["rehearsed"]
    assert (point["met"], point["found"]) == (False, "this plan was not rehearsed")


def test_every_unmet_point_has_a_command_or_a_word_that_meets_it(tmp_path):
    gate = {
        "staged": "staging", "soak": "24h", "proved": True, "backup_verified": "24h", "rehearsed": "24h",
        "risk": "low", "drift": True, "window": ["Thu 21:00-22:00"],
    }  # fmt: skip
    risky = [step(proved=False, risks=[{"rule": "drop-column", "class": "high", "allowed": ""}])]
    found = judged(tmp_path, gate, risky, whole={"class": "high", "open_class": "high"})
    assert set(found) == {"staged", "proved", "backup_verified", "rehearsed", "risk", "drift", "window"}
    assert {name for name, point in found.items() if point["met"] or not point["command"]} == set()


# ---------------------------------------------------------------- staged


def test_staged_wants_the_same_scripts_verified_there(tmp_path):
    gate = {"staged": "staging"}
    assert not judged(tmp_path, gate)["staged"]["met"]
    keep(tmp_path, step())
    assert judged(tmp_path, gate)["staged"]["met"]
    assert not judged(tmp_path, gate, [step(checksum="v1:2")])["staged"]["met"], "edited since"
    assert not judged(tmp_path, gate, [step(), step("002_b")])["staged"]["met"]


def test_what_stands_in_staging_has_to_soak(tmp_path):
    keep(tmp_path, step())
    gate = {"staged": "staging", "soak": "24h"}
    early = judged(tmp_path, gate, now=NOW + timedelta(hours=23))["staged"]
    assert not early["met"] and "it soaks until 2026-03-05 21:30 UTC" in early["found"]
    assert early["command"].endswith("# from Thu 2026-03-05 21:30 UTC on")
    assert judged(tmp_path, gate, now=NOW + timedelta(hours=24))["staged"]["met"]


@pytest.mark.parametrize(
    "more",
    [{"status": "failed"}, {"failures": ["a row"]}, {"applied": []}, {"environment": "elsewhere"}],
    ids=["failed", "check failed", "not applied", "elsewhere"],
)
def test_what_did_not_end_well_there_does_not_count(tmp_path, more):
    keep(tmp_path, step(), **more)
    assert not judged(tmp_path, {"staged": "staging"})["staged"]["met"]


def test_what_was_undone_there_does_not_count_until_it_comes_again(tmp_path):
    keep(tmp_path, step())
    keep(tmp_path, step(action="revert", checksum="v1:down"), verb="rollback", run_id="r2")
    assert staged.since(tmp_path, "staging", "tried") == {}
    keep(tmp_path, step(), run_id="r3")
    assert list(staged.since(tmp_path, "staging", "tried")) == [("migration", "001_a", "v1:1")]


# ---------------------------------------------------------------- evidence


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


# ---------------------------------------------------------------- approvals


@pytest.fixture
def people(tmp_path):
    """Two people whom prod trusts, ada and bea, each with a key; and mallory with a key that nobody knows."""
    lines = []
    for name in ("ada", "bea", "mallory"):
        key = tmp_path / "keys" / name
        key.parent.mkdir(exist_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key], check=True)
        kind, data, _ = key.with_suffix(".pub").read_text().split()
        lines.append(f"{name}@example.org {kind} {data}\n")
    signers = tmp_path / "approvals" / "prod" / "allowed_signers"
    signers.parent.mkdir(parents=True)
    signers.write_text("# who may approve\n" + "".join(lines[:2]))
    return tmp_path / "keys"


def names(found):
    return [(item.principal, item.wrong) for item in found]


def test_a_signed_approval_counts(tmp_path, people):
    path = approvals.sign(tmp_path, "prod", DIGEST, people / "ada")
    assert path.name == f"{DIGEST[:12]}-ada@example.org.json"
    found = approvals.found(tmp_path, "prod", DIGEST)
    assert names(found) == [("ada@example.org", "")]
    assert [item.principal for item in approvals.counted(found, [])] == ["ada@example.org"]
    assert approvals.counted(found, ["ADA@example.org"]) == [], "not by an author"


def test_an_approval_that_is_given_again_meanwhile_is_read_whole(tmp_path, people, monkeypatch):
    """Whoever looks between the new signature and the new text sees what belongs together."""
    path = approvals.sign(tmp_path, "prod", DIGEST, people / "ada")
    found = []
    reader = threading.Thread(target=lambda: found.append(approvals.found(tmp_path, "prod", DIGEST)))
    genuine, now = record.write, record.now()

    def write(target, text):
        if target == path:
            reader.start()
            reader.join(0.5)
        genuine(target, text)

    monkeypatch.setattr(record, "write", write)
    monkeypatch.setattr(record, "now", lambda: f"{now} or later")
    approvals.sign(tmp_path, "prod", DIGEST, people / "ada")
    reader.join()
    assert names(found[0]) == [("ada@example.org", "")]


def test_an_approval_is_for_one_plan_and_one_environment(tmp_path, people):
    path = approvals.sign(tmp_path, "prod", DIGEST, people / "ada")
    other = DIGEST[:12] + "0" * 52
    assert names(approvals.found(tmp_path, "prod", other)) == [
        ("ada@example.org", "it is for another environment or plan")
    ]
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "digest": other}))
    assert "not one of ada@example.org's" in approvals.found(tmp_path, "prod", other)[0].wrong, "edited after signing"


def test_a_name_needs_its_own_key(tmp_path, people):
    path = approvals.sign(tmp_path, "prod", DIGEST, people / "ada")
    path.write_text(path.read_text().replace("ada@", "bea@"))
    assert "not one of bea@example.org's" in approvals.found(tmp_path, "prod", DIGEST)[0].wrong
    with pytest.raises(WindlassError, match="does not know the key"):
        approvals.sign(tmp_path, "prod", DIGEST, people / "mallory")


def test_nobody_may_approve_without_signers(tmp_path):
    with pytest.raises(WindlassError, match="allowed_signers is missing") as caught:
        approvals.found(tmp_path, "prod", DIGEST)
    assert caught.value.code == "preflight_failed"


def test_the_authors_of_the_scripts_are_known_from_git(tmp_path):
    who = {"GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_COMMITTER_NAME": "x",
           "GIT_COMMITTER_EMAIL": "bot@example.org", "PATH": os.environ["PATH"], "HOME": str(tmp_path)}  # fmt: skip
    for name in ("a", "b"):
        path = tmp_path / "sql" / "tried" / "migrations" / name / "up.sql"
        path.parent.mkdir(parents=True)
        path.write_text("SELECT 1;\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True, env=who)
    assert {"ada@example.org", "bot@example.org"} <= approvals.involved(tmp_path, ["sql/tried/migrations/a"])
    assert "ada@example.org" not in approvals.involved(tmp_path, ["sql/tried/migrations/none"])


# ---------------------------------------------------------------- verdict


def planned(approvals_wanted=0, gate=()):
    return {"db1": {"d": {"plan": plan(gate=list(gate), approvals=approvals_wanted)}}}


UNMET = {"point": "proved", "met": False, "found": "not proved: 001_a", "command": "invoke prove --system tried"}


def test_a_closed_gate_lists_every_unmet_point_with_its_command(tmp_path, people):
    gate = verdict.of(tmp_path, "prod", DIGEST, planned(1, [UNMET]))
    with pytest.raises(WindlassError) as caught:
        verdict.enforce(gate, "prod", DIGEST)
    assert caught.value.code == "gate_closed"
    assert "db1 d  proved: not proved: 001_a\n    invoke prove --system tried" in caught.value.message
    assert "approvals: 0 of 1 (nobody)\n    invoke approve --env prod --plan abababababab" in caught.value.message


def test_the_commands_are_about_what_was_asked_for(tmp_path, people):
    """Another choice of databases, or another end, is another plan with another digest."""
    gate = verdict.of(tmp_path, "prod", DIGEST, planned(1), scope=" --host db1 --database d")
    [(_, _, command)] = verdict.wanting(gate)
    assert command == "invoke approve --env prod --host db1 --database d --plan abababababab"
    policy = merge_policy({"gate": {"rehearsed": "24h", "window": ["Thu 21:00-22:00"]}})
    subject = points.Subject(
        tmp_path,
        "prod",
        Database("d", "tried", "postgresql://", policy=policy),
        plan(),
        {},
        NOW,
        " --to 001_a",
        "001_a",
    )
    commands = {point["point"]: point["command"] for point in points.judged(subject)}
    assert commands["rehearsed"] == "invoke rehearse --env prod --database d --to 001_a"
    assert commands["window"].startswith("invoke deploy --env prod --to 001_a  # from Thu")


def test_enough_approvals_open_it(tmp_path, people):
    approvals.sign(tmp_path, "prod", DIGEST, people / "ada")
    one = verdict.of(tmp_path, "prod", DIGEST, planned(2))
    with pytest.raises(WindlassError, match=r"1 of 2 \(ada@example.org\)"):
        verdict.enforce(one, "prod", DIGEST)
    approvals.sign(tmp_path, "prod", DIGEST, people / "bea")
    verdict.enforce(verdict.of(tmp_path, "prod", DIGEST, planned(2)), "prod", DIGEST)


def test_the_glass_is_broken_only_where_that_is_needed_and_with_a_reason(tmp_path):
    reason = "bookings fail since 02:10, fix in 007"
    broken = verdict.of(tmp_path, "prod", DIGEST, planned(0, [UNMET]), reason)
    assert broken["broken_glass"] == reason
    verdict.enforce(broken, "prod", DIGEST)
    assert verdict.of(tmp_path, "prod", DIGEST, planned(), reason)["broken_glass"] == ""
    with pytest.raises(WindlassError, match="is no reason"):
        verdict.of(tmp_path, "prod", DIGEST, planned(), "please")
