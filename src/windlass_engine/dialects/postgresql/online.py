"""Judge whether an interrupted statement that PostgreSQL refuses inside a transaction took effect.

A build that fails or is killed leaves an invalid index, which IF NOT EXISTS then takes for done; so validity decides,
never existence.
"""

from __future__ import annotations

from typing import Optional

from ..link import Link
from .text import literal
from .tokens import ConcurrentIndex, concurrent_index, words

_PROGRESS = """
SELECT phase, CASE WHEN blocks_total > 0 THEN blocks_done ELSE lockers_done END,
  CASE WHEN blocks_total > 0 THEN blocks_total ELSE lockers_total END
FROM pg_catalog.pg_stat_progress_create_index WHERE pid = {pid:d}
"""
_INVALID_TWINS = """
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$' AND n.nspname !~ '^pg_'
"""
#: Running one of these once more does no harm, whatever the first try did.
_REPEATABLE = {"VACUUM", "ANALYZE", "CLUSTER", "CHECKPOINT"}


def settle(link: Link, sql: str) -> Optional[bool]:
    """Return True (took effect), False (run it again; remains were cleared), or None (cannot tell)."""
    index = concurrent_index(sql)
    if index:
        return _settle_index(link, index)
    first = words(sql, 6)
    if first[0] in _REPEATABLE or first[:2] == ["ALTER", "SYSTEM"] or first[0] == "REINDEX":
        return False
    if first[:2] in (["CREATE", "DATABASE"], ["DROP", "DATABASE"]):
        name = next(word for word in first[2:] if word not in ("IF", "EXISTS"))
        exists = bool(link.query(f"SELECT 1 FROM pg_catalog.pg_database WHERE datname = {literal(_unquoted(name))}"))
        return exists == (first[0] == "CREATE")
    return None


def clear_invalid(link: Link, sql: str) -> tuple[str, ...]:
    """Drop the invalid leftover that stands in the way of an online build; say what was dropped."""
    index = concurrent_index(sql)
    if not index:
        return ()
    if index.action == "reindex":
        return tuple(_drop(link, row[0]) for row in link.query(_INVALID_TWINS))
    if index.action == "create" and index.name and _validity(link, index) is False:
        return (_drop(link, _full_name(link, index)),)
    return ()


def is_built(link: Link, sql: str) -> bool:
    """Return whether an online build left a valid index (True for everything that builds none)."""
    index = concurrent_index(sql)
    if not index or index.action != "create" or not index.name:
        return True
    return _validity(link, index) is True


def progress(link: Link, pid: int) -> Optional[tuple[str, int, int]]:
    """Return (phase, done, total) of the index build of backend ``pid``; the unit is blocks, or sessions waited for."""
    rows = link.query(_PROGRESS.format(pid=pid))
    return (str(rows[0][0]), int(rows[0][1] or 0), int(rows[0][2] or 0)) if rows else None


def _settle_index(link: Link, index: ConcurrentIndex) -> Optional[bool]:
    """Judge an interrupted index statement by the catalogue."""
    if index.action == "reindex":
        return False
    if not index.name:
        return None
    valid = _validity(link, index)
    if index.action == "drop":
        return valid is None
    if valid is False:
        _drop(link, _full_name(link, index))
    return valid is True


def _validity(link: Link, index: ConcurrentIndex) -> Optional[bool]:
    """Return whether an index is valid, or None where there is none."""
    rows = link.query(
        f"SELECT i.indisvalid AND i.indisready FROM pg_catalog.pg_index i "
        f"WHERE i.indexrelid = pg_catalog.to_regclass({literal(_full_name(link, index))})"
    )
    return bool(rows[0][0]) if rows else None


def _full_name(link: Link, index: ConcurrentIndex) -> str:
    """Return the index's qualified name: an index lives in its table's schema."""
    if index.schema:
        return f"{_quoted(index.schema)}.{_quoted(index.name or '')}"
    if not index.table:
        return _quoted(index.name or "")
    rows = link.query(
        "SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.oid = pg_catalog.to_regclass({literal(index.table)})"
    )
    return f"{rows[0][0]}.{_quoted(index.name or '')}" if rows else _quoted(index.name or "")


def _drop(link: Link, name: str) -> str:
    """Drop an invalid index without blocking writers."""
    link.run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    return f"dropped the invalid index {name}"


def _quoted(name: str) -> str:
    """Return one quoted name, dots and all."""
    return '"' + name.replace('"', '""') + '"'


def _unquoted(word: str) -> str:
    """Return the name that a token stands for."""
    return word[1:-1].replace('""', '"') if word.startswith('"') else word.lower()
