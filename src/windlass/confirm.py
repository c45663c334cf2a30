"""The operator's yes: asked for as the policy wants it, never guessed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from windlass.records import record
from windlass_engine.errors import WindlassError

#: From careless to careful; the strictest of all databases in a run counts.
POLICIES = ("none", "yes", "typed")


def strictest(run: record.Record) -> str:
    """Return the policy that counts for a planned run: the most careful one among databases with work to do."""
    plans = [data["plan"] for _, _, data in record.databases(run) if data.get("plan", {}).get("steps")]
    return max((plan.get("confirm", "yes") for plan in plans), key=POLICIES.index, default="none")


def ask(
    policy: str,
    environment: str,
    verb: str,
    *,
    reviewable: bool = True,
    by_name: bool = False,
    interactive: bool | None = None,
    answer: Callable[[str], str] = input,
) -> None:
    """Return when the operator agrees.  Raises ``not_approved`` otherwise, and where nobody can be asked.

    ``reviewable`` says that the verb takes ``--plan``, ``by_name`` that a name to type can be given as ``--confirm``.
    """
    if policy == "none":
        return
    if interactive is None:
        interactive = sys.stdin.isatty() and sys.stdout.isatty()
    if not interactive:
        given = f"--confirm {Path(environment).name}" if by_name and policy == "typed" else "--yes"
        raise _nobody_there(verb, reviewable, given)
    wanted, question = _question(policy, environment, verb)
    try:
        given = answer(question).strip()
    except EOFError:
        given = ""
    if given not in wanted:
        raise WindlassError("not_approved", "not confirmed, nothing was changed")


def type_again(
    name: str, what: str, deed: str, *, interactive: bool | None = None, answer: Callable[[str], str] = input
) -> None:
    """Return when the operator has typed a name.  Raises ``not_approved`` otherwise; there is no other way."""
    if interactive is None:
        interactive = sys.stdin.isatty() and sys.stdout.isatty()
    if not interactive:
        hint = "run it on a terminal, and type the name there"
        raise WindlassError("not_approved", f"to {deed} has to be typed, and there is no terminal", hint=hint)
    try:
        given = answer(f"\nType {what} ({name}) to {deed}: ").strip()
    except EOFError:
        given = ""
    if given != name:
        raise WindlassError("not_approved", "not confirmed, nothing was changed")


def _question(policy: str, environment: str, verb: str) -> tuple[tuple[str, ...], str]:
    if policy == "typed":
        name = Path(environment).name  # an environment may be given as a path
        return (name,), f"\nType the environment's name ({name}) to start the {verb}: "
    return ("y", "Y", "yes"), f"\nStart the {verb} of {environment}? [y/N] "


def _nobody_there(verb: str, reviewable: bool, given: str) -> WindlassError:
    way = f"review it with `invoke plan`, then `invoke {verb} --plan DIGEST`; or " if reviewable else ""
    return WindlassError(
        "not_approved",
        f"the {verb} needs a confirmation and there is no terminal to ask on; nothing was changed",
        hint=f"{way}give {given}",
    )
