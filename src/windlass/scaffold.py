"""New migrations: three files that say what belongs into them."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from windlass.settings import Settings
from windlass_engine.errors import WindlassError
from windlass_engine.project_view import natural_key

UP = """\
-- {title}
-- What changes and why.  Plain SQL that can be run twice: IF NOT EXISTS, ON CONFLICT, and so on.
-- Windlass opens the transaction; for statements that cannot stand in one (CREATE INDEX CONCURRENTLY) add:
--   windlass: no-transaction
"""
DOWN = """\
-- Undo: {title}
-- Takes away what up.sql made, in reverse order.  Where that is not possible, delete this file and give the
-- reason in up.sql:
--   windlass: irreversible <reason>
"""
VERIFY = """\
-- Verify: {title}
-- Each statement returns the failures: no row means passed, each row is a message.
--
--   check: the table is there
-- SELECT 'public.example is missing' WHERE to_regclass('public.example') IS NULL;
"""


def files(settings: Settings, system: str, title: str) -> dict[Path, str]:
    """Return the files of a new migration, by path.  Raises ``usage`` for an unknown system or a bad title."""
    if system not in settings.systems:
        known = ", ".join(settings.systems) or "none yet"
        raise WindlassError("usage", f"no system is called {system!r}", hint=f"the systems below sql/ are: {known}")
    words = re.findall(r"[^\W_]+", title.lower())
    if not words:
        raise WindlassError("usage", "the migration needs a title, such as add_invoice_number")
    folder = settings.root / "sql" / system / "migrations"
    existing = [path.name for path in folder.glob("*") if path.is_dir()]
    name = next_name(existing, "_".join(words), f"{datetime.now(UTC):%Y%m%d}")
    texts = {"up.sql": UP, "down.sql": DOWN, "verify.sql": VERIFY}
    return {folder / name / file: text.format(title=" ".join(words)) for file, text in texts.items()}


def next_name(existing: Sequence[str], title: str, today: str) -> str:
    """Return a name that sorts after all others: dated, or numbered where the last one is (``007_title``)."""
    last = max(existing, key=natural_key, default="")
    number = re.match(r"\d{1,5}(?=_)", last)
    if number:
        return f"{int(number[0]) + 1:0{len(number[0])}}_{title}"
    for letter in ("", *string.ascii_lowercase[1:]):  # a second one on a day: 20250131b_title
        name = f"{today}{letter}_{title}"
        if natural_key(name) > natural_key(last):
            return name
    raise WindlassError("usage", f"{last} sorts after any name of today", hint="name the folder by hand")


def create(settings: Settings, system: str, title: str, *, dry_run: bool = False) -> None:
    """Write a new migration's files, or only name them."""
    for path, text in files(settings, system, title).items():
        shown = path.relative_to(settings.root)
        if not dry_run:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        print(f"{'would write' if dry_run else 'wrote'} {shown}")
