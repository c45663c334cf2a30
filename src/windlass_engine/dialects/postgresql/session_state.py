"""Which statements only set the session up for those behind them."""

from __future__ import annotations

from .tokens import words

#: What follows SET and ends with its transaction, or is about the transaction itself.
_PASSING = ("LOCAL", "TRANSACTION", "CONSTRAINTS")
_CALLS = (["SET_CONFIG", "("], ["PG_CATALOG", ".", "SET_CONFIG", "("])


def lasts(sql: str) -> bool:
    """Tell whether a statement does nothing but set what lasts for the session: it may be run any number of times."""
    head = words(sql, 40)
    if head[:1] == ["SET"]:
        return head[1:2] != [] and head[1] not in _PASSING
    if head[:1] == ["SELECT"]:
        return _sets_one(head[1:])
    return head[:1] == ["RESET"]


def is_mere_setting(sql: str) -> bool:
    """Tell whether a statement neither reads nor writes rows: behind it the isolation can still be set."""
    return words(sql, 1)[:1] in (["SET"], ["RESET"], ["SHOW"], ["LOCK"], ["NOTIFY"], ["LISTEN"], ["UNLISTEN"])


def is_role(sql: str) -> bool:
    """Tell whether such a statement is about the role, which writing the journal takes away for a moment."""
    head = [word.strip("'").upper() for word in words(sql, 8)]
    return lasts(sql) and ("ROLE" in head or "AUTHORIZATION" in head)


def _sets_one(call: list[str]) -> bool:
    """Tell whether this is ``set_config('name', 'value', false)`` as dumps write it, and nothing beside it."""
    behind = next((call[len(start) :] for start in _CALLS if call[: len(start)] == start), [])
    values = [word for word in behind[:-1] if word != ","]
    constant = all(word.startswith("'") for word in values[:2])
    return behind[-1:] == [")"] and len(values) == 3 and constant and values[2] in ("FALSE", "'f'", "'false'")
