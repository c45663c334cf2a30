"""What belongs to a database and is not in its tables: its character set, the grants on it, the users of its code."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import WindlassError
from ...model import Wire
from ..link import Link
from . import code, rights
from .text import literal, quoted

#: Without these the server shows less than there is, and says nothing.
NEEDED = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")
#: MySQL lists routines only for a login that has one of these; of one whose text it keeps back it says so.
_SHOW_ROUTINES = {"SHOW_ROUTINE", "EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE"}
#: With one of these a login makes code that runs as somebody else (MariaDB, MySQL 8.0, MySQL 8.2 and newer).
_AS_OTHERS = {"SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER"}
_GRANTS = """
SELECT grantee, 'ON SCHEMA', privilege_type, is_grantable FROM information_schema.SCHEMA_PRIVILEGES
WHERE {database} LIKE table_schema
UNION ALL SELECT grantee, CONCAT('ON TABLE ', table_name), privilege_type, is_grantable
FROM information_schema.TABLE_PRIVILEGES WHERE table_schema = {database}
UNION ALL SELECT grantee, CONCAT('ON COLUMN ', table_name, '.', column_name), privilege_type, is_grantable
FROM information_schema.COLUMN_PRIVILEGES WHERE table_schema = {database}
ORDER BY 1, 2, 3"""
_DEFAULTS = """
SELECT table_name, column_name, column_default FROM information_schema.COLUMNS
WHERE table_schema = {database} AND column_default LIKE {pattern} ORDER BY 1, 2"""


def require_rights(link: Link, database: str, is_mariadb: bool) -> None:
    """Refuse a login that would not see everything.  Raise WindlassError (backup_failed), ServerError."""
    granted = rights.in_database(link, database, is_mariadb)
    lacking = [right for right in NEEDED if right not in granted]
    hint = f"GRANT {', '.join(lacking)} ON {quoted(database)}.* TO the login" if lacking else ""
    if not is_mariadb and not granted & _SHOW_ROUTINES:
        lacking.append("SHOW_ROUTINE")
        hint = "; ".join(filter(None, [hint, "GRANT SHOW_ROUTINE ON *.* TO it"]))
    if lacking:
        raise WindlassError(
            "backup_failed",
            f"the login lacks {', '.join(lacking)} on {database}, so the server would show only a part of it",
            hint=f"{hint}; RELOAD (or LOCK TABLES) lets it count rows at the dump's very moment",
        )


def forbidden_definers(link: Link, definers: Iterable[str], is_mariadb: bool) -> list[str]:
    """Return the users as whom the login may not make code.  Raise ServerError."""
    own = str(link.query("SELECT CURRENT_USER()")[0][0])
    others = sorted({name for name in definers if name != own})
    return [] if not others or _AS_OTHERS & rights.everywhere(link, is_mariadb) else others


def code_of(link: Link, database: str, word: str = "backup_failed") -> list[code.Piece]:
    """Return the code of a database.  Raise WindlassError (``word``) when a text is kept from the login."""
    try:
        return code.read(link, database)
    except code.Hidden as hidden:
        raise WindlassError(
            word,
            f"the login may not see the text of {hidden}",
            hint="grant it SELECT on mysql.proc (MariaDB), SHOW CREATE ROUTINE (MariaDB 11.3) or SHOW_ROUTINE (MySQL)",
        ) from None


def settings(link: Link, database: str) -> Wire:
    """Return what ``CREATE DATABASE`` was told."""
    rows = link.query(
        "SELECT default_character_set_name, default_collation_name FROM information_schema.SCHEMATA "
        f"WHERE schema_name = {literal(database)}"
    )
    return {"charset": str(rows[0][0]), "collation": str(rows[0][1])}


def described(link: Link, database: str, pieces: list[code.Piece]) -> Wire:
    """Return the manifest fields: settings, grants, definers, and which pieces of code name their own schema."""
    there = code.accounts(link)
    used = code.definers(pieces)
    return {
        "settings": {**settings(link, database), "sql_mode": str(link.query("SELECT @@global.sql_mode")[0][0])},
        "globals": {
            "database": database,
            "grants": [[str(part) for part in row] for row in link.query(_GRANTS.format(database=literal(database)))],
            "definers": used,
            "kinds": sorted({piece.kind for piece in pieces}),
            "missing_definers": [name for name in used if there is not None and name not in there],
        },
        "names_itself": [piece.label for piece in pieces if piece.names(database)],
        "own_defaults": own_defaults(link, database),
    }


def own_defaults(link: Link, database: str, named: str = "") -> list[list[str]]:
    """Return (table, column, default) of columns whose default names a schema, as that of a sequence does.

    ``named`` is that schema, by default the database itself.
    """
    pattern = literal(f"%{quoted(named or database)}.%")
    rows = link.query(_DEFAULTS.format(database=literal(database), pattern=pattern))
    return [[str(part) for part in row] for row in rows]


def point_defaults(link: Link, database: str, known: list[list[str]], old: str, new: str) -> None:
    """Let such defaults of a database's tables name ``new`` instead of ``old``.  Raise ServerError."""
    for table, column, default in known:
        place = f"{quoted(database)}.{quoted(table)}"
        link.run(f"ALTER TABLE {place} ALTER COLUMN {quoted(column)} SET DEFAULT {pointed(default, old, new)}")


def pointed(default: str, old: str, new: str) -> str:
    """Return a default that names ``new`` instead of ``old``."""
    return default.replace(f"{quoted(old)}.", f"{quoted(new)}.")


def create_statement(name: str, known: Wire) -> str:
    """Return the statement that makes a database like the one described."""
    return f"CREATE DATABASE {quoted(name)} CHARACTER SET {known['charset']} COLLATE {known['collation']}"
