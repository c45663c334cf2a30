"""Which line of a known_hosts file speaks of which host, and what is said of a key that does not agree."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

import pytest

from windlass.tunnel import host_keys
from windlass_engine.errors import WindlassError

GOOD = base64.b64encode(b"the good key").decode()
EVIL = base64.b64encode(b"the evil key").decode()


@dataclass(frozen=True)
class Key:
    key: str = GOOD
    kind: str = "ssh-ed25519"

    def get_name(self) -> str:
        return self.kind

    def get_base64(self) -> str:
        return self.key


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


def accepted(file: Path, text: str, host: str = "db.example", port: int = 22, key: Key | None = None) -> bool:
    file.write_text(text)
    try:
        host_keys.check(key or Key(), host_keys.read([file]), host, port, [file])
    except WindlassError as error:
        assert error.code == "host_key_changed"
        return False
    return True


@pytest.mark.parametrize(
    ("names", "host", "port", "expected"),
    [
        ("db.example", "db.example", 22, True),
        ("DB.example", "db.EXAMPLE", 22, True),
        ("other,db.example", "db.example", 22, True),
        ("*.example", "db.example", 22, True),
        ("d?.example", "db.example", 22, True),
        ("dbXexample", "db.example", 22, False),
        ("*.example,!db.example", "db.example", 22, False),
        ("[db.example]:2022", "db.example", 2022, True),
        ("[db.example]:2022", "db.example", 2023, False),
        ("[db.example]:*", "db.example", 2023, True),
        ("db.example", "db.example", 2022, True),  # as ssh: the same key under the usual port is good enough
        ("db.example.org", "db.example", 22, False),
    ],
)
def test_names(file: Path, names: str, host: str, port: int, expected: bool) -> None:
    assert accepted(file, f"{names} ssh-ed25519 {GOOD}\n", host, port) is expected


def test_hashed_names(file: Path) -> None:
    salt = b"0123456789abcdefghij"
    digest = hmac.new(salt, b"[db.example]:2022", hashlib.sha1).digest()
    name = f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
    assert accepted(file, f"{name} ssh-ed25519 {GOOD}\n", port=2022)
    assert not accepted(file, f"{name} ssh-ed25519 {GOOD}\n", port=2023)
    assert not accepted(file, f"|1|nonsense|{GOOD}== ssh-ed25519 {GOOD}\n")


def test_comments_blank_and_broken_lines_are_passed_over(file: Path) -> None:
    assert accepted(file, f"# a comment here\n\nbroken line\ndb.example ssh-ed25519 {GOOD} a comment\n")


def test_another_key_of_the_host_is_a_change_even_when_its_port_is_known_elsewhere(file: Path) -> None:
    assert not accepted(file, f"db.example ssh-ed25519 {EVIL}\n")
    assert not accepted(file, f"[db.example]:2022 ssh-ed25519 {EVIL}\ndb.example ssh-ed25519 {GOOD}\n", port=2022)
    assert accepted(file, f"db.example ssh-rsa {EVIL}\ndb.example ssh-ed25519 {GOOD}\n")


def test_a_revoked_key_is_refused_whatever_else_is_on_record(file: Path) -> None:
    text = f"db.example ssh-ed25519 {GOOD}\n@revoked * ssh-ed25519 {GOOD}\n"
    assert not accepted(file, text)
    assert accepted(file, f"db.example ssh-ed25519 {GOOD}\n@revoked * ssh-ed25519 {EVIL}\n")


def test_an_authority_is_not_a_host_key(file: Path) -> None:
    assert not accepted(file, f"@cert-authority *.example ssh-ed25519 {GOOD}\n")
    assert host_keys.recorded_types(host_keys.read([file]), "db.example") == ()


def test_the_refusal_names_file_line_and_both_fingerprints(file: Path) -> None:
    file.write_text(f"# first\ndb.example ssh-ed25519 {EVIL}\n")
    with pytest.raises(WindlassError) as caught:
        host_keys.check(Key(), host_keys.read([file]), "db.example", 22, [file])
    assert f"{file}:2 {host_keys.fingerprint(EVIL)}" in caught.value.message
    assert host_keys.fingerprint(GOOD) in caught.value.message
    assert f"ssh-keygen -R 'db.example' -f {file}" in caught.value.hint


def test_types_on_record_come_in_the_order_of_the_file(file: Path) -> None:
    file.write_text(f"h ssh-rsa {GOOD}\nh ssh-ed25519 {GOOD}\nh ssh-rsa {EVIL}\nother ecdsa {GOOD}\n")
    assert host_keys.recorded_types(host_keys.read([file]), "h") == ("ssh-rsa", "ssh-ed25519")


def test_files_that_are_not_there_hold_nothing(tmp_path: Path) -> None:
    assert host_keys.read([tmp_path / "none", tmp_path]) == ()
