"""BACKUP and RESTORE as T-SQL text, and how what they answer is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from ...model import Wire
from .own import Own
from .text import literal, quoted

#: From this transfer size on the server compresses a database with transparent encryption before it encrypts.
_ENCRYPTED_TRANSFER = 131_072
#: What of a header identifies a backup set: another file in its place has others.
SAME = ("BackupSetGUID", "FirstLSN", "CheckpointLSN", "DatabaseName", "BackupStartDate")
_HEADER = (
    *SAME, "LastLSN", "BackupFinishDate", "BackupSize", "CompressedBackupSize", "Compressed", "BackupType", "Position",
    "ServerName", "DatabaseVersion", "SoftwareVersionMajor", "SoftwareVersionMinor", "SoftwareVersionBuild",
    "Collation", "RecoveryModel", "HasBackupChecksums", "IsDamaged", "IsCopyOnly", "HasIncompleteMetaData",
    "EncryptorThumbprint",
)  # fmt: skip
_FILE = ("LogicalName", "PhysicalName", "Type", "FileGroupName", "Size", "FileId", "TDEThumbprint")


class Move(NamedTuple):
    """A file of the database by its logical name, and where a restore puts it."""

    logical: str
    path: str


def backup(database: str, path: str, label: str, compress: bool, encrypted: bool) -> Own:
    """Return what writes a whole backup that disturbs no other's series, with a checksum for every page.

    ``encrypted`` says that the database has transparent encryption.
    """
    options = ["COPY_ONLY", "CHECKSUM", "COMPRESSION" if compress else "NO_COMPRESSION", "FORMAT", "INIT", "SKIP"]
    if compress and encrypted:
        options.append(f"MAXTRANSFERSIZE = {_ENCRYPTED_TRANSFER:d}")
    options += [f"NAME = {literal(label)}", "STATS = 5"]
    return Own(f"BACKUP DATABASE {quoted(database)} TO DISK = {literal(path)} WITH {', '.join(options)}")


def verify(path: str) -> Own:
    """Return what reads a backup to its end and holds every page against its checksum."""
    return Own(f"RESTORE VERIFYONLY FROM DISK = {literal(path)} WITH FILE = 1, CHECKSUM, STATS = 5")


def header(path: str) -> Own:
    """Return what lists the backups in a file."""
    return Own(f"RESTORE HEADERONLY FROM DISK = {literal(path)}")


def file_list(path: str) -> Own:
    """Return what lists the files of the database in a backup."""
    return Own(f"RESTORE FILELISTONLY FROM DISK = {literal(path)} WITH FILE = 1")


def restore(name: str, path: str, moves: Sequence[Move]) -> Own:
    """Return what makes a new database of a backup; only its owner and administrators get in."""
    moved = [f"MOVE {literal(each.logical)} TO {literal(each.path)}" for each in moves]
    options = ", ".join(["FILE = 1", *moved, "RECOVERY", "CHECKSUM", "RESTRICTED_USER", "STATS = 5"])
    return Own(f"RESTORE DATABASE {quoted(name)} FROM DISK = {literal(path)} WITH {options}")


def known_header(row: Mapping[str, Any]) -> Wire:
    """Return what a manifest keeps of a backup's header."""
    return {key: plain(row[key]) for key in _HEADER if key in row}


def known_files(rows: Sequence[Mapping[str, Any]]) -> list[Wire]:
    """Return what a manifest keeps of the list of files."""
    return [{key: plain(row[key]) for key in _FILE if key in row} for row in rows]


def damage(found: Sequence[Wire], database: str) -> str:
    """Return what is wrong with the headers of a file that was just written, or an empty string."""
    if len(found) != 1:
        return f"it holds {len(found)} backups instead of one"
    head = found[0]
    wanted: list[tuple[str, Any]] = [
        ("DatabaseName", database), ("BackupType", 1), ("IsCopyOnly", True), ("HasBackupChecksums", True),
        ("IsDamaged", False), ("HasIncompleteMetaData", False),
    ]  # fmt: skip
    wrong = [f"{key} is {head.get(key)!r}" for key, value in wanted if head.get(key) != value]
    return "its header says that " + ", ".join(wrong) if wrong else ""


def change(expected: Wire, found: Wire) -> str:
    """Return by what another backup's header differs from the known one, or an empty string."""
    return ", ".join(
        f"{key} {found.get(key)} instead of {expected[key]}" for key in SAME if found.get(key) != expected[key]
    )


def plain(value: Any) -> Any:
    """Return a value of the driver as JSON knows it."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return "0x" + bytes(value).hex().upper()
    return str(value)  # Decimal: log sequence numbers have 25 digits
