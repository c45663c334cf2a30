"""What a rule found in a script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from windlass_engine.dialects.base import Dialect
from windlass_engine.model import Script, Statement
from windlass_engine.project.view import Migration

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Finding:
    """A rule's finding at a line of a file (0: the whole file); ``allowed`` is the script's reason to live with it."""

    rule: str
    severity: str
    path: str
    line: int
    message: str
    hint: str = ""
    allowed: str = ""


@dataclass(frozen=True)
class Subject:
    """What a rule looks at: a migration whose scripts are whole, and its engine."""

    migration: Migration
    dialect: Dialect

    @property
    def up(self) -> Script:
        """Return the up script."""
        return self.migration.up

    def statements(self, script: Script | None = None) -> Iterator[tuple[Statement, str]]:
        """Yield each statement of a script (default: up) with its words in capitals, without leading comments.

        Of a batch, each statement in it, with its own line.
        """
        chosen = script or self.up
        for statement in chosen.statements:
            for lines, text in self.dialect.parts(chosen.sql(statement)):
                yield replace(statement, line=statement.line + lines), words(text)

    def made_here(self) -> frozenset[str]:
        """Return the tables that the up script makes: what is done to them stops nobody."""
        found = (made_table(text) for _, text in self.statements())
        return frozenset(name for name in found if name)


def words(sql: str) -> str:
    """Return a statement in capitals with single blanks, without the comment lines in front of it."""
    lines = sql.splitlines()
    while lines and (not lines[0].strip() or lines[0].lstrip().startswith(("--", "#"))):
        lines.pop(0)
    return " ".join(" ".join(lines).upper().split())


def made_table(text: str) -> str:
    """Return the table that a CREATE TABLE makes, or an empty string."""
    head = text.replace("IF NOT EXISTS ", "").replace("UNLOGGED ", "").partition("(")[0].split()
    return head[2] if head[:2] == ["CREATE", "TABLE"] and len(head) > 2 else ""


def changed_table(text: str) -> str:
    """Return the table that an ALTER TABLE, UPDATE or DELETE works on, or an empty string."""
    for opening in ("ALTER TABLE IF EXISTS ONLY ", "ALTER TABLE IF EXISTS ", "ALTER TABLE ONLY ", "ALTER TABLE ",
                    "UPDATE ONLY ", "UPDATE ", "DELETE FROM ONLY ", "DELETE FROM ", "DELETE "):  # fmt: skip
        if text.startswith(opening):
            return text[len(opening) :].split(" ", maxsplit=1)[0].rstrip(";")
    return ""
