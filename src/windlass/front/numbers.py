"""Options that take numbers of things: invoke itself ends with a traceback where one is given a word."""

from __future__ import annotations

from typing import Any

from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task

from windlass_engine.errors import WindlassError


class Number(Argument):
    """An option that takes a whole number."""

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Take what was typed; all of them count something.  Raises Exit (usage)."""
        try:
            super().set_value(value, cast)
            if self.value < 0:
                raise ValueError
        except ValueError:
            error = WindlassError("usage", f"--{self.name} takes a whole number from 0 on, not {value!r}")
            raise Exit(str(error), code=error.exit_code) from None


class Verb(Task[Any]):
    """A task whose numbers are checked as they are read."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Return the options."""
        return [_checked(argument) for argument in super().get_arguments(ignore_unknown_help)]


def _checked(argument: Argument) -> Argument:
    if argument.kind is not int or argument.incrementable:
        return argument
    return Number(
        names=argument.names,
        kind=int,
        default=argument.default,
        help=argument.help,
        positional=argument.positional,
        optional=argument.optional,
        attr_name=argument.attr_name,
    )
