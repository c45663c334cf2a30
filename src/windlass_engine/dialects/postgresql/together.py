"""Several sessions share work on the tables of one database: what one alone would do one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, TypeVar

from ...errors import WindlassError
from ..link import Link
from . import contents

T = TypeVar("T")
Work = Callable[[Link, Sequence[str]], T]

#: A table of so many pages is a piece of work by itself.
_LARGE_PAGES = 1000
_BATCH = 100

#: All that has statistics; the server's own catalogue too, which a restore has filled.
_ANALYSED = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relpages
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND n.nspname <> 'information_schema'"""
_PAGES = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), pg_relation_size(c.oid) / 8192
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'"""


def share(link: Link, more: Callable[[], Link], jobs: int, pieces: Sequence[Sequence[str]], work: Work[T]) -> list[T]:
    """Work on all pieces with ``link`` and up to ``jobs`` - 1 sessions that ``more`` gives; return what came out.

    Sessions that are not let in are done without.  Raises ServerError.
    """
    waiting = deque(pieces)
    found: list[T] = []

    def work_on(session: Link) -> None:
        while waiting:
            try:
                piece = waiting.popleft()
            except IndexError:
                return
            found.append(work(session, piece))

    def help_out() -> None:
        try:
            session = more()
        except WindlassError:
            return  # a limit of connections, for example
        try:
            work_on(session)
        finally:
            session.close()

    helpers = min(jobs, len(pieces)) - 1
    with ThreadPoolExecutor(max(helpers, 1)) as pool:
        helping = [pool.submit(help_out) for _ in range(helpers)]
        work_on(link)
        for each in helping:
            each.result()
    return found


def count_rows(link: Link, more: Callable[[], Link], jobs: int, names: Sequence[str]) -> dict[str, int]:
    """Return the rows of each table of a database to which nobody writes.  ``link`` reads already."""
    pages = dict(link.query(_PAGES))
    pieces = _pieces({name: int(pages.get(name, 0)) for name in names})

    def reading() -> Link:
        session = more()
        contents.begin_reading(session, contents.LOCK_WAIT_MS)
        return session

    found = share(link, reading, jobs, pieces, contents.counts)
    return {name: rows for counted in found for name, rows in counted.items()}


def analyse(link: Link, more: Callable[[], Link], jobs: int) -> None:
    """Gather statistics of everything in a database."""
    pieces = _pieces({str(name): int(pages) for name, pages in link.query(_ANALYSED)})
    share(link, more, jobs, pieces, lambda session, names: session.run(_unhurried(names)))


def _unhurried(names: Sequence[str]) -> str:
    return f"SET statement_timeout = 0; SET lock_timeout = 0; ANALYZE {', '.join(names)}"


def _pieces(sizes: dict[str, int]) -> list[list[str]]:
    """Return large tables one by one, the largest first, then the others in batches."""
    ordered = sorted(sizes, key=lambda name: -sizes[name])
    large = [name for name in ordered if sizes[name] >= _LARGE_PAGES]
    small = ordered[len(large) :]
    return [[name] for name in large] + [small[at : at + _BATCH] for at in range(0, len(small), _BATCH)]
