"""What the verbs about kept backups say: catalogue, retention, off-site copies, restore tests, downloads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from windlass.telling import console

#: (text, style) of a line; the styles are those of the closing lines.
Told = Iterator[tuple[str, str]]
#: A backup that is dated further from now than this was dated by a clock that was wrong.
_CLOCKS_DIFFER_S = 600
CATALOGUE = ("HOST", "DATABASE", "BACKUP", "AGE", "SIZE", "TIME", "STATE", "OFF-SITE", "ENCRYPTED", "JOURNAL")


def catalogue_row(host: str, database: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cells of one backup."""
    return (
        host,
        database,
        entry["id"],
        console.age(max(entry["age_s"], 0)),
        console.size(entry["bytes"]) if entry.get("bytes") is not None else "",
        console.duration(entry["duration_ms"]) if entry.get("duration_ms") is not None else "",
        state(entry),
        _offsite(entry),
        "" if entry.get("encrypted") is None else "age" if entry["encrypted"] else "no",
        str(entry.get("journal_head") or "")[:12],
    )


def state(entry: Mapping[str, Any]) -> str:
    """Return a backup's state in words: verified when, broken why."""
    if entry["state"] == "broken":
        return f"BROKEN: {entry.get('reason', '')}"
    if entry.get("failed"):
        return f"FAILED its check: {entry['failed']['reason']}"
    if entry.get("verified"):
        verified = entry["verified"]
        return (
            f"verified {_moment(verified['at'])} on {verified['host']} in {console.duration(verified['duration_ms'])}"
        )
    return f"{entry['state']}, on the server" if entry.get("server_file") else str(entry["state"])


def is_bad(entry: Mapping[str, Any]) -> bool:
    """Return whether a backup cannot be relied on."""
    return entry["state"] == "broken" or bool(entry.get("failed"))


def _offsite(entry: Mapping[str, Any]) -> str:
    mark = entry.get("offsite")
    if not mark:
        return ""
    return f"{mark['repository']}{'' if mark.get('checked_at') else ' (not compared)'}"


def would_delete(result: Mapping[str, Any]) -> bool:
    """Return whether retention deletes something, or would in earnest."""
    going = [each for each in result.get("decisions") or () if not each["keep"]]
    return bool(going or result.get("offsite_going"))


def diff(database: str, result: Mapping[str, Any]) -> dict[str, str]:
    """Return retention's decisions as a difference of two lists."""
    decisions = result.get("decisions") or ()
    before = [f"{each['id']}\n" for each in decisions]
    after = [f"{each['id']}\n" for each in decisions if each["keep"]]
    headers = {"before_header": f"backups of {database}", "after_header": f"backups of {database} that stay"}
    return {"before": "".join(before), "after": "".join(after), **headers}


def retention_lines(place: str, result: Mapping[str, Any]) -> Told:
    """Yield what goes, what stays, and why."""
    if result.get("skipped"):
        yield f"{place}: nothing is deleted: {result['skipped']}", "warn"
        return
    going = [each for each in result["decisions"] if not each["keep"]]
    deleted = result["deleted"] or result["offsite_deleted"]
    words = "deleted" if deleted else "would go" if going else "nothing to delete"
    count = f"{console.plural(len(going), 'backup')} {words}" if going else words
    yield f"{place}: {count}, {len(result['decisions']) - len(going)} stay", "head"
    if result["held"]:
        yield f"  nothing is deleted: {result['held']}", "bad"
    rows = [
        ("keep" if each["keep"] else "go", each["id"], console.size(each["bytes"]) if each["bytes"] else "",
         ", ".join(each["reasons"]))
        for each in result["decisions"]
    ]  # fmt: skip
    for text in console.table(("", "BACKUP", "SIZE", "WHY"), rows, indent="  ") if rows else ():
        yield text, ""
    for text in result.get("left_on_server") or ():
        yield f"  {text}", "warn"
    for name in result["in_use"]:
        yield f"  {name} is in use and stays this time", "warn"
    gone = result["offsite_deleted"] or result["offsite_going"]
    if gone:
        yield f"  off-site {'gone' if result['offsite_deleted'] else 'would go'}: {', '.join(gone)}", ""


