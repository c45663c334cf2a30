"""What was rehearsed: one small file a plan below .windlass/rehearsals/, named by the plan's digest.

A rehearsal holds for exactly that plan: the scripts, the database and what was applied in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from windlass.records import record
from windlass.telling import console


def keep(root: Path, digest: str, run_id: str, rehearsal: Mapping[str, Any]) -> None:
    """Write what a rehearsal found."""
    kept = {"format": 1, "digest": digest, "run_id": run_id, "at": record.now(), **rehearsal}
    record.write(_path(root, digest), json.dumps(kept, indent=1) + "\n")


def find(root: Path, digest: str) -> dict[str, Any] | None:
    """Return the newest rehearsal of a plan, or None."""
    return record.read(_path(root, digest))


def age_s(rehearsal: Mapping[str, Any], now: datetime) -> float:
    """Return how long ago a rehearsal was (seconds)."""
    return (now - datetime.fromisoformat(rehearsal["at"])).total_seconds()


def told(root: Path, digest: str) -> str:
    """Return in words when a plan was rehearsed and what came of it, "" for never."""
    known = find(root, digest)
    if not known:
        return ""
    return f"rehearsed {console.age(max(age_s(known, datetime.now(UTC)), 0))} ago: {known['failed'] or cost(known)}"


def cost(rehearsal: Mapping[str, Any]) -> str:
    """Return what a plan needs, in words: ``needs 41 s, keeps reads and writes of public.chats waiting for 200 ms``."""
    if not rehearsal["parts"]:
        return ""
    part = rehearsal["parts"][0]
    block = part["longest_block"]
    needs = f"needs {console.duration(part['duration_ms'])}"
    if part["locks"] is None:
        return f"{needs}; whom it keeps waiting is not known"
    if not block:
        return f"{needs}, keeps nobody waiting for longer than {console.duration(max(SHORTEST_MS, unseen_ms(part)))}"
    return f"{needs}, keeps {block['blocks']} of {block['table']} waiting for {console.duration(blocked_ms(block))}"


def blocked_ms(block: Mapping[str, Any] | None) -> int:
    """Return how long a lock kept others waiting without a break (milliseconds), 0 for none."""
    return int(block.get("longest_ms", block["held_ms"])) if block else 0


def unseen_ms(part: Mapping[str, Any]) -> int:
    """Return the longest time of a run in which nobody looked at its locks (milliseconds)."""
    return int(part.get("unseen_ms", 0))


#: What is shorter than a few looks at the locks is not seen (milliseconds).
SHORTEST_MS = 20


def _path(root: Path, digest: str) -> Path:
    return root / ".windlass" / "rehearsals" / f"{digest[:32]}.json"
