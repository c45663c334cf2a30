"""Which ODBC driver this machine has for SQL Server, and pyodbc, which speaks to it.

Microsoft's own comes as a wheel (``mssql-python-odbc``), which is named by its path, or as a system package; FreeTDS
serves where neither is there.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from glob import escape, glob
from typing import Any, NamedTuple, Optional

from ...finding import Finding, failure, good, warning
from ..link import version_numbers

OLDEST = (4, 0, 32)
INSTALL = "install it with: ansible-playbook -i inventories/ENV playbooks/prepare.yml"
_NEEDED = f"pyodbc {'.'.join(map(str, OLDEST))} or newer, and Microsoft's ODBC driver or FreeTDS"
_NAME = "SQL Server driver"
_MICROSOFT = re.compile(r"ODBC Driver (\d+) for SQL Server")
#: Folders of the wheel, by a file that only that family of systems has.
_FAMILIES = (
    ("alpine", "/etc/alpine-release"),
    ("debian_ubuntu", "/etc/debian_version"),
    ("suse", "/etc/SuSE-brand"),
    ("suse", "/etc/zypp"),
    ("rhel", "/etc/redhat-release"),
)
_FREETDS_PLACES = (
    "/usr/lib/*/odbc/libtdsodbc.so",
    "/usr/lib*/libtdsodbc.so*",
    "/usr/lib/odbc/libtdsodbc.so",
    "/usr/local/lib/libtdsodbc.so",
)


class Driver(NamedTuple):
    """An ODBC driver: what ``DRIVER=`` says of it, and what people call it."""

    place: str
    title: str
    is_freetds: bool = False


def load() -> Any:
    """Import pyodbc.  Raise ImportError.

    The driver manager must pool nothing: a connection that was given back would keep its locks, and one that was taken
    again would have somebody else's.
    """
    import pyodbc

    pyodbc.pooling = False
    return pyodbc


def find(pyodbc: Any) -> Optional[Driver]:
    """Return the driver to use, or None."""
    return next(_candidates(pyodbc), None)


def examine() -> Finding:
    """Look for pyodbc and a driver in this Python."""
    try:
        pyodbc = load()
    except ImportError as error:
        return failure(_NAME, f"{sys.executable} cannot import pyodbc ({error})", _NEEDED, INSTALL)
    if version_numbers(pyodbc.version) < OLDEST:
        return failure(_NAME, f"pyodbc {pyodbc.version}", _NEEDED, INSTALL)
    driver = find(pyodbc)
    if driver is None:
        return failure(_NAME, f"pyodbc {pyodbc.version}, but no ODBC driver for SQL Server", _NEEDED, INSTALL)
    found = f"pyodbc {pyodbc.version}, {driver.title}"
    if driver.is_freetds:
        mend = "pip install mssql-python-odbc: FreeTDS cannot verify the server's certificate"
        return warning(_NAME, found, _NEEDED, mend)
    return good(_NAME, found, _NEEDED)


def _candidates(pyodbc: Any) -> Iterator[Driver]:
    """Yield drivers, the best first."""
    for path in _wheel_files():
        yield Driver(path, "Microsoft's ODBC driver out of mssql-python-odbc")
    named = list(pyodbc.drivers())
    numbered = [(int(match.group(1)), name) for name in named for match in [_MICROSOFT.fullmatch(name)] if match]
    for _, name in sorted(numbered, reverse=True):
        yield Driver(name, name)
    for name in named:
        if "freetds" in name.lower():
            yield Driver(name, "FreeTDS", True)
    for pattern in _FREETDS_PLACES:
        for path in sorted(glob(pattern)):
            yield Driver(path, "FreeTDS", True)


def _wheel_files() -> Iterator[str]:
    """Yield the driver's files in the wheel: that of this family of systems first, for this processor only."""
    try:
        import mssql_python_odbc
    except ImportError:
        return
    libraries = os.path.join(os.path.dirname(os.path.abspath(mssql_python_odbc.__file__)), "libs")
    machine = {"aarch64": "arm64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "darwin":
        yield from sorted(glob(os.path.join(escape(libraries), "macos", machine, "lib", "libmsodbcsql*.dylib")))
        return
    own = [family for family, mark in _FAMILIES if os.path.exists(mark)]
    for family in [*own, "rhel", "debian_ubuntu"]:
        place = os.path.join(escape(libraries), "linux", family, machine, "lib", "libmsodbcsql-*.so*")
        yield from sorted(glob(place), reverse=True)
