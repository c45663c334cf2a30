"""Packs what a target's timers run into one file: the engine, three modules, and what starts them.

The names inside are those under which Ansible ships the same code, so it runs unchanged.  The host needs nothing but
its Python and the database's driver.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from windlass.records import record
from windlass_engine import files

_MODULES = ("db_backup", "db_offsite", "db_prune")
_UTILITIES = ("windlass_adapter", "windlass_detach", "windlass_locks", "windlass_timer")
#: Modules name this class as the type of their argument; `windlass_timer` gives them an object of its own.
_BASIC = '"""Stands for Ansible\'s own, of which timers need the name only."""\n\n\nclass AnsibleModule:\n    pass\n'
_START = "import sys\n\nfrom ansible.module_utils.windlass_timer import main\n\nsys.exit(main())\n"
_WHEN = (1980, 1, 1, 0, 0, 0)  # the same content is the same file


def pack(root: Path, path: Path) -> None:
    """Write the file for the project in ``root``, unless it is there already with the same content.  Raise OSError."""
    data = _packed(root)
    if not path.exists() or path.read_bytes() != data:
        record.private_folder(path.parent)
        with files.replacing_bytes(str(path)) as file:  # of several hosts at once, each packs it
            file.write(data)


def _packed(root: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(_files(root)):
            archive.writestr(zipfile.ZipInfo(name, _WHEN), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    yield "__main__.py", _START.encode()
    for name in ("ansible", "ansible/module_utils", "ansible/modules"):
        yield f"{name}/__init__.py", b""
    yield "ansible/module_utils/basic.py", _BASIC.encode()
    for name in _UTILITIES:
        yield f"ansible/module_utils/{name}.py", (root / "plugins" / "module_utils" / f"{name}.py").read_bytes()
    for name in _MODULES:
        yield f"ansible/modules/{name}.py", (root / "plugins" / "modules" / f"{name}.py").read_bytes()
    engine = root / "src" / "windlass_engine"
    for path in engine.rglob("*.py"):
        if "__pycache__" not in path.parts:
            yield f"ansible/module_utils/windlass_engine/{path.relative_to(engine).as_posix()}", path.read_bytes()
