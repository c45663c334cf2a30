"""The gate to production, from the front door: refused point by point, met one after the other, or broken with a reason."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.project import Project
from tests.servers.postgresql import PostgresServer

FREE = {"confirm": "none", "backup": "never", "scratch": "allow"}
VERIFY = "SELECT 'public.a is missing' WHERE to_regclass('public.a') IS NULL;\n"
GATE = {"staged": "staging", "proved": True, "approvals": 1}


@pytest.fixture
def gated(project: Project, pg: PostgresServer) -> Iterator[Project]:
    """A system with one migration, an open `staging` and a gated `prod`, a database each."""
    project.system("tried")
    up = "CREATE TABLE IF NOT EXISTS public.a (id int PRIMARY KEY);\n"
    project.migration("001_table", up, down="DROP TABLE IF EXISTS public.a;\n", verify=VERIFY)
    with pg.database() as staging, pg.database() as prod:
        for name, url, gate in (("staging", staging, {}), ("prod", prod, GATE)):
            database = {"name": "d", "system": "tried", "url": url}
            project.local_environment(name, [database], policy={**FREE, "gate": gate})
        yield project


def signer(project: Project) -> Path:
    """Let ada approve for prod; return her key."""
    key = project.root / "keys" / "ada"
    key.parent.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    words = key.with_suffix(".pub").read_text().split()
    project.write("approvals/prod/allowed_signers", f"ada@example.org {words[0]} {words[1]}\n")
    return key


def data(project: Project, *arguments: str) -> Any:
    """What a verb prints as data, behind its messages."""
    told = project.invoke(*arguments, "--json").stdout
    return json.loads(told[told.index("\n{") if not told.startswith("{") else 0 :])


def events(project: Project, environment: str) -> list[dict[str, str]]:
    hosts = data(project, "history", "--env", environment)["hosts"]
    found: list[dict[str, str]] = hosts["here"]["databases"]["d"]["history"]
    return found


def test_the_gate_opens_when_every_point_is_met(gated: Project) -> None:
    key = signer(gated)
    planned = gated.invoke("plan", "--env", "prod")
    assert planned.returncode == 0, planned.stdout
    for told in (
        "NO",
        "staged: not deployed and verified in staging",
        "proved: not proved",
        "approvals: 0 of 1 (nobody)",
    ):
        assert told in planned.stdout
    digest = planned.stdout.split("--plan ")[-1].split()[0]
    refused = gated.invoke("deploy", "--env", "prod", "--plan", digest)
    assert refused.returncode == 45, refused.stdout
    assert "invoke deploy --env staging" in refused.stdout
    assert gated.playbook("deploy", "prod", variables={"windlass_yes": True}).code != 0, "not by the other door either"
    assert "is closed" in gated.invoke("deploy", "--env", "prod").stdout

    assert gated.invoke("prove", "--env", "staging", "--system", "tried").returncode == 0
    assert gated.invoke("deploy", "--env", "staging", "--yes").returncode == 0
    limited = gated.invoke("plan", "--env", "prod", "--host", "here", "--database", "d", "--to", "001_table").stdout
    assert "invoke approve --env prod --host here --database d --to 001_table --plan " in limited
    stale = gated.invoke("approve", "--env", "prod", "--plan", "0123456789", "--key", str(key))
    assert stale.returncode == 13, stale.stdout
    approved = gated.invoke("approve", "--env", "prod", "--plan", digest, "--key", str(key))
    assert approved.returncode == 0, approved.stdout
    done = gated.invoke("deploy", "--env", "prod", "--plan", digest)
    assert done.returncode == 0, done.stdout

    listed = data(gated, "evidence", "--env", "prod")["bundles"]
    assert [bundle["status"] for bundle in listed] == ["failed", "failed", "done"], "refusals are evidence, too"
    last = listed[-1]
    assert [item["principal"] for item in last["gate"]["approvals"]["by"]] == ["ada@example.org"]
    assert "SSH SIGNATURE" in last["gate"]["approvals"]["by"][0]["signature"]
    assert "The chain is whole: 3 bundles" in gated.invoke("evidence", "--env", "prod", "--verify").stdout
    again = gated.invoke("deploy", "--env", "prod")
    assert (again.returncode, "nothing to do" in again.stdout) == (0, True), again.stdout


def test_evidence_that_was_changed_is_seen_and_no_longer_opens_the_gate(gated: Project) -> None:
    assert gated.invoke("deploy", "--env", "staging", "--yes").returncode == 0
    assert "stands verified in staging" in gated.invoke("plan", "--env", "prod").stdout
    (bundle,) = (gated.root / ".windlass" / "evidence" / "staging").glob("0*.json")
    bundle.write_text(bundle.read_text().replace('"status": "done"', '"status": "DONE"', 1))
    told = gated.invoke("evidence", "--env", "staging", "--verify")
    assert (told.returncode, "was changed" in told.stdout) == (46, True), told.stdout
    assert "the evidence of staging is not whole" in gated.invoke("plan", "--env", "prod").stdout


def test_the_glass_can_be_broken_with_a_reason_that_stays(gated: Project) -> None:
    assert gated.invoke("deploy", "--env", "prod", "--yes", "--break-glass", "now").returncode == 2
    reason = "bookings fail since 02:10, the fix cannot wait"
    done = gated.invoke("deploy", "--env", "prod", "--yes", "--break-glass", reason)
    assert done.returncode == 0, done.stdout
    assert reason in done.stdout
    assert [event["detail"] for event in events(gated, "prod") if event["event"] == "glass_broken"] == [reason]
    assert reason in gated.invoke("history", "--env", "prod").stdout
    (folder,) = sorted(path.parent for path in (gated.root / ".windlass" / "runs").glob("*/report.html"))[-1:]
    assert reason in (folder / "report.html").read_text()


def test_the_way_back_has_no_gate(gated: Project, pg: PostgresServer) -> None:
    reason = "a first deployment, to be undone"
    assert gated.invoke("deploy", "--env", "prod", "--yes", "--break-glass", reason).returncode == 0
    done = gated.invoke("rollback", "--env", "prod", "--steps", "1", "--yes")
    assert done.returncode == 0, done.stdout
