"""The order of things behind each verb: plan, show, ask, carry out.  All work on databases is in the playbooks."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from windlass import confirm, playbook, typed
from windlass.records import record
from windlass.settings import DEMO, Settings, database_names
from windlass.telling import console, plans
from windlass_engine.errors import CODES, WindlassError

#: Hexadecimal digits of a digest that name a plan, at least.
SHORTEST_PREFIX = 8


@dataclass(frozen=True)
class Scope:
    """Which databases a verb is about, and how much is said: an environment, hosts and databases by name."""

    environment: str
    hosts: str = ""
    databases: tuple[str, ...] = ()
    verbose: int = 0

    @property
    def arguments(self) -> str:
        """Return the scope as it is typed after a verb, without the environment."""
        return typed.scope(self.hosts, self.databases)


def scope(settings: Settings, env: str, host: str, database: Sequence[str], verbose: int = 0) -> Scope:
    """Return a checked scope.  Raises ``usage`` for a name that does not exist."""
    environment = settings.environment(env)
    names = tuple(name for item in database for name in item.split(",") if name)
    check_hosts(settings, environment, host)
    check_databases(settings, environment, names)
    return Scope(environment, host, names, verbose)


def wake(settings: Settings, where: Scope) -> None:
    """Start the demo's server where it is about to be asked, and not for words that are refused."""
    if where.environment == DEMO:
        from windlass import demo

        demo.ensure(settings)


def check_hosts(settings: Settings, environment: str, pattern: str) -> None:
    """Refuse a plain name that the environment does not have; Ansible would only skip it."""
    plain = [word for word in pattern.split(",") if word and not playbook.PATTERN_CHARACTERS & set(word)]
    if set(plain) <= set(settings.hosts(environment)):
        return
    groups = playbook.inventory(settings, environment)
    groups.pop("_meta", None)
    hosts = list(dict.fromkeys(name for group in groups.values() for name in group.get("hosts", ())))
    _refuse_missing(plain, [*hosts, *groups], f"{environment} has no host called", hosts)


def check_databases(settings: Settings, environment: str, names: Sequence[str]) -> None:
    """Refuse a database that no host of the environment has."""
    if set(names) <= set(settings.databases(environment)):
        return
    known = sorted(set(database_names(playbook.inventory(settings, environment))))
    if not any("{{" in name for name in known):  # templates are known to the play only
        _refuse_missing(names, known, f"no host of {environment} has a database called", known)


def _refuse_missing(wanted: Sequence[str], known: Sequence[str], message: str, shown: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in known]
    if missing:
        hint = f"there are: {', '.join(shown) or 'none'}"
        raise WindlassError("usage", f"{message} {', '.join(missing)}", hint=hint)


def look(
    settings: Settings,
    where: Scope,
    verb: str,
    variables: Mapping[str, Any] | None = None,
    *,
    as_json: bool = False,
    dry_run: bool = False,
) -> int:
    """Run a verb that changes no schema (its playbook prints the answer) and return the exit code."""
    run = _run(settings, where, verb, variables or {}, quiet=as_json, check=dry_run)
    if as_json:
        _print_data(run)
    return exit_code(run)


def _print_data(run: record.Record) -> None:
    """Print what ``--json`` shows of a run: all but the events, which only moved its lines."""
    print(record.dumps({key: value for key, value in run.items() if key != "events"}), end="")


def prove(
    settings: Settings, where: Scope, variables: Mapping[str, Any], *, as_json: bool = False, dry_run: bool = False
) -> int:
    """Prove scripts on scratch databases.  Raises ``usage`` where no database speaks the system's language."""
    run = _run(settings, where, "prove", variables, quiet=as_json, check=dry_run)
    if as_json:
        _print_data(run)
    if not run["exit_code"] and not any(data.get("proof") for _, _, data in record.databases(run)):
        system = variables["windlass_system"] or "anything"
        message = f"no database of {where.environment} has a server on which {system} could be proved"
        raise WindlassError("usage", message, hint="name an environment with such a server: --env ENV")
    return exit_code(run)


