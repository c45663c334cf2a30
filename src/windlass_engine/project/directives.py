"""What ``-- windlass: …`` comments ask for: names, values and the kinds of script in which they make sense."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ..model import Backfill, Directives
from .mistakes import Mistake

#: Stands inside a backfill's WHERE; Windlass puts the key range of a batch in its place.
BATCH_MARK = "/* windlass: batch */"
#: Fields of directives that may stand more than once.
_SEVERAL = ("requires", "allows")
SCHEDULES = ("hourly", "daily", "monthly")

_UNITS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
_DURATION = re.compile(r"(\d+)(ms|s|min|h)", re.ASCII)
_SETTING = re.compile(r'([a-z]+)=((?:"(?:[^"]|"")*"|[^\s"])+)(?:\s+|$)')
_EVERY = ("up", "down", "verify", "repeatable", "check", "sample", "maintenance")
_CHANGES = ("up", "down", "repeatable", "maintenance")


class Comment(NamedTuple):
    """A directive comment: ``word`` is ``windlass`` or ``check``, ``value`` what follows its colon."""

    line: int
    word: str
    value: str

    @property
    def name(self) -> str:
        """Return the directive's own name."""
        return "check" if self.word == "check" else self.value.partition(" ")[0]

    @property
    def argument(self) -> str:
        """Return what follows the name."""
        return self.value if self.word == "check" else self.value.partition(" ")[2].strip()


class BadValue(ValueError):
    """A directive's value cannot be used; the text says why."""


class _Rule(NamedTuple):
    kinds: tuple[str, ...]
    read: Callable[[str], Mapping[str, Any]]


def duration_ms(text: str) -> int:
    """Return the milliseconds of ``200ms``, ``5s``, ``15min``, ``1h`` or ``0``.  Raises :class:`BadValue`."""
    if text == "0":
        return 0
    match = _DURATION.fullmatch(text)
    if not match:
        raise BadValue(f"{text!r} is no duration: write it like 200ms, 5s, 15min, 1h or 0")
    milliseconds = int(match.group(1)) * _UNITS[match.group(2)]
    if milliseconds > 2_147_483_647:
        raise BadValue(f"{text!r} is longer than the 24 days that a server can count")
    return milliseconds


def backfill(argument: str) -> Backfill:
    """Return the backfill of ``table=public.t key=id batch=5000 pause=50ms``.  Raises :class:`BadValue`."""
    settings = _settings(argument)
    unknown = sorted(set(settings) - {"table", "key", "batch", "pause"})
    missing = [name for name in ("table", "key", "batch") if name not in settings]
    if unknown or missing:
        wrong = f"does not know {', '.join(unknown)}" if unknown else f"lacks {', '.join(missing)}"
        raise BadValue(f"backfill {wrong}: write backfill table=public.t key=id batch=5000 pause=50ms")
    batch = _count(settings["batch"])
    if not batch:
        raise BadValue("a batch holds at least one key")
    return Backfill(settings["table"], settings["key"], batch, duration_ms(settings.get("pause", "0")))


def read_header(comments: Iterable[Comment], path: str, kind: str) -> tuple[Directives, list[Mistake]]:
    """Return what the comments above the first statement ask for, and the mistakes in them.

    ``kind`` is the kind of script (up, down, verify, repeatable, check, sample, maintenance); empty allows all.
    """
    asked: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    for comment in comments:
        if comment.name in ("check", "backfill"):
            continue
        try:
            _merge(asked, _read(comment, kind))
        except BadValue as error:
            mistakes.append(Mistake(path, comment.line, str(error)))
    return Directives(**asked), mistakes


def misplaced(comment: Comment, kind: str) -> str:
    """Return why a statement directive does not belong in this kind of script, or an empty string."""
    kinds = {"check": ("verify", "check", "sample"), "backfill": ("up",)}[comment.name]
    if not kind or kind in kinds:
        return ""
    return f"`{comment.name}` has no meaning here: it belongs in {_places(kinds)}"


