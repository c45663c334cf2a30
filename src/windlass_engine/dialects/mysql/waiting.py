"""Who waits for whom: for rows, and for the metadata lock of a table."""

from __future__ import annotations

import time
from typing import Optional

from ..answers import Wait
from ..link import Link, ServerError

_ROWS_MARIADB = """
SELECT DISTINCT r.trx_mysql_thread_id, b.trx_mysql_thread_id, l.lock_table, LEFT(COALESCE(r.trx_query, ''), 200)
FROM information_schema.INNODB_LOCK_WAITS w
JOIN information_schema.INNODB_TRX r ON r.trx_id = w.requesting_trx_id
JOIN information_schema.INNODB_TRX b ON b.trx_id = w.blocking_trx_id
JOIN information_schema.INNODB_LOCKS l ON l.lock_id = w.requested_lock_id
WHERE l.lock_table LIKE CONCAT('`', DATABASE(), '`.%')
"""
_ROWS_MYSQL = """
SELECT DISTINCT r.processlist_id, b.processlist_id, l.object_name, LEFT(COALESCE(r.processlist_info, ''), 200)
FROM performance_schema.data_lock_waits w
JOIN performance_schema.threads r ON r.thread_id = w.requesting_thread_id
JOIN performance_schema.threads b ON b.thread_id = w.blocking_thread_id
JOIN performance_schema.data_locks l ON l.engine_lock_id = w.requesting_engine_lock_id
WHERE l.object_schema = DATABASE()
"""
#: MariaDB brings what it tells of InnoDB's locks up to date only where nobody has asked for 0.1 s.
_REST_S = 0.12
_STRONG = "('EXCLUSIVE', 'SHARED_NO_READ_WRITE', 'SHARED_NO_WRITE')"
#: A strong lock keeps others waiting from the moment that it is asked for.
_METADATA = f"""
SELECT DISTINCT t.processlist_id, h.processlist_id, w.object_name, LEFT(COALESCE(t.processlist_info, ''), 200)
FROM performance_schema.metadata_locks w
JOIN performance_schema.threads t ON t.thread_id = w.owner_thread_id
JOIN performance_schema.metadata_locks g ON g.object_type = w.object_type AND g.object_schema = w.object_schema
  AND g.object_name = w.object_name AND g.owner_thread_id <> w.owner_thread_id
  AND (g.lock_type IN {_STRONG} OR (w.lock_type IN {_STRONG} AND g.lock_status = 'GRANTED'))
JOIN performance_schema.threads h ON h.thread_id = g.owner_thread_id
WHERE w.lock_status = 'PENDING' AND w.object_type = 'TABLE' AND w.object_schema = DATABASE()
"""
#: Who waits is told always; for whom is not (0), and the table where the statement names just one.
_STATES = """
SELECT p.ID, 0, IF(COUNT(t.TABLE_NAME) = 1, MIN(t.TABLE_NAME), ''), MIN(LEFT(COALESCE(p.INFO, ''), 200))
FROM information_schema.PROCESSLIST p
LEFT JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = DATABASE() AND LOCATE(t.TABLE_NAME, p.INFO) > 0
WHERE p.DB = DATABASE() AND p.STATE LIKE 'Waiting for table%lock' GROUP BY p.ID
"""


def waits(link: Link, is_mariadb: bool) -> Optional[tuple[Wait, ...]]:
    """Return who waits; None where the login may see nothing of it.  Raise ServerError (lost)."""
    rows = _at_rest(link) if is_mariadb else _answer(link, _ROWS_MYSQL)
    tables = None if is_mariadb else _answer(link, _METADATA)
    tables = tables or _answer(link, _STATES)
    if rows is None and tables is None:
        return None
    return (*(rows or ()), *(tables or ()))


def _at_rest(link: Link) -> Optional[tuple[Wait, ...]]:
    """Return what was told a moment ago, or else ask."""
    asked, known = getattr(link, "row_waits", (0.0, None))
    if time.monotonic() - asked > _REST_S:
        known = _answer(link, _ROWS_MARIADB)
        setattr(link, "row_waits", (time.monotonic(), known))  # noqa: B010  a note of ours, not the driver's
    return known


def _answer(link: Link, query: str) -> Optional[tuple[Wait, ...]]:
    """Return what a source tells; None for one that is switched off or forbidden."""
    try:
        rows = link.query(query)
    except ServerError as error:
        if error.lost:
            raise
        return None
    return tuple(_wait(*row) for row in rows)


def _wait(waiter: object, holder: object, table: object, sql: object) -> Wait:
    return Wait(int(str(waiter)), int(str(holder)), _bare(table), " ".join(str(sql).split()))


def _bare(table: object) -> str:
    """Return a table's name without its database."""
    return str(table).rpartition(".")[2].strip("`")
