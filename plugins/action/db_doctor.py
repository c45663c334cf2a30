# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looks at the control node and at the way to the host, lets the module look at the rest, and judges it all."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from ansible import constants, context
from ansible.errors import AnsibleConnectionFailure

from windlass.actions import ROOT, ModuleFailed, WindlassAction, names_of
from windlass.environment import Database
from windlass.project import load
from windlass.settings import Settings
from windlass.telling import doctor, mishaps
from windlass_engine.checking.doctor import HOST, apart, clock_finding
from windlass_engine.errors import WindlassError
from windlass_engine.finding import Finding, failure
from windlass_engine.model import to_wire


class ActionModule(WindlassAction):
    """See plugins/modules/db_doctor.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "project_root": "",
        "control_node": False,
        "backup_dir": "",
        "client_bin": "",
        "programs": (),
    }

    def work(self) -> None:
        findings: dict[str, list[Finding]] = {HOST: []}
        error: WindlassError | None = None
        if self.args["control_node"]:
            findings[HOST] += doctor.control_node(Settings(self._root), self._inventory, vault_files())
        try:
            self._look(findings)
        except AnsibleConnectionFailure as lost:
            error = self._unreachable(lost, findings[HOST])
        except ModuleFailed as failed:
            findings[HOST].append(self._module_failed(failed))
        except WindlassError as wrong:
            findings[HOST].append(failure("inventory", wrong.message, "", wrong.hint))
        self._ease(findings)
        self.result["windlass_doctor"] = to_wire(findings)
        problems = doctor.problems(findings)
        if problems:
            raise error or self._sick(problems)

    @property
    def _root(self) -> Path:
        return Path(self.args["project_root"] or ROOT)

    @property
    def _inventory(self) -> Path:
        return Path(str(self.vars.get("inventory_dir") or self._root / "inventories"))

    def _look(self, findings: dict[str, list[Finding]]) -> None:
        """Let the module look, and hold its clock against ours."""
        extensions = {name: found for name, found in self._extensions(findings)}
        more = {key: self.args[key] for key in ("backup_dir", "client_bin")}
        more["programs"] = names_of(self.args["programs"])
        before = time.time()
        reply = self.call("db_doctor", self.databases, extensions=extensions, **more)
        after = time.time() - reply["elapsed_s"]
        findings[HOST].append(doctor.way(self._connection, self.host))
        findings[HOST].append(clock_finding("clock", apart(reply["clock"], before, after)))
        for name, found in reply["findings"].items():
            findings.setdefault(name, []).extend(Finding(**item) for item in found)

    def _ease(self, findings: dict[str, list[Finding]]) -> None:
        """Only warn of what stands in a backup's way where policy wants none."""
        for name, found in findings.items():
            policies = [d.policy.backup for d in self._known if name in (HOST, d.name)]
            if policies and set(policies) == {"never"}:
                findings[name] = doctor.without_backup(found)

    @property
    def _known(self) -> tuple[Database, ...]:
        """Return the databases, none when the inventory cannot be read: that is a finding already."""
        try:
            return self.databases
        except WindlassError:
            return ()

    def _extensions(self, findings: dict[str, list[Finding]]) -> Iterator[tuple[str, list[str]]]:
        """Yield each database with the extensions that its scripts create; unreadable scripts are a finding."""
        for database in self.databases:
            try:
                project = load(self._root, database.system)
            except WindlassError as error:
                finding = failure("project", f"{database.system}: {error.message}", "", error.hint)
                findings.setdefault(database.name, []).append(finding)
                continue
            scripts = [m.up.text for m in project.migrations] + [r.script.text for r in project.repeatables]
            yield database.name, doctor.extensions(scripts)

    def _unreachable(self, lost: Exception, found: list[Finding]) -> WindlassError:
        error = WindlassError.from_wire(mishaps.error_of(self.host, {"msg": str(lost)}, unreachable=True))
        finding = doctor.unreachable(self._connection, self.host, error)
        found.append(finding)
        where = {"host": self.host}
        return WindlassError(error.code, finding.found, hint=finding.mend, where=where, detail=error.detail)

    def _module_failed(self, failed: ModuleFailed) -> Finding:
        """Return the finding for a host on which no module runs: no Python, or one that is too old."""
        result = failed.result
        caught = getattr(getattr(result.get("exception"), "event", None), "msg", "")
        said = next(filter(None, (result.get("msg"), caught, result.get("module_stderr"))), "it ended without a word")
        python = self.vars.get("ansible_python_interpreter", "the Python that Ansible found")
        mend = "install Python 3.9 or newer on the host, or name it in ansible_python_interpreter"
        return failure("python", f"no module runs under {python}: {str(said)[-300:]}", "3.9 or newer", mend)

    def _sick(self, problems: list[str]) -> WindlassError:
        count = f"{len(problems)} check{'s' if len(problems) > 1 else ''} failed"
        return WindlassError(
            "preflight_failed",
            f"{count}: {', '.join(problems)}",
            hint="each finding says how to mend it; then run the doctor again",
            where={"host": self.host},
        )


def vault_files() -> list[Path]:
    """Return the files that Ansible was told to read vault passwords from."""
    arguments: Any = context.CLIARGS
    names = [constants.DEFAULT_VAULT_PASSWORD_FILE, *(arguments.get("vault_password_files") or ())]
    identities = [*constants.DEFAULT_VAULT_IDENTITY_LIST, *(arguments.get("vault_ids") or ())]
    names += [identity.rpartition("@")[2] for identity in identities if "prompt" not in identity]
    return [Path(name).expanduser() for name in dict.fromkeys(filter(None, names))]
