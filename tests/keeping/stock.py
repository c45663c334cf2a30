"""Backups to keep: folders as the store makes them, with a manifest, made in no time and of any age."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from windlass_engine.keeping import manifest
from windlass_engine.model import Wire

DATABASE = "shop"


def home(folder: Path) -> Path:
    return folder / "backups" / DATABASE


def directory(folder: Path) -> str:
    return str(folder / "backups")


def id_of(hours: float) -> str:
    return f"{datetime.now(UTC) - timedelta(hours=hours):%Y%m%dT%H%M%SZ}-{int(hours):06x}"


def put(folder: Path, hours: float, **more: object) -> Wire:
    """Publish a backup whose data is so many hours old; return its manifest."""
    name = id_of(hours)
    place = home(folder) / name
    (place / "dump").mkdir(parents=True)
    place.chmod(0o700)
    (place / "dump" / "toc.dat").write_bytes(os.urandom(3000))
    (place / "dump" / "1.dat").write_bytes(name.encode() * 100)
    (place / "schema.json").write_text("[]")
    files = manifest.hash_files(str(place))
    known: Wire = {
        "format": 1, "id": name, "database": DATABASE, "system": "shop", "files": files, "duration_ms": 5,
        "bytes": sum(each["bytes"] for each in files.values()), "journal_head": "abc", **more,
    }  # fmt: skip
    manifest.write(str(place), known)
    return known


def break_one(folder: Path, name: str) -> None:
    """Change one byte of a backup's data."""
    path = home(folder) / name / "dump" / "toc.dat"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(bytes(data))


def ids(folder: Path) -> list[str]:
    return sorted(path.name for path in home(folder).iterdir() if not path.name.startswith("."))
