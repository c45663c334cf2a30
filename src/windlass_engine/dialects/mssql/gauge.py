"""What a session costs while it works: the locks that it holds, and what the server writes into its logs.

The catalogue is read without waiting: a table that the session is changing would else keep the look waiting, too.
"""

from __future__ import annotations

from typing import Any, Optional

from ..answers import Gauge, HeldLock, Volumes, Wait
from ..link import Link, ServerError
from .own import Own
from .sizes import SIZES

_BOTH, _WRITES = "reads and writes", "writes"
#: Whom a lock on a table keeps waiting (the server's table of conflicting modes; intents conflict with none of these).
_BLOCKS = {"Sch-M": _BOTH, "X": _BOTH, "BU": _BOTH, "S": _WRITES, "U": _WRITES, "SIX": _WRITES, "SIU": _WRITES,
           "UIX": _WRITES}  # fmt: skip
# What a transaction itself has written (sys.dm_tran_database_transactions) is gone with it; the files' counters stay.
_LOG = Own("""
SELECT SUM(v.num_of_bytes_written) FROM sys.dm_io_virtual_file_stats(DB_ID(), NULL) v
JOIN sys.database_files f ON f.file_id = v.file_id WHERE f.type = 1
""")
# The manual says GRANTED, servers say GRANT.
_LOCKS = """
SELECT DISTINCT s.name + N'.' + o.name, l.request_mode, CASE WHEN l.request_status LIKE N'GRANT%' THEN 1 ELSE 0 END
FROM sys.dm_tran_locks l
JOIN sys.objects o WITH (NOLOCK) ON o.object_id = l.resource_associated_entity_id
JOIN sys.schemas s WITH (NOLOCK) ON s.schema_id = o.schema_id
WHERE l.request_session_id = {pid:d} AND l.resource_type = N'OBJECT' AND l.resource_subtype = N''
  AND l.resource_database_id = DB_ID() AND o.type = 'U' AND s.name NOT IN (N'windlass', N'windlass_archive')
"""
# A login that may not see other sessions is not refused: it sees its own alone.  The first row tells which it is.
_WAITS = Own("""
SELECT HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE'), 0, N'', N''
UNION ALL
SELECT r.session_id, r.blocking_session_id, COALESCE((
    SELECT TOP (1) s.name + N'.' + o.name FROM sys.dm_tran_locks l
    LEFT JOIN sys.partitions p WITH (NOLOCK)
      ON p.hobt_id = l.resource_associated_entity_id AND l.resource_type IN (N'KEY', N'PAGE', N'RID', N'HOBT')
    JOIN sys.objects o WITH (NOLOCK)
      ON o.object_id = CASE l.resource_type WHEN N'OBJECT' THEN l.resource_associated_entity_id ELSE p.object_id END
    JOIN sys.schemas s WITH (NOLOCK) ON s.schema_id = o.schema_id
    WHERE l.request_session_id = r.session_id AND l.request_status NOT LIKE N'GRANT%'), N''),
  COALESCE(LEFT(x.text, 400), N'')
FROM sys.dm_exec_requests r OUTER APPLY sys.dm_exec_sql_text(r.sql_handle) x
WHERE r.database_id = DB_ID() AND r.blocking_session_id > 0 AND r.blocking_session_id <> r.session_id
""")
# Pages that the session took in tempdb: those of its ended tasks, and of the one that is under way.
_TEMPORARY = """
SELECT 8192 * (
  COALESCE((SELECT SUM(user_objects_alloc_page_count + internal_objects_alloc_page_count)
    FROM sys.dm_db_session_space_usage WHERE session_id = {pid:d}), 0)
  + COALESCE((SELECT SUM(user_objects_alloc_page_count + internal_objects_alloc_page_count)
    FROM sys.dm_db_task_space_usage WHERE session_id = {pid:d}), 0))
"""
_UNTOLD = "SQL Server does not tell this login who locks what: GRANT VIEW SERVER STATE"


def gauge(link: Link, pid: int) -> Gauge:
    """Look once; None is what the login may not see (VIEW SERVER STATE).  Raise ServerError for a lost connection."""
    written = _seen(link, _LOG)
    locks = _seen(link, Own(_LOCKS.format(pid=pid)))
    taken = _number(_seen(link, Own(_TEMPORARY.format(pid=pid))))
    if locks is None:
        return Gauge(_number(written), None, _UNTOLD, taken)
    return Gauge(_number(written), tuple(_held(*row) for row in locks), temporary=taken)


def volumes(link: Link) -> Volumes:
    """Return the bytes of each table with its indexes; those of tempdb are told by each look."""
    rows = [(str(name), int(size), int(indexes)) for _, name, size, indexes in link.query(SIZES)]
    return Volumes({name: size for name, size, _ in rows}, None, {name: indexes for name, _, indexes in rows})


def waits(link: Link) -> Optional[tuple[Wait, ...]]:
    """Return who waits for whom now; None where the login may not see it.  Raise ServerError: the link is lost."""
    found = _seen(link, _WAITS)
    if not found or not found[0][0]:
        return None
    return tuple(Wait(int(w), int(h), str(table), " ".join(str(sql).split())) for w, h, table, sql in found[1:])


def _number(rows: Optional[list[tuple[Any, ...]]]) -> Optional[int]:
    return int(rows[0][0]) if rows and rows[0][0] is not None else None


def _held(table: object, mode: object, granted: object) -> HeldLock:
    return HeldLock(str(table), str(mode), _BLOCKS.get(str(mode), ""), bool(granted))


def _seen(link: Link, query: Own) -> Optional[list[tuple[Any, ...]]]:
    try:
        return link.query(query)
    except ServerError as error:
        if error.lost:
            raise
        return None