def lint(settings: Settings, system: str, migration: str, form: str, *, strict: bool = False) -> int:
    """Print the findings in one system or all; return the exit code.  Raises ``usage`` for an unknown format."""
    from windlass.lint import ERROR, output
    from windlass.lint import lint as look_at

    forms = {"text": output.text, "json": output.as_json, "sarif": output.sarif}
    if form not in forms:
        raise WindlassError("usage", f"--format {form}: no such format", hint=f"one of: {', '.join(forms)}")
    systems = [system] if system else sorted(path.parent.name for path in settings.root.glob("sql/*/system.yml"))
    found = [finding for name in systems for finding in look_at(settings.root, name, migration)]
    print(forms[form](found))
    bad = [item for item in found if not item.allowed and (strict or item.severity == ERROR)]
    return CODES["lint_failed"][0] if bad else 0


def do(
    settings: Settings,
    where: Scope,
    verb: str,
    variables: Mapping[str, Any] | None = None,
    *,
    dry_run: bool = False,
) -> int:
    """Run a verb that writes, without a plan to review; ``dry_run`` is Ansible's check mode."""
    return exit_code(_run(settings, where, verb, variables or {}, check=dry_run))


def show_plan(settings: Settings, where: Scope, variables: Mapping[str, Any], *, as_json: bool = False) -> int:
    """Show what a deploy, rollback or baseline would do, its digest and the command that runs exactly this."""
    run = _run(settings, where, "plan", variables, front=True, quiet=as_json)
    if as_json:
        _print_data(run)
    else:
        for line in plans.next_command(run, where.arguments + _words(variables)):
            print(line.text)
    return exit_code(run)


def change(
    settings: Settings,
    where: Scope,
    verb: str,
    variables: Mapping[str, Any],
    *,
    plan: str = "",
    yes: bool = False,
    dry_run: bool = False,
    break_glass: str = "",
) -> int:
    """Carry out a deploy, rollback or baseline: what was reviewed (``plan``), anything (``yes``), or after asking.

    ``break_glass`` is the reason for which the plan shall pass a gate that is closed.  Raises ``not_approved`` when the
    operator does not agree or cannot be asked, and ``gate_closed``.
    """
    if not (plan or yes or dry_run):
        forced = {"windlass_break_glass": break_glass} if break_glass else {}
        reviewed = _run(settings, where, "plan", {**variables, **forced}, front=True)
        if reviewed["exit_code"]:
            return exit_code(reviewed)
        if not reviewed["digest"]:
            return 0
        if reviewed["gate"] and not break_glass:
            from windlass.gate import verdict

            verdict.enforce(reviewed["gate"], where.environment, reviewed["digest"])
        print(f"\nDigest {reviewed['digest'][:12]}", flush=True)
        confirm.ask(confirm.strictest(reviewed), where.environment, verb)
        plan = reviewed["digest"]
    approval = {"windlass_plan_digest": plan, "windlass_yes": yes, "windlass_break_glass": break_glass}
    return exit_code(_run(settings, where, verb, {**variables, **approval}, check=dry_run))


def approve(settings: Settings, where: Scope, variables: Mapping[str, Any], digest: str, key: str) -> int:
    """Sign the plan that is pending now, after showing it.  Raises ``plan_stale`` when it is not the one named."""
    from windlass.gate import approvals

    reviewed = _run(settings, where, "plan", variables, front=True)
    if reviewed["exit_code"]:
        return exit_code(reviewed)
    if not reviewed["digest"].startswith(digest.lower()) or len(digest) < SHORTEST_PREFIX:
        message = f"the plan is now {reviewed['digest'][:12] or 'empty'}, not {digest}"
        raise WindlassError(
            "plan_stale", message, hint="review it again: invoke plan, with the same --host, --database and --to"
        )
    path = approvals.sign(settings.root, where.environment, reviewed["digest"], approvals.key_of(key))
    print(f"\nApproved {reviewed['digest'][:12]} for {where.environment}: {path.relative_to(settings.root)}")
    print("Commit it with its .sig, so that whoever deploys has it.")
    return 0


def show_evidence(settings: Settings, env: str, *, verify: bool = False, as_json: bool = False) -> int:
    """Print an environment's evidence.  Raises ``evidence_broken`` with ``verify`` when the chain is not whole."""
    from windlass.gate import told
    from windlass.records import evidence

    environment = settings.environment(env)
    kept = evidence.read(settings.root, environment)
    if verify:
        evidence.require_whole(settings.root, environment)
    if as_json:
        print(record.dumps({"bundles": [{"sha256": item.sha256, **(item.content or {})} for item in kept]}), end="")
        return 0
    print(*(told.bundles(kept) if kept else [f"nothing was done to {environment} from here yet"]), sep="\n")
    if verify and kept:
        print(
            f"\nThe chain is whole: {console.plural(len(kept), 'bundle')}, the last one's SHA-256 is {kept[-1].sha256}"
        )
    return 0


