"""The module that carries others: what it carries, and how it hands arguments over."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CARRIER = ROOT / "plugins" / "modules" / "db_call.py"


def carried() -> set[str]:
    """The modules that the carrier names for Ansible to pack."""
    blocks = [node for node in ast.parse(CARRIER.read_text()).body if isinstance(node, ast.If)]
    named = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name for node in named for alias in node.names}


def test_what_is_called_that_way_is_carried() -> None:
    from windlass import actions

    assert carried() == actions.CARRIED
    for name in carried():
        assert "\nWORK = " in (ROOT / "plugins" / "modules" / f"{name}.py").read_text()


def call(home: Path, module: str, **arguments: object) -> dict[str, object]:
    """What a module answers that is called through the carrier, as an action plugin does it."""
    text = json.dumps({"module": module, "arguments": arguments})
    config = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    command = ["ansible", "localhost", "--connection=local", "--one-line", "--module-name=db_call", "--args", text]
    callback = {"ANSIBLE_STDOUT_CALLBACK": "minimal", "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**config, **callback, "HOME": str(home)},
    )
    answer = done.stdout.partition("=>")[2].strip()
    assert answer, done.stdout + done.stderr
    found: dict[str, object] = json.loads(answer)
    return found


def test_a_carried_module_checks_its_own_arguments(tmp_path: Path) -> None:
    state = str(tmp_path)
    assert "windlass_packed" in call(tmp_path, "db_info", databases=[], state_dir=state)
    refused = call(tmp_path, "db_info", databases=[], state_dir=state, nonsense=1)
    assert "nonsense" in str(refused["msg"])
    refused = call(tmp_path, "db_incident", databases=[], stage="never", state_dir=state)
    assert "stage" in str(refused["msg"])
