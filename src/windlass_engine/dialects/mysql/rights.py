"""What a login may do, whether it has that itself or by a role."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..link import Link
from .text import literal

_OWN = """grantee IN (SELECT CONCAT(QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', 1)), '@',
  QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', -1))) UNION SELECT CONCAT(QUOTE(role_name), '@', QUOTE(''))
  FROM information_schema.ENABLED_ROLES UNION SELECT role_name FROM information_schema.ENABLED_ROLES
  UNION SELECT QUOTE(role_name) FROM information_schema.ENABLED_ROLES)"""
_EVERYWHERE = f"SELECT privilege_type FROM information_schema.USER_PRIVILEGES WHERE {_OWN}"
_IN_DATABASE = f"""{_EVERYWHERE} UNION SELECT privilege_type FROM information_schema.SCHEMA_PRIVILEGES
WHERE {_OWN} AND {{database}} LIKE table_schema"""
_ON_ALL_TABLES = re.compile(r"GRANT (?P<rights>.+?) ON (?:\*|`(?P<database>(?:[^`]|``)*)`)\.\* TO ")
#: What ALL PRIVILEGES on a database stands for, as far as anybody here asks.
_ALL = frozenset({
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "SHOW VIEW", "TRIGGER",
    "EVENT", "EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE",
})  # fmt: skip


def in_database(link: Link, database: str, is_mariadb: bool) -> set[str]:
    """Return the rights on all of a database's tables and code, and those that hold everywhere.  Raise ServerError."""
    if is_mariadb:
        return {str(right) for (right,) in link.query(_IN_DATABASE.format(database=literal(database)))}
    return {
        right
        for rights, pattern in _grants(link)
        if not pattern or link.query(f"SELECT {literal(database)} LIKE {literal(pattern)}")[0][0]
        for right in rights
    }


def everywhere(link: Link, is_mariadb: bool) -> set[str]:
    """Return the rights that hold on all of the server.  Raise ServerError."""
    if is_mariadb:
        return {str(right) for (right,) in link.query(_EVERYWHERE)}
    return {right for rights, pattern in _grants(link) if not pattern for right in rights}


def _grants(link: Link) -> Iterator[tuple[set[str], str]]:
    """Yield (rights, pattern of databases or nothing for all): unlike MySQL's views, SHOW GRANTS counts roles."""
    for (text,) in link.query("SHOW GRANTS"):
        found = _ON_ALL_TABLES.match(str(text))
        if found:
            rights = {right.strip() for right in found["rights"].split(",")}
            whole = _ALL if "ALL PRIVILEGES" in rights else frozenset()
            yield rights | whole, (found["database"] or "").replace("``", "`")
