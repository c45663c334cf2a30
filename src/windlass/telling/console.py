"""Text for terminals: durations, sizes, tables, and one line for each event of a run."""

from __future__ import annotations

import shutil
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Event = Mapping[str, Any]

SLOW_MS = 1000  # a statement that takes longer gets a line of its own
QUIET_S = 5.0  # after so long without a line the ticker says what is still running …
AGAIN_S = 15.0  # … and says it again so often

#: Headings of the columns that name what a row is about.
_ABOUT = frozenset({"", "HOST", "DATABASE", "DO", "WHAT"})


def duration(milliseconds: float) -> str:
    """Return ``12 ms``, ``0.8 s``, ``2 min 5 s`` or ``1 h 3 min``."""
    seconds = milliseconds / 1000
    if milliseconds < 100:
        return f"{milliseconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def age(seconds: float) -> str:
    """Return a rough span in one unit: ``45 s``, ``12 min``, ``5 h``, ``3 d``."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def size(count: float) -> str:
    """Return bytes in decimal units: ``512 B``, ``1.4 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.95 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def plural(count: int, noun: str) -> str:
    """Return ``1 step`` or ``3 steps``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def width(text: str) -> int:
    """Return how many terminal cells a text takes."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    marks = sum(unicodedata.combining(char) != 0 for char in text)
    return len(text) + wide - marks


def printable(text: Any) -> str:
    """Return one line that cannot move a terminal's cursor: control characters become visible escapes."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(text))


def columns() -> int:
    """Return the terminal's width in cells, 0 where there is no terminal and so no limit."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def table(
    headings: Sequence[str], rows: Iterable[Sequence[Any]], *, limit: int | None = None, indent: str = ""
) -> list[str]:
    """Return aligned lines, a heading line first; columns that are empty in every row are left out.

    ``limit`` is the width in cells that there is (0: any; default: the terminal's).  Rows that do not fit become
    blocks of several lines each, a heading before every value, and the heading line is empty.
    """
    cells = [[printable(value) for value in row] for row in rows]
    kept = [i for i in range(len(headings)) if any(row[i] for row in cells)]
    lines = [[headings[i] for i in kept], *([row[i] for i in kept] for row in cells)]
    widths = [max(width(line[i]) for line in lines) for i in range(len(kept))]
    aligned = [indent + _aligned(line, widths) for line in lines]
    most = columns() if limit is None else limit
    if not most or max(map(width, aligned)) <= most:
        return aligned
    return ["", *(_block(lines[0], line, indent) for line in lines[1:])]


def _block(headings: Sequence[str], line: Sequence[str], indent: str) -> str:
    """Return a row as lines of its own: what it is about first, then each heading with its value."""
    about = [text for heading, text in zip(headings, line, strict=True) if heading in _ABOUT and text]
    rest = [(heading, text) for heading, text in zip(headings, line, strict=True) if heading not in _ABOUT and text]
    broad = max((width(heading) for heading, _ in rest), default=0)
    body = [f"{indent}  {heading}{' ' * (broad - width(heading))}  {text}" for heading, text in rest]
    return "\n".join([indent + "  ".join(about), *body])


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    padded = (text + " " * (cells - width(text)) for text, cells in zip(line, widths, strict=True))
    return "  ".join(padded).rstrip()


def event_line(host: str, event: Event) -> str | None:
    """Return the line for one event of a run, or None for an event that is no news by itself."""
    form = _FORMS.get(event["event"])
    text = form(event) if form else None
    if text is None:
        return None
    return f"{host} {event.get('database', '')}  {printable(text)}"


def _number(event: Event) -> str:
    of = f"{event['index']}/{event['of']} " if event.get("of") else ""
    return f"{of}{event['migration']}"


def _statement(event: Event) -> str:
    if not event.get("statement"):
        return ""  # a whole migration sent as one message
    line = f" (line {event['line']})" if event.get("line") else ""
    of = f" of {event['of']}" if event.get("of") else ""
    return f"statement {event['statement']}{of}{line}"


def _of_migration(event: Event, text: str) -> str:
    return "  ".join(filter(None, [event["migration"], _statement(event), text]))


def _run_started(event: Event) -> str:
    return f"{plural(event['steps'], 'step')}, {plural(event['statements'], 'statement')}"


def _lock_waiting(event: Event) -> str:
    holder = event.get("holder") or "another run"
    return f"waits {duration(event['elapsed_ms'])} for the deployer lock, held by {holder}"


def _statement_done(event: Event) -> str | None:
    if event["duration_ms"] < SLOW_MS:
        return None
    return _of_migration(event, duration(event["duration_ms"]))


def blocker(session: Mapping[str, Any]) -> str:
    """Return who blocks: ``pid 4711 "crm" of alice (idle in transaction for 95 s)``."""
    application = f' "{session["application"]}"' if session.get("application") else ""
    user = f" of {session['user']}" if session.get("user") else ""
    state = session.get("state") or "active"
    return f"pid {session['pid']}{application}{user} ({state} for {age(session['age_s'])})"


def _waiting(event: Event) -> str:
    sessions = event.get("blockers") or ()
    whom = ", ".join(blocker(session) for session in sessions) or "a lock"
    return _of_migration(event, f"waits {duration(event['elapsed_ms'])} for {whom}")


def _retry(event: Event) -> str:
    pause = duration(event["pause_ms"])
    whom = f" (held by {event['blockers']})" if event.get("blockers") else ""
    again = f"attempt {event['attempt']} of {event['of']} in {pause}"
    return f"{event['migration']}  {event['reason']}{whom}; {again}"


