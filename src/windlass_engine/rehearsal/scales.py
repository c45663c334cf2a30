"""What each statement leaves behind: by how much it made tables and their indexes grow, and its temporary files.

It is measured between the statements, where a copy has time: in the run's own session where nobody else sees what an
open transaction has made of a table, else from a session beside it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Optional

from ..dialects.answers import Size, Sizes, TemporaryFiles
from ..dialects.link import ServerError
from ..errors import WindlassError
from ..model import Step, Target, Wire
from ..session import Session, connect

#: So many tables of one statement are told, those that changed most; the others as one.
MOST_TABLES = 100
#: (migration, number of the statement)
Key = tuple[str, int]


class Scales:
    """Measures one run on a copy: hand it to the run, and ask it afterwards; see running.measuring.

    ``growth`` and ``temporary`` have what is known of each statement; ``note`` says what is not, and why.
    """

    def __init__(self, target: Target) -> None:
        """Nothing is measured yet."""
        self._target = target
        self._session: Optional[Session] = None
        self._beside: Optional[Session] = None
        self._files: Optional[TemporaryFiles] = None
        self._known: Optional[dict[str, Size]] = None
        self._open: list[Key] = []
        self._archives = False
        self._pauses: list[tuple[float, float]] = []
        self.growth: dict[Key, Optional[list[Wire]]] = {}
        self.temporary: dict[Key, Optional[int]] = {}
        self.note = ""

    def __enter__(self) -> Scales:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the session beside."""
        if self._beside:
            self._beside.close()

    # ------------------------------------------------------------ while the run goes on

    def start(self, session: Session) -> None:
        """Weigh everything once."""
        self._session = session
        with self._pause():
            if "own_sizes" not in session.dialect.capabilities:
                self._beside = self._login()
            self._files = session.dialect.temporary_files(session.link)
            self._weigh_all()

    def again(self) -> None:
        """Let the server tell temporary files again."""
        with self._pause():
            if self._files:
                self._files.again()

    def undone(self) -> None:
        """Weigh everything again before the next statement."""
        self._known = None
        self._open.clear()

    def begin(self) -> None:
        """Weigh everything where that is not known."""
        if self._files:
            self._files.forget()
        if self._known is None:
            with self._pause():
                self._weigh_all()

    def take(self, step: Step, number: int, sql: str, inside: bool) -> None:
        """Hold a statement's sizes against those before it."""
        assert self._session
        grows, key = self._session.dialect.may_grow(sql), (step.name, number)
        with self._pause():
            self.growth[key] = self._grown(inside) if grows else []
            self.temporary[key] = self._written() if grows else self._passed()
        if grows:
            self._open.append(key)
        self._archives = self._archives or step.action == "revert"

    def settled(self) -> None:
        """Keep what is known of temporary files since a transaction is over: what one statement alone wrote, or none.

        What is archived before an undoing shares its transaction.
        """
        with self._pause():
            together = self._files.settle() if self._files else None
        if together is not None:
            alone = len(self._open) == 1 and not self._archives
            self.temporary.update(dict.fromkeys(self._open, together if alone or not together else None))
            self._open, self._archives = [], False

    @property
    def spent_s(self) -> float:
        """Return how long all the measuring took."""
        return sum(end - begin for begin, end in self._pauses)

    @contextmanager
    def _pause(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._pauses.append((began, time.monotonic()))

    def _written(self) -> Optional[int]:
        return self._files.take() if self._files else None

    def _passed(self) -> int:
        if self._files:
            self._files.passed()
        return 0

    def _login(self) -> Optional[Session]:
        try:
            return connect(self._target, "windlass sizes")
        except WindlassError as error:
            self.note = f"nobody could look at sizes: {error.message}"
            return None

    def _weigh_all(self) -> None:
        found = None if self.note else self._look(inside=False)
        self._known = dict(found.tables) if found else {}

    def _look(self, inside: bool) -> Optional[Sizes]:
        """Return the sizes now; a session beside the run that is refused leaves them unknown."""
        assert self._session
        own = "own_sizes" in self._session.dialect.capabilities
        session = self._session if own else self._beside
        if session is None:
            return None
        try:
            found = session.dialect.sizes(session.link, inside and own)
        except ServerError as error:
            if own:
                raise
            self.note = f"sizes are not known: {error.message}"
            return None
        self.note = found.note if found else "by how much tables grew is not known: the server does not tell"
        return found

    def _grown(self, inside: bool) -> Optional[list[Wire]]:
        before, now = self._known or {}, None if self.note else self._look(inside)
        if now is None or self.note:
            return None  # a query that fails may take the transaction with it, so nobody asks twice
        gone = (before.keys() - now.tables.keys()) if now.whole else (before.keys() & now.gone)
        changed = [_change(before.get(key), size) for key, size in now.tables.items()]
        changed += [_change(before[key], None) for key in gone]
        self._known = {**{key: size for key, size in before.items() if key not in gone}, **now.tables}
        return _most(item for item in changed if item["bytes"] or item["indexes"])

    # ------------------------------------------------------------ afterwards

    def net(self, begin: float, end: float) -> float:
        """Return the seconds between two times (monotonic) without those in which was measured."""
        return end - begin - sum(max(min(to, end) - max(since, begin), 0.0) for since, to in self._pauses)

    def temporary_of_known(self) -> int:
        """Return what those statements wrote of which it is known."""
        return sum(written or 0 for written in self.temporary.values())


def _change(before: Optional[Size], after: Optional[Size]) -> Wire:
    """Return ``{table, bytes, own, indexes}``: by how much a table changed, with its indexes and without them.

    None is what is not known.  Where ``own`` is not, ``indexes`` are those that were built or dropped.
    """
    named = after or before
    assert named
    nothing = 0 if named.indexes is not None else None
    was, now = (before or Size(named.table, 0, nothing)), (after or Size(named.table, 0, nothing))
    change, indexes = now.bytes - was.bytes, _of_indexes(was, now)
    own = change - (indexes or 0) if nothing is not None else None
    return {"table": named.table, "bytes": change, "own": own, "indexes": indexes}


def _of_indexes(was: Size, now: Size) -> Optional[int]:
    """Return by how much indexes changed: all of them, or else those that came and went; None: that is not known."""
    if was.indexes is not None and now.indexes is not None:
        return now.indexes - was.indexes
    came, went = now.built.keys() - was.built.keys(), was.built.keys() - now.built.keys()
    if not came and not went:
        return None
    return sum(now.built[name] for name in came) - sum(was.built[name] for name in went)


def _most(changes: Iterable[Wire]) -> list[Wire]:
    """Return those that changed most first, and what is too much as one."""
    ordered = sorted(changes, key=lambda item: (-abs(item["bytes"]), item["table"]))
    rest = ordered[MOST_TABLES:]
    if not rest:
        return ordered
    sums = {key: [item[key] for item in rest] for key in ("bytes", "own", "indexes")}
    more = {key: None if None in values else sum(values) for key, values in sums.items()}
    return [*ordered[:MOST_TABLES], {"table": f"{len(rest)} more", **more}]
