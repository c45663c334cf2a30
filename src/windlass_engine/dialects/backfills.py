"""What every engine asks of a backfill's statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Callable

from ..project.directives import BATCH_MARK


def mistakes(sql: str, first_word: str, tokens: Callable[[str], Iterable[object]]) -> Iterator[tuple[str, str]]:
    """Yield (what is wrong, what to do) of a backfill; ``tokens`` parts SQL as the dialect does."""
    if first_word != "UPDATE":
        yield "a backfill is a plain UPDATE", "other work goes into a migration of its own"
    if sql.count(BATCH_MARK) != 1 or not _is_code(sql, tokens):
        yield f"a backfill holds `{BATCH_MARK}` exactly once, outside strings", "put it at the end of its WHERE"


def _is_code(sql: str, tokens: Callable[[str], Iterable[object]]) -> bool:
    """Tell whether the mark stands where SQL may stand: a word in its place is then one more token."""
    return len(list(tokens(sql.replace(BATCH_MARK, " x ")))) == len(list(tokens(sql))) + 1