@dataclass(frozen=True)
class Way:
    """A way back: its scenario, and what the operator typed or gave with it."""

    scenario: str
    confirm: str = ""
    drill: bool = False


def go_back(
    settings: Settings,
    where: Scope,
    variables: Mapping[str, Any],
    way: Way,
    *,
    plan: str = "",
    yes: bool = False,
    dry_run: bool = False,
) -> int:
    """Carry out a rollback: show what it means, let the operator type one value, and run the play.

    Raises ``not_approved`` when nothing, or something else, is typed.
    """
    given = {**variables, "windlass_confirm": way.confirm, "windlass_drill": way.drill or ""}
    if not (way.confirm or way.drill or dry_run or yes or plan):
        plan, code = _reviewed(settings, where, variables, way.scenario)
        if code is not None:
            return code
        given["windlass_confirm"] = Path(where.environment).name
    given |= {"windlass_plan_digest": plan, "windlass_yes": yes or way.drill or bool(way.confirm and not plan)}
    name = f"rollback-{way.scenario}"
    return exit_code(_run(settings, _with_applications(settings, where, way), name, given, check=dry_run))


def _reviewed(settings: Settings, where: Scope, variables: Mapping[str, Any], scenario: str) -> tuple[str, int | None]:
    """Show what would be done and ask; return the plan's digest, or the exit code where it ends here."""
    first = "rollback_options" if scenario == "restore" else "plan"
    asked = {"windlass_scenario": scenario} if scenario == "restore" else {}
    shown = _run(settings, where, first, {**variables, **asked}, front=True)
    lacking = any(error["code"] == "backup_failed" for _, error in record.errors(shown))
    if shown["exit_code"] and (lacking or scenario != "restore"):  # one that does not even answer may be restored
        return "", exit_code(shown)
    if scenario != "restore" and not shown["digest"]:
        return "", 0
    policy = "typed" if scenario != "migration" else confirm.strictest(shown)
    if shown["digest"]:
        print(f"\nDigest {shown['digest'][:12]}", flush=True)
    confirm.ask(policy, where.environment, "rollback", reviewable=scenario != "restore", by_name=True)
    return str(shown["digest"]), None


def _with_applications(settings: Settings, where: Scope, way: Way) -> Scope:
    """Return a scope that also reaches the hosts of the applications where a play needs them."""
    if way.scenario == "migration" or not where.hosts:
        return where
    if "applications" not in playbook.inventory(settings, where.environment):
        return where
    return replace(where, hosts=f"{where.hosts},applications")


def _words(variables: Mapping[str, Any]) -> str:
    """Return the arguments of a plan that its carrying out must repeat."""
    words = [f" --to {shlex.quote(str(variables['windlass_to']))}"] if variables.get("windlass_to") else []
    words += [f" --steps {variables['windlass_steps']}"] if variables.get("windlass_steps") else []
    words += [" --atomic"] if variables.get("windlass_atomic") else []
    return "".join(words)


def _run(settings: Settings, where: Scope, name: str, variables: Mapping[str, Any], **more: bool) -> record.Record:
    wake(settings, where)
    chosen = {"windlass_database": list(where.databases)} if where.databases else {}
    given = {key: value for key, value in variables.items() if value not in ("", None)}
    call = playbook.Call(
        playbook=name,
        environment=where.environment,
        variables={**chosen, **given},
        hosts=where.hosts,
        verbose=where.verbose,
        **more,
    )
    return playbook.run(settings, call)


def exit_code(run: record.Record) -> int:
    """Return a run's exit code; for an interrupted one, say first what goes on without us."""
    if run["status"] == "interrupted":
        env = shlex.quote(run["environment"])
        print("\nInterrupted. What had begun on a target goes on there to its end:")
        print(f"  invoke status --env {env}    shows it")
        print(f"  invoke {run['verb']} --env {env}    attaches to it")
    return int(run["exit_code"])
