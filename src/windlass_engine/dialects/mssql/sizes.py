"""How large tables are between two statements, as the catalogue has it for the session at work."""

from __future__ import annotations

from ..answers import Size, Sizes
from ..link import Link, ServerError
from .own import Own

SIZES = Own("""
SELECT t.object_id, SCHEMA_NAME(t.schema_id) + N'.' + t.name, COALESCE(SUM(a.total_pages), 0) * 8192,
  COALESCE(SUM(CASE WHEN p.index_id > 1 THEN a.total_pages END), 0) * 8192
FROM sys.tables t LEFT JOIN sys.partitions p ON p.object_id = t.object_id
LEFT JOIN sys.allocation_units a ON a.container_id = CASE WHEN a.type IN (1, 3) THEN p.hobt_id ELSE p.partition_id END
WHERE t.is_ms_shipped = 0 AND SCHEMA_NAME(t.schema_id) NOT IN (N'windlass', N'windlass_archive')
GROUP BY t.object_id, t.schema_id, t.name
""")
_UNTOLD = "by how much tables grew is not known: the server does not tell this login"


def sizes(link: Link) -> Sizes:
    """Return the sizes of all tables.  Raise ServerError: the link is lost."""
    try:
        rows = link.query(SIZES)
    except ServerError as error:
        if error.lost:
            raise
        return Sizes({}, note=_UNTOLD)
    return Sizes({str(number): Size(str(name), int(size), int(indexes)) for number, name, size, indexes in rows})
