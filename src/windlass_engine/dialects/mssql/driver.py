"""pyodbc behind the Link contract: one batch at a time, the text as it is, watched while it runs.

Before each batch of a script the session's settings are fixed, and the transaction is looked at.  Windlass's own
statements that follow one another are joined into one batch.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import closing, suppress
from time import monotonic
from typing import Any, NoReturn, Optional

from ...errors import WindlassError
from ...finding import Finding
from ...model import Target
from ..link import JOINT, Message, ServerError, Tick, version_numbers
from . import address, failures, odbc, session_state
from .own import ENDS, Own, groups, is_own
from .tokens import change, only_reads

TICK_S = 0.1
#: Login failed, account disabled, locked or expired, database not to be opened, not trusted.
_REFUSED = (916, 4060, 4064, 18401, 18450, 18452, 18456, 18461, 18470, 18486, 18487, 18488)
#: Type numbers of Microsoft's own: datetimeoffset, and what only its assemblies can read.
_DATETIMEOFFSET, _UDT = -155, -151
#: Who answers.  Until a step says otherwise, a look at what another session is changing gives up after half a minute.
_SELF = "SET LOCK_TIMEOUT 30000; SELECT @@SPID, CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128))"


def examine() -> Finding:
    """Look for pyodbc and an ODBC driver."""
    return odbc.examine()


def connect(target: Target, application: str, timeout_s: int) -> SQLServerLink:
    """Log in.  Raise WindlassError; no message ever holds the secret."""
    at = address.of_target(target)
    try:
        pyodbc = odbc.load()
    except ImportError as error:
        raise _missing(target, f"Python here cannot import pyodbc ({error})") from None
    driver = odbc.find(pyodbc)
    if driver is None:
        raise _missing(target, "there is no ODBC driver for SQL Server here")
    text = _connection_string(target, at, driver, application)
    try:
        connection = pyodbc.connect(text, autocommit=True, timeout=timeout_s)
    except (pyodbc.Error, OSError) as error:
        _raise_login_error(target, error, at)
    link = SQLServerLink(connection, application)
    try:
        link.begin()
    except ServerError as error:
        link.close()
        raise WindlassError("database_unreachable", error.message, where={"database": target.name}) from None
    return link


def _missing(target: Target, message: str) -> WindlassError:
    return WindlassError("driver_missing", message, hint=odbc.INSTALL, where={"database": target.name})


def _connection_string(target: Target, at: address.Address, driver: odbc.Driver, application: str) -> str:
    if not driver.is_freetds:
        return address.microsoft(at, driver.place, application)
    if at.encrypt != "no" and not at.trusts:
        raise WindlassError(
            "driver_missing",
            "FreeTDS, the only driver here, cannot verify the server's certificate",
            hint="install Microsoft's driver (pip install mssql-python-odbc), "
            "or say ?trust_server_certificate=yes in the URL",
            where={"database": target.name},
        )
    return address.freetds(at, driver.place, application)


def _raise_login_error(target: Target, error: BaseException, at: address.Address) -> NoReturn:
    """Tell a refused login from a server that does not answer."""
    every = failures.records(error)
    text = "; ".join(dict.fromkeys(record.message for record in every))
    text = text.replace(at.password, "********") if at.password else text
    where = {"database": target.name}
    if any(record.number in _REFUSED or record.state == "28000" for record in every):
        hint = "check the user and the secret of this database in the inventory"
        raise WindlassError("login_refused", text, hint=hint, where=where) from None
    if "open lib" in text:
        raise WindlassError("driver_missing", text, hint=odbc.INSTALL, where=where) from None
    hint = "check the URL's host, port and database name, and that the server runs"
    if "certificate" in text.lower():
        hint = (
            "give the server a certificate that this host trusts, name its file by ?server_certificate=, "
            "or say ?trust_server_certificate=yes in the URL"
        )
    raise WindlassError("database_unreachable", text, hint=hint, where=where) from None


class SQLServerLink:
    """A pyodbc connection.  A batch that is watched runs in a thread of its own."""

    def __init__(self, connection: Any, application: str = "") -> None:
        """Take over an open autocommit connection."""
        self._connection = connection
        self._worker: Optional[ThreadPoolExecutor] = None
        self._depth = 0
        self._read_only = False
        self._fixed = False
        self._columns: tuple[str, ...] = ()
        self.application = application
        self.server_version = 0
        self.backend_pid = 0
        connection.add_output_converter(_DATETIMEOFFSET, _moment)
        connection.add_output_converter(_UDT, lambda data: None if data is None else "0x" + data.hex())

    def begin(self) -> None:
        """Fix the settings, and look who answers.  Raise ServerError."""
        pid, version = self.query(Own(_SELF))[0]
        self.backend_pid, self.server_version = int(pid), version_number(str(version))

    def run(self, sql: Message, tick: Optional[Tick] = None) -> list[int]:
        """Send the statements, Windlass's own ones joined; return the rows that each affected."""
        counts: list[int] = []
        sent = 0
        for group in groups([sql] if isinstance(sql, str) else sql):
            try:
                count = self.execute(group, tick)
            except ServerError as error:
                error.results = len(counts)
                error.position = error.position + sent if error.position and not is_own(group[0]) else 0
                raise
            counts += [count, *[0] * (len(group) - 1)]
            sent += sum(len(statement) + len(JOINT) for statement in group)
        return counts

    def execute(self, group: list[str], tick: Optional[Tick] = None) -> int:
        """Send one group of statements and wait for all its results; return the rows that it affected."""
        if tick is None:
            return self._send(group)[0]
        return self._watched(group, tick)

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
        """Return the rows of a batch's answers, one after the other.

        On a machine with much to do unixODBC was seen to lose what the server had said.  What only reads is then asked
        once more: a missing table, for one, must be told from one that cannot be read.
        """
        try:
            return self._send([sql])[1]
        except ServerError as error:
            if error.lost or self._depth or not (failures.is_wordless(error) and only_reads(sql)):
                raise
            return self._send([sql])[1]

    def named(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a batch's only answer by the names of their columns."""
        return [dict(zip(self._columns, row)) for row in self.query(sql)]

    def ask(self, sql: str) -> tuple[int, Optional[list[tuple[Any, ...]]]]:
        """Run one batch of any kind."""
        count, rows, answered = self._send([sql])
        return count, rows if answered else None

    def close(self) -> None:
        """End the connection; the server takes back what was open."""
        if self._worker:
            self._worker.shutdown(wait=False)
        with suppress(Exception):
            self._connection.close()

    def _watched(self, group: list[str], tick: Tick) -> int:
        """Run a group in the worker, and tell ``tick`` while nothing comes."""
        self._worker = self._worker or ThreadPoolExecutor(1, "windlass-statement")
        began = monotonic()
        running: Future[tuple[int, list[tuple[Any, ...]], bool]] = self._worker.submit(self._send, group)
        tick(0)
        while True:
            try:
                return running.result(TICK_S)[0]
            except NotYet:
                if running.done():
                    return running.result()[0]
                tick(monotonic() - began)

    def _send(self, group: list[str]) -> tuple[int, list[tuple[Any, ...]], bool]:
        """Send statements that are all Windlass's own, or one of a script; return count, rows, and whether any came."""
        if is_own(group[0]):
            return self._send_own(group)
        batch = group[0]
        word = change(batch) if self._read_only else ""
        if word:
            raise ServerError(f"this transaction is read-only, and the batch holds {word}")
        if not self._fixed:
            self._exchange(session_state.fixed(self._depth))
        self._fixed = False
        return self._exchange(batch)

    def _send_own(self, group: list[str]) -> tuple[int, list[tuple[Any, ...]], bool]:
        """Send Windlass's own statements as one batch, behind a look at the transaction where a script came before."""
        ends = group[0] == "ROLLBACK"
        parts: list[str] = [] if self._fixed or ends else [session_state.fixed(self._depth)]
        parts += ["IF @@TRANCOUNT > 0 ROLLBACK" if part == "ROLLBACK" else part for part in group]
        answer = self._exchange(JOINT.join(parts))
        self._fixed = self._fixed or not ends
        for part in group:
            self._follow(part)
        return answer

    def _follow(self, part: str) -> None:
        """Note what one of Windlass's own statements did to the session."""
        if part in ENDS:
            self._depth, self._read_only = 0, False
        elif isinstance(part, Own):
            if part.opens:
                self._depth, self._read_only = 1, part.read_only
            if part.statement_ms >= 0:
                # The driver counts whole seconds; 0 is no limit.
                self._connection.timeout = -(-part.statement_ms // 1000)

    def _exchange(self, batch: str) -> tuple[int, list[tuple[Any, ...]], bool]:
        """Send one batch and take all that comes of it: an error may come behind the first answers."""
        pyodbc = odbc.load()
        said: list[str] = []
        count, rows, answered = 0, [], False
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.noscan = True
                cursor.execute(batch)
                while True:
                    said += _said(cursor)
                    if cursor.description is not None:
                        answered = True
                        self._columns = tuple(str(column[0]) for column in cursor.description)
                        rows += [tuple(row) for row in cursor.fetchall()]
                    else:
                        count += max(cursor.rowcount, 0)
                    if not cursor.nextset():
                        return count, rows, answered
        except (pyodbc.Error, OSError) as error:
            told = failures.server_error(error, batch, said)
            told.lost = told.lost or not self._answers(pyodbc)
            raise told from None

    def _answers(self, pyodbc: Any) -> bool:
        """Return whether the server still speaks to this connection: before it ends one it may say why."""
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute("SELECT 1")
        except (pyodbc.Error, OSError):
            return False
        return True


def _said(cursor: Any) -> list[str]:
    """Return what PRINT and its like said with this answer."""
    told = [failures.bare(str(text)) for _, text in getattr(cursor, "messages", None) or ()]
    return [text for text in told if text and not text.startswith("Changed ")]


def _moment(data: Optional[bytes]) -> Optional[str]:
    """Return a datetimeoffset as text."""
    if data is None:
        return None
    year, month, day, hour, minute, second, nano, zone_hour, zone_minute = struct.unpack("<6hI2h", data)
    sign = "-" if zone_hour < 0 or zone_minute < 0 else "+"
    zone = f"{sign}{abs(zone_hour):02}:{abs(zone_minute):02}"
    return f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{nano // 100:07} {zone}"


def version_number(text: str) -> int:
    """Return 160000 for ``16.0.4135.4``, 105000 for 10.50: the year's number, without the build."""
    major, minor, *_ = (*version_numbers(text), 0, 0)
    return major * 10000 + minor * 100
