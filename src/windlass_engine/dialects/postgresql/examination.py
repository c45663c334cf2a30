"""A look at a PostgreSQL server for whatever would stop or hurt a deployment.  Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Optional

from ...errors import WindlassError
from ...finding import Finding, failure, good, warning
from ..answers import Blocker
from ..link import Link
from . import dump, locks
from .text import literal

OLDEST, NEWEST = 13, 18
OLD_TRANSACTION_S = 600
#: One session deploys, one watches, one settles, and a parallel backup takes a few.
SPARE_CONNECTIONS, NEEDED_CONNECTIONS = 10, 3
WRAPAROUND = 1_500_000_000
SHOWN = 3

_SERVER = """
SELECT pg_catalog.current_setting('server_version_num')::int, pg_catalog.current_setting('server_version'),
  pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')::bool,
  pg_catalog.pg_encoding_to_char(d.encoding), pg_catalog.age(d.datfrozenxid)
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
"""

_LOGIN = """
SELECT r.rolname::text, r.rolsuper, r.rolcreatedb, pg_catalog.current_database()::text,
  pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
  coalesce(pg_catalog.pg_get_userbyid(n.nspowner)::text, ''),
  coalesce(pg_catalog.pg_has_role(n.nspowner, 'USAGE'), false),
  pg_catalog.current_schema()::text,
  coalesce(pg_catalog.has_schema_privilege(pg_catalog.current_schema(), 'CREATE'), false),
  pg_catalog.pg_has_role('pg_signal_backend', 'MEMBER'), pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
FROM pg_catalog.pg_roles r LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'windlass'
WHERE r.rolname = current_user
"""

#: Tables, views and sequences of people, not of the server or of an extension.
_RELATIONS = """
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind = ANY ('{r,p,v,m,S,f}')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
    AND d.objid = c.oid AND d.deptype = 'e')
"""
_NAME = "pg_catalog.format('%I.%I', n.nspname, c.relname)"
_NOT_OWNED = f"""
SELECT {_NAME}, pg_catalog.pg_get_userbyid(c.relowner)::text, count(*) OVER ()
{_RELATIONS} AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE') ORDER BY 1 LIMIT {SHOWN}
"""
_NOT_READABLE = f"""
SELECT {_NAME}, '', count(*) OVER ()
{_RELATIONS} AND c.relkind <> 'v' AND (NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE')
    AND CASE c.relkind WHEN 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
      ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') END)
  OR c.relrowsecurity AND pg_catalog.row_security_active(c.oid))
