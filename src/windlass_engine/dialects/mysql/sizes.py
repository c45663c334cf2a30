"""How large tables are between two statements: the files of InnoDB's tables, and what an index took when it was built.

A file is what the disk gives to a table with its indexes.  It grows in steps, by single pages at first and by up to
four megabytes later, may have room in it from before, and never shrinks but when the table is built anew.  How much of
it indexes take is in statistics that follow with a delay; that of an index that was just built is there at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..answers import Size, Sizes
from ..link import Link, ServerError

_FILES = """
SELECT DATABASE(), {folder}, {file}, f.FILE_SIZE, s.TABLE_ID
FROM information_schema.{files} f LEFT JOIN information_schema.{statistics} s ON s.NAME = f.NAME
"""
_FOLDER, _FILE = "SUBSTRING_INDEX(f.NAME, '/', 1)", "SUBSTRING_INDEX(f.NAME, '/', -1)"
# In a file's name most signs are written by numbers, or in twos in MariaDB, which knows its way back; # is a mark.
_WORDS = "CONVERT(CONVERT(CAST({part} AS BINARY) USING filename) USING utf8mb4)"
_BARE = _WORDS.format(part=f"SUBSTRING_INDEX(SUBSTRING_INDEX({_FILE}, '#P#', 1), '#p#', 1)")
_NAMES = {
    True: {
        "files": "INNODB_SYS_TABLESPACES", "statistics": "INNODB_SYS_TABLESTATS",
        "folder": _WORDS.format(part=_FOLDER), "file": f"IF({_FILE} LIKE '#%', {_FILE}, {_BARE})",
    },
    False: {
        "files": "INNODB_TABLESPACES", "statistics": "INNODB_TABLESTATS", "folder": _FOLDER, "file": _FILE,
    },
}  # fmt: skip
_INDEXES = """
SELECT table_name, index_name, stat_value * @@innodb_page_size FROM mysql.innodb_index_stats
WHERE database_name = DATABASE() AND stat_name = 'size' AND index_name NOT IN ('PRIMARY', 'GEN_CLUST_INDEX')
"""
#: The file of a partition, and that of a part of a full-text index, which is named after its table's number.
_PARTITION = re.compile(r"(?i)#p#.*$")
_FULLTEXT = re.compile(r"(?i)^fts_([0-9a-f]{16})_")
_CODED = re.compile(r"@([0-9a-f]{4})")
#: What is Windlass's own, and what the server itself makes while it alters a table.
_PASSED_OVER = ("windlass_", "#sql")
_UNTOLD = "by how much tables grew is not known: the login may not see their files (GRANT PROCESS ON *.*)"
#: The indexes of a table by their names, with their bytes as the statistics have them.
_Built = dict[str, dict[str, int]]


def sizes(link: Link, is_mariadb: bool) -> Sizes:
    """Return the sizes of all InnoDB tables that have files of their own.  Raise ServerError: the link is lost."""
    try:
        rows = link.query(_FILES.format(**_NAMES[is_mariadb]))
    except ServerError as error:
        if error.lost:
            raise
        return Sizes({}, note=_UNTOLD)
    own = [(_plain(name), int(size or 0), number) for here, there, name, size, number in rows if _plain(there) == here]
    named = {int(number): _PARTITION.sub("", name) for name, _, number in own if number is not None}
    bytes_of: dict[str, int] = {}
    built = _built(link)
    for name, size, _ in own:
        part = _FULLTEXT.match(name)
        table = named.get(int(part[1], 16), name) if part else _PARTITION.sub("", name)
        bytes_of[table] = bytes_of.get(table, 0) + size
        if part:
            built.setdefault(table, {})[name] = size
    return Sizes({table: Size(table, bytes_of[table], None, built.get(table, {})) for table in _ours(bytes_of)})


def _built(link: Link) -> _Built:
    """Return what statistics say of indexes; nothing where the login may not read them."""
    found: _Built = {}
    try:
        rows = link.query(_INDEXES)
    except ServerError as error:
        if error.lost:
            raise
        return found
    for name, index, size in rows:
        of_table = found.setdefault(_PARTITION.sub("", str(name)), {})
        of_table[str(index)] = of_table.get(str(index), 0) + int(size)
    return found


def _ours(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith(_PASSED_OVER)]


def _plain(name: object) -> str:
    """Return a name in which InnoDB has written signs by their numbers."""
    return _CODED.sub(lambda found: chr(int(found[1], 16)), str(name))
