"""New migrations: a folder with three files that say what belongs into them.

An untouched file holds only comments, which the loader refuses as empty: nobody deploys a template by mistake.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

from windlass.layout import name_problem, order, sameness
from windlass.settings import Settings
from windlass.system_file import FILE
from windlass_engine.errors import WindlassError
from windlass_engine.project.view import natural_key

UP = """\
-- {title}
--
-- What changes, and why.  One subject; plain SQL that can be run twice without harm (IF NOT EXISTS, ON CONFLICT).
-- Windlass opens the transaction.  For what cannot stand in one (CREATE INDEX CONCURRENTLY) begin the file with
-- the line `-- windlass: no-transaction`; what cannot be undone says `-- windlass: irreversible <reason>`.

"""
DOWN = """\
-- Undo: {title}
--
-- Takes away what up.sql made, in reverse order; what stood before stays.  Where that is not possible, delete this
-- file and give the reason in up.sql with `-- windlass: irreversible <reason>`.

"""
VERIFY = """\
-- Verify: {title}
--
-- Each check is a query that returns the failures: no row means passed, each row is a message.  Above it stands a
-- line `-- check: <name>`, for example `-- check: example_stands` above
-- `SELECT 'public.example is missing' WHERE to_regclass('public.example') IS NULL;`

"""
TEMPLATES = {"up.sql": UP, "down.sql": DOWN, "verify.sql": VERIFY}


def new_migration(root: Path, system: str, name: str, today: date) -> list[Path]:
    """Write a new migration's files and return their paths.

    ``name`` is a title ("add invoice number", which gets a prefix that sorts last) or a whole name with its own
    prefix ("20260131_add_invoice_number").  Raises WindlassError ``usage`` for an unknown system, a name that exists
    or one that does not sort behind all others.
    """
    planned = planned_files(root, system, name, today)
    for path, text in planned.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(planned)


def planned_files(root: Path, system: str, name: str, today: date) -> dict[Path, str]:
    """Return what :func:`new_migration` would write, by path.  Raises the same."""
    folder = _migrations_of(root, system)
    words = re.findall(r"[^\W_]+", name.lower())
    if not words:
        raise WindlassError("usage", "the migration needs a title, such as add_invoice_number")
    existing = sorted((path.name for path in folder.glob("*") if path.is_dir()), key=order)
    whole = "_".join(words)
    if not (words[0][0].isdigit() and len(words) > 1):
        whole = next_name(existing, whole, f"{today:%Y%m%d}")
    _refuse_name(whole, existing)
    title = " ".join(words)
    return {folder / whole / file: text.format(title=title) for file, text in TEMPLATES.items()}


def next_name(existing: Iterable[str], title: str, today: str) -> str:
    """Return a name that sorts behind all others: dated, or numbered where the last one is (``007_title``)."""
    last = max(existing, key=order, default="")
    number = re.match(r"[0-9]{1,5}(?=_)", last)
    if number:
        return f"{int(number[0]) + 1:0{len(number[0])}}_{title}"
    for letter in ("", *string.ascii_lowercase[1:]):  # a second one on a day: 20250131b_title
        name = f"{today}{letter}_{title}"
        if natural_key(name) > natural_key(last):
            return name
    raise WindlassError("usage", f"{last} sorts behind any name of today", hint="give the whole name with its prefix")


def create(settings: Settings, system: str, title: str, *, dry_run: bool = False) -> None:
    """Write a new migration's files, or only name them, and say so."""
    make = planned_files if dry_run else new_migration
    for path in make(settings.root, system, title, datetime.now(UTC).date()):
        print(f"{'would write' if dry_run else 'wrote'} {path.relative_to(settings.root)}")


def _migrations_of(root: Path, system: str) -> Path:
    known = sorted(path.parent.name for path in root.glob(f"sql/*/{FILE}"))
    if system not in known:
        hint = f"the systems below sql/ are: {', '.join(known) or 'none yet'}"
        raise WindlassError("usage", f"no system is called {system!r}", hint=hint)
    return root / "sql" / system / "migrations"


def _refuse_name(name: str, existing: list[str]) -> None:
    problem = name_problem(name)
    if problem:
        raise WindlassError("usage", problem, hint="choose a shorter title")
    twin = next((other for other in existing if sameness(other) == sameness(name)), "")
    if twin:
        raise WindlassError("usage", f"{twin} exists already", hint="choose another title")
    if existing and order(name) < order(existing[-1]):
        message = f"{name} would sort before {existing[-1]}, which may be applied already"
        raise WindlassError("usage", message, hint="leave the prefix out: one that sorts last is then put before it")
