"""The engine beside other tools: how long many small migrations take, and how long having nothing to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench import machine, measure, peers, tables
from bench.changes import changes
from bench.measure import Contest, Timing
from bench.server import Server
from bench.tools import Psql, Tool, Windlass, WindlassAtomic, WindlassAtomicKeeping, WindlassKeeping

_PARTS = {
    "import": "start and import",
    "load": "read the project",
    "connect": "connect",
    "read": "read the journal",
    "plan": "plan",
    "run": "run",
}


def report(counts: Sequence[int], rounds: int, only: Sequence[str] = ()) -> str:
    """Measure, and return the text for the document.  ``only`` are beginnings of the names of tools to be timed."""
    server = Server()
    try:
        tools = measure.present(_tools(only), server)
        before = machine.load()
        contests = [measure.contest(tools, server, count, rounds) for count in counts]
        said = [_messages(server, count) for count in counts]
        return "\n\n".join(_texts(server, tools, contests, said, before))
    finally:
        server.close()


def _tools(only: Sequence[str]) -> list[Tool]:
    ours = [Windlass(), WindlassAtomic(), WindlassKeeping(), WindlassAtomicKeeping()]
    every: list[Tool] = [*ours, Psql(), *(kind() for kind in peers.ALL)]
    always = (Windlass, Psql, peers.Dbmate)
    return [tool for tool in every if not only or isinstance(tool, always) or tool.name.startswith(tuple(only))]


def _texts(
    server: Server, tools: Sequence[Tool], contests: Sequence[Contest], said: Sequence[str], before: float
) -> list[str]:
    """Return the paragraphs and tables of the report."""
    texts = [
        f"Measured on {machine.description()}; PostgreSQL {server.version()} with fsync on {server.disk.kind}. "
        f"Load average {before:.1f} before and {machine.load():.1f} after: what was running beside it."
    ]
    for found in contests:
        texts += [f"**{found.count:,} migrations**", _contest_table(found)]
    texts += ["**Nothing to do**, whole process, in seconds", _idle_table(tools, contests)]
    last = contests[-1]
    texts += [f"**Windlass's own parts** with {last.count:,} migrations, in milliseconds", _parts_table(tools, last)]
    return [*texts, *said]


def _contest_table(found: Contest) -> str:
    """Return who needed how long."""
    dbmate = _one(found, peers.Dbmate)
    psql = _one(found, Psql)
    head = ["Tool", "one commit holds", "whole process, s", "to dbmate"]
    head += ["connect to finish, s", "to dbmate", "to psql -1"]
    rows = []
    for tool in sorted(found.timings, key=lambda tool: found.middle(tool, _work)):
        rows.append([
            tool.name, tool.commits,
            tables.seconds(found.middle(tool, _whole)), _ratio(found, tool, dbmate, _whole),
            tables.seconds(found.middle(tool, _work)), _ratio(found, tool, dbmate, _work),
            _ratio(found, tool, psql, _work),
        ])  # fmt: skip
    rounds = ", ".join(sorted({f"{found.rounds(tool)}" for tool in found.timings}, key=int))
    told = f"Medians of {rounds} rounds; “to” is the median of the ratios in each round."
    return f"{tables.table(head, rows)}\n\n{told}"


def _ratio(found: Contest, tool: Tool, other: Tool | None, part: Callable[[Timing], float]) -> str:
    return tables.ratio(found.ratio(tool, other, part)) if other else ""


def _one(found: Contest, kind: type[Tool]) -> Tool | None:
    return next((tool for tool in found.timings if isinstance(tool, kind)), None)


def _idle_table(tools: Sequence[Tool], contests: Sequence[Contest]) -> str:
    """Return how long each tool needs to see that all is done."""
    head = ["Tool", *(f"{found.count:,} applied" for found in contests)]
    ordered = sorted(tools, key=lambda tool: contests[-1].middle(tool, _idle))
    rows = [[tool.name, *(tables.seconds(found.middle(tool, _idle)) for found in contests)] for tool in ordered]
    return tables.table(head, rows)


def _parts_table(tools: Sequence[Tool], found: Contest) -> str:
    """Return where our own time goes."""
    ours = [tool for tool in tools if isinstance(tool, Windlass)]
    head = ["Part", *(f"{tool.name}" for tool in ours), "nothing to do"]
    rows = []
    for part, title in _PARTS.items():
        cells = [tables.milliseconds(found.middle(tool, lambda t: t.laps[part])) for tool in ours]  # noqa: B023
        idle = tables.milliseconds(found.middle(ours[0], lambda t: t.idle_laps[part]))  # noqa: B023
        rows.append([title, *cells, idle])
    own = found.middle(ours[0], lambda t: sum(t.idle_laps[part] for part in ("load", "read", "plan", "run")))
    whole = f"The engine's own part of having nothing to do (project, journal, plan): {own * 1000:.0f} ms."
    return f"{tables.table(head, rows)}\n\n{whole}"


def _messages(server: Server, count: int) -> str:
    """Return how many commands the server logs in an untimed run of its own: one sent with others in a text is none."""
    tool, database = Windlass(), server.database()
    folder = server.room / database.name
    folder.mkdir()
    tool.lay_out(folder, changes(count))
    with server.listening(database) as working:
        measure.run(tool.migrate(folder, database))
    with server.listening(database) as idle:
        measure.run(tool.idle(folder, database))
    return (
        f"Commands that the server logged: {len(working):,} for {count:,} migrations, {len(idle)} when all "
        f"{count:,} were applied already."
    )


def _whole(timing: Timing) -> float:
    return timing.whole


def _idle(timing: Timing) -> float:
    return timing.idle


def _work(timing: Timing) -> float:
    return timing.work
