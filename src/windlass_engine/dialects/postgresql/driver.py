"""psycopg behind the Link contract: one message at a time, watched while it runs.

A message goes out by the simple query protocol, so several statements and their journal row cost one round trip, and
each result says how far a failed message came.
"""

from __future__ import annotations

import select
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Callable, Optional

from ...errors import WindlassError
from ...finding import Finding, failure, good
from ...model import Target
from ..link import JOINT, Message, ServerError, Tick, version_numbers

TICK_S = 0.1
#: So much is with a server before its turn (characters), which a connection takes though nobody reads at its other end.
MOST_AHEAD = 64_000
_REFUSED = (
    "authentication failed",
    "no pg_hba.conf entry",
    "no password supplied",
    "is not permitted to log in",
)
#: How a server begins (SQLSTATE 57P03) that is up but lets nobody in yet.
_COMING = "the database system is "
_INSTALL = "install it with: ansible-playbook -i inventories/ENV playbooks/prepare.yml"


OLDEST = (3, 1, 7)


def examine() -> Finding:
    """Look for psycopg in this Python."""
    needed = f"psycopg {'.'.join(map(str, OLDEST))} or newer"
    try:
        import psycopg
        from psycopg import pq
    except ImportError as error:
        return failure("driver", f"{sys.executable} cannot import psycopg ({error})", needed, _INSTALL)
    found = f"psycopg {psycopg.__version__}, libpq {pq.version() // 10000}"
    if version_numbers(psycopg.__version__) < OLDEST:
        return failure("driver", found, needed, _INSTALL)
    return good("driver", found, needed)


def connect(target: Target, application: str, timeout_s: int) -> PostgresLink:
    """Log in.  Raise WindlassError; no message ever holds the URL's secret."""
    try:
        import psycopg
    except ImportError as error:
        raise WindlassError(
            "driver_missing",
            f"Python here cannot import psycopg 3 ({error})",
            hint=_INSTALL,
            where={"database": target.name},
        ) from None
    settings: dict[str, Any] = {
        "connect_timeout": timeout_s,
        "application_name": application[:63],
        "client_encoding": "UTF8",
        "autocommit": True,
        "prepare_threshold": None,
    }
    if target.password:
        settings["password"] = target.password
    try:
        connection = psycopg.connect(target.url, **settings)
    except psycopg.ProgrammingError:
        # libpq's own words repeat the URL, so they are not passed on.
        raise WindlassError(
            "inventory_invalid",
            "the database URL cannot be parsed",
            hint="write postgresql://user@host:port/database?option=value",
            where={"database": target.name},
        ) from None
    except psycopg.Error as error:
        raise _login_error(target, str(error)) from None
    return PostgresLink(connection)


def _login_error(target: Target, text: str) -> WindlassError:
    """Tell a refused login from a server that does not answer."""
    text = _first_fatal(text.replace(target.password, "********") if target.password else text)
    where = {"database": target.name}
    if ('role "' in text and "does not exist" in text) or any(word in text for word in _REFUSED):
        return WindlassError(
            "login_refused",
            text,
            where=where,
            hint="check the user and the secret of this database in the inventory",
        )
    hint = "check the URL's host, port and database name, and that the server runs"
    detail = {"starting": True} if _COMING in text else {}
    return WindlassError("database_unreachable", text, where=where, hint=hint, detail=detail)


