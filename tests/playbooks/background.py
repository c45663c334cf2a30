"""A playbook that runs while the test does something to the world around it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from testbed.waiting import LIMIT_S, wait_until
from tests.project import Project, program


class Playing:
    """A running `ansible-playbook` with Windlass's own output; `output` is what it has said so far."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def output(self) -> str:
        return re.sub(r"\x1b\[[0-9;]*m", "", self._log.read_text(encoding="utf-8", errors="replace"))

    def says(self, text: str) -> None:
        """Wait for a text in the output; its absence fails with all that was said."""

        def said() -> bool:
            return text in self.output or self.process.poll() is not None

        wait_until(said, what=f"{text!r} in the output", every=0.05)
        assert text in self.output, self.output

    def comes_to(self, true: Callable[[], object], *, what: str) -> None:
        """Wait for a moment within the run; a run that ended without it fails with all that was said."""
        wait_until(lambda: true() or self.process.poll() is not None, what=what)
        assert self.process.poll() is None, self.output

    def kill(self) -> None:
        """Kill it with -9, and the processes that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def ends(self) -> int:
        """Wait for the end and return the exit code."""
        return self.process.wait(timeout=LIMIT_S)


@contextmanager
def playing(
    project: Project, name: str, environment: str, *options: str, variables: Mapping[str, Any] | None = None
) -> Iterator[Playing]:
    """Run a playbook in the background for the length of a block; it is ended with it."""
    log = project.root / f"{name}-{len(list(project.root.glob('*.out')))}.out"
    command = [program("ansible-playbook"), "--inventory", f"inventories/{environment}", *options]
    command += ["--extra-vars", json.dumps(dict(variables or {})), f"playbooks/{name}.yml"]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("WINDLASS_")}
    ours = {"PYTHONPATH": str(project.root / "src"), "ANSIBLE_CONFIG": str(project.root / "ansible.cfg")}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=project.root, env={**inherited, **ours}, stdin=subprocess.DEVNULL, stdout=stream,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    play = Playing(process, log)
    try:
        yield play
    finally:
        if process.poll() is None:
            play.kill()