def unknown(name: str) -> str:
    """Return the message for a directive that does not exist, with the nearest one that does."""
    import difflib

    near = difflib.get_close_matches(name.lower(), [*_HEADER, "backfill"], 1, 0.5)
    known = f"did you mean `{near[0]}`?" if near else f"known are {', '.join([*_HEADER, 'backfill'])}"
    return f"unknown directive `{name}`: {known}"


def is_header(name: str) -> bool:
    """Tell whether a directive belongs above the first statement."""
    return name in _HEADER


def _read(comment: Comment, kind: str) -> Mapping[str, Any]:
    rule = _HEADER.get(comment.name)
    if rule is None:
        raise BadValue(unknown(comment.name))
    if kind and kind not in rule.kinds:
        raise BadValue(f"`{comment.name}` has no meaning here: it belongs in {_places(rule.kinds)}")
    try:
        return rule.read(comment.argument)
    except BadValue as error:
        raise BadValue(f"`{comment.name}`: {error}") from None


def _merge(asked: dict[str, Any], more: Mapping[str, Any]) -> None:
    for field, value in more.items():
        if field in asked and field not in _SEVERAL:
            raise BadValue("this directive stands here twice")
        asked[field] = (*asked.get(field, ()), *value) if field in _SEVERAL else value


def _places(kinds: tuple[str, ...]) -> str:
    names = {"repeatable": "repeatable/", "check": "checks/", "sample": "samples/", "maintenance": "maintenance/"}
    return ", ".join(names.get(kind, f"{kind}.sql") for kind in kinds)


def _settings(argument: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    position = 0
    while position < len(argument):
        match = _SETTING.match(argument, position)
        if not match or match.group(1) in settings:
            raise BadValue(f"cannot read `{argument[position:]}`: write name=value, each name once")
        settings[match.group(1)] = match.group(2)
        position = match.end()
    return settings


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise BadValue(f"{text!r} is no whole number up to 999999999")
    return int(text)


def _nothing(argument: str) -> None:
    if argument:
        raise BadValue(f"takes no value, {argument!r} stands behind it")


def _something(argument: str, what: str) -> str:
    if not argument:
        raise BadValue(f"needs {what}")
    return argument


def _no_transaction(argument: str) -> Mapping[str, Any]:
    _nothing(argument)
    return {"transactional": False}


def _rerunnable(argument: str) -> Mapping[str, Any]:
    _nothing(argument)
    return {"rerunnable": True}


def _scratch(argument: str) -> Mapping[str, Any]:
    _nothing(argument)
    return {"scratch": True}


def _repeat(argument: str) -> Mapping[str, Any]:
    return {"repeat_ms": duration_ms(argument)}


def _allow(argument: str) -> Mapping[str, Any]:
    rule, _, reason = argument.partition(" ")
    if not (rule and reason.strip()):
        raise BadValue("needs a rule's name and the reason")
    return {"allows": ((rule, reason.strip()),)}


def _schedule(argument: str) -> Mapping[str, Any]:
    if argument not in SCHEDULES:
        raise BadValue(f"{argument!r} is none of {', '.join(SCHEDULES)}")
    return {"schedule": argument}


_HEADER: dict[str, _Rule] = {
    "no-transaction": _Rule(_CHANGES, _no_transaction),
    "rerunnable": _Rule(_CHANGES, _rerunnable),
    "lock-timeout": _Rule(_CHANGES, lambda text: {"lock_timeout_ms": duration_ms(text)}),
    "lock-retries": _Rule(_CHANGES, lambda text: {"lock_retries": _count(text)}),
    "statement-timeout": _Rule(_EVERY, lambda text: {"statement_timeout_ms": duration_ms(text)}),
    "requires": _Rule(("up",), lambda text: {"requires": (_something(text, "a migration's name"),)}),
    "irreversible": _Rule(("up",), lambda text: {"irreversible": _something(text, "a reason")}),
    "scratch": _Rule(("sample",), _scratch),
    "allow": _Rule(("up", "down", "verify"), _allow),
    "schedule": _Rule(("maintenance",), _schedule),
    "repeat": _Rule(("maintenance",), _repeat),
}
