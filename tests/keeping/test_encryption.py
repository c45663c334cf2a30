"""Encryption: only the holder of an identity reads a backup, and the identity is seen by nobody."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.keeping import stock
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import encryption, manifest
from windlass_engine.model import Wire

pytestmark = pytest.mark.skipif(not shutil.which("age"), reason="age is missing: apt-get install age")


def pair() -> tuple[str, str]:
    """A new identity and its recipient."""
    made = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    public = next(line.split(": ")[1] for line in made.splitlines() if "public key" in line)
    return made, public


def sealed(folder: Path, recipients: list[str]) -> tuple[Path, Wire, dict[str, bytes]]:
    """An encrypted backup: its path, its manifest, and the plain content of each file."""
    known = stock.put(folder, 1)
    path = stock.home(folder) / known["id"]
    plain = {name: (path / name).read_bytes() for name in known["files"]}
    (path / "manifest.json").unlink()
    encryption.seal(str(path), sorted(plain), recipients, jobs=2)
    known = {
        **known,
        "files": manifest.hash_files(str(path)),
        "encryption": {"method": "age", "recipients": recipients},
    }
    manifest.write(str(path), known)
    return path, known, plain


def test_each_recipient_reads_it_and_the_copy_is_gone_afterwards(tmp_path: Path) -> None:
    (mine, my_key), (yours, your_key) = pair(), pair()
    path, known, plain = sealed(tmp_path, [my_key, your_key])
    assert sorted(known["files"]) == sorted(f"{name}.age" for name in plain)
    whole = b"".join((path / name).read_bytes() for name in known["files"])
    assert known["id"].encode() not in whole, "nothing plain is left"
    for identity in (mine, yours):
        with encryption.opened(str(path), known, identity, jobs=2) as folder:
            assert {name: (Path(folder) / name).read_bytes() for name in plain} == plain
            assert {p.stat().st_mode & 0o777 for p in Path(folder).rglob("*.dat")} == {0o600}
            assert os.stat(folder).st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.glob(".partial*")] == []


def test_another_identity_and_none_are_refused(tmp_path: Path) -> None:
    (_, my_key), (stranger, _) = pair(), pair()
    path, known, _ = sealed(tmp_path, [my_key])
    for identity, words in ((stranger, "age ended"), ("", "no identity was given")):
        with pytest.raises(WindlassError, match=words) as caught, encryption.opened(str(path), known, identity):
            pass
        assert caught.value.code == "preflight_failed" and caught.value.hint
        assert "SECRET" not in str(caught.value.to_wire())
    assert [each.name for each in path.parent.glob(".partial*")] == []


def test_a_changed_byte_is_not_decrypted(tmp_path: Path) -> None:
    identity, key = pair()
    path, known, _ = sealed(tmp_path, [key])
    name = next(iter(known["files"]))
    data = bytearray((path / name).read_bytes())
    data[-1] ^= 1
    (path / name).write_bytes(bytes(data))
    with pytest.raises(WindlassError), encryption.opened(str(path), known, identity):
        pass


def test_the_identity_stands_in_no_command_line_and_no_file(tmp_path: Path) -> None:
    identity, key = pair()
    secret = next(line for line in identity.splitlines() if line.startswith("AGE-SECRET")).encode()
    path, known, _ = sealed(tmp_path, [key])
    seen: list[bytes] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for line in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.append(line.read_bytes())
                except OSError:
                    continue
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with encryption.opened(str(path), known, identity) as folder:
            files = [each for each in Path(folder).parent.rglob("*") if each.is_file()]
            assert not [each for each in files if secret in each.read_bytes()]
    finally:
        done.set()
        watcher.join()
    assert not [line for line in seen if secret in line]


@pytest.mark.parametrize("word", ["age", "age1", "AGE-SECRET-KEY-1QQQ", "--recipient", "age1x; rm"])
def test_what_is_no_public_key_is_refused(word: str) -> None:
    with pytest.raises(WindlassError) as caught:
        encryption.require_recipients([word])
    assert caught.value.code == "inventory_invalid"
