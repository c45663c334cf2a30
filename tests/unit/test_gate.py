"""The gate: windows, points, and what was staged."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.gated import BLOCK, DIGEST, NOW, judged, keep, step
from windlass.environment import merge_policy
from windlass.gate import staged, window
from windlass.records import rehearsals
from windlass_engine.errors import WindlassError

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
