"""The doctor's part on the control node, and how findings are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from windlass.settings import Settings
from windlass.telling import doctor
from windlass_engine.finding import FAIL, OK, SKIPPED, WARN, Finding
from windlass_engine.model import to_wire

UP = "CREATE TABLE t (id int);\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inventories" / "here").mkdir(parents=True)
    (tmp_path / "inventories" / "here" / "hosts.yml").write_text("databases:\n  hosts:\n    db1: {}\n")
    folder = tmp_path / "sql" / "salon" / "migrations" / "001_t"
    folder.mkdir(parents=True)
    (tmp_path / "sql" / "salon" / "system.yml").write_text("name: salon\nengine: postgresql\ntitle: Salon\n")
    (folder / "up.sql").write_text(UP)
    (folder / "down.sql").write_text("DROP TABLE t;\n")
    (folder / "verify.sql").write_text("-- check: none\nSELECT 1 WHERE false;\n")
    return tmp_path


def look(root: Path, *vault_files: Path) -> dict[str, Finding]:
    found = doctor.control_node(Settings(root), root / "inventories" / "here", vault_files)
    return {finding.name.removeprefix(doctor.CONTROL): finding for finding in found}


def test_a_control_node_that_is_well(root: Path) -> None:
    found = look(root)
    assert [finding for finding in found.values() if finding.status != OK] == []
    assert sorted(found) == ["ansible", "inventory", "project", "python", "run records", "ssh"]
    assert not (root / ".windlass").exists()


def test_a_broken_script_is_named(root: Path) -> None:
    (root / "sql/salon/migrations/001_t/up.sql").write_text("SELECT 'never closed;\n")
    found = look(root)["project"]
    assert found.status == FAIL
    assert "salon" in found.found


@pytest.mark.parametrize(
    ("mode", "status"), [(0o600, OK), (0o400, OK), (0o640, FAIL), (0o604, FAIL), (0o755, OK), (0o777, FAIL)]
)
def test_who_may_read_the_vault_password(root: Path, mode: int, status: str) -> None:
    file = root / "vault-password"
    file.write_text("x")
    file.chmod(mode)
    found = look(root, file)["vault password"]
    assert found.status == status
    if status != OK:
        assert found.mend.startswith("chmod 0")


def test_a_vault_password_that_is_not_there(root: Path) -> None:
    found = look(root, root / "nowhere")["vault password"]
    assert (found.status, "No such file" in found.found) == (FAIL, True)


@pytest.mark.parametrize(
    "line",
    [
        "password: hunter2",
        "- password: 'hunter2'",
        "db_password:   hunter2  # for now",
        "url: postgresql://me:hunter2@db/salon",
        "ansible_ssh_pass: hunter2",
    ],
)
def test_a_secret_in_plain_text_is_found_and_not_repeated(root: Path, line: str) -> None:
    (root / "inventories/here/hosts.yml").write_text(f"databases:\n  hosts:\n    db1:\n      {line}\n")
    found = look(root)["inventory"]
    assert found.status == WARN
    assert "hosts.yml:4" in found.found
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    "line",
    [
        'password: "{{ vault_salon }}"',
        "password: !vault |",
        "password:",
        'password: ""',
        "# password: hunter2",
        "#url: postgresql://me:hunter2@db/salon",
        'url: "postgresql://me:{{ vault_salon }}@db/salon"',
        "url: postgresql://me@db:5432/salon",
        "pass_through: yes",
    ],
)
def test_what_is_no_secret_in_plain_text(root: Path, line: str) -> None:
    (root / "inventories/here/hosts.yml").write_text(f"databases:\n  hosts:\n    db1:\n      {line}\n")
    assert look(root)["inventory"].status == OK


def test_a_vaulted_file_is_passed_over(root: Path) -> None:
    (root / "inventories/here/vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\npassword: 6162\n")
    assert look(root)["inventory"].status == OK


def test_an_inventory_that_everybody_may_change(root: Path) -> None:
    file = root / "inventories/here/hosts.yml"
    file.chmod(0o666)
    found = look(root)["inventory"]
    assert (found.status, found.mend) == (FAIL, f"chmod o-w {file}")


def test_a_records_folder_that_others_may_write(root: Path) -> None:
    (root / ".windlass").mkdir()
    (root / ".windlass").chmod(0o777)
    assert look(root)["run records"].status == FAIL


def test_extensions_that_scripts_create() -> None:
    texts = [
        'CREATE EXTENSION IF NOT EXISTS pgcrypto;\ncreate  extension "uuid-ossp";',
        "-- create extension nothing\n  CREATE EXTENSION PgCrypto WITH SCHEMA public;",
    ]
    assert doctor.extensions(texts) == ["pgcrypto", "uuid-ossp"]


def test_problems_are_those_that_stop() -> None:
    findings = {
        "": [Finding("ssh", FAIL, "x"), Finding("python", OK, "x")],
        "salon": [Finding("login", FAIL, "x"), Finding("rest", SKIPPED, "x"), Finding("settings", WARN, "x")],
    }
    assert doctor.problems(findings) == ["ssh", "salon: login"]


def test_what_is_well_is_counted_and_the_rest_told_with_its_mend() -> None:
    found = [
        Finding("python", OK, "3.11"),
        Finding("driver", OK, "3.2"),
        Finding("clock", WARN, "9 s behind\x1b[31m", "within 5 s", "timedatectl set-ntp true"),
        Finding("login", FAIL, "refused", "", "check the password"),
        Finding("everything else", SKIPPED, "not looked at without a login"),
    ]
    assert list(doctor.lines("salon", to_wire(found))) == [
        ("  ok    salon 2 checks passed", "good"),
        ("  WARN  salon clock: 9 s behind\\x1b[31m (needed: within 5 s)", "warn"),
        ("        -> timedatectl set-ntp true", ""),
        ("  FAIL  salon login: refused", "bad"),
        ("        -> check the password", ""),
        ("  skip  salon everything else: not looked at without a login", "dim"),
    ]


def test_the_host_and_the_control_node_stand_without_a_databases_name() -> None:
    assert list(doctor.lines("", to_wire([Finding("ssh", OK, "me@db:22")]))) == [("  ok    1 check passed", "good")]
