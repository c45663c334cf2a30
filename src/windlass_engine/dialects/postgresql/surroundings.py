"""What belongs to a database and is not in it: its own settings, and the roles that it needs.

pg_dump leaves these out (unless the dump is to create a database of the same name), and a database that was restored
without them looks right and is not: no rights, no search_path, no owner.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Optional

from ...model import Wire
from .text import literal

Query = Callable[[str], list[tuple[Any, ...]]]

#: Settings whose stored value is a list of quoted names, which must be handed back as a list (as pg_dump does).
_LISTS = frozenset(
    {
        "local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries",
        "temp_tablespaces", "unix_socket_directories",
    }
)  # fmt: skip
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin", "d": "libc"}
_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,]*?))\s*(?:,|$)')

_RIGHTS = """
SELECT CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee)::text END, a.privilege_type, a.is_grantable
FROM pg_database d CROSS JOIN LATERAL aclexplode(d.datacl) a WHERE d.datname = current_database() ORDER BY 1, 2, 3"""

_OWN_SETTINGS = """
SELECT r.rolname::text, s.setconfig FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY r.rolname NULLS FIRST"""

_EXTENSIONS = """
SELECT e.extname::text, e.extversion, n.nspname::text
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY 1"""

#: The bootstrap superuser owns things without being written down as needed, so owners of the schema come in too.
_NEEDED_ROLES = """
SELECT DISTINCT r.rolname::text FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
WHERE d.refclassid = 'pg_authid'::regclass AND r.rolname !~ '^pg_' AND (
    d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    OR d.classid = 'pg_database'::regclass
       AND d.objid = (SELECT oid FROM pg_database WHERE datname = current_database()))
UNION SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()
ORDER BY 1"""

_ROLES = """
SELECT r.rolname::text, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication,
       r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil::text,
       (SELECT s.setconfig FROM pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0),
       ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
             WHERE m.member = r.oid ORDER BY 1)
FROM pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1"""
_ROLE_FIELDS = (
    "name", "superuser", "inherit", "createrole", "createdb", "login", "replication", "bypassrls", "connection_limit",
    "valid_until", "settings", "member_of",
)  # fmt: skip

_TABLESPACES = """
SELECT spcname::text, pg_get_userbyid(spcowner)::text, pg_tablespace_location(oid)
FROM pg_tablespace WHERE spcname !~ '^pg_' ORDER BY 1"""

_NEEDED_TABLESPACES = """
SELECT DISTINCT spcname::text FROM pg_tablespace WHERE spcname <> 'pg_global' AND oid IN (
    SELECT reltablespace FROM pg_class
    UNION SELECT dattablespace FROM pg_database WHERE datname = current_database()) ORDER BY 1"""


def settings(query: Query, version: int) -> Wire:
    """Return what ``CREATE DATABASE`` and ``ALTER DATABASE`` were told about the current database."""
    fields = ("owner", "encoding", "collate", "ctype", "provider", "locale", "icu_rules", "connection_limit",
              "tablespace", "comment", "has_acl")  # fmt: skip
    known = dict(zip(fields, query(_database(version))[0]))
    has_acl = known.pop("has_acl")
    own = query(_OWN_SETTINGS)
    return {
        **known,
        "provider": _PROVIDERS[known["provider"]],
        "acl": [list(row) for row in query(_RIGHTS)] if has_acl else None,
        "settings": next((config for role, config in own if role is None), []),
        "role_settings": {role: config for role, config in own if role is not None},
        "extensions": [dict(zip(("name", "version", "schema"), row)) for row in query(_EXTENSIONS)],
    }


def globals_of(query: Query) -> Wire:
    """Return the server's roles (never their passwords) and tablespaces, and which roles the database needs."""
    return {
        "roles": [dict(zip(_ROLE_FIELDS, row)) for row in query(_ROLES)],
        "needed_roles": [role for (role,) in query(_NEEDED_ROLES)],
        "needed_tablespaces": [name for (name,) in query(_NEEDED_TABLESPACES)],
        "tablespaces": [dict(zip(("name", "owner", "location"), row)) for row in query(_TABLESPACES)],
    }