def offsite_lines(place: str, result: Mapping[str, Any]) -> Told:
    """Yield what was copied, fetched and checked."""
    if result.get("skipped"):
        yield f"{place}: {result['skipped']}", "warn"
        return
    if result["created"]:
        yield f"{place}: made the repository {result['repository']}", "good"
    if result.get("intended") and (result["fetched"] or result["copied"]):
        what = f"fetch {result['fetched']}" if result["fetched"] else f"copy {', '.join(result['copied'])}"
        yield f"{place}: would {what} ({result['repository']})", ""
    elif result["fetched"]:
        yield f"{place}: fetched {result['fetched']}", "good"
    elif result.get("here"):
        yield f"{place}: {result['here']} is here already, and whole", "good"
    elif result["copied"]:
        yield (
            f"{place}: copied to {result['repository']}, read back and compared: {', '.join(result['copied'])}",
            "good",
        )
    else:
        yield f"{place}: everything is in {result['repository']} already", "good"
    if result["checked"]:
        yield f"{place}: restic read all data of the repository and found it whole", "good"


def download_lines(place: str, result: Mapping[str, Any]) -> Told:
    """Yield where a downloaded backup lies."""
    if result.get("intended"):
        yield f"{place}: would bring {result['id']} to {result['path']}", ""
    else:
        yield f"{place}: {result['id']} lies in {result['path']}, hashed against its manifest", "good"


def test_lines(place: str, result: Mapping[str, Any]) -> Told:
    """Yield how a restore test went."""
    if result.get("skipped"):
        yield f"{place}: SKIPPED: {result['skipped']}", "bad"
        return
    if result.get("intended"):
        yield f"{place}: would restore {result['backup']} on {result['host']}", ""
        return
    if result["failed"]:
        yield f"{place}: FAILED: backup {result['backup']} on {result['host']}: {result['failed']}", "bad"
    elif "duration_ms" not in result:
        yield f"{place}: backup {result['backup']} was not tested", "bad"
    else:
        spent = console.duration(result["duration_ms"])
        yield f"{place}: backup {result['backup']} restored and compared on {result['host']} in {spent}", "good"
    lacking = result.get("lacking") or ()
    if lacking:
        names = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
        yield f"  checks and sample-data tests were left out: it is of before {names}", ""
    for check in (*(result.get("checks") or ()), *(result.get("samples") or ())):
        for failure in [*check["failures"], *([check["error"]] if check["error"] else [])]:
            yield f"  {check['name']}: {console.printable(str(failure))}", "bad"


def overdue(info: Mapping[str, Any], max_age_ms: int) -> str:
    """Return in words that the newest verified backup is older than policy allows, or an empty string."""
    if not max_age_ms:
        return ""
    wanted = f"the policy wants one that is younger than {_hours(max_age_ms / 1000)}"
    verified = info.get("verified")
    if not verified:
        return f"no backup has been verified by a restore test; {wanted}"
    if verified["age_s"] < -_CLOCKS_DIFFER_S:
        return (
            f"the newest verified backup, {verified['id']}, is dated {_hours(-verified['age_s'])} from now, by a wrong "
            f"clock: nobody knows how old it is, and newer ones stay behind it, so move it away; {wanted}"
        )
    if verified["age_s"] * 1000 <= max_age_ms:
        return ""
    return f"the newest verified backup is {_hours(verified['age_s'])} old; {wanted}"


def _hours(seconds: float) -> str:
    """Return an age in hours, in which policies are written; a short one as any other."""
    return f"{seconds / 3600:.0f} h" if seconds >= 3600 else console.age(seconds)


def _moment(at: str) -> str:
    return at[:16].replace("T", " ")
