"""`invoke --list` as a table of contents: verbs under headings, in the order in which they are met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: heading -> verbs, in their order in its file
Contents = Mapping[str, Sequence[str]]


def install(contents: Contents) -> None:
    """Make invoke's flat task list read in our order; its other formats stay as they are."""
    from invoke.main import program

    def list_flat() -> None:
        if program.list_root:  # a part of the list was asked for
            type(program).list_flat(program)
        else:
            print(text(contents, program.collection.tasks))

    program.list_flat = list_flat  # type: ignore[method-assign]  # invoke has no option for the order


def text(contents: Contents, tasks: Mapping[str, Any]) -> str:
    """Return every group under its heading, each verb with the first line of its documentation."""
    lines = ["Windlass changes databases that must not be lost.  `invoke --help VERB` explains a verb.", ""]
    for heading, names in contents.items():
        lines += [heading, *(f"  {name:<14}{helpline(tasks[name])}" for name in names), ""]
    return "\n".join(lines)


def helpline(task: Any) -> str:
    """Return the first line of a task's documentation."""
    return (task.__doc__ or "").strip().splitlines()[0]
