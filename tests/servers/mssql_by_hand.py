"""A person with sqlcmd at a SQL Server of the tests: batches up to each GO, in a session of sqlcmd's own settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from windlass_engine.dialects.mssql import address, odbc
from windlass_engine.model import Target

#: What stands on a line of its own ends a batch, to sqlcmd as to SSMS.
_GO = re.compile(r"^[ \t]*GO[ \t]*$", re.IGNORECASE | re.MULTILINE)
_SCHEMA = (
    "SELECT OBJECT_NAME(c.object_id), c.name, TYPE_NAME(c.system_type_id), c.max_length, c.scale, c.is_nullable, "
    "c.is_identity, d.definition, CASE WHEN SERVERPROPERTY('Babelfish') IS NULL THEN d.name END FROM sys.columns c "
    "LEFT JOIN sys.default_constraints d ON d.parent_object_id = c.object_id AND d.parent_column_id = c.column_id "
    "WHERE OBJECT_NAME(c.object_id) LIKE 'Clinic[_]%'",
    "SELECT OBJECT_NAME(i.object_id), i.name, i.type_desc, i.is_unique, k.key_ordinal, COL_NAME(k.object_id, k.column_id) "
    "FROM sys.indexes i JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id "
    "WHERE OBJECT_NAME(i.object_id) LIKE 'Clinic[_]%'",
    "SELECT OBJECT_NAME(parent_object_id), name, definition FROM sys.check_constraints",
    "SELECT name, OBJECT_DEFINITION(object_id) FROM sys.procedures WHERE name LIKE 'Clinic[_]%'",
)


class Failed(Exception):
    """What the server said of a batch that it refused."""


class ByHand:
    """One session at one database."""

    def __init__(self, url: str) -> None:
        self.url = url
        pyodbc = odbc.load()
        target = Target("by hand", "test", url)
        driver = odbc.find(pyodbc)
        assert driver, "no ODBC driver"
        speak = address.freetds if driver.is_freetds else address.microsoft
        text = speak(address.of_target(target), driver.place, "windlass tests by hand")
        self._error = pyodbc.Error
        self._connection = pyodbc.connect(text, autocommit=True, timeout=10)
        self.run("SET QUOTED_IDENTIFIER OFF")

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    @contextmanager
    def other(self) -> Iterator[ByHand]:
        """Open a second session at the same database."""
        hand = ByHand(self.url)
        try:
            yield hand
        finally:
            hand.close()

    def run(self, *steps: str | Path) -> list[tuple[Any, ...]]:
        """Run files and statements up to the first error, as `sqlcmd -b`; return the rows they gave."""
        return [row for step in steps for batch in batches(step) for row in self._rows(batch)]

    def run_on(self, *steps: str | Path) -> list[str]:
        """Run files and statements and go on behind errors, as SSMS; return the errors."""
        errors = []
        for batch in (batch for step in steps for batch in batches(step)):
            try:
                self._rows(batch)
            except Failed as error:
                errors.append(str(error))
        return errors

    def value(self, query: str) -> Any:
        """Return the one value of a query."""
        ((found,),) = self.run(query)
        return found

    def schema(self) -> list[tuple[Any, ...]]:
        """Return columns, indexes, checks and procedures, in an order that does not depend on how they came to be."""
        return [row for query in _SCHEMA for row in sorted(self.run(query), key=repr)]

    def is_babelfish(self) -> bool:
        """Tell whether this is no SQL Server but a PostgreSQL that speaks like one."""
        return bool(self.value("SELECT CASE WHEN SERVERPROPERTY('Babelfish') IS NULL THEN 0 ELSE 1 END"))

    def _rows(self, batch: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        cursor = self._connection.cursor()
        try:
            cursor.execute(batch)
            while True:
                if cursor.description is not None:
                    rows += [tuple(row) for row in cursor.fetchall()]
                if not cursor.nextset():
                    return rows
        except self._error as error:
            raise Failed(str(error.args[-1])) from None
        finally:
            cursor.close()


def batches(step: str | Path) -> Iterator[str]:
    """Yield the batches of a file or text."""
    text = step.read_text() if isinstance(step, Path) else step
    yield from (batch for batch in _GO.split(text) if batch.strip())