def _first_fatal(text: str) -> str:
    """Return the line that says why, without libpq's list of addresses tried."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "FATAL" in line), lines[0] if lines else "no answer")


def _ends_session(state: str, severity: str) -> bool:
    """Return whether a server ends the session with an error: its last words come before the connection is gone."""
    return state.startswith("57P") or severity in ("FATAL", "PANIC")


class PostgresLink:
    """A psycopg connection, spoken to through libpq's own calls where several statements go in one message."""

    def __init__(self, connection: Any) -> None:
        """Take over an open autocommit connection."""
        from psycopg import pq

        self._connection = connection
        self._status = pq.ExecStatus
        # A restored dump or a standby may say things on the way; nobody reads them here.
        connection.add_notice_handler(lambda _: None)
        self.server_version: int = connection.info.server_version
        self.backend_pid: int = connection.info.backend_pid

    def run(self, sql: Message, tick: Optional[Tick] = None) -> list[int]:
        """Send one message; return the rows that each statement affected."""
        self._send(sql if isinstance(sql, str) else JOINT.join(sql))
        if tick:
            tick(0)
        return self._results(tick)

    def stream(
        self, messages: Iterable[Message], ahead: int, tick: Optional[Tick] = None
    ) -> Generator[list[int], None, None]:
        """Run messages with some ahead of their turn, in libpq's pipeline mode where libpq has it (14 and newer).

        There is no Sync between them, so the server itself throws away what follows an error.
        """
        import psycopg

        if not psycopg.Pipeline.is_supported():
            for message in messages:
                yield self.run(message, tick)
            return
        self._connection.pgconn.enter_pipeline_mode()
        sent: deque[Sequence[str]] = deque()
        try:
            for message in messages:
                parts = [message] if isinstance(message, str) else message
                while sent and (len(sent) >= ahead or _length([*sent, parts]) > MOST_AHEAD):
                    yield self._received(sent.popleft(), tick)
                sent.append(parts)
                self._send_ahead(parts)
            while sent:
                yield self._received(sent.popleft(), tick)
        finally:
            self._leave_pipeline()

    def _send_ahead(self, message: Sequence[str]) -> None:
        """Put a message behind those under way; its results come as soon as it has ended."""
        import psycopg

        pg = self._connection.pgconn
        try:
            for sql in message:
                pg.send_query_params(sql.encode("utf-8"), None)
            pg.send_flush_request()
            while pg.flush():
                self._wait(None, time.monotonic(), writing=True)
        except psycopg.Error as error:
            raise self._from_psycopg(error) from None

    def _received(self, message: Sequence[str], tick: Optional[Tick]) -> list[int]:
        """Take the results of the message whose turn it is."""
        counts: list[int] = []
        if tick:
            tick(0)
        for number, _ in enumerate(message):
            result = self._next(tick)
            if result.status == self._status.FATAL_ERROR:
                error = self._error(result, number)
                before = sum(len(sql) + len(JOINT) for sql in message[:number])
                error.position += before if error.position else 0
                raise error
            self._next(tick)  # what ends a statement's results
            counts.append(result.command_tuples or 0)
        return counts

    def _leave_pipeline(self) -> None:
        """Pass over what is left of a pipeline, to one message at a time again; a lost connection has nothing left."""
        import psycopg

        pg = self._connection.pgconn
        with suppress(psycopg.Error, ServerError):
            pg.pipeline_sync()
            while pg.flush():
                self._wait(None, time.monotonic(), writing=True)
            while not self._lost():
                result = self._next(None)
                if result is not None and result.status == self._status.PIPELINE_SYNC:
                    break
            pg.exit_pipeline_mode()

    def copy_in(self, command: str, data: str, tick: Optional[Tick] = None) -> int:
        """Load the data block of a COPY … FROM stdin."""
        pg = self._connection.pgconn
        self._send(command)
        if tick:
            tick(0)
        first = self._next(tick)
        if first.status != self._status.COPY_IN:
            raise self._error(first, 0)
        payload = data.encode("utf-8")
        for start in range(0, len(payload), 65536):
            self._put(payload[start : start + 65536])
        with self._telling():
            while pg.put_copy_end() == 0:
                self._wait(tick, time.monotonic(), writing=True)
        return sum(self._results(tick))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of one statement, as psycopg's Python objects."""
        import psycopg

        try:
            return list(self._connection.execute(sql).fetchall())
        except psycopg.Error as error:
            raise self._from_psycopg(error) from None

    def ask(self, sql: str) -> tuple[int, Optional[list[tuple[Any, ...]]]]:
        """Run one statement of any kind."""
        import psycopg

        try:
            cursor = self._connection.execute(sql)
            return max(cursor.rowcount, 0), list(cursor.fetchall()) if cursor.description else None
        except psycopg.Error as error:
            raise self._from_psycopg(error) from None

    def on_message(self, handler: Callable[[Any], None]) -> None:
        """Let what the server says beside its results be heard: psycopg's diagnostics of each message."""
        self._connection.add_notice_handler(handler)

    def is_in_transaction(self) -> bool:
        """Return whether a transaction is open, a failed one too."""
        import psycopg

        idle: bool = self._connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        return not idle

    def close(self) -> None:
        """End the connection.

        A statement under way is cancelled: a server that waits for a lock would not notice for long that nobody
        listens, and keep the locks that it has.
        """
        import psycopg

        if self._connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
            with suppress(psycopg.Error):
                self._connection.cancel()
        self._connection.close()

    def _send(self, sql: str) -> None:
        """Hand the whole message to the socket."""
        import psycopg

        pg = self._connection.pgconn
        try:
            pg.send_query(sql.encode("utf-8"))
            while pg.flush():
                self._wait(None, time.monotonic(), writing=True)
        except psycopg.Error as error:
            raise self._from_psycopg(error) from None

    def _put(self, chunk: bytes) -> None:
        """Hand over a piece of COPY data, waiting while the socket is full."""
        with self._telling():
            while self._connection.pgconn.put_copy_data(chunk) == 0:
                self._wait(None, time.monotonic(), writing=True)

    def _results(self, tick: Optional[Tick]) -> list[int]:
        """Collect every result of the message; raise for the first that failed."""
        counts: list[int] = []
        failure: Optional[ServerError] = None
        while True:
            result = self._next(tick)
            if result is None:
                break
            if result.status == self._status.FATAL_ERROR:
                failure = failure or self._error(result, len(counts))
            elif result.status == self._status.COPY_IN:
                with self._telling():
                    self._connection.pgconn.put_copy_end(b"data belongs below the COPY statement")
            elif result.status == self._status.COPY_OUT:
                self._pass_over(tick)
            else:
                counts.append(result.command_tuples or 0)
        if failure:
            raise failure
        return counts

    def _pass_over(self, tick: Optional[Tick]) -> None:
        """Read what COPY … TO stdout sends; nobody wants it here, and no result comes before its end."""
        began = time.monotonic()
        size = 1
        with self._telling():
            while size >= 0:
                size, _ = self._connection.pgconn.get_copy_data(1)
                if size == 0:
                    self._wait(tick, began)

    def _next(self, tick: Optional[Tick]) -> Any:
        """Wait for the next result of the message, or None at its end."""
        import psycopg

        pg = self._connection.pgconn
        began = time.monotonic()
        try:
            while pg.is_busy():
                self._wait(tick, began)
            return pg.get_result()
        except psycopg.Error as error:
            raise self._from_psycopg(error) from None

    def _wait(self, tick: Optional[Tick], began: float, writing: bool = False) -> None:
        """Wait for the socket a moment; tell ``tick`` when nothing came."""
        pg = self._connection.pgconn
        ready, writable, _ = select.select([pg.socket], [pg.socket] if writing else [], [], TICK_S)
        if ready:
            pg.consume_input()
        elif tick and not writable:
            tick(time.monotonic() - began)

    def _error(self, result: Any, results: int) -> ServerError:
        """Read the fields of a failed result."""
        from psycopg.pq import DiagnosticField as Field

        def text(field: Field) -> str:
            return (result.error_field(field) or b"").decode("utf-8", "replace")

        position = text(Field.STATEMENT_POSITION)
        return ServerError(
            text(Field.MESSAGE_PRIMARY) or "the connection was lost",
            state=text(Field.SQLSTATE),
            results=results,
            position=int(position) if position else 0,
            detail=text(Field.MESSAGE_DETAIL),
            hint=text(Field.MESSAGE_HINT),
            lost=self._lost() or _ends_session(text(Field.SQLSTATE), text(Field.SEVERITY_NONLOCALIZED)),
        )

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Translate what psycopg raises in a block.  Raise ServerError."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise self._from_psycopg(error) from None

    def _from_psycopg(self, error: Any) -> ServerError:
        """Translate an exception of psycopg."""
        return ServerError(
            error.diag.message_primary or _first_fatal(str(error)),
            state=error.sqlstate or "",
            detail=error.diag.message_detail or "",
            hint=error.diag.message_hint or "",
            lost=self._lost() or _ends_session(error.sqlstate or "", error.diag.severity_nonlocalized or ""),
        )

    def _lost(self) -> bool:
        """Return whether the connection is gone."""
        from psycopg.pq import ConnStatus

        return bool(self._connection.pgconn.status != ConnStatus.OK)


def _length(messages: Iterable[Sequence[str]]) -> int:
    """Return how long messages are together, in characters."""
    return sum(len(sql) for message in messages for sql in message)
