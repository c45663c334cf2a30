"""Risk classes: annotated statements of three engines, and the shipped matrix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.project import ROOT
from windlass import project
from windlass.risk import Assessment, Pending, assess
from windlass.risk.rules import JUDGES
from windlass.telling import risks
from windlass_engine import dialects

CASES = sorted((ROOT / "tests" / "risk_cases").glob("*.sql"))
EXPECT = re.compile(r"-- expect: (\S+) (zero|very low|low|medium|high)((?: [a-z-]+)*)(?: \((.+)\))?$")
STANDS = re.compile(r"-- stands: (\S+) (\d+)")
ROW_BYTES = 100


def parts(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each statement with what is expected of it."""
    waiting: list[str] = []
    sql: list[str] = []
    for line in text.splitlines():
        if line.startswith("-- expect: "):
            found = EXPECT.match(line)
            assert found, line
            waiting.append(f"{found[1]} {found[2]}{found[3]} ({found[4] or ''})")
        elif line and not line.startswith("--"):
            sql.append(line)
        if sql and line.endswith(";"):
            yield "\n".join(sql).rstrip(";"), sorted(waiting)
            waiting, sql = [], []


def told(risk: dict[str, Any]) -> str:
    words = [risk["rule"], risk["class"]]
    words += ["breaking"] if risk["breaking"] else []
    words += [risk["reversible"]] if risk["reversible"] != "yes" else []
    words += ["data-loss"] if risk["data_loss"] else []
    return f"{' '.join(words)} ({risk['lock']})"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_case(case: Path) -> None:
    text = case.read_text()
    grammar = re.search(r"-- engine: (\w+)", text)
    assert grammar
    stands = {name: {"rows": int(rows), "bytes": int(rows) * ROW_BYTES} for name, rows in STANDS.findall(text)}
    statements = list(parts(text))
    assessment = Assessment(grammar[1], [Pending(0, n, sql) for n, (sql, _) in enumerate(statements)])
    found: dict[int, list[str]] = {}
    for _, risk in assessment.risks(stands):
        found.setdefault(risk["line"], []).append(told(risk))
    for number, (sql, expected) in enumerate(statements):
        assert sorted(found.get(number, [])) == expected, sql


def test_every_rule_has_a_case() -> None:
    named = {match for case in CASES for match in re.findall(r"-- expect: (\S+)", case.read_text())}
    assert set(JUDGES) - named == {"backfill"}


def judged(system: str, which: str = "up") -> list[tuple[int, dict[str, Any]]]:
    found = project.load(ROOT, system, parse="all")
    scripts = [(n, getattr(m, which)) for n, m in enumerate(found.migrations)]
    statements = [
        Pending(n, s.line, script.sql(s), s.backfill is not None, s.copy_data)
        for n, script in scripts
        for s in script.statements
    ]
    assessment = Assessment(dialects.get(found.engine).grammar, statements)
    standing = {
        name: {"rows": 10**6, "bytes": 10**8} for name in ("chats", "whatsapp_accounts", "public.whatsapp_messages")
    }
    return assessment.risks(standing)


def test_the_matrix_of_blazz() -> None:
    """The classes that its owners gave to each kind of change."""
    kinds = ("add-column", "add-index", "add-table", "drop-column")
    found = {(risk["rule"], told(risk)) for which in ("up", "down") for _, risk in judged("blazz", which)}
    assert {words for rule, words in found if rule in kinds} == {
        "add-column zero (INSTANT)",
        "add-index very low (INPLACE, LOCK=NONE)",
        "add-table zero ()",
        "drop-column high breaking no data-loss (INPLACE, LOCK=NONE)",
    }
    [(_, modify)] = Assessment("mysql", [Pending(0, 1, "ALTER TABLE chats MODIFY status varchar(64)")]).risks(
        {"chats": {"rows": 10**6, "bytes": 10**8}}
    )
    assert told(modify) == "modify-column high breaking hard (COPY, LOCK=SHARED)"
    assert modify["downtime"] and modify["estimate_ms"] == 5000


def test_a_backfill_is_judged_batch_by_batch() -> None:
    assert {risk["class"] for _, risk in judged("messaging") if risk["rule"] == "backfill"} == {"low"}


def test_the_server_has_the_last_word_on_how_it_works() -> None:
    assessment = Assessment("mysql", [Pending(0, 1, "ALTER TABLE chats ADD COLUMN note text")])
    ways = [[{"table": "chats", "way": "copies the table, writers wait", "note": ""}]]
    [(_, risk)] = assessment.risks({"chats": {"rows": 4 * 10**6, "bytes": 10**8}}, ways)
    assert (risk["lock"], risk["waits"], risk["class"]) == ("COPY, LOCK=SHARED", "writers", "high")


def test_a_reason_in_the_script_is_kept_and_counted() -> None:
    found = Assessment("postgresql", [Pending(0, 1, "DROP TABLE old"), Pending(0, 2, "CREATE TABLE new (id int)")])
    steps: list[dict[str, Any]] = [{"name": "001", "reversible": False}]
    assess.attach(steps, found.risks({"old": {"rows": 5, "bytes": 8192}}), [{"drop-table": "nobody reads it"}])
    whole = assess.whole(steps)
    assert whole == {"class": "high", "open_class": "zero", "breaking": True, "reversible": "no", "data_loss": True}
    lines = [text for text, _ in risks.lines({"steps": steps, "risk": whole})]
    assert lines[0] == "  risk: high, zero without what scripts allow, breaking, not reversible, data loss"
    assert any("allowed: nobody reads it" in line for line in lines)
    assert assess.whole([{"name": "none"}]) is None


def test_a_name_that_a_script_makes_up_is_told_as_such() -> None:
    block = "DO $$ BEGIN EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON app.%I EXECUTE FUNCTION f()', a, b); END $$"
    steps: list[dict[str, Any]] = [{"name": "001", "reversible": True}]
    assess.attach(steps, Assessment("postgresql", [Pending(0, 1, block)]).risks({}), [{}])
    [line] = [text for text, _ in risks.lines({"steps": steps, "risk": assess.whole(steps)}) if "add-trigger" in text]
    assert "(named by the script)" in line and "?" not in line


def test_what_nobody_can_read_is_said() -> None:
    [(_, risk)] = Assessment("postgresql", [Pending(0, 1, "ALTER TABLE SOMEHOW")]).risks({})
    assert risk["rule"] == "opaque" and "does not read it" in risk["note"]
    [(_, other)] = Assessment("cobol", [Pending(0, 1, "MOVE 1 TO A")]).risks({})
    assert other["class"] == "medium"
