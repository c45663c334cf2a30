"""Questions to the catalogue: what is there."""

from __future__ import annotations

from typing import Optional

from ..link import Link
from .own import Own
from .reader import Name
from .text import literal, quoted


def _any(link: Link, view: str, condition: str) -> bool:
    return bool(link.query(Own(f"SELECT 1 FROM sys.{view} WHERE {condition}")))


def _object_id(name: Name) -> str:
    """Return a table's number as SQL."""
    full = ".".join(quoted(part) for part in name if part is not None)
    return f"OBJECT_ID({literal(full)})"


def database(link: Link, name: str) -> bool:
    """Return whether a database is there."""
    return _any(link, "databases", f"name = {literal(name)}")


def full_text_catalogue(link: Link, name: str) -> bool:
    """Return whether a full-text catalogue is there."""
    return _any(link, "fulltext_catalogs", f"name = {literal(name)}")


def full_text_index(link: Link, of: Name) -> bool:
    """Return whether a table has a full-text index."""
    return _any(link, "fulltext_indexes", f"object_id = {_object_id(of)}")


def index(link: Link, of: Name, name: str) -> bool:
    """Return whether a table has an index of that name."""
    return _any(link, "indexes", f"object_id = {_object_id(of)} AND name = {literal(name)}")


def unfinished_index(link: Link, of: Name, name: str) -> bool:
    """Return whether a resumable operation on an index stands unfinished."""
    return _any(link, "index_resumable_operations", f"object_id = {_object_id(of)} AND name = {literal(name)}")


def table(link: Link, name: Optional[Name]) -> Optional[bool]:
    """Return whether an object is there, or None where no name could be read."""
    if name is None:
        return None
    return bool(link.query(Own(f"SELECT 1 WHERE {_object_id(name)} IS NOT NULL")))
