"""What was proved of a system's scripts: one small file a script below .windlass/proofs/, named by its content.

A proof holds for exactly the texts that were tried (up, down and verify), on one engine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from windlass.records import record
from windlass_engine.model import Step


def keep(root: Path, engine: str, run_id: str, proof: Mapping[str, Any]) -> None:
    """Write a proof's verdicts on migrations and repeatables."""
    for verdict in proof["verdicts"]:
        if verdict["kind"] not in ("migration", "repeatable") or not verdict["checksums"]:
            continue
        kept = {
            **verdict,
            "format": 1,
            "system": proof["system"],
            "engine": engine,
            "server_version": proof["server_version"],
            "run_id": run_id,
            "at": record.now(),
        }
        record.write(_path(root, proof["system"], verdict["checksums"]), json.dumps(kept, indent=1) + "\n")


def find(root: Path, system: str, checksums: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the verdict on exactly these texts, or None where they were never tried."""
    return record.read(_path(root, system, checksums))


def is_proved(root: Path, system: str, step: Step) -> bool:
    """Return whether what a step would apply was tried, with its down and verify scripts, and nothing was wrong."""
    if step.action == "revert":
        return False  # its script is the one in the journal
    parts = {"up": step.script, "down": step.down, "verify": step.verify}
    verdict = find(root, system, {name: part.checksum for name, part in parts.items() if part})
    return bool(verdict and verdict["proved"])


def _path(root: Path, system: str, checksums: Mapping[str, str]) -> Path:
    text = json.dumps(dict(checksums), sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    return root / ".windlass" / "proofs" / system / f"{name}.json"
