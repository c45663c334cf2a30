"""What a record says about each database, in the words that console and report share."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.records import record
from windlass.telling import console

EMPTY = "(empty)"
#: Where a database stands after a run that lost its server for good.
UNKNOWN = "(unknown)"


@dataclass(frozen=True)
class Row:
    """One database's line in the closing table; empty text means that the run had no such part."""

    host: str
    database: str
    system: str
    before: str
    after: str
    work: str
    checks: str
    samples: str
    backup: str
    time: str
    result: str
    bad: bool


_WORDS = {"up": ("applied", "apply"), "down": ("reverted", "revert"), "baseline": ("marked", "mark")}
#: The start of a command that must not reach further than the failure did.
_WAY_BACK = re.compile(r"invoke (rollback|restore) --env (?:'[^']*'|\S+)")
HEADINGS = ("HOST", "DATABASE", "FROM", "TO", "WORK", "CHECKS", "SAMPLES", "BACKUP", "TIME", "RESULT")


def rows(run: record.Record) -> list[Row]:
    """Return a row for every database, and one for every host that failed before any was known."""
    found = []
    for host, part in run["hosts"].items():
        found += [_row(host, part, name, data) for name, data in part["databases"].items()]
        if not part["databases"] and part["error"]:
            empty = ("",) * 8
            found.append(Row(host, "", *empty, result=_host_word(part), bad=True))
    return found


def cells(row: Row) -> tuple[str, ...]:
    """Return a row's cells in the order of :data:`HEADINGS`."""
    middle = (row.before, row.after, row.work, row.checks, row.samples, row.backup, row.time, row.result)
    return (row.host, row.database, *middle)


def _row(host: str, part: Mapping[str, Any], name: str, data: Mapping[str, Any]) -> Row:
    run = data.get("run") or {}
    result, bad = _result(part, name, data)
    before, after = _versions(data, run)
    return Row(
        host=host,
        database=name,
        system=system(data),
        before=before,
        after=after,
        work=work(data),
        checks=passed(data.get("checks")),
        samples=passed(data.get("samples")),
        backup=backup_text(data.get("backup")),
        time=console.duration(run["duration_ms"]) if run.get("duration_ms") else "",
        result=result,
        bad=bad,
    )


def system(data: Mapping[str, Any]) -> str:
    """Return the system of a database, as any part of its record names it."""
    parts = (data.get(part) or {} for part in ("plan", "run", "info", "proof", "drift"))
    return next((str(part["system"]) for part in parts if part.get("system")), "")


def _versions(data: Mapping[str, Any], run: Mapping[str, Any]) -> tuple[str, str]:
    before = data["plan"].get("schema_version", "") or EMPTY if "plan" in data else ""
    after = version_after(run) if run and run.get("status") != "check" else ""
    return before, "" if after == before else after


def version_after(run: Mapping[str, Any]) -> str:
    """Return the schema version at which a run's result says that the database stands."""
    if run.get("status") == "failed" and run.get("journal_head") == "":
        return UNKNOWN  # nobody could read the journal afterwards
    return run.get("schema_version", "") or EMPTY


def work(data: Mapping[str, Any]) -> str:
    """Return ``5 applied``, ``2 reverted`` or, for a dry run, ``5 to apply``."""
    run = data.get("run") or {}
    done, infinitive = _WORDS.get(str(run.get("direction")), _WORDS["up"])
    if run.get("status") == "check":
        return f"{len((data.get('plan') or {}).get('steps') or ())} to {infinitive}"
    undone = f", {len(run['reverted'])} undone again" if run.get("reverted") else ""
    return f"{len(run['applied'])} {done}{undone}" if run.get("applied") else ""


def passed(results: Sequence[Mapping[str, Any]] | None) -> str:
    """Return ``9/9``, or how many of how many passed."""
    if not results:
        return ""
    return f"{sum(check_passed(result) for result in results)}/{len(results)}"


def check_passed(result: Mapping[str, Any]) -> bool:
    """Return whether a check found nothing and met no error."""
    return not result.get("failures") and not result.get("error")


