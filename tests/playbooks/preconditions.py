"""Places where a way back is spoilt: a database with two migrations, a backup, and an application in front of it."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from tests.project import Project
from windlass_engine.keeping import manifest

CAREFUL = {"confirm": "typed", "scratch": "allow"}
APPLICATION = ("--application", "--steps", "1")
RESTORE = ("--restore", "latest")


class Place(ABC):
    """A database, the `login` of few rights that deploys to it, and an application that writes down when it is sent away."""

    def __init__(self, project: Project, name: str, url_of: Callable[..., str], clients: str) -> None:
        self.project = project
        self.name = name
        self.clients = clients
        self.login = f"few_{uuid4().hex[:8]}"
        self.url = url_of(name, user=self.login, password="pw")
        self.story = project.root / "story"

    @abstractmethod
    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement as superuser; return its rows."""

    @abstractmethod
    def state(self) -> Any:
        """Return all that a refused play must leave as it is."""

    def declare(self, clients: str = "", policy: dict[str, Any] | None = None, **more: Any) -> None:
        """Write the inventory: one host with the database and the application."""
        listed = [{"name": "d", "system": "tried", "url": self.url}]
        folder = self.project.local_environment("here", listed, policy={**CAREFUL, **(policy or {})})
        inventory = yaml.safe_load((folder / "hosts.yml").read_text())
        app = {"app_become": False, "app_maintenance_on": [f"touch {self.story}"], **more}
        inventory["applications"] = {"hosts": {"here": None}, "vars": app}
        if clients or self.clients:
            inventory["databases"]["hosts"]["here"]["windlass_client_bin"] = clients or self.clients
        (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))

    @property
    def backup(self) -> Path:
        """The folder of the only backup."""
        [path] = [path.parent for path in self.project.root.rglob("manifest.json")]
        return path

    def refuses(
        self, spoilt: Callable[[Any], AbstractContextManager[Any]], way: tuple[str, ...], code: int, words: str
    ) -> None:
        """Hold that a way back is refused while something is spoilt, and that nothing is touched."""
        with spoilt(self):
            before = self.state()
            refused = self.project.invoke("rollback", "--env", "here", *way, "--confirm", "here")
            assert self.state() == before, refused.stdout
        assert (refused.returncode, words in refused.stdout) == (code, True), refused.stdout
        assert not self.story.exists(), "the application was sent away"


@contextmanager
def a_manifest_that_says(place: Place, **changes: Any) -> Iterator[None]:
    """Let the backup tell something else of itself."""
    path = place.backup / manifest.NAME
    genuine, known = path.read_bytes(), manifest.load(str(path.parent))
    path.unlink()
    manifest.write(str(path.parent), {**known, **changes})
    yield
    path.write_bytes(genuine)


@contextmanager
def asked(place: Place, first: str, afterwards: str) -> Iterator[None]:
    """Spoil by one statement, mend by another; {login} and {name} stand for the login and the database."""
    names = {"login": place.login, "name": place.name}
    place.ask(first.format(**names))
    yield
    place.ask(afterwards.format(**names))


@contextmanager
def declared(place: Place, **more: Any) -> Iterator[None]:
    """Let the inventory say something else."""
    place.declare(**more)
    yield
    place.declare()


@contextmanager
def old_clients(place: Place, dump: str, client: str, answer: str) -> Iterator[None]:
    """Let the only client programs be of an old version."""
    path = place.project.write(f"old/{dump}", f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    shutil.copy(path, path.with_name(client))
    with declared(place, clients=str(path.parent)):
        yield


@contextmanager
def a_damaged_backup(place: Place) -> Iterator[None]:
    """Change a file of the backup."""
    path = place.backup / "schema.json"
    genuine = path.read_bytes()
    path.write_text("{}")
    yield
    path.write_bytes(genuine)
