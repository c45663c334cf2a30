"""The scripts of the systems for MySQL and MariaDB, and how a person runs all of them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.servers.mariadb_by_hand import ByHand

SQL = Path(__file__).parents[3] / "sql"
SYSTEMS = ("blazz", "jobs")
LOSE = "SET @windlass_allow_data_loss = 1"
# What scripts meet on servers that are older than the product's own habits.
CHARSETS = ("utf8mb4", "latin1", "utf8mb3 COLLATE utf8mb3_unicode_ci")
OTHER_SESSION = (
    "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_520_ci, time_zone = '+09:00', sql_mode = 'ANSI,TRADITIONAL', "
    "group_concat_max_len = 1024"
)


def migrations(system: str) -> list[Path]:
    found = sorted((SQL / system / "migrations").iterdir())
    assert found
    return found


def looks(system: str) -> list[Path]:
    """The files that only look: a row is a failure."""
    return [folder / "verify.sql" for folder in migrations(system)] + sorted((SQL / system / "checks").glob("*.sql"))


def samples(system: str) -> list[Path]:
    return sorted((SQL / system / "samples").glob("*.sql"))


def deploy(hand: ByHand, system: str) -> None:
    for folder in migrations(system):
        hand.run(folder / "up.sql")


def take_back(hand: ByHand, system: str, *before: str) -> None:
    for folder in reversed(migrations(system)):
        hand.run(*before, folder / "down.sql")


def split(script: Path) -> list[str]:
    """Part one of our own scripts into statements, each with the delimiter that its body needs."""
    found, delimiter, lines = [], ";", []
    for line in script.read_text().splitlines():
        if line.startswith("DELIMITER "):
            delimiter = line.split()[1]
        elif not line.startswith("--"):
            lines.append(line)
            if line.endswith(delimiter):
                body = "\n".join(lines).removesuffix(delimiter).strip()
                found.append(f"DELIMITER //\n{body}//\nDELIMITER ;" if delimiter == "//" else body)
                lines = []
    assert not "".join(lines).strip(), f"{script} ends in the middle of a statement"
    return found


def statements_by_client(script: Path) -> int:
    """Count the lines that end a statement by looking for what begins one."""
    text = re.sub(r"BEGIN\n.*?\nEND//", "", script.read_text(), flags=re.DOTALL)
    return len(re.findall(r"^(?:DROP|CREATE|CALL|ALTER)\b", text, flags=re.MULTILINE))
