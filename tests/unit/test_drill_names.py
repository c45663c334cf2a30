"""Drills' copies: each database has a name for its own, within what an exchange leaves of a name."""

from __future__ import annotations

import pytest

from windlass_engine.backups import drill
from windlass_engine.model import Target


def name_of(database: str, engine: str = "postgresql") -> str:
    return drill.name_of(Target("d", "d", f"{engine}://me@db1/{database}"))


@pytest.mark.parametrize("engine", ["postgresql", "mariadb", "mssql"])
def test_two_databases_of_one_server_never_share_a_copy(engine: str) -> None:
    """One drill drops what an earlier one left under its name: it must not be another's that goes on."""
    names = {name_of(f"customer_portal_production_{end}", engine) for end in ("eu", "us", "eu_west")}
    assert len(names) == 3
    assert all(name.startswith(drill.PREFIX) and len(name) <= 36 for name in names)


def test_a_short_name_is_told_in_full() -> None:
    assert name_of("salon") == "windlass_drill_salon"
