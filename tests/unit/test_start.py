"""What a start costs: a run imports what it uses, and not the engines, parsers and tables of other runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Heavy packages that only some verbs need.
RARE = ("rich", "jinja2", "paramiko", "sqlglot", "pglast", "unittest.mock")
ENGINES = ("postgresql", "mysql", "mssql")


def loaded(code: str) -> set[str]:
    """The names of all modules that a fresh Python has loaded after running some code."""
    paths = [str(ROOT / "src"), str(ROOT / "plugins" / "action")]
    whole = f"import sys\nsys.path[:0] = {paths!r}\n{code}\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", whole], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(done.stdout.split())


def engines(modules: set[str]) -> set[str]:
    return {name for name in ENGINES if f"windlass_engine.dialects.{name}" in modules}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_session_loads_its_own_engine_only(engine: str) -> None:
    found = loaded(
        "from windlass_engine import errors, model, session\n"
        "from windlass_engine.running import execute\n"
        f"target = model.Target('d', 'd', '{engine}://user@127.0.0.1:1/nothing', 'secret')\n"
        "try:\n"
        "    session.connect(target, connect_timeout_s=1)\n"
        "except errors.WindlassError:\n"
        "    pass"
    )
    assert engines(found) == {engine}
    assert not found & set(RARE)


def test_the_plugins_of_the_common_verbs_load_no_engine_and_nothing_rare() -> None:
    ansible = "import ansible.executor.task_queue_manager, ansible.executor.task_executor, ansible.plugins.action\n"
    own = loaded(f"{ansible}import db_plan, db_gate, db_migrate, db_verify, db_backup, db_incident") - loaded(ansible)
    assert "windlass.planning" in own
    assert not engines(own)
    assert not own & set(RARE)


def test_judging_a_plan_loads_the_parser_of_its_engine_only() -> None:
    found = loaded(
        "from windlass import outlook\nfrom windlass.risk import reading\nreading.read('postgresql', 'SELECT 1')"
    )
    assert "pglast" in found and "sqlglot" not in found
    assert not engines(found) & {"mysql", "mssql"}


def test_the_front_door_loads_nothing_rare() -> None:
    invoke = "import invoke.context, invoke.tasks, invoke.collection\n"
    assert not (loaded(f"{invoke}import tasks") - loaded(invoke)) & set(RARE)
