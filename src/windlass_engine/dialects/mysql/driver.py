"""PyMySQL behind the Link contract: one statement at a time, by the text protocol, watched while it runs.

The server gets a statement's text as it is: nothing on the client parts, prepares or rewrites it.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from time import monotonic
from typing import Any, NoReturn, Optional

from ...errors import WindlassError
from ...finding import Finding, failure, good
from ...model import Target
from ..link import Message, ServerError, Tick, version_numbers
from .address import connect_options
from .session_state import OWN

TICK_S = 0.1
OLDEST = (1, 0, 2)
#: MariaDB's versions stand above this, MySQL's below.
MARIADB = 100_000
_REFUSED = (1044, 1045, 1130, 1227, 1698, 1820, 1862, 2059, 3118, 3955, 4151)
#: The connection is gone, or the server goes down.
_LOST = (0, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 2006, 2013, 2014, 2055, 4031)
_INSTALL = "install it with: ansible-playbook -i inventories/ENV playbooks/prepare.yml"


def examine() -> Finding:
    """Look for PyMySQL in this Python."""
    needed = f"PyMySQL {'.'.join(map(str, OLDEST))} or newer"
    try:
        import pymysql
    except ImportError as error:
        return failure("MySQL driver", f"{sys.executable} cannot import pymysql ({error})", needed, _INSTALL)
    version = getattr(pymysql, "__version__", "0")
    if version_numbers(version) < OLDEST:
        return failure("MySQL driver", f"PyMySQL {version}", needed, _INSTALL)
    return good("MySQL driver", f"PyMySQL {version}", needed)


def connect(target: Target, application: str, timeout_s: int) -> MySQLLink:
    """Log in.  Raise WindlassError; no message ever holds the secret."""
    try:
        import pymysql
        from pymysql.constants import CLIENT
    except ImportError as error:
        raise WindlassError(
            "driver_missing",
            f"Python here cannot import pymysql ({error})",
            hint=_INSTALL,
            where={"database": target.name},
        ) from None
    options = connect_options(target)
    try:
        connection = pymysql.connect(
            **options,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=timeout_s,
            local_infile=False,
            program_name=application[:500],
            client_flag=CLIENT.MULTI_RESULTS | CLIENT.FOUND_ROWS,
        )
    except (pymysql.Error, RuntimeError, OSError) as error:
        _raise_login_error(target, error, str(options.get("password") or ""))
    link = MySQLLink(connection, application)
    try:
        link.run(OWN)
    except ServerError as error:
        link.close()
        raise WindlassError("database_unreachable", error.message, where={"database": target.name}) from None
    return link


def _raise_login_error(target: Target, error: Exception, password: str) -> NoReturn:
    """Tell a refused login from a server that does not answer."""
    number, text = _parts(error)
    text = text.replace(password, "********") if password else text
    where = {"database": target.name}
    if isinstance(error, RuntimeError) and "cryptography" in text:
        hint = "encrypt the connection (?ssl=required in the URL), use the socket, or install python3-cryptography"
        raise WindlassError("driver_missing", f"this login needs more than PyMySQL: {text}", hint=hint, where=where)
    if number in _REFUSED:
        hint = "check the user and the secret of this database in the inventory"
        raise WindlassError("login_refused", text, hint=hint, where=where) from None
    hint = "check the URL's host, port and database name, and that the server runs"
    raise WindlassError("database_unreachable", text, hint=hint, where=where) from None


def _parts(error: BaseException) -> tuple[int, str]:
    """Return the server's number and words of an exception."""
    arguments = error.args
    if len(arguments) > 1 and isinstance(arguments[0], int):
        return arguments[0], str(arguments[1])
    return -1, str(error)


class MySQLLink:
    """A PyMySQL connection.  A statement that is watched runs in a thread of its own."""

    def __init__(self, connection: Any, application: str = "") -> None:
        """Take over an open autocommit connection."""
        self._connection = connection
        self._worker: Optional[ThreadPoolExecutor] = None
        self.application = application
        self.server_version: int = version_number(connection.get_server_info())
        self.backend_pid: int = connection.thread_id()

    @property
    def is_mariadb(self) -> bool:
        """Return whether the server is MariaDB."""
        return self.server_version >= MARIADB

    def run(self, sql: Message, tick: Optional[Tick] = None) -> list[int]:
        """Send the statements one by one; return the rows that each affected."""
        counts: list[int] = []
        for statement in [sql] if isinstance(sql, str) else sql:
            try:
                counts.append(self.execute(statement, tick))
            except ServerError as error:
                error.results = len(counts)
                raise
        return counts

    def execute(self, statement: str, tick: Optional[Tick] = None) -> int:
        """Send one statement and wait for all its results; return the rows of the first."""
        if tick is None:
            return self._send(statement)[0]
        return self._watched(statement, tick)

    def stream(
        self, messages: Iterable[Message], ahead: int, tick: Optional[Tick] = None
    ) -> Generator[list[int], None, None]:
        """Run messages, sent one after the other."""
        for message in messages:
            yield self.run(message, tick)

    def copy_in(self, command: str, data: str, tick: Optional[Tick] = None) -> int:
        """Raise ServerError: a script cannot hold a data block."""
        raise ServerError("this engine has no COPY … FROM stdin")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of one statement's first result."""
        return self._send(sql)[1]

    def ask(self, sql: str) -> tuple[int, Optional[list[tuple[Any, ...]]]]:
        """Run one statement of any kind."""
        count, rows, answered = self._exchange(sql)
        return count, rows if answered else None

    def close(self) -> None:
        """End the connection."""
        if self._worker:
            self._worker.shutdown(wait=False)
        with suppress(Exception):
            self._connection.close()

    def _watched(self, statement: str, tick: Tick) -> int:
        """Run a statement in the worker, and tell ``tick`` while nothing comes."""
        self._worker = self._worker or ThreadPoolExecutor(1, "windlass-statement")
        began = monotonic()
        running: Future[tuple[int, list[tuple[Any, ...]]]] = self._worker.submit(self._send, statement)
        tick(0)
        while True:
            try:
                return running.result(TICK_S)[0]
            except NotYet:
                if running.done():
                    return running.result()[0]
                tick(monotonic() - began)

    def _send(self, statement: str) -> tuple[int, list[tuple[Any, ...]]]:
        """Send one statement; return count and rows of its first result, once all results have come."""
        return self._exchange(statement)[:2]

    def _exchange(self, statement: str) -> tuple[int, list[tuple[Any, ...]], bool]:
        """Send one statement; return count and rows of its first result, and whether it was an answer with columns."""
        import pymysql

        try:
            with self._connection.cursor() as cursor:
                count = cursor.execute(statement)
                rows, answered = list(cursor.fetchall()), cursor.description is not None
                while cursor.nextset():
                    pass
                return max(count or 0, 0), rows, answered
        except (pymysql.Error, OSError, AttributeError) as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> ServerError:
        """Translate an exception of the driver."""
        number, text = _parts(error)
        lost = number in _LOST or not self._connection.open
        # Without a number it was the driver that noticed: the socket broke, or is closed already.
        return ServerError(text or "the connection was lost", number=max(number, 0), lost=lost or number < 0)


def version_number(text: str) -> int:
    """Return 101119 for ``5.5.5-10.11.19-MariaDB-…``, 80036 for ``8.0.36``."""
    text = text[len("5.5.5-") :] if text.startswith("5.5.5-") and "MariaDB" in text else text
    parts = (*version_numbers(text.partition("-")[0]), 0, 0, 0)
    return parts[0] * 10000 + parts[1] * 100 + parts[2]
