"""The settings of a session: Windlass's own, and how to get them back after a script changed some.

Nothing that resets a whole connection would do: it would release the deployer lock.
"""

from __future__ import annotations

from ..link import Link

#: What both servers have in common of their defaults, said aloud so that a host's configuration changes no meaning.
SQL_MODE = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
OWN = (
    "SET NAMES utf8mb4",
    f"SET SESSION sql_mode = '{SQL_MODE}', time_zone = '+00:00', wait_timeout = 28800, autocommit = 1",
)
#: A deployer is never silent for so long (seconds): one that is has lost its machine, and must not keep the lock.
SILENCE_S = 60
#: These differ from session to session, or belong to the connection and not to a script.
_LEFT_ALONE = (
    "timestamp", "rand_seed1", "rand_seed2", "insert_id", "last_insert_id", "identity", "pseudo_thread_id",
    "pseudo_slave_mode", "pseudo_replica_mode", "error_count", "warning_count", "in_transaction", "gtid_next",
    "gtid_seq_no", "gtid_domain_id", "last_gtid", "server_id", "proxy_user", "external_user", "resultset_metadata",
    "character_set_database", "collation_database", "character_set_client", "character_set_connection",
    "character_set_results", "collation_connection", "default_master_connection", "sql_mode", "time_zone",
    "wait_timeout", "autocommit", "rbr_exec_mode", "original_server_version", "immediate_server_version",
)  # fmt: skip
_CHANGED_MARIADB = """
SELECT LOWER(variable_name) FROM information_schema.SYSTEM_VARIABLES
WHERE variable_scope = 'SESSION' AND read_only = 'NO' AND NOT (session_value <=> global_value)
"""
_CHANGED_MYSQL = """
SELECT LOWER(s.variable_name) FROM performance_schema.session_variables s
JOIN performance_schema.global_variables g ON g.variable_name = s.variable_name
WHERE NOT (s.variable_value <=> g.variable_value)
"""


def reset(link: Link, is_mariadb: bool) -> tuple[str, ...]:
    """Return what undoes every setting that differs from the server's, then makes Windlass's own."""
    # A script may have limited how many rows a query returns, this one among them.
    link.run("SET SESSION sql_select_limit = DEFAULT")
    changed = [str(row[0]) for row in link.query(_CHANGED_MARIADB if is_mariadb else _CHANGED_MYSQL)]
    # MySQL's DEFAULT leaves foreign_key_checks and unique_checks off; MariaDB takes no @@GLOBAL for one of its own.
    value = "DEFAULT" if is_mariadb else "@@GLOBAL.{0}"
    undo = tuple(f"SET SESSION {name} = {value.format(name)}" for name in sorted(changed) if name not in _LEFT_ALONE)
    return (*undo, "SET SESSION timestamp = DEFAULT", *OWN)
