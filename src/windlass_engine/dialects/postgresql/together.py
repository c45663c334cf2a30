"""Several sessions share work on the tables of one database: what one alone would do one after the other.

A restored database's rows are counted and its statistics gathered at the same time, for each table is read by one
process in each of them, and the largest one would keep all others waiting twice.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Generic, TypeVar

from ...errors import WindlassError
from ..link import Link
from . import contents

T = TypeVar("T")

#: A table of so many pages is a piece of work by itself.
_LARGE_PAGES = 1000
_BATCH = 100

#: All that has statistics; the server's own catalogue too, which a restore has filled.  Partitions come with the table
#: that they are part of: ANALYZE goes through them by itself, and would do so once more.
_ANALYSED = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       CASE c.relkind WHEN 'p' THEN (SELECT coalesce(sum(pg_relation_size(relid)), 0) FROM pg_partition_tree(c.oid))
       ELSE pg_relation_size(c.oid) END / 8192,
       c.relkind = 'p' OR c.relhassubclass OR n.nspname = 'pg_catalog'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema'"""
_PAGES = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), pg_relation_size(c.oid) / 8192
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'"""
#: Each message by itself: together they would be one transaction, which keeps the locks of all tables.
_UNHURRIED = ("SET statement_timeout = 0", "SET lock_timeout = 0")


class Settling:
    """Rows are counted and statistics gathered in a database to which nobody writes, by ``jobs`` sessions in all.

    It may begin while a restore adds the last foreign keys: what takes one lock at a time cannot stand in their way for
    long, nor be a part of a deadlock.  The rest waits for :meth:`rows`: tables with others below them, and the
    server's own, which are still written to.
    """

    def __init__(self, link: Link, more: Callable[[], Link], jobs: int, counted: Sequence[str]) -> None:
        """Begin, with sessions that ``more`` gives (one that is not let in is done without); raise ServerError.

        ``counted`` are the tables whose rows are wanted.
        """
        self._more = more
        pages = {str(name): int(size) for name, size in link.query(_PAGES)}
        self._counts = _Work(_pieces({name: pages.get(name, 0) for name in counted}), _count)
        found = link.query(_ANALYSED)
        self._early = _Work(_pieces({str(name): int(size) for name, size, late in found if not late}), _analyse)
        self._late = _Work(_pieces({str(name): int(size) for name, size, late in found if late}), _analyse)
        self._restored = threading.Event()
        self._pool = ThreadPoolExecutor(max(jobs - 1, 1))
        for number in range(jobs - 1):
            # What takes longest is begun first: the statistics of the largest table.
            order = (self._counts, self._early) if number else (self._early, self._counts)
            self._pool.submit(self._help, *order)

    def rows(self, link: Link) -> dict[str, int]:
        """Return the rows of each table that is counted, when all is restored.

        ``link`` reads already, and helps while it waits.  Raise ServerError.
        """
        self._restored.set()
        self._counts.work_on(lambda names: contents.count_rows(link, names))
        return {name: rows for counted in self._counts.results() for name, rows in counted.items()}

    def finish(self, link: Link) -> None:
        """Wait for the statistics; ``link`` is in no transaction, and helps.  Raise ServerError."""
        for setting in _UNHURRIED:
            link.run(setting)
        for work in (self._late, self._early):
            work.help(link)
            work.results()
        self._pool.shutdown()

    def stop(self) -> None:
        """Begin nothing more; what runs ends with its session."""
        for work in (self._counts, self._early, self._late):
            work.stop()
        self._restored.set()
        self._pool.shutdown(wait=False)

    def _help(self, *order: _Work[object]) -> None:
        """Work in a session of its own."""
        try:
            session = self._more()
        except WindlassError:
            return  # a limit of connections, for example
        try:
            for setting in _UNHURRIED:
                session.run(setting)
            for work in order:
                work.help(session)
            self._restored.wait()
            self._late.help(session)
        finally:
            session.close()


class _Work(Generic[T]):
    """Pieces of one kind, each of them done once, by whoever has time."""

    def __init__(self, pieces: Sequence[Sequence[str]], do: Callable[[Link, Sequence[str]], T]) -> None:
        """Keep the pieces."""
        self._do = do
        self._done: list[Future[T]] = [Future() for _ in pieces]
        self._waiting = deque(zip(self._done, pieces))

    def help(self, session: Link) -> None:
        """Do pieces in a session until none is left."""
        self.work_on(lambda names: self._do(session, names))

    def work_on(self, do: Callable[[Sequence[str]], T]) -> None:
        """Do pieces in another way until none is left."""
        while True:
            try:
                future, names = self._waiting.popleft()
            except IndexError:
                return
            try:
                future.set_result(do(names))
            except BaseException as error:
                future.set_exception(error)
                if not isinstance(error, Exception):
                    raise

    def results(self) -> list[T]:
        """Wait for the pieces that others do; return what came out.  Raise what the first failure was."""
        return [future.result() for future in self._done]

    def stop(self) -> None:
        """Forget what nobody began."""
        self._waiting.clear()


def _count(session: Link, names: Sequence[str]) -> dict[str, int]:
    """Count in a view of its own, whose locks go with it."""
    contents.begin_reading(session, contents.LOCK_WAIT_MS)
    found = contents.counts(session, names)
    session.run("COMMIT")
    return found


def _analyse(session: Link, names: Sequence[str]) -> None:
    session.run(f"ANALYZE {', '.join(names)}")


def _pieces(sizes: dict[str, int]) -> list[list[str]]:
    """Return large tables one by one, the largest first, then the others in batches."""
    ordered = sorted(sizes, key=lambda name: -sizes[name])
    large = [name for name in ordered if sizes[name] >= _LARGE_PAGES]
    small = ordered[len(large) :]
    return [[name] for name in large] + [small[at : at + _BATCH] for at in range(0, len(small), _BATCH)]
