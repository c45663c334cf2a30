"""What the action plugins have in common: reading arguments, calling modules, following work on a target.

Action plugins run on the control node, one for each host and task.  They see the project's files, hold the secrets
apart from what is shown, and print progress; everything that happens on a target happens in the module they call.
"""

from __future__ import annotations

import functools
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from windlass import environment, variables
from windlass.environment import Database
from windlass.records import record
from windlass.telling.console import Ticker, duration
from windlass_engine.errors import WindlassError
from windlass_engine.wire import unpack

ROOT = Path(__file__).resolve().parents[2]
#: Modules that travel together as db_call, which Ansible packs once a play: packing takes longer than what they do.
CARRIED = frozenset({"db_info", "db_backup", "db_migrate", "db_verify", "db_incident"})
#: How long the first calls follow long work; the last figure goes on to the end (seconds).
SLICES_S = (1.0, 2.0, 5.0, 10.0)
#: Events kept for the record; the others only move the progress lines.
TOLD = frozenset({"statement_started", "statement_done", "step_started"})
#: A statement that took so long has a place in the report's timeline (milliseconds).
SLOW_MS = 100


class ModuleFailed(Exception):
    """A module ended without an answer of Windlass's own; ``result`` is Ansible's."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(result.get("msg", ""))
        self.result = result


@functools.cache
def run_id_of_this_play() -> str:
    """Return one id for the whole process: this file is loaded before Ansible forks its workers."""
    return os.environ.get("WINDLASS_RUN_ID") or record.new_run_id()


run_id_of_this_play()
variables.known(ROOT)


class WindlassAction(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """An action plugin: subclasses give ``OPTIONS`` (their own arguments with defaults) and ``work``."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {}
    COMMON: ClassVar[Mapping[str, Any]] = {"databases": (), "policy": None, "only": (), "state_dir": ""}
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do the work; an error becomes a failed result that keeps what was found so far."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.vars = task_vars or {}
        self.host = str(self.vars.get("inventory_hostname", ""))
        self.result: dict[str, Any] = {"changed": False}
        self.reached = "windlass_planned" in self.vars
        try:
            variables.refuse_mistyped(ROOT, self.vars)
            self.args = self._arguments()
            self.work()
        except WindlassError as error:
            error.hint = error.hint.replace("--env ENV", f"--env {shlex.quote(self.environment)}")
            self.result.update(failure(error.located(host=self.host)))
        except ModuleFailed as error:
            self.result.update(error.result, failed=True)
        return {**result, **self.result}

    def work(self) -> None:
        """Fill ``self.result``."""
        raise NotImplementedError

    def _arguments(self) -> dict[str, Any]:
        """Return the task's arguments over the defaults.  Raises ``usage`` for one that nothing reads."""
        defaults = {**self.COMMON, **self.OPTIONS}
        given = {key: value for key, value in self._task.args.items() if value is not None}
        unknown = sorted(set(given) - set(defaults))
        if unknown:
            raise WindlassError("usage", f"{self._task.action} has no option {', '.join(unknown)}")
        return {**defaults, **given}

    @functools.cached_property
    def databases(self) -> tuple[Database, ...]:
        """Return the databases that this task is about."""
        only = names_of(self.args["only"])
        found = environment.databases(self.args["databases"], self.args["policy"], host=self.host, only=only)
        variables.refuse_absent(self.vars, set(only) - {database.name for database in found})
        return found

    # ------------------------------------------------------------ who asks

    @property
    def run_id(self) -> str:
        """Return the id of this run."""
        return str(self.args.get("run_id") or self.vars.get("windlass_run_id") or run_id_of_this_play())

    @property
    def job_id(self) -> str:
        """Return the id of this run's detached work on a host: the same id on the same database is the same work."""
        return self.run_id

    @property
    def scheduled(self) -> bool:
        """Return whether a timer started this play, so that a person's run has precedence."""
        return str(self.vars.get("windlass_scheduled", "")).lower() in ("true", "yes", "1")

    def settings(self, database: Database, **more: Any) -> dict[str, Any]:
        """Return the engine's options for a database."""
        who = str(self.vars.get("windlass_who") or os.environ.get("WINDLASS_WHO") or record.who())
        origin = str(self.vars.get("windlass_origin") or os.environ.get("WINDLASS_ORIGIN") or record.origin())
        known = {"environment": shlex.quote(self.environment), "check_mode": bool(self._task.check_mode)}
        return asdict(database.options(self.run_id, who, origin, **known, **more))

    @property
    def environment(self) -> str:
        """Return the environment's name: as the front door says, or the folder of the inventory."""
        name = self.vars.get("windlass_env") or os.environ.get("WINDLASS_ENV")
        source = str(self.vars.get("inventory_dir") or "")
        return str(name or Path(source).name or "ENV")

    # ------------------------------------------------------------ modules

    def call(self, module: str, databases: Sequence[Database], **more: Any) -> dict[str, Any]:
        """Call a module on the target and return its data.

        Raises the WindlassError that it met, ModuleFailed when Ansible could not run it, and Ansible's own
        AnsibleConnectionFailure when the host does not answer.
        """
        logins = [database.login() for database in databases]
        arguments = {"databases": logins, "state_dir": self.args["state_dir"], **more}
        name, given = module, arguments
        if module in CARRIED:
            name, given = "db_call", {"module": module, "arguments": arguments}
        result = self._execute_module(module_name=name, module_args=given, task_vars=self.vars)
        if "windlass_packed" not in result:
            raise ModuleFailed(result)
        data: dict[str, Any] = unpack(str(result["windlass_packed"]))
        if data["error"]:
            raise WindlassError.from_wire(data["error"])
        return data

    def follow(self, module: str, databases: Sequence[Database], **more: Any) -> dict[str, Any]:
        """Start detached work and follow it to its end, over lost connections; return every outcome by database.

        Prints progress, keeps events and notes in the result, and raises the first failure's error.
        """
        ticker, cursor, outcomes = Ticker(self.host), None, {}
        for seconds in _slices():
            # the same id again follows the run and never starts a second one
            place = {"run_id": self.job_id, "cursor": cursor, "seconds": seconds, "scheduled": self.scheduled}
            reply = self.patiently(module, databases, **more, **place)
            self._tell(ticker.lines(reply["events"]))
            self._keep(reply["events"])
            self._say_attached(reply["attached"], cursor)
            outcomes.update(reply["outcomes"])
            cursor = reply["cursor"]
            if cursor is None:
                return outcomes
        raise AssertionError("the slices have no end")

    def follow_all(
        self, module: str, databases: Sequence[Database], **more: Any
    ) -> tuple[dict[str, Any], dict[str, WindlassError]]:
        """Let detached work run on every database, whatever became of another's; return results and errors by name."""
        results: dict[str, Any] = {}
        errors: dict[str, WindlassError] = {}
        left = list(databases)
        while left:
            settings = {database.name: self.settings(database) for database in left}
            ends = self.follow(module, left, settings=settings, **more)
            for name, end in ends.items():
                if end["error"]:
                    errors[name] = WindlassError.from_wire(end["error"]).located(host=self.host, database=name)
                else:
                    results[name] = end["result"]
            left = [database for database in left if database.name not in ends]
        return results, errors

    def patiently(self, module: str, databases: Sequence[Database], **more: Any) -> dict[str, Any]:
        """Call a module that may be called again; when the link is lost, wait for the host and call again.

        A host that nobody has reached yet is not waited for.  Raises ``host_unreachable`` when the policy's patience
        (``reconnect``) ends.
        """
        patience = max(database.policy.reconnect for database in databases) / 1000
        first: float | None = None  # when the link was first missed: the call itself may have taken an hour until then
        pause = 1.0
        while True:
            try:
                reply = self.call(module, databases, **more)
                self.reached = True
                return reply
            except AnsibleConnectionFailure as error:
                if not self.reached:
                    raise
                first = time.monotonic() if first is None else first
                lost = time.monotonic() - first
                if lost > patience:
                    raise self._gone(error, lost) from None
                left = duration((patience - lost) * 1000)
                self._tell([f"{self.host}  the connection is lost; work on the host goes on; trying again for {left}"])
                self._drop_connection()
                time.sleep(pause)
                pause = min(pause * 1.5, 10.0)

    def _drop_connection(self) -> None:
        """Give up a multiplexed connection that may be dead."""
        try:
            self._connection.reset()
        except Exception as error:  # whatever it is, the next call meets it again and reports it
            self._display.vvv(f"{self.host}: {error}")

    def _gone(self, error: Exception, lost: float) -> WindlassError:
        return WindlassError(
            "host_unreachable",
            f"the connection was lost and did not come back in {duration(lost * 1000)}; the run goes on on the host",
            hint="run the same command again when the host answers: it finds the run and reports its end",
            where={"host": self.host},
            detail={"ssh": str(error)},
        )

    def run_command(self, argv: Sequence[str]) -> dict[str, Any]:
        """Run a command that only looks on the target, also in check mode; return rc, stdout and stderr."""
        known, self._task.check_mode = self._task.check_mode, False
        try:
            result: dict[str, Any] = self._execute_module(
                module_name="ansible.legacy.command", module_args={"argv": list(argv), "_uses_shell": False},
                task_vars=self.vars,
            )  # fmt: skip
        finally:
            self._task.check_mode = known
        return {"rc": 1, "stdout": "", "stderr": result.get("msg", ""), **result}

    # ------------------------------------------------------------ telling

    def _tell(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._display.display(line)

    def _keep(self, events: Sequence[Mapping[str, Any]]) -> None:
        kept = self.result.setdefault("windlass_events", [])
        kept.extend(event for event in events if event["event"] not in TOLD or _is_slow(event))

    def _say_attached(self, attached: Mapping[str, Any], cursor: Mapping[str, Any] | None) -> None:
        for database, holder in attached.items():
            if cursor is None or cursor["database"] != database or "run_id" not in cursor:
                self.note(f"{database}: {attached_text(holder)}")

    def note(self, text: str) -> None:
        """Say a line now and keep it for the record."""
        self._tell([f"{self.host} {text}"])
        self.result.setdefault("windlass_notes", []).append(text)


def _is_slow(event: Mapping[str, Any]) -> bool:
    """Return whether it is the end of a statement that took long."""
    return bool(event["event"] == "statement_done" and event.get("duration_ms", 0) >= SLOW_MS)


def attached_text(holder: Mapping[str, Any] | None) -> str:
    """Return whose run was found."""
    if not holder:
        return "another run is at work here; following it"
    plan = f", plan {holder['digest'][:12]}" if holder["kind"] in ("migrate", "revert", "baseline") else ""
    return (
        f"{holder['who']} on {holder['origin']} is at work here since {holder['since']} "
        f"({holder['kind']} {holder['run_id']}{plan}); following that run"
    )


def failure(error: WindlassError) -> dict[str, Any]:
    """Return what a failed task says."""
    return {"failed": True, "msg": str(error), "windlass_error": error.to_wire()}


def names_of(value: Any) -> list[str]:
    """Return a list of names out of a list or a text with commas."""
    items = value.split(",") if isinstance(value, str) else list(value or ())
    return [str(item).strip() for item in items if str(item).strip()]


def _slices() -> Any:
    yield from SLICES_S
    while True:
        yield SLICES_S[-1]
