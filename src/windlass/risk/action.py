"""What one part of a statement does, in the words that every engine shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from windlass_engine.model import Probe

#: Who has to wait while it works.
NOBODY, WRITERS, EVERYBODY = "nobody", "writers", "everybody"
#: What it works through: the catalogue only, each row once, an index, each row anew, or rows by plain SQL.
CATALOGUE, SCAN, BUILD, REWRITE, ROWS = "catalogue", "scan", "build", "rewrite", "rows"

Name = tuple[str, ...]


@dataclass(frozen=True)
class Action:
    """``rule`` names the rule that judges it; ``table`` is a name in its parts, empty where no table is meant.

    ``lock`` is in the engine's own words.  ``required`` is a column or constraint that refuses what the application
    of today may write; ``makes`` and ``drops`` are (kind, name) of what is new or gone behind it.
    """

    rule: str
    table: Name = ()
    subject: str = ""
    lock: str = ""
    waits: str = NOBODY
    work: str = CATALOGUE
    required: bool = False
    unique: bool = False
    makes: tuple[str, str] | None = None
    drops: tuple[str, str] | None = None
    probes: tuple[Probe, ...] = ()
    note: str = ""

    @property
    def table_name(self) -> str:
        """Return the table as people write it."""
        return ".".join(self.table)


#: Reads one statement; a text that nobody understands is an action, too.
Read = Callable[[str], Sequence[Action]]


def some(probe: Probe | None) -> tuple[Probe, ...]:
    """Return a probe, or none of them."""
    return (probe,) if probe else ()