def backup_text(backup: Mapping[str, Any] | None) -> str:
    """Return a backup's size and time, or why there is none."""
    if not backup:
        return ""
    if "skipped" in backup:
        return "to be made" if backup["skipped"] == "check mode" else "none"
    parts = [console.size(backup["bytes"])] if backup.get("bytes") is not None else ["made"]
    if backup.get("duration_ms") is not None:
        parts.append(console.duration(backup["duration_ms"]))
    return " in ".join(parts)


def _host_word(part: Mapping[str, Any]) -> str:
    return "unreachable" if part["status"] == "unreachable" else "FAILED"


def _result(part: Mapping[str, Any], name: str, data: Mapping[str, Any]) -> tuple[str, bool]:
    run = data.get("run") or {}
    if run.get("status") == "failed":
        return "FAILED", True
    checks = [*(data.get("checks") or ()), *(data.get("samples") or ())]
    if not all(check_passed(result) for result in checks):
        return "checks FAILED", True
    if not run and record.database_error(data):
        return "FAILED", True
    if part["error"] and _concerns(part["error"], name, bool(run)):
        return _host_word(part), True
    if _is_unverified(part, data):
        return "not verified", True
    if run:
        words = {"nothing": "nothing to do", "check": "dry run"}
        return words.get(run["status"], str(run["status"])), False
    return _result_without_run(part, data), False


def _result_without_run(part: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    steps = data.get("plan", {}).get("steps")
    if steps and part["status"] == "unfinished":
        return "unfinished"
    if steps:
        stopped = part["status"] in ("failed", "unreachable", "untouched")
        return "untouched" if stopped else f"{console.plural(len(steps), 'step')} to do"
    return "nothing to do" if "plan" in data else "ok"


def _concerns(error: Mapping[str, Any], database: str, ran: bool) -> bool:
    """Return whether a host's error is this database's: it names it, or names none and this one did not run."""
    named = (error.get("where") or {}).get("database")
    return named == database if named else not ran


def _is_unverified(part: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    """Return whether a host failed between a database's run and its checks."""
    run = data.get("run") or {}
    checked = run.get("direction") in ("up", "down") and not run.get("reverted")
    return bool(part["error"]) and run.get("status") == "done" and checked and "checks" not in data


def failures(run: record.Record) -> Iterator[tuple[str, str, str, str]]:
    """Yield (host, database, state, next) for what failed: its state, and the command to type next."""
    for host, database, data in record.databases(run):
        result = data.get("run") or {}
        if result.get("status") == "failed":
            following = _only_there(str(result.get("next", "")), run, host, database)
            yield host, database, str(result.get("state", "")), following
        elif _is_unverified(run["hosts"][host], data):
            place = (run["environment"], "--host", host, "--database", database)
            yield host, database, f"{result['state']}; its checks did not run", _verify(*place)


def _verify(*place: str) -> str:
    return " ".join(["invoke verify --env", *map(shlex.quote, place)])


def _only_there(following: str, run: record.Record, host: str, database: str) -> str:
    """Return a command for next with its way back limited to the one database that failed, where there are others.

    The way back with the application stays that: the application is away, and has to return.
    """
    others = {(name, other) for name, other, _ in record.databases(run)}
    limits = f" --host {shlex.quote(host)}" if len({name for name, _ in others}) > 1 else ""
    limits += f" --database {shlex.quote(database)}" if len({other for _, other in others}) > 1 else ""
    away = " --application" if run["scenario"] == "application" else ""

    def whole(found: re.Match[str]) -> str:
        return found[0] + (away if found[1] == "rollback" else "") + limits

    return _WAY_BACK.sub(whole, following)


def news(host: str, result: Mapping[str, Any], verb: str) -> Iterator[str]:
    """Yield the lines that a task's result is worth at once; the rest waits for the closing table."""
    if verb in record.READ_ONLY or verb == "verify":  # their closing tells all
        return
    for database, plan in (result.get("windlass_plan") or {}).items():
        steps = console.plural(len(plan["steps"]), "step")
        yield f"{host} {database}  {f'{steps} to do' if plan['steps'] else 'nothing to do'}, {_at(plan)}"
    for part, noun in (("checks", "checks"), ("samples", "sample-data tests")):
        for database, results in (result.get(f"windlass_{part}") or {}).items():
            if results:
                yield f"{host} {database}  {noun}: {passed(results)} passed"


def _at(plan: Mapping[str, Any]) -> str:
    return f"at {plan.get('schema_version') or EMPTY}"
