"""What is typed after a verb: so that a message can name the command that is about the very same databases."""

from __future__ import annotations

import shlex
from collections.abc import Iterable


def scope(hosts: str = "", databases: Iterable[str] = (), to: str = "") -> str:
    """Return the options that limit a verb, each behind a blank; an empty text for no limit."""
    words = [f" --host {shlex.quote(hosts)}"] if hosts else []
    words += [f" --database {shlex.quote(name)}" for name in databases]
    return "".join([*words, f" --to {shlex.quote(to)}" if to else ""])
