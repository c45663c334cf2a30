"""Lint: annotated cases, the forms of its output, and the shipped systems, which are clean."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.project import ROOT, Project
from windlass import lint
from windlass.lint import output
from windlass.lint.finding import Finding

CASES = sorted((ROOT / "tests" / "lint_cases").glob("*.sql"))
EXPECT = re.compile(r"-- expect: (\S+)(?: @(\d+))?(?: \((.+)\))?")


def lay_out(project: Project, case: Path) -> set[tuple[str, str, int, str]]:
    """Write a case as a migration; return (file, rule, line, reason) of what is to be found."""
    expected = set()
    engine = re.search(r"-- engine: (\w+)", case.read_text())
    assert engine
    project.write("sql/case/system.yml", f"name: case\nengine: {engine[1]}\ntitle: Case\ndescription: For a test.\n")
    for part in re.split(r"^-- file: ", case.read_text(), flags=re.MULTILINE)[1:]:
        name, _, text = part.partition("\n")
        lines, waiting = [], []
        for line in text.splitlines():
            found = EXPECT.match(line)
            if found:
                waiting.append(found)
                continue
            lines.append(line)
            if not line.startswith("--"):
                expected |= {
                    (name, rule, int(at or len(lines)), why or "") for rule, at, why in (w.groups() for w in waiting)
                }
                waiting = []
        project.write(f"sql/case/migrations/001_case/{name}", "\n".join(lines) + "\n")
    return expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_case(tmp_path: Path, case: Path) -> None:
    project = Project(tmp_path / "project")
    expected = lay_out(project, case)
    found = lint.lint(project.root, "case")
    assert {(Path(item.path).name, item.rule, item.line, item.allowed) for item in found} == expected


@pytest.mark.parametrize("system", sorted(path.parent.name for path in ROOT.glob("sql/*/system.yml")))
def test_the_shipped_systems_are_clean(system: str) -> None:
    assert [item for item in lint.lint(ROOT, system) if not item.allowed] == []


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = Project(tmp_path / "project")
    lay_out(found, ROOT / "tests/lint_cases/drops_and_waits.sql")
    return found


def test_the_front_door(project: Project) -> None:
    done = project.invoke("lint", "--system", "case")
    assert done.returncode == 38, done.stdout
    assert "sql/case/migrations/001_case/up.sql:1: error: waits for its locks without end" in done.stdout
    assert "3 findings" in done.stdout
    assert project.invoke("lint", "--system", "case", "--format", "xml").returncode == 2
    assert project.invoke("lint", "--system", "case", "--migration", "002").returncode == 2


def test_warnings_fail_only_where_that_is_asked_for(tmp_path: Path) -> None:
    project = Project(tmp_path / "other")
    lay_out(project, ROOT / "tests/lint_cases/bulk_change.sql")
    assert project.invoke("lint").returncode == 0
    assert project.invoke("lint", "--strict").returncode == 38
    lay_out(project, ROOT / "tests/lint_cases/allowed.sql")
    allowed = project.invoke("lint", "--strict")
    assert allowed.returncode == 0
    assert "because the table has forty rows" in allowed.stdout and "0 findings, 1 allowed" in allowed.stdout


def test_json_and_sarif(project: Project) -> None:
    found = lint.lint(project.root, "case")
    plain = json.loads(output.as_json(found))
    assert {item["rule"] for item in plain} == {"endless-wait", "no-verify", "silent-drop"}
    log = json.loads(output.sarif(found))
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    assert {result["ruleId"] for result in run["results"]} <= {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    first = next(result for result in run["results"] if result["ruleId"] == "endless-wait")
    assert first["level"] == "error"
    assert first["locations"][0]["physicalLocation"]["region"] == {"startLine": 1}


def test_a_sarif_log_has_just_what_its_schema_names() -> None:
    """Held by hand against OASIS's schema 2.1.0, which also wants a URI where a path stands."""
    plain = Finding("silent-drop", "error", "sql/ein wäre/up.sql", 0, "drops it.", "say so")
    allowed = Finding("bulk-change", "warning", "a.sql", 7, "changes rows", allowed="forty rows")
    log = json.loads(output.sarif([plain, allowed]))
    assert log.pop("$schema").endswith("sarif-2.1.0.json")
    assert log == {
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "windlass", "rules": [{"id": "bulk-change"}, {"id": "silent-drop"}]}},
                "results": [
                    {
                        "ruleId": "silent-drop",
                        "level": "error",
                        "message": {"text": "drops it. say so"},
                        "locations": [
                            {"physicalLocation": {"artifactLocation": {"uri": "sql/ein%20w%C3%A4re/up.sql"}}}
                        ],
                    },
                    {
                        "ruleId": "bulk-change",
                        "level": "warning",
                        "message": {"text": "changes rows."},
                        "locations": [
                            {"physicalLocation": {"artifactLocation": {"uri": "a.sql"}, "region": {"startLine": 7}}}
                        ],
                        "suppressions": [{"kind": "inSource", "justification": "forty rows"}],
                    },
                ],
            }
        ],
    }
