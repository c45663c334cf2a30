"""A folder with an inventory, a playbook and a module that says what it is told to say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).parent / "ansible-playbook"

MODULE = """
import json
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"says": {"type": "str"}, "password": {"no_log": True}}, supports_check_mode=True)
answer = json.loads(module.params["says"])
(module.fail_json if answer.pop("fails", False) else module.exit_json)(**{"msg": "", "changed": False, **answer})
"""


class Stage:
    """A folder with an inventory, a playbook and the module."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "inventories" / "stage").mkdir(parents=True)
        (folder / "library").mkdir()
        (folder / "library" / "say.py").write_text(MODULE)
        (folder / "ansible.cfg").write_text(
            f"[defaults]\nstdout_callback = windlass\ncallback_plugins = {ROOT / 'plugins' / 'callback'}\n"
            f"callbacks_enabled = windlass_record\ndoc_fragment_plugins = {ROOT / 'plugins' / 'doc_fragments'}\n"
            "library = library\nretry_files_enabled = false\nforks = 2\n"
        )
        self.inventory({"db1": {}})

    def inventory(self, hosts):
        common = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        data = {"databases": {"hosts": hosts, "vars": common}}
        (self.folder / "inventories" / "stage" / "hosts.json").write_text(json.dumps(data))

    def command(self, playbook, name, *arguments):
        (self.folder / name).write_text(json.dumps(playbook))
        return [str(PROGRAM), "-i", "inventories/stage", name, *arguments]

    def variables(self, **more):
        known = {key: value for key, value in os.environ.items() if not key.startswith(("WINDLASS_", "ANSIBLE_"))}
        own = {"ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"), "PYTHONPATH": str(ROOT / "src")}
        return {**known, **own, "WINDLASS_RECORD": str(self.path), **more}

    @property
    def path(self):
        return self.folder / "out" / "record.json"

    def play(self, *tasks, name="deploy.yml", arguments=(), environment=None, **play):
        book = [{"name": "Stage", "hosts": "databases", "gather_facts": False, "tasks": list(tasks), **play}]
        done = subprocess.run(
            self.command(book, name, *arguments),
            cwd=self.folder,
            env=self.variables(**(environment or {})),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        self.output = done.stdout + done.stderr
        return done.returncode

    @property
    def record(self):
        return json.loads(self.path.read_text())


def says(name, register=None, **answer):
    return {"name": name, "say": {"says": json.dumps(answer)}, **({"register": register} if register else {})}


def salon(**parts):
    return {f"windlass_{name}": {"salon": value} for name, value in parts.items()}
