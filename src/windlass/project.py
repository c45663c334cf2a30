"""A system's folder below ``sql/`` → its scripts, in order, with every mistake found told at once.

Reading all files costs a glance each (text, checksum, header); parting a script into statements waits until
:meth:`Project.full` is asked for it, and happens once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from windlass.layout import Layout
from windlass.system_file import FILE
from windlass_engine import dialects, script
from windlass_engine.errors import WindlassError
from windlass_engine.mistakes import Mistake, raise_any, refuse, told_by
from windlass_engine.model import Script
from windlass_engine.project_view import Migration, ProjectView, Repeatable


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
    _kinds: dict[str, str] = field(repr=False, compare=False)
    _whole: dict[tuple[str, str], Script] = field(default_factory=dict, repr=False, compare=False)

    def view(self) -> ProjectView:
        """Return what the planner sees."""
        return ProjectView(self.system, self.engine, self.migrations, self.repeatables)

    def full(self, part: Script) -> Script:
        """Return a script with its statements.  Raises WindlassError ``project_invalid``."""
        key = (part.path, part.checksum)
        if key not in self._whole:
            dialect = dialects.get(self.engine)
            kind = self._kinds.get(part.path, "")
            self._whole[key] = script.full(part, dialect.split, kind=kind, review=dialect.review)
        return self._whole[key]


def load(root: Path, system: str, *, parse: Literal["headers", "all"] = "headers") -> Project:
    """Read ``<root>/sql/<system>``; ``parse="all"`` parts and checks every script as well.

    Raises one WindlassError ``project_invalid`` for all mistakes; its ``detail["mistakes"]`` lists file, line,
    message and hint of each.
    """
    if not system or not (root / "sql" / system).is_dir():
        raise _no_such_system(root, system)
    layout = Layout(root, system)
    project = _read(layout, system)
    if parse == "all" and project.engine in dialects.names():
        project = _parsed(project, layout.mistakes)
    raise_any(layout.mistakes)
    return project


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
        _kinds=layout.kinds,
    )


def _parsed(project: Project, mistakes: list[Mistake]) -> Project:
    """Return the project with all statements; what cannot be parted stays as it is and is told of."""
    whole = _collecting(project.full, mistakes)
    return replace(
        project,
        migrations=tuple(_whole_migration(migration, whole) for migration in project.migrations),
        repeatables=tuple(Repeatable(item.name, whole(item.script)) for item in project.repeatables),
        checks=tuple(map(whole, project.checks)),
        samples=tuple(map(whole, project.samples)),
        maintenance=tuple(map(whole, project.maintenance)),
    )


def _collecting(full: Callable[[Script], Script], mistakes: list[Mistake]) -> Callable[[Script], Script]:
    def whole(part: Script) -> Script:
        try:
            return full(part)
        except WindlassError as error:
            mistakes.extend(told_by(error))
            return part

    return whole


def _whole_migration(migration: Migration, whole: Callable[[Script], Script]) -> Migration:
    down = whole(migration.down) if migration.down else None
    verify = whole(migration.verify) if migration.verify else None
    return Migration(migration.name, whole(migration.up), down, verify)
