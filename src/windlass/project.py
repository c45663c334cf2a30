"""A system's folder below ``sql/`` → its scripts, in order, with every mistake found told at once.

Reading all files costs a glance each (text, checksum, header); parting a script into statements waits until
:meth:`Project.full` is asked for it, and happens once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from windlass.layout import Layout
from windlass.system_file import FILE
from windlass_engine import dialects
from windlass_engine.dialects.base import Dialect
from windlass_engine.errors import WindlassError
from windlass_engine.model import Script
from windlass_engine.project import script
from windlass_engine.project.mistakes import Mistake, invalid, raise_any, refuse, told_by
from windlass_engine.project.view import Migration, ProjectView, Repeatable


@dataclass(frozen=True)
class Project:
    """One system's scripts.  Those loaded with ``parse="headers"`` have no statements before :meth:`full`."""

    system: str
    engine: str
    title: str
    description: str
    migrations: tuple[Migration, ...]
    repeatables: tuple[Repeatable, ...]
    checks: tuple[Script, ...]
    samples: tuple[Script, ...]
    maintenance: tuple[Script, ...]
    load: tuple[Script, ...]
    queries: tuple[Script, ...]
    _kinds: dict[str, str] = field(repr=False, compare=False)
    _whole: dict[tuple[str, str], Script] = field(default_factory=dict, repr=False, compare=False)
    optional: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @cached_property
    def _dialect(self) -> Dialect:
        """Return the engine's answers."""
        return dialects.get(self.engine)

    def view(self) -> ProjectView:
        """Return what the planner sees."""
        return ProjectView(self.system, self.engine, self.migrations, self.repeatables)

    def full(self, part: Script) -> Script:
        """Return a script with its statements.  Raises WindlassError ``project_invalid``."""
        key = (part.path, part.checksum)
        if key not in self._whole:
            kind = self._kinds.get(part.path, "")
            self._whole[key] = script.full(part, self._dialect.split, kind=kind, review=self._dialect.review)
        return self._whole[key]


def load(root: Path, system: str, *, parse: Literal["headers", "all"] = "headers") -> Project:
    """Read ``<root>/sql/<system>``; ``parse="all"`` parts and checks every script as well.

    Raises one WindlassError ``project_invalid`` for all mistakes; its ``detail["mistakes"]`` lists file, line,
    message and hint of each.
    """
    if not _is_there(root, system):
        raise _no_such_system(root, system)
    layout = Layout(root, system)
    project = _read(layout, system)
    mistakes = layout.mistakes
    if parse == "all" and project.engine in dialects.names():
        mistakes += _parting_mistakes(project, layout.parts)
    raise_any(mistakes)
    return _whole(project) if parse == "all" else project


def readable(root: Path, system: str, engine: str) -> tuple[Project, WindlassError | None]:
    """Return what can be read of a system, as one of ``engine``, and the ``project_invalid`` of all that cannot.

    For what a mistake in the checkout must not hold up: how databases stand, and a way back by the journal's scripts.
    """
    layout = Layout(root, system)
    project = replace(_read(layout, system), engine=engine)
    if not _is_there(root, system):
        return project, _no_such_system(root, system)
    return project, invalid(layout.mistakes) if layout.mistakes else None


def _is_there(root: Path, system: str) -> bool:
    return bool(system) and (root / "sql" / system).is_dir()


def _no_such_system(root: Path, system: str) -> WindlassError:
    known = sorted(path.parent.name for path in root.glob(f"sql/*/{FILE}"))
    hint = f"the systems below sql/ are: {', '.join(known)}" if known else f"make sql/<system>/{FILE}"
    return refuse(f"sql/{system}", 0, "there is no such system", hint)


def _read(layout: Layout, system: str) -> Project:
    about = layout.about()
    repeatables = layout.scripts("repeatable")
    return Project(
        system=system,
        engine=about.engine,
        title=about.title,
        description=about.description,
        migrations=layout.migrations(),
        repeatables=tuple(Repeatable(Path(part.path).stem, part) for part in repeatables),
        checks=layout.scripts("checks"),
        samples=layout.scripts("samples"),
        maintenance=layout.scripts("maintenance"),
        load=layout.scripts("load"),
        queries=layout.scripts("queries"),
        optional=about.optional,
        ignored=about.ignored,
        _kinds=layout.kinds,
    )


def _parting_mistakes(project: Project, parts: Iterable[Script]) -> Iterator[Mistake]:
    for part in parts:
        try:
            project.full(part)
        except WindlassError as error:
            yield from told_by(error)


def _whole(project: Project) -> Project:
    """Return the project with the statements of every script."""
    full = project.full
    return replace(
        project,
        migrations=tuple(_whole_migration(migration, full) for migration in project.migrations),
        repeatables=tuple(Repeatable(item.name, full(item.script)) for item in project.repeatables),
        checks=tuple(map(full, project.checks)),
        samples=tuple(map(full, project.samples)),
        maintenance=tuple(map(full, project.maintenance)),
        load=tuple(map(full, project.load)),
        queries=tuple(map(full, project.queries)),
    )


def _whole_migration(migration: Migration, full: Callable[[Script], Script]) -> Migration:
    down = full(migration.down) if migration.down else None
    verify = full(migration.verify) if migration.verify else None
    return Migration(migration.name, full(migration.up), down, verify)
