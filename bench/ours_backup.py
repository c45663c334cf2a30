"""The process that is measured: a backup or a restore by our engine, as a target would do it.

Started as ``python -m bench.ours_backup backup FOLDER JOBS`` or ``… restore BACKUP JOBS``, with BENCH_URL,
BENCH_PASSWORD and BENCH_PROGRAMS.  Prints the seconds from connecting on.
"""

from __future__ import annotations

import importlib
import os
import secrets
import sys
import time

from windlass_engine.backups import backup, restore
from windlass_engine.model import Target, Wire


def main(verb: str, path: str, jobs: int) -> None:
    """Do it."""
    os.setsid()  # as the process that does the work on a target
    target = Target("bench", "bench", os.environ["BENCH_URL"], os.environ["BENCH_PASSWORD"])
    importlib.import_module("psycopg" if target.url.startswith("postgresql:") else "pymysql")  # a part of starting up
    programs = os.environ["BENCH_PROGRAMS"]
    began = time.perf_counter()
    if verb == "backup":
        backup.make(target, backup.BackupSettings(path, programs, jobs), _unheard)
    else:
        restore.beside(target, path, f"restored_{secrets.token_hex(4)}", programs, jobs, _unheard)
    print(time.perf_counter() - began)


def _unheard(_: Wire) -> None:
    """Take an event."""


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