def _progress(event: Event) -> str:
    done, total = event["done"], event.get("total")
    far = f"{100 * done / total:.0f} % ({done}/{total})" if total else f"{done} so far"
    return _of_migration(event, f"{event['phase']}: {far}")


def _step_done(event: Event) -> str:
    return f"{_number(event)}  {duration(event['duration_ms'])}"


def _step_failed(event: Event) -> str:
    return _of_migration(event, "failed")  # the task's own failure tells why


def _run_done(event: Event) -> str | None:
    return f"done in {duration(event['duration_ms'])}" if event["status"] == "done" else None


def _backup_progress(event: Event) -> str:
    return f"backup: {size(event['bytes'])} in {duration(event['elapsed_ms'])}"


def _backup_done(event: Event) -> str:
    way = f" ({event['compression']}, {plural(event['jobs'], 'job')})" if event.get("compression") else ""
    return f"backup {event['id']}: {size(event['bytes'])} in {duration(event['duration_ms'])}{way}"


def _backup_warning(event: Event) -> str:
    return f"backup: WARNING: {event['text']}"


def _note(event: Event) -> str:
    return f"{event['migration']}  {event['text']}"


def _settled(event: Event) -> str:
    found = "had taken effect" if event["took_effect"] else "had not taken effect and runs again"
    return _of_migration(event, f"was interrupted; it {found}")


def _restore_started(event: Event) -> str:
    return f"restoring {event['path']} into {event['into']}"


def _restore_progress(event: Event) -> str:
    return f"restore: {event['phase']}, {duration(event['elapsed_ms'])}"


def _restore_outlook(event: Event) -> str:
    return f"restore: {event['text']}"


def _restore_done(event: Event) -> str:
    return f"restored into {event['into']} in {duration(event['duration_ms'])}"


def _restore_notes(event: Event) -> str:
    return "before anything is touched: " + "; ".join(event["notes"])


def _swap_continued(event: Event) -> str:
    return "an earlier swap was broken off: going on with it"


def _swap_started(event: Event) -> str:
    return f"{event['incoming']} takes the place of the original"


def _archived(event: Event) -> str:
    what = ", ".join(event["columns"]) if event["kind"] == "columns" else event["kind"]
    return f"{event['migration']}  archived {event['rows']} rows of {event['table']} ({what}) as {event['name']}"


def _put_back(event: Event) -> str:
    return f"{event['migration']}  put {event['put_back']} of {event['rows']} rows back into {event['table']}"


def _check_done(event: Event) -> str | None:
    return None if event["passed"] else f"check {event['name']} FAILED"


_FORMS: Mapping[str, Callable[[Event], str | None]] = {
    "run_started": _run_started,
    "lock_waiting": _lock_waiting,
    "statement_done": _statement_done,
    "waiting": _waiting,
    "retry": _retry,
    "progress": _progress,
    "step_done": _step_done,
    "step_failed": _step_failed,
    "run_done": _run_done,
    "backup_progress": _backup_progress,
    "backup_done": _backup_done,
    "backup_warning": _backup_warning,
    "check_done": _check_done,
    "note": _note,
    "settled": _settled,
    "archived": _archived,
    "put_back": _put_back,
    "restore_started": _restore_started,
    "restore_progress": _restore_progress,
    "restore_done": _restore_done,
    "restore_notes": _restore_notes,
    "restore_outlook": _restore_outlook,
    "swap_started": _swap_started,
    "swap_continued": _swap_continued,
}
#: Events that repeat while one thing goes on: not every one of them is shown.
_REPEATING = frozenset({"waiting", "retry", "progress", "backup_progress", "lock_waiting"})


MANY = 30  # of so many steps, the quick ones are not news one by one


def _one_of_many(event: Event) -> bool:
    if event["event"] != "step_done" or event.get("of", 0) <= MANY:
        return False
    return bool(event["index"] != event["of"] and event["duration_ms"] < SLOW_MS)


class Ticker:
    """Turns a host's events into lines for people: news at once, repetitions seldom, silence explained."""

    def __init__(self, host: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.host = host
        self._clock = clock
        self._running: dict[str, tuple[float, Event, Event | None]] = {}  # database -> since, step, statement
        self._said: dict[tuple[str, str], float] = {}

    def lines(self, events: Iterable[Event] = ()) -> list[str]:
        """Return the lines to show now; call it about once a second, also when nothing happened."""
        found = [line for event in events for line in self._news(event)]
        return found or self._still_running()

    def _news(self, event: Event) -> list[str]:
        now, database = self._clock(), str(event.get("database", ""))
        self._follow(event, now, database)
        key = (database, event["event"])
        if event["event"] in _REPEATING or _one_of_many(event):
            if now - self._said.get(key, -AGAIN_S) < QUIET_S:
                return []
            self._said[key] = now
        line = event_line(self.host, event)
        if line:
            self._said[database, "line"] = now
        return [line] if line else []

    def _follow(self, event: Event, now: float, database: str) -> None:
        if event["event"] == "step_started":
            self._running[database] = (now, event, None)
        elif event["event"] == "statement_started" and database in self._running:
            self._running[database] = (now, self._running[database][1], event)
        elif event["event"] in ("step_done", "step_failed", "run_done"):
            self._running.pop(database, None)

    def _still_running(self) -> list[str]:
        now, lines = self._clock(), []
        for database, (since, step, statement) in self._running.items():
            last = max(self._said.get((database, "line"), since), since)
            patience = QUIET_S if last == since else AGAIN_S
            if now - last >= patience:
                self._said[database, "line"] = now
                what = _statement(statement) if statement else ""
                text = "  ".join(filter(None, [_number(step), what, f"runs for {age(now - since)}"]))
                lines.append(f"{self.host} {database}  {printable(text)}")
        return lines
