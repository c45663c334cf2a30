"""Who keeps a running statement waiting, and how far it is: asked on a second session while the first one works."""

from __future__ import annotations

import dataclasses
import time
from typing import Callable, Optional

from ..dialects.answers import Blocker
from ..dialects.link import ServerError
from ..errors import WindlassError
from ..model import Wire
from ..session import Session

#: A statement that runs longer than this is looked at from a second session (seconds).
FIRST_LOOK_S = 1.0
#: Waits are named at most this often (seconds).
EVERY_S = 1.0


class Watch:
    """Looks at one working session from another, which is opened only when something takes long."""

    def __init__(self, session: Session, connect: Callable[[], Session], emit: Callable[[Wire], None]) -> None:
        """Watch ``session``; ``connect`` gives the second one."""
        self._session = session
        self._connect = connect
        self._emit = emit
        self._observer: Optional[Session] = None
        self._given_up = False
        self._told = 0.0
        self._place: Wire = {}
        self.blockers: tuple[Blocker, ...] = ()

    def place(self, **place: object) -> None:
        """Say which migration and statement run now."""
        self._place = place
        self.blockers = ()

    def eager(self) -> None:
        """Open the second session now: a lock timeout is too short to open it in time."""
        self._open()

    def tick(self, elapsed: float) -> None:
        """Look at the working session, and tell who blocks it or how far it is."""
        if self._observer is None and elapsed < FIRST_LOOK_S:
            return
        observer = self._open()
        if observer is None:
            return
        try:
            self.blockers = observer.dialect.blockers(observer.link, self._session.backend_pid)
            progress = observer.dialect.online_progress(observer.link, self._session.backend_pid)
        except ServerError:
            self._give_up()
            return
        self._tell(elapsed, progress)

    def close(self) -> None:
        """End the second session."""
        if self._observer:
            self._observer.close()
            self._observer = None

    def _tell(self, elapsed: float, progress: Optional[tuple[str, int, int]]) -> None:
        """Emit what was seen, at most once a second."""
        if time.monotonic() - self._told < EVERY_S or not (self.blockers or progress):
            return
        self._told = time.monotonic()
        if self.blockers:
            blockers = [dataclasses.asdict(blocker) for blocker in self.blockers]
            self._emit({"event": "waiting", **self._place, "elapsed_ms": int(elapsed * 1000), "blockers": blockers})
        elif progress:
            phase, done, total = progress
            self._emit({"event": "progress", **self._place, "phase": phase, "done": done, "total": total})

    def _open(self) -> Optional[Session]:
        """Return the second session; a server without a free slot is not asked again."""
        if self._observer is None and not self._given_up:
            try:
                self._observer = self._connect()
            except WindlassError:
                self._given_up = True
        return self._observer

    def _give_up(self) -> None:
        """Do without a second session from here on."""
        self._given_up = True
        self.close()


def blockers_text(blockers: tuple[Blocker, ...]) -> str:
    """Return who blocks, in words."""
    return "; ".join(
        f'pid {b.pid}, application "{b.application}", user {b.user}, {b.state}, transaction {b.age_s:.0f} s old'
        for b in blockers
    )
