"""What makes a function a verb: typed options with shared help, which databases are meant, refusals as exit codes."""

from __future__ import annotations

import errno
import functools
import inspect
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from windlass.front.numbers import Verb
from windlass.settings import Settings
from windlass_engine.errors import WindlassError

Names = list[str] | None
#: What a verb's ``where`` is typed as: the environment, hosts and databases that it is about.
SCOPE = {
    name: inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=kind)
    for name, default, kind in (("env", "", str), ("host", "", str), ("database", None, Names), ("verbose", 0, int))
}
HELP = {
    "env": "environment: a folder of inventories/ (default: $WINDLASS_ENV)",
    "host": "only these hosts: names with commas, groups or patterns of the inventory (default: all)",
    "database": "only this database; may be given several times (default: all)",
    "to": "up to and with this migration (default: all)",
    "steps": "how many migrations back",
    "allow_data_loss": "let down scripts drop what holds rows; make a backup first",
    "plan": "run exactly the plan with this digest, as `invoke plan` showed it; anything else is refused",
    "yes": "do not ask",
    "dry_run": "change nothing; show the SQL and what would be done",
    "json": "print data instead of a table; messages go to stderr",
    "verbose": "say more of what Ansible does; repeat for more (--verbose --verbose)",
}
_project: Settings | None = None


def open_at(root: Path) -> None:
    """Let verbs work in the project whose ``tasks.py`` lies in this folder."""
    global _project
    _project = Settings(root)


def project() -> Settings:
    """Return the project that verbs work in."""
    assert _project is not None, "tasks.py says where it lies"
    return _project


def verb(**help: str) -> Callable[[Callable[..., int | None]], Any]:
    """Make a task: shared help texts, typed refusals as exit codes, invoke's own --dry as --dry-run."""

    def decorate(body: Callable[..., int | None]) -> Any:
        scoped = "where" in body.__annotations__

        @functools.wraps(body)
        def guarded(context: Context, **given: Any) -> None:
            open_closed_streams()
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="replace")  # a name that the terminal cannot show is no reason to fail
            if "dry_run" in given and context.config.run.dry:
                given["dry_run"] = True
            try:
                if scoped:
                    given["where"] = scope(*(given.pop(name) for name in SCOPE))
                code = body(context, **given)
                sys.stdout.flush()
            except WindlassError as error:
                raise Exit(str(error), code=error.exit_code) from None
            except OSError as error:
                refusal = unusable_file(error)
                raise Exit(str(refusal), code=refusal.exit_code) from None
            if code:
                raise Exit(code=code)

        guarded.__signature__ = signature = with_scope(inspect.signature(body))  # type: ignore[attr-defined]
        names = [name for name in signature.parameters if name != "_"]
        texts = {name: help.get(name) or HELP[name] for name in names}
        options: dict[str, Any] = {"iterable": [name for name in ("database", "table") if name in names]}
        options |= {"incrementable": ["verbose"]} if "verbose" in names else {}
        return task(help=texts, auto_shortflags=False, klass=Verb, **options)(guarded)

    return decorate


def with_scope(signature: inspect.Signature) -> inspect.Signature:
    """Return a verb's signature as it is typed: the options that name databases in place of ``where``."""
    parameters = dict(signature.parameters)
    if parameters.pop("where", None):
        verbose = SCOPE["verbose"]
        known = {"_": parameters.pop("_"), **SCOPE, **parameters}
        known["verbose"] = known.pop("verbose", verbose)  # the last one, as in every list of options
        parameters = known
    return signature.replace(parameters=list(parameters.values()))


def open_closed_streams() -> None:
    """Let nothing come in and go out where a standard stream is closed: else the next file takes its number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def unusable_file(error: OSError) -> WindlassError:
    """Return the refusal for a file that cannot be read or written here, or for an output that takes nothing more.

    Raises any other error again.
    """
    if not error.filename and error.errno in (errno.ENOSPC, errno.EPIPE, errno.EIO):
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())  # what is left of it is not tried again at the end
        hint = "what had begun on a target goes on there: invoke status --env ENV"
        return WindlassError("preflight_failed", f"the output cannot be written: {error.strerror}", hint=hint)
    if not error.filename:
        raise error
    hint = "run records and new scripts are written into the project's folder, which must be yours to write"
    return WindlassError("preflight_failed", f"{error.filename}: {error.strerror}", hint=hint)


def scope(env: str, host: str, database: Names, verbose: int = 0) -> Any:
    """Return which databases are meant; refuses what does not exist."""
    from windlass import verbs

    return verbs.scope(project(), env, host, database or (), verbose)
