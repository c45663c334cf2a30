"""A schema as a text file for review: one object a block, in a stable order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from windlass_engine.errors import WindlassError


def path(root: Path, environment: str, host: str, database: str) -> Path:
    """Return where a database's snapshot belongs when nobody says otherwise."""
    return root / "schema" / Path(environment).name / host / f"{database}.txt"


def write(place: Path, database: str, schema: Mapping[str, Any], *, check: bool = False) -> dict[str, Any]:
    """Write a snapshot where it differs from the file; return the path and whether it changed.

    Raises ``usage`` where the file cannot be written.
    """
    text = "".join(_blocks(database, schema))
    try:
        changed = not place.exists() or place.read_text(encoding="utf-8") != text
        if changed and not check:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WindlassError(
            "usage", f"{place} cannot be written: {error}", hint="give another place: --out FILE"
        ) from None
    return {"path": str(place), "changed": changed, "objects": len(schema["objects"])}


def _blocks(database: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the head, then a block for each object: its kind and name, and its definition below."""
    yield f"# The schema of {database}, one object a block, written by `invoke snapshot`.\n"
    yield f"# fingerprint {schema['fingerprint']}\n"
    for kind, identity, definition in schema["objects"]:
        yield f"\n{kind} {identity}\n"
        yield from (f"    {line}\n" if line.strip() else "\n" for line in definition.splitlines())


def lines(place: str, written: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what was done for one database."""
    word = "written to" if written["changed"] else "as before in"
    yield f"{place}: {written['objects']} objects, {word} {written['path']}", "good"
