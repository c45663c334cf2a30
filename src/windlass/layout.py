"""What a system's folder may hold, and where each thing belongs.

Reading goes on behind a mistake, so that a person hears of all of them at once.
"""

from __future__ import annotations

import difflib
import operator
import os
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from windlass.system_file import FILE, SystemFile, read_system_file
from windlass_engine.errors import WindlassError
from windlass_engine.model import Script
from windlass_engine.project import script
from windlass_engine.project.mistakes import Mistake, told_by
from windlass_engine.project.view import Migration, natural_key

#: A longer name fits into no journal and no report.
NAME_LENGTH = 200
#: Folders of loose scripts, and the kind of script in each.
KINDS = {
    "repeatable": "repeatable", "checks": "check", "samples": "sample", "maintenance": "maintenance", "load": "load",
    "queries": "query",
}  # fmt: skip

_PARTS = ("up", "down", "verify")
_PART_FILES = tuple(f"{part}.sql" for part in _PARTS)
_README = "README.md"
_NAME = operator.attrgetter("name")
#: How much of a file is asked for at first, and then at a time (bytes).
_SMALL, _LARGE = 1 << 15, 1 << 20


def order(name: str) -> tuple[object, str]:
    """Return the sort key of a name: natural order, and the name itself where that does not tell two apart."""
    return natural_key(name), name


def sameness(name: str) -> object:
    """Return what is equal for names that a file system, a person or the order could take for one another."""
    if name.isascii():
        return natural_key(name.lower())
    return natural_key(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()))


def name_problem(name: str) -> str:
    """Return why a migration or script cannot be called so, or an empty string."""
    if len(name) > NAME_LENGTH:
        return f"the name has {len(name)} characters; the most is {NAME_LENGTH}"
    unseen = not name.isprintable() and any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in name)
    if unseen or name != name.strip():
        return f"the name {name!r} holds blanks at an end or characters that cannot be seen"
    return ""