ORDER BY 1 LIMIT {SHOWN}
"""

_CONNECTIONS = """
SELECT pg_catalog.current_setting('max_connections')::int
    - pg_catalog.current_setting('superuser_reserved_connections')::int
    - coalesce(pg_catalog.current_setting('reserved_connections', true)::int, 0),
  (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'),
  d.datconnlimit, (SELECT count(*) FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid),
  r.rolconnlimit, (SELECT count(*) FROM pg_catalog.pg_stat_activity a WHERE a.usesysid = r.oid)
FROM pg_catalog.pg_database d, pg_catalog.pg_roles r
WHERE d.datname = pg_catalog.current_database() AND r.rolname = current_user
"""

_PREPARED = """
SELECT gid, EXTRACT(epoch FROM pg_catalog.clock_timestamp() - prepared)::float8 FROM pg_catalog.pg_prepared_xacts
WHERE database = pg_catalog.current_database() ORDER BY prepared
"""
_INVALID = """
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = c.oid)
ORDER BY 1
"""
_COLLATION = """
SELECT datcollversion, pg_catalog.pg_database_collation_actual_version(oid)
FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
"""
_EXTENSION = """
SELECT v.name::text, bool_or(v.installed), bool_or(v.trusted OR NOT v.superuser)
FROM pg_catalog.pg_available_extension_versions v WHERE v.name = ANY ({names}) GROUP BY v.name
"""


class Setting(NamedTuple):
    """A server setting, the values with which all is well (None: zero only), and what others do."""

    name: str
    well: tuple[str, ...]
    effect: str


_SETTINGS = (
    Setting("fsync", ("on",), "a crash of the machine can lose the whole cluster"),
    Setting("full_page_writes", ("on",), "a crash of the machine can leave torn pages"),
    Setting("zero_damaged_pages", ("off",), "damaged pages are silently emptied"),
    Setting("session_replication_role", ("origin",), "triggers and foreign keys do not act for this login"),
    Setting("default_transaction_isolation", ("read committed",), "statements can fail with serialization errors"),
    Setting("transaction_timeout", ("0",), "longer migrations are cancelled"),
    Setting("idle_session_timeout", ("0",), "the session that holds the deployer lock can be ended"),
)


class Login(NamedTuple):
    """What the login may do, in the order of the query."""

    user: str
    superuser: bool
    creates_databases: bool
    database: str
    creates_schemas: bool
    journal_owner: str
    owns_journal: bool
    schema: Optional[str]
    creates_in_schema: bool
    signals: bool
    sees_others: bool


def examine(link: Link, extensions: Sequence[str], client_bin: str) -> Iterator[Finding]:
    """Yield what is found; ``extensions`` are those that the project's scripts create."""
    version, text, standby, read_only, encoding, age = link.query(_SERVER)[0]
    login = Login(*link.query(_LOGIN)[0])
    yield _version(version // 10000, text)
    yield _client_programs(version // 10000, client_bin)
    yield _writable(standby, read_only, login)
    yield from _rights(login)
    yield _ownership(link.query(_NOT_OWNED), login)
    yield _readable(link.query(_NOT_READABLE), login, version)
    yield from _extensions(link, extensions, login)
    yield _connections(link.query(_CONNECTIONS)[0])
    yield _old_transactions(locks.old_transactions(link, OLD_TRANSACTION_S), login)
    yield _prepared(link.query(_PREPARED))
    yield _invalid_indexes([row[0] for row in link.query(_INVALID)])
    yield _settings(link)
    yield _encoding(encoding)
    if version >= 150000:
        yield _collation(link.query(_COLLATION)[0], login.database)
    yield _wraparound(age)


def _version(major: int, text: str) -> Finding:
    needed = f"PostgreSQL {OLDEST} to {NEWEST}"
    if major < OLDEST:
        return failure("server version", text, needed, "upgrade the server: its makers no longer mend this version")
    if major > NEWEST:
        return warning("server version", text, needed, "try the deployment on a copy first, or update Windlass")
    return good("server version", text, needed)


def _client_programs(major: int, client_bin: str) -> Finding:
    name, needed = "client programs", f"pg_dump and pg_restore that fit PostgreSQL {major}"
    try:
        client = dump.find_client(major, client_bin, code="preflight_failed")
    except WindlassError as error:
        return failure(name, error.message, needed, error.hint)
    return good(name, f"{client.version} in {client.folder}", needed)


def _writable(standby: bool, read_only: bool, login: Login) -> Finding:
    needed = "a primary that takes writes"
    if standby:
        return failure("writes", "a standby in recovery", needed, "let the database's url lead to the primary")
    if read_only:
        mend = (
            f"BEGIN READ WRITE; ALTER ROLE {_ident(login.user)} IN DATABASE {_ident(login.database)} "
            "SET default_transaction_read_only = off; COMMIT"
        )
        return failure("writes", "default_transaction_read_only is on", needed, mend)
    return good("writes", "allowed", needed)


def _rights(login: Login) -> Iterator[Finding]:
    user = _ident(login.user)
    yield _right_to_journal(login, user, _ident(login.database))
    yield _right_to_create(login, user)
    yield _visibility(login, user)
    if login.signals or login.superuser:
        yield good("right to end sessions", "pg_signal_backend")
    else:
        mend = f"GRANT pg_signal_backend TO {user}, or have somebody at hand who may end a blocking session"
        yield warning("right to end sessions", "none over other logins", "pg_signal_backend", mend)
    if login.creates_databases or login.superuser:
        yield good("right to restore beside", "CREATEDB")
    else:
        mend = f"ALTER ROLE {user} CREATEDB; without it a restore needs another login"
        yield warning("right to restore beside", "may not create databases", "CREATEDB", mend)


def _right_to_journal(login: Login, user: str, database: str) -> Finding:
    name = "rights for the journal"
    if login.owns_journal or (login.creates_schemas and not login.journal_owner):
        return good(name, f"{login.user} may write to schema windlass")
    if login.journal_owner:
        mend = f"GRANT {_ident(login.journal_owner)} TO {user}, or log in as {login.journal_owner}"
        return failure(name, f"schema windlass belongs to {login.journal_owner}", "membership in its owner", mend)
    mend = f"GRANT CREATE ON DATABASE {database} TO {user}"
    return failure(name, f"{login.user} may not create schema windlass", f"CREATE on {login.database}", mend)


def _right_to_create(login: Login, user: str) -> Finding:
    name = "right to create"
    if login.schema is None:
        mend = f"ALTER ROLE {user} SET search_path = public, or create the schema that search_path names"
        return warning(name, "search_path names no schema that exists", "a schema to create in", mend)
    if login.creates_in_schema:
        return good(name, f"in schema {login.schema}")
    mend = f"GRANT CREATE ON SCHEMA {_ident(login.schema)} TO {user}"
    return warning(name, f"{login.user} may not create in schema {login.schema}", "CREATE on the schema", mend)


def _visibility(login: Login, user: str) -> Finding:
    if login.sees_others or login.superuser:
        return good("sight of other sessions", "pg_read_all_stats")
    mend = f"GRANT pg_read_all_stats TO {user}; without it a blocker's query and age stay hidden"
    return warning("sight of other sessions", "only its own", "pg_read_all_stats", mend)


def _ownership(rows: Sequence[Any], login: Login) -> Finding:
    if not rows:
        return good("ownership", f"{login.user} may alter every table here")
    owners = ", ".join(sorted({_ident(row[1]) for row in rows}))
    mend = f"GRANT {owners} TO {_ident(login.user)}, or give the tables another owner, if migrations alter them"
    return warning("ownership", f"of others: {_few(rows)}", "membership in the owner", mend)


def _readable(rows: Sequence[Any], login: Login, version: int) -> Finding:
    name, user = "right to back up", _ident(login.user)
    if not rows:
        return good(name, "every table can be read")
    grant = "pg_read_all_data" if version >= 140000 else "the owner's role"
    mend = f"GRANT {grant} TO {user} (and ALTER ROLE {user} BYPASSRLS where row security hides rows)"
    return failure(name, f"cannot be read whole: {_few(rows)}", "SELECT on every table and sequence", mend)


def _extensions(link: Link, names: Sequence[str], login: Login) -> Iterator[Finding]:
    if not names:
        return
    array = f"ARRAY[{', '.join(literal(name) for name in names)}]::name[]"
    known = {row[0]: row[1:] for row in link.query(_EXTENSION.format(names=array))}
    for name in names:
        yield _extension(name, known.get(name), login)


def _extension(name: str, known: Optional[tuple[bool, bool]], login: Login) -> Finding:
    title = f"extension {name}"
    if known is None:
        mend = "install it on the server (Debian: postgresql-contrib, or the package of that extension)"
        return failure(title, "not available on this server", "available", mend)
    installed, trusted = known
    if installed:
        return good(title, "installed")
    if login.superuser or (trusted and login.creates_schemas):
        return good(title, f"available, and {login.user} may create it")
    mend = f"have a superuser run once: CREATE EXTENSION {_ident(name)}"
    return failure(title, f"{login.user} may not create it", "CREATE on the database and a trusted extension", mend)


def _connections(row: Sequence[int]) -> Finding:
    limits = ((row[0], row[1], "max_connections"), (row[2], row[3], "the database's"), (row[4], row[5], "the login's"))
    free, limit, whose = min((limit - used, limit, whose) for limit, used, whose in limits if limit >= 0)
    found, needed = f"{max(free, 0)} of {limit} free ({whose} limit)", f"{SPARE_CONNECTIONS} free"
    mend = "close idle sessions (pg_stat_activity shows whose they are), or raise the limit"
    if free < NEEDED_CONNECTIONS:
        return failure("connections", found, needed, mend)
    return warning("connections", found, needed, mend) if free < SPARE_CONNECTIONS else good("connections", found)


def _old_transactions(sessions: Sequence[Blocker], login: Login) -> Finding:
    name, needed = "old transactions", f"none older than {OLD_TRANSACTION_S // 60} minutes"
    if not sessions:
        return good(name, "none", needed)
    found = "; ".join(
        f"pid {b.pid} of {b.user} ({b.application or 'no name'}), {b.state}, {b.age_s / 60:.0f} min"
        for b in sessions[:SHOWN]
    )
    more = f" and {len(sessions) - SHOWN} more" if len(sessions) > SHOWN else ""
    mend = f"end what is forgotten: SELECT pg_terminate_backend({sessions[0].pid}); migrations would wait for it"
    return warning(name, found + more, needed, mend)


def _prepared(rows: Sequence[Any]) -> Finding:
    if not rows:
        return good("prepared transactions", "none")
    found = f"{len(rows)}, the oldest ({rows[0][0]}) {rows[0][1] / 60:.0f} min old"
    mend = "they hold their locks until COMMIT PREPARED or ROLLBACK PREPARED ends them"
    return warning("prepared transactions", found, "none", mend)


def _invalid_indexes(names: Sequence[str]) -> Finding:
    if not names:
        return good("invalid indexes", "none")
    mend = f"left by a broken CREATE INDEX CONCURRENTLY: DROP INDEX CONCURRENTLY {names[0]}, then build it again"
    return warning("invalid indexes", ", ".join(names[:SHOWN]), "none", mend)


def _settings(link: Link) -> Finding:
    names = ", ".join(f"'{setting.name}'" for setting in _SETTINGS)
    rows = link.query(f"SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN ({names})")
    values = dict(rows)
    hurting = [s for s in _SETTINGS if s.name in values and values[s.name] not in s.well]
    if not hurting:
        return good("settings", "nothing that hurts")
    found = "; ".join(f"{s.name} = {values[s.name]}: {s.effect}" for s in hurting)
    needed = ", ".join(f"{s.name} = {s.well[0]}" for s in hurting)
    return warning("settings", found, needed, "set it back for this login (ALTER ROLE … SET) or in postgresql.conf")


def _encoding(encoding: str) -> Finding:
    if encoding == "SQL_ASCII":
        mend = "dump and load into a database made with ENCODING 'UTF8'"
        return warning("encoding", "SQL_ASCII: any bytes are taken for text", "UTF8", mend)
    return good("encoding", encoding)


def _collation(row: Sequence[Any], database: str) -> Finding:
    recorded, actual = row
    if recorded is None or actual is None or recorded == actual:
        return good("collation", actual or "without versions")
    mend = f"REINDEX DATABASE {_ident(database)}; then ALTER DATABASE {_ident(database)} REFRESH COLLATION VERSION"
    return warning("collation", f"made with {recorded}, the system has {actual}", "the same version", mend)


def _wraparound(age: int) -> Finding:
    found = f"{age / 1e6:.0f} million transactions unfrozen"
    if age < WRAPAROUND:
        return good("wraparound", found)
    mend = "let VACUUM (FREEZE) finish first: an autovacuum against wraparound does not give way to a migration"
    return warning("wraparound", found, f"below {WRAPAROUND / 1e6:.0f} million", mend)


def _few(rows: Sequence[Any]) -> str:
    """Name the first rows and count the rest; the last column holds how many there are."""
    names, total = [row[0] for row in rows[:SHOWN]], rows[0][-1]
    return ", ".join(names) + (f" and {total - len(names)} more" if total > len(names) else "")


def _ident(name: str) -> str:
    """Return a quoted name for a command that a person will type."""
    return '"' + name.replace('"', '""') + '"'
