"""A target host as a control node: the product and the Python packages that it needs, in the home of `deploy`."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest

from testbed.host import Host
from tests.project import Project

HOME = Path("/home/deploy")
_NEEDED = ("ansible-core", "invoke", "psycopg", "psycopg-binary", "PyMySQL", "PyYAML", "jinja2")


class ControlNode(Project):
    """A project on `host`; `root` is its folder as seen from this machine."""

    def __init__(self, host: Host) -> None:
        self.host = host
        ours = ".".join(map(str, sys.version_info[:2]))
        if f"Python {ours}." not in host.console("python3 --version").stdout:
            pytest.skip(f"the target hosts' Python is not {ours}, so the suite's packages do not run there")
        super().__init__(host.root / "home/deploy/windlass")
        host.console(f"python3 -m venv --without-pip {HOME}/venv")
        place = host.root / f"home/deploy/venv/lib/python{ours}/site-packages"
        for package in _closure(_NEEDED):
            _copy(package, place)

    def own(self) -> None:
        """Give all that was written to `deploy`."""
        self.host.console(f"chown -R deploy: {HOME}/windlass {HOME}/venv")

    def there(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `invoke` on the host as `deploy`; stderr comes with stdout."""
        self.own()
        variables = " ".join(f"{key}={shlex.quote(value)}" for key, value in (env or {}).items())
        command = f"cd {HOME}/windlass && {variables} {HOME}/venv/bin/python -m invoke {shlex.join(words)} 2>&1"
        return self.host.run(command, user="deploy", check=False)


def _closure(names: tuple[str, ...]) -> Iterator[Distribution]:
    """Yield packages with all that they need."""
    waiting, seen = list(names), set()
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # for another Python or platform
        yield package
        plain = [need for need in package.requires or () if "extra ==" not in need]
        waiting += [re.match(r"[\w.-]+", need)[0] for need in plain]  # type: ignore[index]


def _copy(package: Distribution, place: Path) -> None:
    for file in package.files or ():
        source = Path(str(package.locate_file(file)))
        if ".." not in file.parts and "__pycache__" not in file.parts and source.is_file():
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place / file)
