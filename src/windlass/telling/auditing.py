"""An audit in words: what is missing, different or extra per table, how ready that is, what would close each gap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from windlass.environment import Database
from windlass.project import Project
from windlass.telling import console
from windlass_engine.errors import WindlassError

Told = Iterator[tuple[str, str]]
Data = dict[str, Any]
#: The heading for what belongs to no table.
ELSEWHERE = "(no table)"
_STYLES = {"missing": "bad", "different": "warn", "extra": "dim"}


def require_scratch(database: Database) -> None:
    """Refuse a server on which the policy allows no scratch database.  Raises ``preflight_failed``."""
    if database.policy.scratch != "allow":
        raise WindlassError(
            "preflight_failed",
            "the policy allows no scratch databases on this server, and an audit builds the wanted schema on one",
            hint="set windlass_policy.scratch: allow for this database, or audit a restored copy",
            where={"database": database.name},
        )


def judged(project: Project, found: Mapping[str, Any]) -> Data:
    """Return an audit as people and records see it: per table what there is, and how ready all of it is."""
    gaps = [{**gap, "need": _need(project, gap)} for gap in found["gaps"]]
    gaps = [{**gap, **_risk(found, gap)} for gap in gaps if gap["need"] != "ignored"]
    expected = [{**item, "need": _need(project, item)} for item in found["expected"]]
    expected = [item for item in expected if item["need"] != "ignored"]
    names = sorted({item["table"] for item in [*expected, *gaps]}, key=lambda name: (not name, name))
    return {
        "system": project.system,
        "tables": [_table(name, expected, gaps) for name in names],
        "gaps": gaps,
        **_readiness(expected, gaps),
    }


def _need(project: Project, item: Mapping[str, Any]) -> str:
    """Return whether the system calls an object required, optional or ignored."""
    names = [f"{item['kind']} {item['identity']}", f"table {item['table']}", str(item.get("migration") or "")]
    for need, patterns in (("ignored", project.ignored), ("optional", project.optional)):
        if any(fnmatchcase(name, pattern) for name in names if name for pattern in patterns):
            return need
    return "extra" if item.get("what") == "extra" else "required"


def _risk(found: Mapping[str, Any], gap: Mapping[str, Any]) -> Data:
    """Return the class and the lock of the SQL that closes a gap."""
    from windlass.risk import CLASSES, Assessment, Pending

    statements = [text for text in str(gap["sql"] or "").split(";\n") if text.strip()]
    assessment = Assessment(found["grammar"], [Pending(0, n, sql) for n, sql in enumerate(statements)])
    risks = [risk for _, risk in assessment.risks(found["sizes"])]
    worst = max(risks, key=lambda risk: CLASSES.index(risk["class"]), default=None)
    return {
        "risk": worst["class"] if worst else "",
        "lock": worst["lock"] if worst else "",
        "breaking": any(risk["breaking"] for risk in risks),
        "data_loss": any(risk["data_loss"] for risk in risks),
    }


def _table(name: str, expected: Sequence[Data], gaps: Sequence[Data]) -> Data:
    mine = [item for item in expected if item["table"] == name]
    lacking = [gap for gap in gaps if gap["table"] == name]
    counts = {what: sum(gap["what"] == what for gap in lacking) for what in _STYLES}
    whole = [gap for gap in lacking if gap["kind"] == "table" and gap["what"] == "missing"]
    state = "missing" if whole else "extra" if not mine else "present" if not lacking else "different"
    return {"table": name, "state": state, **counts, "expected": len(mine), **_readiness(mine, lacking)}


def _readiness(expected: Sequence[Data], gaps: Sequence[Data]) -> Data:
    """Return how many per cent of what is required, and of all that is expected, stand as they should."""
    bad = {(gap["kind"], gap["identity"]) for gap in gaps if gap["what"] != "extra"}
    required = [item for item in expected if item["need"] == "required"]
    return {"ready": _per_cent(required, bad), "complete": _per_cent(expected, bad)}


def _per_cent(items: Sequence[Data], bad: set[tuple[str, str]]) -> int:
    """Return a figure that is 100 only where nothing is missing."""
    good = sum((item["kind"], item["identity"]) not in bad for item in items)
    return 100 if good == len(items) else int(100 * good / len(items))


def refuse(host: str, found: Mapping[str, Data]) -> None:
    """Raise ``audit_gaps`` for the first database that lacks something required."""
    for name, audit in found.items():
        required = [gap for gap in audit["gaps"] if gap["need"] == "required"]
        if required:
            named = ", ".join(f"{gap['kind']} {gap['identity']}" for gap in required[:5])
            more = f" and {len(required) - 5} more" if len(required) > 5 else ""
            raise WindlassError(
                "audit_gaps",
                f"{console.plural(len(required), 'required object')} missing or different: {named}{more}",
                hint="deploy what is pending, or run the SQL that the audit shows, by way of a migration",
                where={"host": host, "database": name},
            )


def lines(place: str, audit: Mapping[str, Any]) -> Told:
    """Yield (text, style) of one database's audit."""
    style = "good" if audit["ready"] == 100 else "bad"
    yield f"{place}: {audit['ready']} % of what {audit['system']} requires, {audit['complete']} % of all", style
    rows = [
        (t["table"] or ELSEWHERE, t["state"], f"{t['ready']} %", f"{t['complete']} %",
         *(str(t[what] or "") for what in _STYLES))
        for t in audit["tables"]
    ]  # fmt: skip
    headings = ("TABLE", "STATE", "READY", "COMPLETE", "MISSING", "DIFFERENT", "EXTRA")
    styles = ["dim", *("good" if t["state"] == "present" else "" for t in audit["tables"])]
    yield from zip(console.table(headings, rows, indent="  "), styles, strict=True)
    for gap in audit["gaps"]:
        if gap["sql"] != "":  # it comes or goes with another
            yield from _gap(gap)


def _gap(gap: Mapping[str, Any]) -> Told:
    risk = f", risk {gap['risk']}" if gap["risk"] else ""
    by = f", by {gap['migration']}" if gap["migration"] else ""
    need = "" if gap["need"] == "extra" else f" ({gap['need']}{risk}{by})"
    yield f"  {gap['what']}: {gap['kind']} {console.printable(gap['identity'])}{need}", _STYLES[gap["what"]]
    if gap["what"] == "different":
        yield f"      is       {console.printable(gap['live'])[:300]}", ""
        yield f"      should   {console.printable(gap['wanted'])[:300]}", ""
    if gap["what"] == "extra":
        return
    if gap["sql"] is None:
        yield "      by hand", ""
    yield from ((f"      {console.printable(line)}", "") for line in f"{gap['sql'] or ''}".splitlines())