def create_statement(name: str, known: Wire) -> str:
    """Return the statement that creates a database like the one described, from an untouched template."""
    words = [f"CREATE DATABASE {quoted(name)} TEMPLATE template0 OWNER {quoted(known['owner'])}"]
    words += [f"ENCODING {literal(known['encoding'])}"]
    words += [f"LC_COLLATE {literal(known['collate'])} LC_CTYPE {literal(known['ctype'])}"]
    if known["provider"] == "icu":
        words += [f"LOCALE_PROVIDER icu ICU_LOCALE {literal(known['locale'])}"]
    if known["provider"] == "icu" and known["icu_rules"]:
        words += [f"ICU_RULES {literal(known['icu_rules'])}"]
    if known["provider"] == "builtin":
        words += [f"LOCALE_PROVIDER builtin BUILTIN_LOCALE {literal(known['locale'])}"]
    if known["tablespace"] != "pg_default":
        words += [f"TABLESPACE {quoted(known['tablespace'])}"]
    return " ".join(words)


def carry_over(name: str, known: Wire) -> list[str]:
    """Return the statements that give a database the rights and settings described."""
    database = quoted(name)
    done = [f"ALTER DATABASE {database} CONNECTION LIMIT {known['connection_limit']:d}"]
    done += [f"ALTER DATABASE {database} SET {_assignment(item)}" for item in known["settings"]]
    for role, items in known["role_settings"].items():
        done += [f"ALTER ROLE {quoted(role)} IN DATABASE {database} SET {_assignment(item)}" for item in items]
    return done + (_grants(database, known) if known["acl"] is not None else [])


def comment_statement(name: str, comment: Optional[str]) -> str:
    """Return the statement that gives a database its comment, or takes it away."""
    return f"COMMENT ON DATABASE {quoted(name)} IS {literal(comment)}"


def quoted(name: str) -> str:
    """Return a name in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def _database(version: int) -> str:
    """Return the query for the row of the current database; the locale's columns came one by one."""
    provider = "datlocprovider" if version >= 150000 else "'c'"
    locale = "datlocale" if version >= 170000 else "daticulocale" if version >= 150000 else "NULL"
    rules = "daticurules" if version >= 160000 else "NULL"
    return f"""
SELECT pg_get_userbyid(d.datdba)::text, pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text,
       {provider}::text, {locale}::text, {rules}::text, d.datconnlimit, t.spcname::text,
       shobj_description(d.oid, 'pg_database'), d.datacl IS NOT NULL
FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = current_database()"""


def _grants(database: str, known: Wire) -> list[str]:
    """Return the rights on a database, beginning with none at all."""
    done = [f"REVOKE ALL ON DATABASE {database} FROM PUBLIC, {quoted(known['owner'])}"]
    for role, right, grantable in known["acl"]:
        option = " WITH GRANT OPTION" if grantable else ""
        done.append(f"GRANT {right} ON DATABASE {database} TO {'PUBLIC' if role is None else quoted(role)}{option}")
    return done


def _assignment(item: str) -> str:
    """Return ``name TO value`` for an entry of setconfig (``name=value``)."""
    name, _, value = item.partition("=")
    parts = _list_items(value) if name.lower() in _LISTS else [value]
    target = ".".join(quoted(part) for part in name.split("."))
    return f"{target} TO {', '.join(literal(part) for part in parts)}"


def _list_items(value: str) -> list[str]:
    """Return the names of a stored list, without their quotes; an empty list is one empty name."""
    items: list[str] = []
    at = 0
    while at < len(value):
        match: Optional[re.Match[str]] = _ITEM.match(value, at)
        if match is None or match.end() == at:
            break
        items.append(match.group(2) if match.group(1) is None else match.group(1).replace('""', '"'))
        at = match.end()
    return items or [""]
