"""A rehearsal of millions of rows: a migration that would lock for long, its online form, and what rehearsing costs."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

from bench import machine, tables
from bench.server import Server
from windlass.records import rehearsals
from windlass_engine import journal, plan, session
from windlass_engine.backups import backup
from windlass_engine.model import Options, Plan, Script, Target
from windlass_engine.project import script
from windlass_engine.project.view import Migration, ProjectView
from windlass_engine.rehearsal import rehearse
from windlass_engine.running import execute

_FILL = (
    "CREATE TABLE public.booking (id bigint PRIMARY KEY, customer_id bigint, state text, note text, at timestamptz)",
    "INSERT INTO public.booking SELECT i, i % 100000, (ARRAY['new', 'paid', 'gone'])[1 + i % 3], md5(i::text), "
    "timestamptz '2025-01-01' + i * interval '1 second' FROM generate_series(1, {rows}) i",
    "ANALYZE public.booking",
)
#: A column that must have a value, and an index on it.
_LONG = """
ALTER TABLE public.booking ALTER COLUMN state SET NOT NULL;
CREATE INDEX booking_state ON public.booking (state, at);
"""
_ONLINE = """-- windlass: no-transaction
ALTER TABLE public.booking ADD CONSTRAINT booking_has_state CHECK (state IS NOT NULL) NOT VALID;
ALTER TABLE public.booking VALIDATE CONSTRAINT booking_has_state;
ALTER TABLE public.booking ALTER COLUMN state SET NOT NULL;
ALTER TABLE public.booking DROP CONSTRAINT booking_has_state;
CREATE INDEX CONCURRENTLY booking_state ON public.booking (state, at);
"""
_BACK = """
DROP INDEX IF EXISTS public.booking_state;
ALTER TABLE public.booking DROP CONSTRAINT IF EXISTS booking_has_state, ALTER COLUMN state DROP NOT NULL;
"""
_READ = "SELECT note FROM public.booking WHERE id = (SELECT (random() * {rows})::bigint);\n"
_WRITE = "UPDATE public.booking SET note = 'seen' WHERE id = (SELECT (random() * {rows})::bigint);\n"
#: What a careful environment allows (milliseconds), as in the example of docs/gate.md.
LIMIT_MS = 500
_WORKERS = 4


@dataclass(frozen=True)
class Ground:
    """A filled database, and where its backups go."""

    target: Target
    folder: str
    programs: str
    rows: int


@dataclass(frozen=True)
class Told:
    """What a rehearsal measured of one form (``found``), and the seconds of the same plan deployed without one."""

    form: str
    found: dict[str, Any]
    deployed: float


def report(rows: int) -> str:
    """Measure, and return the text for the document.  Raises Missing where there is no server."""
    server = Server()
    try:
        before = machine.load()
        ground, size = _ground(server, rows)
        told = [_told(ground, form, text) for form, text in (("at once", _LONG), ("online", _ONLINE))]
        return "\n\n".join([_circumstances(server, rows, size, before), _table(told), _below(told)])
    finally:
        server.close()


def _ground(server: Server, rows: int) -> tuple[Ground, int]:
    database = server.database()
    for statement in _FILL:
        server.run(statement.format(rows=rows), database)
    server.settle()
    size = int(str(server.ask(f"SELECT pg_database_size('{database.name}')")[0]))
    target = Target(database.name, "bench", database.bare_url, database.password)
    return Ground(target, str(server.room), database.programs, rows), size


def _told(ground: Ground, form: str, up: str) -> Told:
    planned = _plan(ground, up)
    load = [_script(text.format(rows=ground.rows), f"load/{name}.sql") for name, text in _LOAD.items()]
    made = backup.make(ground.target, backup.BackupSettings(ground.folder, ground.programs, 4), lambda _: None)
    asked = rehearse.Rehearsal(made["path"], planned, load=load, workers=_WORKERS, client_bin=ground.programs)
    found = rehearse.run(ground.target, asked, _options(), lambda _: None)
    print(f"{form}: {found['failed'] or rehearsals.cost(found)}", file=sys.stderr, flush=True)
    if found["failed"]:
        raise RuntimeError(found["failed"])
    began = time.perf_counter()
    _carried_out(ground, planned)
    deployed = time.perf_counter() - began
    with session.connect(ground.target) as opened:
        standing = journal.read(opened, ["001_state"])
    _carried_out(ground, plan.plan_down(standing, _script, system="bench", database=ground.target.name, steps=1))
    return Told(form, found, deployed)


_LOAD = {"read": _READ, "write": _WRITE}


def _plan(ground: Ground, up: str) -> Plan:
    migration = Migration("001_state", _script(up, "001_state/up.sql"), down=_script(_BACK, "001_state/down.sql"))
    view = ProjectView("bench", "postgresql", (migration,), ())
    with session.connect(ground.target) as opened:
        return plan.plan_up(view, journal.read(opened), database=ground.target.name)


def _script(text: str, path: str) -> Script:
    from windlass_engine import dialects

    return script.load(text.encode(), path, dialects.get("postgresql").split)


def _carried_out(ground: Ground, planned: Plan) -> None:
    """Run a plan on the original.  Raises RuntimeError where it fails."""
    done = execute.run(ground.target, planned, _options(), lambda _: None)
    if done["error"]:
        raise RuntimeError(done["error"]["message"])


def _options() -> Options:
    # Where commits are slow, a writer keeps its lock for longer than the usual fifth of a second.
    return Options("bench", "bench", "bench", lock_timeout_ms=5000, archive=False)


# ------------------------------------------------------------ the text


def _circumstances(server: Server, rows: int, size: int, before: float) -> str:
    return (
        f"Measured on {machine.description()}; PostgreSQL {server.version()} on {server.disk.kind}; one table of "
        f"{rows:,} rows, a database of {size / 1e6:.0f} MB. Load average {before:.1f} before and {machine.load():.1f} "
        f"after. {_WORKERS} sessions read and write single rows meanwhile."
    )


def _table(told: list[Told]) -> str:
    head = (
        "Form", "plan, s", "deployed without rehearsal, s", "others wait at most, s", "longest call, s",
        "calls a second, with the plan", "without it", f"limit of {LIMIT_MS} ms", "rehearsal as a whole, s",
    )  # fmt: skip
    return tables.table(head, [_row(item) for item in told])


def _row(told: Told) -> list[str]:
    part, load = told.found["parts"][0], told.found["load"]
    blocked = rehearsals.blocked_ms(part["longest_block"])
    return [
        told.form,
        tables.seconds(part["duration_ms"] / 1000),
        tables.seconds(told.deployed),
        tables.seconds(blocked / 1000),
        tables.seconds(load["during"]["worst_ms"] / 1000),
        f"{load['during']['per_s']:.0f}",
        f"{load['alone']['per_s']:.0f}",
        "kept" if blocked <= LIMIT_MS else "broken",
        tables.seconds(told.found["duration_ms"] / 1000),
    ]


def _below(told: list[Told]) -> str:
    """Return who waited longest for whom, and what the whole consists of."""
    lines = []
    for item in told:
        waits = item.found["load"]["waits"] or []
        longest = max(waits, key=lambda wait: wait["longest_ms"], default=None)
        restored = tables.seconds(item.found["restore_ms"] / 1000)
        said = f"In the rehearsal of the form {item.form!r}, restoring took {restored} s"
        if longest:
            length = tables.seconds(longest["longest_ms"] / 1000)
            said += f"; the longest wait was {length} s, of `{longest['who']}` for {longest['whom']}"
        lines.append(f"{said}.")
    return "\n".join(lines)
