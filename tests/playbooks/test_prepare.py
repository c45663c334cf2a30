"""What `prepare` puts on a host whose databases are SQL Server's: Microsoft's driver, or FreeTDS where that cannot be had.

A host has no network: packages and wheels of the same names, which hold next to nothing, lie on it.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from testbed import Host, Testbed
from tests.project import Project

WHEELS = "/srv/wheels"
STATE = {"windlass_state_dir": "/home/deploy/prepared"}
#: Packages of the test's own beside those that the host has, and a pip that looks nowhere but in a folder.
GIVE = f"""set -e
mkdir -p {WHEELS} /srv/made && printf '[global]\\nno-index = true\\nfind-links = {WHEELS}\\n' > /etc/pip.conf
for name in python3-pyodbc tdsodbc; do
    mkdir -p /srv/made/$name/DEBIAN
    printf 'Package: %s\\nVersion: 99\\nArchitecture: all\\nMaintainer: tests\\nDescription: for a test\\n' $name \\
        > /srv/made/$name/DEBIAN/control
done
mkdir -p /srv/made/python3-pyodbc/usr/lib/python3/dist-packages
echo 'version = "5.1.0"' > /srv/made/python3-pyodbc/usr/lib/python3/dist-packages/pyodbc.py
cd /srv/made
for name in python3-pyodbc tdsodbc; do
    dpkg-deb --build $name >/dev/null
    dpkg-deb --field $name.deb
    printf 'Filename: ./%s.deb\\nSize: %s\\nSHA256: %s\\n\\n' $name "$(stat -c %s $name.deb)" "$(sha256sum $name.deb | cut -d' ' -f1)"
done > Packages
echo 'deb [trusted=yes] file:/srv/made ./' > /etc/apt/sources.list.d/made.list
apt-get update -q
"""
TAKE = f"""dpkg --purge python3-pyodbc tdsodbc
rm -rf {WHEELS} /srv/made /etc/pip.conf /etc/apt/sources.list.d/made.list {STATE["windlass_state_dir"]}
apt-get update -q
"""


@pytest.fixture
def host(testbed: Testbed) -> Iterator[Host]:
    """The second host, on which the packages can be had."""
    db2 = testbed["db2"]
    db2.console(GIVE, timeout=120)
    yield db2
    db2.console(TAKE, timeout=120)


@pytest.fixture
def runner(project: Project, testbed: Testbed, host: Host) -> Project:
    """An environment in which this host runs what is done to a database elsewhere."""
    url = "mssql://deployer@db.example.org:1433/clinic"
    listed = {host.name: [{"name": "clinic", "system": "clinic", "url": url}]}
    project.testbed_environment("bed", testbed, listed)
    return project


def wheel() -> str:
    """A wheel with the name of Microsoft's and none of its contents, in base64."""
    about, packed = "mssql_python_odbc-18.6.0.dist-info", io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("mssql_python_odbc/__init__.py", '__version__ = "18.6.0"\n')
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: mssql-python-odbc\nVersion: 18.6.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return base64.b64encode(packed.getvalue()).decode()


def installed(host: Host) -> set[str]:
    listed = host.console("dpkg-query --show --showformat='${Package} ${db:Status-Status}\\n'").stdout.splitlines()
    return {line.split()[0] for line in listed if line.endswith(" installed")}


def record_of(project: Project) -> dict[str, Any]:
    """The record of the run that ended last."""
    kept = max((project.root / ".windlass" / "runs").glob("*/record.json"), key=lambda path: path.stat().st_mtime_ns)
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def test_microsofts_driver_comes_beside_pyodbc(runner: Project, host: Host) -> None:
    host.console(f"base64 --decode > {WHEELS}/mssql_python_odbc-18.6.0-py3-none-any.whl", text=wheel())
    before = installed(host)
    shown = runner.playbook("prepare", "bed", variables=STATE, check=True)
    assert (shown.code, shown.changed > 0) == (0, True), shown.output
    assert installed(host) == before
    first = runner.playbook("prepare", "bed", variables=STATE)
    assert (first.code, first.changed > 0) == (0, True), first.output
    assert "python3-pyodbc" in installed(host) and "tdsodbc" not in installed(host)
    again = runner.playbook("prepare", "bed", variables=STATE)
    assert (again.code, again.changed) == (0, 0), again.output


def test_where_it_cannot_be_had_freetds_comes_and_nothing_has_failed(runner: Project, host: Host) -> None:
    first = runner.playbook("prepare", "bed", variables=STATE)
    assert first.code == 0, first.output
    assert "mssql-python-odbc>=18.6,<19 could not be installed on db2: ERROR: No matching distribution" in first.output
    assert {"python3-pyodbc", "tdsodbc"} <= installed(host)
    assert (record_of(runner)["status"], record_of(runner)["exit_code"]) == ("ok", 0)
    again = runner.playbook("prepare", "bed", variables=STATE)
    assert (again.code, again.changed) == (0, 0), again.output


def test_without_pyodbc_the_host_fails_and_says_why(runner: Project, host: Host) -> None:
    host.console("rm /etc/apt/sources.list.d/made.list && apt-get update -q", timeout=120)
    refused = runner.playbook("prepare", "bed", variables=STATE)
    assert refused.code != 0
    assert "No package matching 'python3-pyodbc' is available" in refused.output
    assert record_of(runner)["status"] == "failed"
