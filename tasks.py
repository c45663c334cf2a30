"""Windlass: verbs for databases that must not be lost.  `invoke --list` shows them, `invoke --help VERB` explains."""

from __future__ import annotations

import sys
from pathlib import Path

from invoke.collection import Collection
from invoke.tasks import Task

sys.path.insert(0, str(Path(__file__).parent / "src"))

from windlass.front import attempt, change, door, keep, look, write
from windlass.telling import manual

#: Every verb is a function in one of these files.
HEADINGS = {
    "Change a database": change,
    "Look, without changing anything": look,
    "Keep and bring back data": keep,
    "Write migrations, reach a database": write,
    "Try and measure": attempt,
}

door.open_at(Path(__file__).resolve().parent)
ns = Collection()
CONTENTS: dict[str, list[str]] = {}
for heading, file in HEADINGS.items():
    verbs = [item for item in vars(file).values() if isinstance(item, Task)]
    CONTENTS[heading] = [ns.transform(verb.name) for verb in verbs]
    for verb in verbs:
        ns.add_task(verb)
manual.install(CONTENTS)
