from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest

from testbed.waiting import wait_until
from windlass_engine import processes
from windlass_engine.dialects.postgresql import dump, surroundings
from windlass_engine.errors import WindlassError
from windlass_engine.model import Target


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgresql://u:old@h:1/db?sslmode=disable&dbname=other", {"host": "h", "port": "1", "sslmode": "disable"}),
        ("postgresql:///db?host=/tmp/a", {"host": "/tmp/a"}),
        ("postgres://u@h1:1,h2:2/x", {"host": "h1,h2", "port": "1,2"}),
        ("postgresql://", {}),
        ("postgresql://u@[::1]:3/a%2Fb", {"host": "::1"}),
    ],
)
@pytest.mark.parametrize("name", ["plain", "a/b?c=d&e", "ünï \"q\" 'x' \\ %20", "postgresql://evil"])
def test_another_database_of_the_same_server(url: str, parts: dict[str, str], name: str) -> None:
    there = dump.elsewhere(Target("t", "s", url, "pw"), name)
    known = psycopg.conninfo.conninfo_to_dict(there.url)
    assert known["dbname"] == name
    assert parts.items() <= known.items()
    assert there.password == "pw"
    assert dump.database_name(there) == name


def test_a_login_shows_no_password() -> None:
    way = dump.login(Target("t", "s", "postgresql://u:in%40url@h/db?sslpassword=deep", "given"))
    assert way.env == {"PGPASSWORD": "given"}
    assert set(way.secrets) == {"given", "deep"}
    for secret in ("given", "in@url", "in%40url", "deep"):
        assert secret not in way.conninfo
        assert secret not in repr(way)
    assert dump.login(Target("t", "s", "postgresql://u:in%40url@h/db")).env == {"PGPASSWORD": "in@url"}


def programs(folder: Path, dump_version: str, restore_version: str = "") -> str:
    folder.mkdir(parents=True)
    for name, version in (("pg_dump", dump_version), ("pg_restore", restore_version or dump_version)):
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (folder / name).chmod(0o755)
    return str(folder)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Versions 13, 15, 16 and 18 as packages bring them, and 14 on the PATH."""
    monkeypatch.setattr(dump, "_FOLDERS", (f"{tmp_path}/*/bin",))
    for version in ("13.9", "15.4 (Debian 15.4-1)", "16.2", "18.0"):
        programs(tmp_path / version.partition(".")[0] / "bin", version)
    monkeypatch.setenv("PATH", programs(tmp_path / "path", "14.1") + os.pathsep + os.environ["PATH"])
    return tmp_path


@pytest.mark.parametrize(
    ("server", "dumped_by", "found"), [(15, 0, 15), (14, 0, 14), (12, 0, 13), (17, 0, 18), (18, 0, 18), (14, 16, 16)]
)
def test_the_servers_own_client_or_the_next_newer(installed: Path, server: int, dumped_by: int, found: int) -> None:
    assert dump.find_client(server, dumped_by=dumped_by).major == found


@pytest.mark.parametrize(("server", "dumped_by"), [(19, 0), (16, 17)])
def test_no_client_fits(installed: Path, server: int, dumped_by: int) -> None:
    with pytest.raises(WindlassError, match=r"found: 13\.9 in .*15\.4 in") as caught:
        dump.find_client(server, dumped_by=dumped_by, code="restore_failed")
    assert caught.value.code == "restore_failed"
    assert caught.value.detail["found"] == ["13.9", "15.4", "16.2", "18.0", "14.1"]


def test_only_the_named_folder_counts(installed: Path) -> None:
    assert dump.find_client(15, str(installed / "16" / "bin")).major == 16
    with pytest.raises(WindlassError, match=f"in {installed}/13/bin"):
        dump.find_client(15, str(installed / "13" / "bin"))


def test_programs_of_two_versions_are_no_client(tmp_path: Path) -> None:
    with pytest.raises(WindlassError, match="found: none"):
        dump.find_client(15, programs(tmp_path / "x", "15.1", "16.1"))


@pytest.mark.parametrize(
    ("stored", "statement"),
    [
        ("work_mem=64MB", "\"work_mem\" TO E'64MB'"),
        ("app.a=x=y, 'z'", "\"app\".\"a\" TO E'x=y, ''z'''"),
        ('search_path="$user", public, "Schr""äg, b"', "\"search_path\" TO E'$user', E'public', E'Schr\"\\u00e4g, b'"),
        ('search_path=""', "\"search_path\" TO E''"),
        ("search_path=", "\"search_path\" TO E''"),
    ],
)
def test_stored_settings_as_statements(stored: str, statement: str) -> None:
    known = {"connection_limit": -1, "settings": [stored], "role_settings": {"r": [stored]}, "acl": None, "owner": "o"}
    assert surroundings.carry_over('d"b', known)[1:] == [
        f'ALTER DATABASE "d""b" SET {statement}',
        f'ALTER ROLE "r" IN DATABASE "d""b" SET {statement}',
    ]


def test_secrets_leave_a_text_in_every_spelling() -> None:
    assert processes.scrub("a p@ss/w b p%40ss%2Fw c p%40ss/w", ["p@ss/w", ""]) == "a ******** b ******** c ********"


def test_a_process_left_behind_is_ended_with_its_helpers(tmp_path: Path) -> None:
    told = tmp_path / "helper"
    script = f"sleep 1000 & echo $! > {told}; sleep 1000"
    with processes.Process(["/bin/sh", "-c", script], {}) as process:
        wait_until(lambda: told.exists() and told.read_text(), what="the helper to start")
        helper = int(told.read_text())
        assert not process.has_ended()
    assert process.has_ended() and not alive(process.pid)
    wait_until(lambda: not alive(helper), what="the helper to end")  # it is told to, and dies when it gets to it


def test_a_process_keeps_its_number_until_its_helpers_are_ended(tmp_path: Path) -> None:
    """The helpers are ended by that number: given to another process, it would be that one's group that is killed."""
    told = tmp_path / "helper"
    with processes.Process(["/bin/sh", "-c", f"sleep 1000 >/dev/null 2>&1 & echo $! > {told}; exit 3"], {}) as process:
        assert process.wait().code == 3 and process.has_ended()
        helper = int(told.read_text())
        assert os.getpgid(process.pid) == process.pid and alive(helper)
    wait_until(lambda: not alive(helper), what="the helper to end")
    with pytest.raises(ProcessLookupError):
        os.getpgid(process.pid)
    assert process.wait().code == 3
    killed: list[int] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "killpg", lambda group, _: killed.append(group))
        process.end()
    assert killed == []


def alive(pid: int) -> bool:
    """Return whether a process runs; one that only waits for somebody to hear of its end does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_how_it_ended() -> None:
    done = processes.run(["/bin/sh", "-c", "echo out; echo bad >&2; exit 4"], {})
    assert (done.code, done.output) == (4, "out\n")
    assert done.how == "ended with exit status 4: bad"
    assert processes.run(["/bin/sh", "-c", "kill -TERM $$"], {}).how == "was killed by SIGTERM"


def test_the_environment_speaks_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert processes.run(["/bin/sh", "-c", "echo $LC_ALL $OWN"], {"OWN": "x"}).output == "C x\n"
