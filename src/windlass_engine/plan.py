"""Planning is pure: the same project and the same journal always give the same plan and digest."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Callable, Optional

from . import dialects
from .dialects.base import Dialect
from .errors import WindlassError
from .model import Journal, JournalEntry, Plan, Script, Step
from .project.view import Migration, ProjectView, Repeatable, natural_key

#: Fills a script's statements in; the project loads headers only until a script is really needed.
Parse = Callable[[Script], Script]
_STANDING = ("applied", "partial", "reverting")


def statement_digest(previous: str, sql: str) -> str:
    """Return the cumulative hash of a script's statements up to and with this one (64 hex digits)."""
    return hashlib.sha256(f"{previous}\n{sql}".encode()).hexdigest()


def prefix_digest(script: Script, count: int) -> str:
    """Return the cumulative hash of a script's first ``count`` statements; empty for none."""
    digest = ""
    for statement in script.statements[:count]:
        digest = statement_digest(digest, script.sql(statement))
    return digest


def edited(project: ProjectView, journal: Journal) -> tuple[str, ...]:
    """Return the names of applied migrations whose text is no longer the one that ran."""
    now = {migration.name: migration.up.checksum for migration in project.migrations}
    return tuple(
        e.name
        for e in journal.entries
        if e.kind == "migration" and e.state == "applied" and now.get(e.name, e.checksum) != e.checksum
    )


def texts_needed(project: ProjectView, journal: Journal) -> tuple[str, ...]:
    """Return the entries whose texts :func:`plan_up` wants to see, so that the journal is read no more than twice."""
    half_done = tuple(e.name for e in journal.entries if e.state in ("partial", "reverting"))
    return edited(project, journal) + half_done


def plan_up(
    project: ProjectView,
    journal: Journal,
    *,
    host: str = "",
    database: str = "",
    to: str = "",
    allow_out_of_order: bool = False,
    atomic: bool = False,
    parse: Parse = lambda script: script,
) -> Plan:
    """Return what brings a database up to the project, or to migration ``to``.

    Raises WindlassError: ``checksum_changed`` (with a diff where the journal's text was read), ``journal_unknown``,
    ``out_of_order``, ``usage`` (unknown ``to``).
    """
    where = {"host": host, "database": database}
    _refuse_unknown(project, journal, where)
    _refuse_edited(project, journal, where)
    wanted = _up_to(project.migrations, to)
    late = _out_of_order(wanted, journal)
    if late and not allow_out_of_order:
        raise _out_of_order_error(late, journal, where)
    steps = [_migration_step(m, journal, m.name in late, parse, where) for m in wanted if not _is_applied(m, journal)]
    if not to:
        steps += [_repeatable_step(r, journal, parse) for r in project.repeatables if _is_due(r, journal)]
    if atomic:
        _refuse_atomic(dialects.get(project.engine), steps, where)
    warnings = tuple(f"{name} sorts before migrations that are applied already" for name in late)
    return Plan(host, database, project.system, "up", journal.head, tuple(steps), warnings, atomic, to)


def plan_down(
    journal: Journal,
    load: Callable[[str, str], Script],
    *,
    system: str,
    host: str = "",
    database: str = "",
    steps: int = 0,
    to: str = "",
    names: Sequence[str] = (),
    downs: Optional[Mapping[str, Script]] = None,
) -> Plan:
    """Return what undoes the last ``steps`` migrations, all after migration ``to``, or exactly ``names``.

    The down scripts come from the journal (read with their texts); ``load(text, path)`` parts them.  ``downs``, by
    migration, are used instead where they are given, and what differs is a warning.  Raises WindlassError:
    ``irreversible``, ``usage``; ``checksum_changed`` where a part that ran already was edited.
    """
    where = {"host": host, "database": database}
    chosen = _to_undo(journal, steps, to, names, where)
    if downs is not None:
        planned = tuple(_revert_by(entry, downs.get(entry.name), where) for entry in chosen)
        told = tuple(_told_of_other(entry, step) for entry, step in zip(chosen, planned))
        return Plan(host, database, system, "down", journal.head, planned, tuple(filter(None, told)))
    for entry in chosen:
        if not entry.has_down:
            reason = f": {entry.irreversible}" if entry.irreversible else ""
            raise WindlassError(
                "irreversible",
                f"migration {entry.name} has no down script{reason}",
                hint="bring a backup back: invoke rollback --env ENV says which one, and what that loses",
                where={**where, "migration": entry.name},
            )
    planned = tuple(_revert_step(entry, load) for entry in chosen)
    return Plan(host, database, system, "down", journal.head, planned)


