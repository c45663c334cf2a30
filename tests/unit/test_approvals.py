"""Who may open the gate: signed approvals, the verdict, and the broken glass."""

from __future__ import annotations

import json
import os
import subprocess
import threading

import pytest

from tests.unit.gated import DIGEST, NOW, plan
from windlass.environment import Database, merge_policy
from windlass.gate import approvals, points, verdict
from windlass.records import record
from windlass_engine.errors import WindlassError


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
