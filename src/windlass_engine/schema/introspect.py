"""What a database's schema is: read, fingerprinted, compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable

from ..dialects.answers import Object
from ..model import Wire
from ..session import Session

_VERSION = "v1"
_LONG = 160


@dataclass(frozen=True)
class Schema:
    """Every user object of a database, sorted by kind and identity."""

    objects: tuple[Object, ...] = ()

    def to_wire(self) -> Wire:
        """Return plain data for JSON."""
        return {"format": 1, "objects": [list(item) for item in self.objects]}

    @classmethod
    def from_wire(cls, data: Wire) -> Schema:
        """Rebuild from :meth:`to_wire`."""
        return cls(tuple((kind, identity, definition) for kind, identity, definition in data["objects"]))


def snapshot(session: Session) -> Schema:
    """Read the schema.  Raise ServerError.

    Inside an open transaction it is that transaction's view; outside, that of one statement.
    """
    return Schema(tuple(sorted(set(session.dialect.objects(session.link)))))


def fingerprint(schema: Schema) -> str:
    """Return ``v1:<64 hex digits>``: equal for equal schemas, however they came to be."""
    return fingerprint_of(objects_json(schema))


def objects_json(schema: Schema) -> str:
    """Return a schema's objects as JSON, in ASCII and always the same."""
    return json.dumps(schema.objects, separators=(",", ":"), ensure_ascii=True)


def fingerprint_of(objects: str) -> str:
    """Return the fingerprint of a schema whose :func:`objects_json` is at hand."""
    return f"{_VERSION}:{hashlib.sha256(objects.encode('ascii')).hexdigest()}"


def difference(before: Schema, after: Schema) -> list[str]:
    """Return one line for each object: ``+`` only in ``after``, ``-`` only in ``before``, ``~`` changed."""
    return [line for line, _ in _differences(before, after, str)]


def real_difference(before: Schema, after: Schema, loose: Callable[[str], str]) -> list[str]:
    """Return the lines of :func:`difference` that are more than another spelling.

    A server may print the expression that it reads back from a dump with other brackets or casts than the original;
    ``loose`` (:meth:`Dialect.loose_spelling`) takes them away.
    """
    return [line for line, spelling_only in _differences(before, after, loose) if not spelling_only]


def _differences(before: Schema, after: Schema, loose: Callable[[str], str]) -> Iterator[tuple[str, bool]]:
    """Yield (line, whether only the spelling differs) in order of kind and identity."""
    old = {(kind, identity): definition for kind, identity, definition in before.objects}
    new = {(kind, identity): definition for kind, identity, definition in after.objects}
    for key in sorted(old.keys() | new.keys()):
        name = f"{key[0]} {key[1]}"
        if key not in old:
            yield f"+ {name}", False
        elif key not in new:
            yield f"- {name}", False
        elif old[key] != new[key]:
            yield f"~ {name}: {_change(old[key], new[key])}", loose(old[key]) == loose(new[key])


def _change(old: str, new: str) -> str:
    """Return what changed in a definition: both when they are short, the first line that differs when long."""
    if "\n" not in old + new and len(old) + len(new) <= _LONG:
        return f"{old or '(plain)'} -> {new or '(plain)'}"
    was, now = old.splitlines(), new.splitlines()
    at = next((i for i, (a, b) in enumerate(zip(was, now)) if a != b), min(len(was), len(now)))
    return f"line {at + 1}: {_line(was, at)} -> {_line(now, at)}"


def _line(lines: list[str], at: int) -> str:
    """Return a line, shortened, or what to say of a missing one."""
    if at >= len(lines):
        return "(nothing)"
    text = lines[at].strip()
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"
