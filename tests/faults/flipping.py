"""Bytes flipped anywhere in a backup."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.chance import dice, many
from windlass_engine.backups import backup
from windlass_engine.errors import WindlassError


def each_flip_is_found(path: Path, *names: object) -> None:
    """Flip bits of every file, one after the other, where dice of these names say; the check has to find each."""
    chance = dice(*names)
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        whole = file.read_bytes()
        for _ in range(many(5, 100)):
            at = chance.randrange(len(whole))
            bad = bytearray(whole)
            bad[at] ^= 1 << chance.randrange(8)
            if file.name == "manifest.json" and bad.strip() == whole.strip():
                continue  # a newline at its end means nothing
            file.write_bytes(bad)
            with pytest.raises(WindlassError) as caught:
                backup.check(str(path))
            assert caught.value.code == "backup_failed", (file, at)
        file.write_bytes(whole)
    assert backup.check(str(path))["state"] == "complete"