def undo_candidates(journal: Journal, steps: int, to: str, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names whose down texts :func:`plan_down` needs."""
    return tuple(entry.name for entry in _to_undo(journal, steps, to, names, {}))


def plan_baseline(
    project: ProjectView,
    journal: Journal,
    *,
    host: str = "",
    database: str = "",
    to: str,
    parse: Parse = lambda script: script,
) -> Plan:
    """Return what marks the pending migrations up to ``to`` as applied, once their verify scripts pass.

    Raises WindlassError: ``usage`` for an unknown name, ``project_invalid`` for a migration without verify.sql.
    """
    steps = []
    for migration in _up_to(project.migrations, to):
        if _is_applied(migration, journal):
            continue
        if migration.verify is None:
            raise WindlassError(
                "project_invalid",
                f"migration {migration.name} has no verify.sql, so nothing can prove that it stands",
                hint="write one that returns a row for each thing missing",
                where={"host": host, "database": database, "migration": migration.name},
            )
        steps.append(
            Step(
                "baseline",
                "migration",
                migration.name,
                "said to stand already",
                parse(migration.up),
                reversible=migration.down is not None,
                down=migration.down,
                verify=parse(migration.verify),
            )
        )
    return Plan(host, database, project.system, "baseline", journal.head, tuple(steps), to=to)


def _is_applied(migration: Migration, journal: Journal) -> bool:
    """Return whether a migration is applied whole."""
    entry = journal.get("migration", migration.name)
    return entry is not None and entry.state == "applied"


def _is_due(repeatable: Repeatable, journal: Journal) -> bool:
    """Return whether a repeatable is new, changed, or was left half-done."""
    entry = journal.get("repeatable", repeatable.name)
    return entry is None or entry.state != "applied" or entry.checksum != repeatable.script.checksum


def _up_to(migrations: Sequence[Migration], to: str) -> Sequence[Migration]:
    """Return the migrations up to and with ``to`` (all for an empty name)."""
    if not to:
        return migrations
    names = [migration.name for migration in migrations]
    if to not in names:
        near = difflib.get_close_matches(to, names, 3, 0.3)
        hint = f"did you mean: {', '.join(near)}" if near else f"the last ones are: {', '.join(names[-3:]) or 'none'}"
        raise WindlassError("usage", f"no migration is named {to!r}", hint=hint)
    return migrations[: names.index(to) + 1]


def _out_of_order(wanted: Sequence[Migration], journal: Journal) -> frozenset[str]:
    """Return pending migrations that sort before an applied one."""
    applied = [natural_key(e.name) for e in journal.entries if e.kind == "migration" and e.state in _STANDING]
    if not applied:
        return frozenset()
    last = max(applied)
    return frozenset(m.name for m in wanted if journal_state(journal, m.name) == "" and natural_key(m.name) < last)


def journal_state(journal: Journal, name: str) -> str:
    """Return a migration's standing state, or an empty string where it does not stand."""
    entry = journal.get("migration", name)
    return entry.state if entry and entry.state in _STANDING else ""


def _migration_step(migration: Migration, journal: Journal, late: bool, parse: Parse, where: dict[str, str]) -> Step:
    """Return the step of a pending or half-done migration."""
    up = parse(migration.up)
    entry = journal.get("migration", migration.name)
    half_done = entry is not None and entry.state in ("partial", "reverting")
    resumed = entry is not None and entry.state == "partial"
    if resumed and entry is not None:
        _refuse_edited_prefix(entry, up, where)
    reason = "out of order" if late else "pending"
    if half_done and entry is not None:
        reason = _half_done_reason(entry)
    elif entry is not None:
        reason = "pending again, it was undone"
    return Step(
        "resume" if resumed else "apply",
        "migration",
        migration.name,
        reason,
        up,
        reversible=migration.down is not None,
        resumed=resumed,
        skip=entry.statements_done if resumed and entry else 0,
        down=migration.down,
        verify=migration.verify,
    )


def _half_done_reason(entry: JournalEntry) -> str:
    """Return why a half-done migration is in the plan."""
    if entry.state == "reverting":
        return "its undoing stopped half-way; applying it again completes it"
    return f"stopped after {entry.statements_done} of {entry.statements_total} statements"


def _repeatable_step(repeatable: Repeatable, journal: Journal, parse: Parse) -> Step:
    """Return the step of a repeatable that is due."""
    entry = journal.get("repeatable", repeatable.name)
    action, reason = ("reapply", "its text changed") if entry else ("apply", "new")
    if entry and entry.checksum == repeatable.script.checksum:
        reason = "a migration was undone since"
    return Step(action, "repeatable", repeatable.name, reason, parse(repeatable.script))


def _revert_step(entry: JournalEntry, load: Callable[[str, str], Script]) -> Step:
    """Return the step that undoes an entry by the down script that the journal keeps."""
    return _revert(entry, load(entry.down_text, f"{entry.name}/down.sql"))


def _revert_by(entry: JournalEntry, down: Optional[Script], where: dict[str, str]) -> Step:
    """Return the step that undoes an entry by another down script than the journal's."""
    if down is None:
        raise WindlassError(
            "irreversible",
            f"migration {entry.name} has no down.sql in this checkout",
            hint="write one, or leave --down-from out: then the one that the journal keeps is used",
            where={**where, "migration": entry.name},
        )
    if entry.state == "reverting" and prefix_digest(down, entry.statements_done) != entry.prefix_hash:
        raise WindlassError(
            "checksum_changed",
            f"the first {entry.statements_done} statements of {entry.name}'s down script are permanent already, and "
            "one of them was edited",
            hint="put those statements back; what comes after them may be changed",
            where={**where, "file": down.path, "migration": entry.name},
        )
    return _revert(entry, down)


def _told_of_other(entry: JournalEntry, step: Step) -> str:
    """Return the warning that a down script is not the one that was kept, with the difference, or an empty string."""
    if entry.down_text == step.script.text:
        return ""
    kept = "not the one kept when it was applied" if entry.has_down else "and none was kept when it was applied"
    told = f"{entry.name} is undone by the checkout's down.sql, {kept}"
    return f"{told}\n{_unified(entry.name, entry.down_text, step.script)}" if entry.has_down else told


def _revert(entry: JournalEntry, down: Script) -> Step:
    """Return the step that undoes an entry by a script."""
    resumed = entry.state == "reverting"
    return Step(
        "revert",
        "migration",
        entry.name,
        "its undoing stopped half-way" if resumed else "to be undone",
        down,
        resumed=resumed,
        skip=entry.statements_done if resumed else 0,
    )


def _to_undo(
    journal: Journal, steps: int, to: str, names: Sequence[str], where: dict[str, str]
) -> tuple[JournalEntry, ...]:
    """Return the entries to undo, the newest first."""
    standing = [e for e in journal.entries if e.kind == "migration" and e.state in _STANDING]
    newest_first = sorted(standing, key=lambda e: e.ordinal, reverse=True)
    if names:
        return tuple(e for e in newest_first if e.name in names)
    if to:
        known = [e.name for e in newest_first]
        if to not in known:
            raise WindlassError(
                "usage",
                f"migration {to!r} is not applied here",
                hint=f"applied: {', '.join(reversed(known)) or 'none'}",
                where=where,
            )
        return tuple(newest_first[: known.index(to)])
    if steps < 1:
        raise WindlassError("usage", "say how far to go back", hint="--steps N, or --to NAME", where=where)
    return tuple(newest_first[:steps])


def _refuse_unknown(project: ProjectView, journal: Journal, where: dict[str, str]) -> None:
    """Stop where the journal knows a migration that the project does not."""
    known = {migration.name for migration in project.migrations}
    unknown = [
        e.name for e in journal.entries if e.kind == "migration" and e.state in _STANDING and e.name not in known
    ]
    if unknown:
        raise WindlassError(
            "journal_unknown",
            f"applied here, but not in this checkout: {', '.join(unknown)}",
            hint="check out the branch that has it, or undo it from the journal: invoke rollback --env ENV --steps N",
            where=where,
            detail={"names": unknown},
        )


def _refuse_edited(project: ProjectView, journal: Journal, where: dict[str, str]) -> None:
    """Stop where the text of an applied migration is no longer the one that ran, and show the difference."""
    names = edited(project, journal)
    if not names:
        return
    scripts = {migration.name: migration.up for migration in project.migrations}
    diffs = [_diff(journal.get("migration", name), scripts[name]) for name in names]
    raise WindlassError(
        "checksum_changed",
        f"edited since it was applied: {', '.join(names)}\n" + "\n".join(diff for diff in diffs if diff),
        hint="put the file back and write a new migration for the change; or undo it and apply it anew: "
        "invoke rollback --env ENV --to NAME",
        where={**where, "file": scripts[names[0]].path},
        detail={"names": list(names)},
    )


def _diff(entry: Optional[JournalEntry], script: Script) -> str:
    """Return a unified diff from what ran to what stands in the project."""
    return _unified(entry.name, entry.up_text, script) if entry is not None and entry.up_text else ""


def _unified(name: str, kept: str, script: Script) -> str:
    """Return a unified diff from a text that the journal keeps to a script of the project."""
    heads = f"journal: {name}", f"project: {script.path}"
    return "\n".join(difflib.unified_diff(kept.splitlines(), script.text.splitlines(), *heads, "", "", 2, ""))


def _refuse_edited_prefix(entry: JournalEntry, up: Script, where: dict[str, str]) -> None:
    """Stop where a statement that is permanent already was edited; the tail of a stopped script may be."""
    if prefix_digest(up, entry.statements_done) != entry.prefix_hash:
        raise WindlassError(
            "checksum_changed",
            f"the first {entry.statements_done} statements of {entry.name} are permanent already, and one of them was "
            f"edited\n{_diff(entry, up)}",
            hint="put those statements back; what comes after them may be changed",
            where={**where, "file": up.path, "migration": entry.name},
        )


def _out_of_order_error(late: Iterable[str], journal: Journal, where: dict[str, str]) -> WindlassError:
    """Return the refusal of migrations that came late."""
    names = ", ".join(sorted(late, key=natural_key))
    last = max((e.name for e in journal.entries if e.kind == "migration" and e.state in _STANDING), key=natural_key)
    return WindlassError(
        "out_of_order",
        f"pending, but sorting before {last}, which is applied: {names}",
        hint="rename it to sort last, or allow it: windlass_policy.out_of_order: allow",
        where=where,
    )


def _refuse_atomic(dialect: Dialect, steps: Sequence[Step], where: dict[str, str]) -> None:
    """Stop where one transaction is asked for and a script cannot be in one."""
    loose = [step.name for step in steps if step.resumed or not dialect.is_whole(step.script)]
    if loose and "transactional_ddl" not in dialect.capabilities:
        raise WindlassError(
            "usage",
            f"--atomic needs one transaction, and {dialect.title} ends it at every schema change: {', '.join(loose)}",
            hint="deploy without --atomic: each statement is journalled, and a run that stops goes on where it did",
            where=where,
        )
    if loose:
        raise WindlassError(
            "usage",
            f"--atomic cannot hold migrations without a transaction: {', '.join(loose)}",
            hint="deploy up to the one before it with --atomic --to NAME, then without --atomic",
            where=where,
        )
