"""What kind of statement a text is, as far as running it safely depends on it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Callable, NamedTuple, Optional

from .lexer import tokens

_NAME_BYTES = 63  # NAMEDATALEN - 1: the server cuts longer names
_ONLINE = re.compile("concurrently", re.IGNORECASE)
_UNICODE_ESCAPE = re.compile(r"\\(?:\\|\+([0-9a-fA-F]{6})|([0-9a-fA-F]{4}))")


class ConcurrentIndex(NamedTuple):
    """An index statement with CONCURRENTLY: ``action`` is create, drop or reindex.

    ``schema`` and ``name`` are the index's own, as the catalogue spells them; ``schema`` is None where
    ``search_path`` decides, ``name`` where there is none or where more than one index is meant.  ``table`` is
    quoted SQL (``"s"."t"``), None for a drop and for REINDEX of an index, schema or database.
    """

    action: str
    schema: Optional[str]
    name: Optional[str]
    table: Optional[str]


def words(sql: str, limit: int = 12) -> list[str]:
    """Return the first ``limit`` tokens: words in capitals, all else as written, no comments."""
    found: list[str] = []
    for token in tokens(sql):
        if len(found) >= limit:
            break
        text = sql[token.start : token.end]
        found.append(text.upper() if token.kind == "word" else text)
    return found


def needs_no_transaction(sql: str) -> bool:
    """Tell whether the server refuses this statement inside a transaction.

    CALL and DO are not among them: only a procedure that itself commits needs to be outside, which its text
    does not show.  ALTER TYPE … ADD VALUE is allowed inside since version 12.
    """
    start = words(sql, 2)
    judge = _OUTSIDE.get(start[0]) if start else None
    if judge is None or (start[0] in _MANY_OBJECTS and start[1:] and not _may_be_outside(start[1], sql)):
        return False
    return judge(words(sql, 40))


def _may_be_outside(kind: str, sql: str) -> bool:
    """Tell whether the kind of object lets a statement be outside; of some only the CONCURRENTLY form is."""
    return kind in _OBJECTS or (kind in _ONLINE_OBJECTS and _ONLINE.search(sql) is not None)


def concurrent_index(sql: str) -> Optional[ConcurrentIndex]:
    """Return what a CREATE INDEX, DROP INDEX or REINDEX with CONCURRENTLY is about, or None for all else."""
    if not _ONLINE.search(sql):
        return None
    raw = _raw_words(sql, 40)
    head = [_keyword(word) for word in raw]
    if head[:1] == ["CREATE"]:
        return _created(head, raw)
    if head[:3] == ["DROP", "INDEX", "CONCURRENTLY"]:
        at = 5 if head[3:5] == ["IF", "EXISTS"] else 3
        parts, _ = _qualified(raw, at)
        return ConcurrentIndex("drop", *_schema_and_name(parts), None)
    if head[:1] == ["REINDEX"] and _is_concurrent_reindex(head):
        return _reindexed(head, raw)
    return None


def name_of(word: str) -> str:
    """Return the name behind an identifier token: lower case unless quoted, cut as the server cuts it."""
    if word[:2] in ("U&", "u&") and word[2:3] == '"':
        name = _UNICODE_ESCAPE.sub(_unescaped, word[3:-1].replace('""', '"'))
    elif word.startswith('"'):
        name = word[1:-1].replace('""', '"')
    else:
        name = "".join(char.lower() if char.isascii() else char for char in word)
    return name.encode()[:_NAME_BYTES].decode(errors="ignore")


def _unescaped(match: re.Match[str]) -> str:
    digits = match.group(1) or match.group(2)
    return chr(int(digits, 16)) if digits else "\\"


def _raw_words(sql: str, limit: int) -> list[str]:
    found: list[str] = []
    for token in tokens(sql):
        if len(found) >= limit:
            break
        found.append(sql[token.start : token.end])
    return found


def _keyword(word: str) -> str:
    return word if word.startswith(('"', "'")) else word.upper()


def _after_index(head: Sequence[str]) -> int:
    """Return the position behind CREATE [UNIQUE] INDEX, or 0."""
    at = 2 if head[1:2] == ["UNIQUE"] else 1
    return at + 1 if head[at : at + 1] == ["INDEX"] else 0


def _created(head: Sequence[str], raw: Sequence[str]) -> Optional[ConcurrentIndex]:
    at = _after_index(head)
    if not at or head[at : at + 1] != ["CONCURRENTLY"]:
        return None
    at += 1
    if head[at : at + 3] == ["IF", "NOT", "EXISTS"]:
        at += 3
    name = None
    if head[at : at + 1] != ["ON"]:
        name, at = name_of("".join(raw[at : at + 1])), at + 1
    at += 2 if head[at + 1 : at + 2] == ["ONLY"] else 1
    parts, _ = _qualified(raw, at)
    return ConcurrentIndex("create", _schema_and_name(parts)[0], name, _quoted(parts))


def _is_concurrent_reindex(head: Sequence[str]) -> bool:
    """Tell whether CONCURRENTLY stands behind the kind of object, or among the options and not off."""
    options, rest = _options(head, 1)
    if rest[1:2] == ["CONCURRENTLY"]:
        return True
    for at, word in enumerate(options):
        if word == "CONCURRENTLY":
            return options[at + 1 : at + 2] not in (["FALSE"], ["OFF"], ["0"], ["'false'"], ["'off'"])
    return False


def _options(head: Sequence[str], at: int) -> tuple[Sequence[str], Sequence[str]]:
    """Return the words of the option list that begins at ``at`` (none: empty), and what follows."""
    if head[at : at + 1] != ["("] or ")" not in head:
        return [], head[at:]
    close = head.index(")")
    return head[at + 1 : close], head[close + 1 :]


def _reindexed(head: Sequence[str], raw: Sequence[str]) -> ConcurrentIndex:
    _, rest = _options(head, 1)
    at = len(head) - len(rest) + 1
    at += 1 if rest[1:2] == ["CONCURRENTLY"] else 0
    parts, _ = _qualified(raw, at)
    if rest[:1] == ["INDEX"]:
        return ConcurrentIndex("reindex", *_schema_and_name(parts), None)
    if rest[:1] == ["TABLE"]:
        return ConcurrentIndex("reindex", _schema_and_name(parts)[0], None, _quoted(parts))
    return ConcurrentIndex("reindex", _schema_and_name(parts)[1] if rest[:1] == ["SCHEMA"] else None, None, None)


def _qualified(raw: Sequence[str], at: int) -> tuple[list[str], int]:
    """Return the parts of a dotted name that begins at ``at``, and the position behind it."""
    parts = [name_of(word) for word in raw[at : at + 1]]
    at += 1
    while raw[at : at + 1] == ["."]:
        parts += [name_of(word) for word in raw[at + 1 : at + 2]]
        at += 2
    return parts, at


def _schema_and_name(parts: Sequence[str]) -> tuple[Optional[str], Optional[str]]:
    return (parts[-2] if len(parts) > 1 else None), (parts[-1] if parts else None)


def _quoted(parts: Sequence[str]) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def _outside_create(head: Sequence[str]) -> bool:
    after = _after_index(head)
    if after:
        return head[after : after + 1] == ["CONCURRENTLY"]
    if head[1:2] == ["SUBSCRIPTION"]:
        # Making the slot (the default) or connecting is what cannot be undone.
        return not {"CREATE_SLOT", "CONNECT"} & _switched_off(head)
    return head[1:2] in (["DATABASE"], ["TABLESPACE"])


def _outside_drop(head: Sequence[str]) -> bool:
    # DROP SUBSCRIPTION is refused while it has a slot, which only the server knows.
    return head[1:3] == ["INDEX", "CONCURRENTLY"] or head[1:2] in (
        ["DATABASE"],
        ["TABLESPACE"],
        ["SUBSCRIPTION"],
    )


def _outside_alter(head: Sequence[str]) -> bool:
    kind = head[1:2]
    if kind == ["DATABASE"]:
        return head[3:5] == ["SET", "TABLESPACE"]
    if kind == ["SUBSCRIPTION"]:
        refreshes = "REFRESH" in head[3:4] or head[4:5] == ["PUBLICATION"]
        return refreshes and not {"REFRESH", "COPY_DATA"} & _switched_off(head)
    if kind == ["TABLE"]:
        return "DETACH" in head and head[-1] == "CONCURRENTLY"
    return kind == ["SYSTEM"]


def _switched_off(head: Sequence[str]) -> set[str]:
    """Return the options written as ``name = false`` (or off, 0)."""
    off = ("FALSE", "OFF", "0", "'false'", "'off'")
    return {head[at - 1] for at in range(1, len(head) - 1) if head[at] == "=" and head[at + 1] in off}


def _outside_reindex(head: Sequence[str]) -> bool:
    _, rest = _options(head, 1)
    return rest[:1] in (["DATABASE"], ["SYSTEM"], ["SCHEMA"]) or _is_concurrent_reindex(head)


def _outside_cluster(head: Sequence[str]) -> bool:
    """Tell whether no table is named: then each is done in a transaction of its own."""
    _, rest = _options(head, 1)
    return [word for word in rest if word != "VERBOSE"] == []


#: The commands for which a second word tells most statements apart, and the words that need a closer look.
_MANY_OBJECTS = ("ALTER", "CREATE", "DROP")
_OBJECTS = ("DATABASE", "TABLESPACE", "SUBSCRIPTION", "SYSTEM")
_ONLINE_OBJECTS = ("INDEX", "UNIQUE", "TABLE")
_OUTSIDE: dict[str, Callable[[Sequence[str]], bool]] = {
    "ALTER": _outside_alter,
    "CLUSTER": _outside_cluster,
    "CREATE": _outside_create,
    "DISCARD": lambda head: head[1:2] == ["ALL"],
    "DROP": _outside_drop,
    "REINDEX": _outside_reindex,
    "VACUUM": lambda head: True,
}