class Layout:
    """Reads one system's folder.

    ``parts`` are all scripts whose header could be read, those of broken migrations too; ``kinds`` tells the kind of
    each by its path.
    """

    def __init__(self, root: Path, system: str) -> None:
        """Read nothing yet.  ``root`` is the project's folder, the one that holds ``sql/``."""
        self.mistakes: list[Mistake] = []
        self.parts: list[Script] = []
        self.kinds: dict[str, str] = {}
        self._root = str(root)  # joining texts takes a third of the time that Path needs
        self._system = system
        self._folder = f"sql/{system}"

    def about(self) -> SystemFile:
        """Return the system's own file; also look for what does not belong beside it."""
        known = (FILE, "migrations", *KINDS)
        for entry in self._entries(self._folder):
            if entry.name not in (*known, _README):
                self._wrong(f"{self._folder}/{entry.name}", "does not belong here", _near(entry.name, known))
        path = f"{self._folder}/{FILE}"
        data = self._bytes(path)
        if data is None:
            return SystemFile()
        about, mistakes = read_system_file(data, path, self._system)
        self.mistakes += mistakes
        return about

    def migrations(self) -> tuple[Migration, ...]:
        """Return the migrations in order."""
        folder = f"{self._folder}/migrations"
        names = sorted(self._migration_names(folder), key=order)
        self._refuse_twins(folder, names)
        found = (self._migration(f"{folder}/{name}", name) for name in names)
        migrations = tuple(migration for migration in found if migration)
        self._check_requirements(migrations, names)
        return migrations

    def scripts(self, folder: str) -> tuple[Script, ...]:
        """Return the scripts of one of the folders in :data:`KINDS`, in order."""
        path = f"{self._folder}/{folder}"
        stems = []
        for entry in self._entries(path):
            if entry.name.endswith(".sql") and entry.is_file():
                stems.append(entry.name[:-4])
            elif entry.name != _README:
                self._wrong(f"{path}/{entry.name}", "does not belong here", f"{folder}/ holds <name>.sql files")
        stems.sort(key=order)
        self._refuse_twins(path, stems)
        found = (self._script(f"{path}/{stem}.sql", KINDS[folder]) for stem in stems)
        return tuple(part for part in found if part)

    def _migration_names(self, folder: str) -> Iterator[str]:
        for entry in self._entries(folder):
            if entry.is_dir():
                problem = name_problem(entry.name)
                if problem:
                    self._wrong(f"{folder}/{entry.name}", problem, "rename the folder")
                else:
                    yield entry.name
            elif entry.name.endswith(".sql"):
                hint = f"a migration is a folder: move it to {entry.name[:-4]}/up.sql and write its down.sql"
                self._wrong(f"{folder}/{entry.name}", "is a loose file", hint)
            elif entry.name != _README:
                self._wrong(f"{folder}/{entry.name}", "does not belong here", "each migration is a folder")

    def _migration(self, folder: str, name: str) -> Migration | None:
        parts: dict[str, Script | None] = dict.fromkeys(_PARTS)
        present = set()
        for entry in self._entries(folder):
            if entry.name in _PART_FILES and entry.is_file():
                part = entry.name[:-4]
                present.add(part)
                parts[part] = self._script(f"{folder}/{entry.name}", part)
            else:
                self._wrong(f"{folder}/{entry.name}", "does not belong here", _near(entry.name, _PART_FILES))
        up = parts["up"]
        if "up" not in present:
            self._wrong(folder, "has no up.sql", "write what the migration changes into up.sql")
        elif up and "down" not in present and not up.directives.irreversible:
            hint = "write down.sql, or say in up.sql `-- windlass: irreversible <reason>`"
            self._wrong(folder, "has no down.sql", hint)
        return Migration(name, up, parts["down"], parts["verify"]) if up else None

    def _script(self, path: str, kind: str) -> Script | None:
        data = self._bytes(path)
        if data is None:
            return None
        self.kinds[path] = kind
        try:
            self.parts.append(script.head(data, path, kind))
        except WindlassError as error:
            self.mistakes += told_by(error)
            return None
        return self.parts[-1]

    def _check_requirements(self, migrations: Sequence[Migration], names: Sequence[str]) -> None:
        place = {name: at for at, name in enumerate(names)}
        for migration in migrations:
            here = place[migration.name]
            for wanted in migration.up.directives.requires:
                if place.get(wanted, here) >= here:
                    message = f"requires `{wanted}`, which {_why_not(wanted, migration.name, place)}"
                    line = _line_of(migration.up, wanted)
                    hint = "" if wanted in place else _near(wanted, names[:here])
                    self.mistakes.append(Mistake(migration.up.path, line, message, hint))

    def _refuse_twins(self, folder: str, names: Sequence[str]) -> None:
        """Refuse names, given in order, that could be taken for one another."""
        seen: dict[object, str] = {}
        for name in names:
            twin = seen.setdefault(sameness(name), name)
            if twin != name:
                message = f"differs from `{twin}` in nothing that gives the two an order"
                self._wrong(f"{folder}/{name}", message, "rename one of them")

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        """Return what a folder holds, without hidden files; a missing folder is an empty one."""
        try:
            with os.scandir(f"{self._root}/{folder}") as found:
                return sorted([item for item in found if item.name[0] != "."], key=_NAME)
        except FileNotFoundError:
            return []
        except OSError as error:
            self._wrong(folder, f"cannot be read: {error.strerror}")
            return []

    def _bytes(self, path: str) -> bytes | None:
        try:
            return _contents(f"{self._root}/{path}")
        except OSError as error:
            self._wrong(path, f"cannot be read: {error.strerror}")
            return None

    def _wrong(self, path: str, message: str, hint: str = "") -> None:
        self.mistakes.append(Mistake(path, 0, message, hint))


def _contents(path: str) -> bytes:
    """Return a file's bytes: a file object would double what it costs to read a small script."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = [os.read(file, _SMALL)]
        while len(parts[-1]):
            parts.append(os.read(file, _LARGE))
        return b"".join(parts)
    finally:
        os.close(file)


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.lower(), known, 1, 0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"known here: {', '.join(known)}" if 0 < len(known) < 10 else ""


def _why_not(wanted: str, name: str, names: Collection[str]) -> str:
    if wanted == name:
        return "is this migration itself"
    return "comes later" if wanted in names else "does not exist"


def _line_of(up: Script, wanted: str) -> int:
    lines = up.text.split("\n")
    return next((n for n, line in enumerate(lines, 1) if line.startswith("--") and line.rstrip().endswith(wanted)), 0)
