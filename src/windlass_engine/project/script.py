"""Bytes of an SQL file → text, checksum, directives and statements.

Reading has two stages, so that a thousand applied migrations cost a glance each: :func:`head` decodes and reads the
comments above the first statement; :func:`full` parts the text into statements.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from ..model import Script, Statement
from .directives import BadValue, Comment, backfill, is_header, misplaced, read_header, unknown
from .mistakes import Mistake, raise_any, refuse

#: Parts a text into statements; the second argument is the path for messages.
Split = Callable[[str, str], tuple[Statement, ...]]
#: Says what an engine does not allow in a script that is otherwise well-formed.
Review = Callable[[Script], Iterable[Mistake]]

_BOMS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_BOM_STARTS = frozenset(mark[0] for mark, _ in _BOMS)
_GAP = re.compile(
    r"""
      ^[ \t]* --+ [ \t]* (?i:(?P<word>windlass)) [ \t]* : (?P<value>[^\n]*)
    | ^[ \t]* --+ [ \t]* (?P<check>check): (?P<name>[^\n]*)
    | [^\S\n]*\n | [^\S\n]+ | --[^\n]*
    | (?P<block>/\*)
    """,
    re.VERBOSE | re.MULTILINE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_LINE_END = re.compile(r"$", re.MULTILINE)
_NAME_LENGTH = 200


def load(data: bytes, path: str, split: Split, *, kind: str = "", review: Review | None = None) -> Script:
    """Return a whole script.  Raises WindlassError ``project_invalid`` with every mistake's file and line.

    ``kind`` (up, down, verify, repeatable, check, sample, maintenance) limits the directives; empty allows all.
    """
    return full(head(data, path, kind), split, kind=kind, review=review)


def checksum(data: bytes) -> str:
    """Return ``v1:`` and the SHA-256 of the text without byte order mark, line ends as LF and one at the end."""
    return _sum(_normal(data))


def head(data: bytes, path: str, kind: str = "") -> Script:
    """Return a script without its statements: text, checksum and header directives."""
    normal = _normal(data)
    text = _decoded(normal, path)
    gap = _Gap(text, path)
    comments = list(gap.comments(0, None))
    directives, mistakes = read_header(comments, path, kind)
    if gap.stopped == len(text):
        mistakes.append(Mistake(path, 0, "holds no statement", "write the SQL, or delete the file"))
    raise_any(mistakes)
    return Script(path, text, _sum(normal), directives)


def full(script: Script, split: Split, *, kind: str = "", review: Review | None = None) -> Script:
    """Return the script with its statements and their directives, checked."""
    statements = split(script.text, script.path)
    if not statements:
        raise refuse(script.path, 0, "holds no statement", "write the SQL, or delete the file")
    told, mistakes = _attach(script, statements, kind)
    whole = replace(script, statements=told)
    mistakes += _doubtful(whole, kind)
    mistakes += review(whole) if review else ()
    raise_any(sorted(mistakes, key=lambda mistake: mistake.line))
    return whole


def _sum(normal: bytes) -> str:
    return "v1:" + hashlib.sha256(normal).hexdigest()


def _normal(data: bytes) -> bytes:
    """Return the bytes that count: what an editor or a checkout may change by itself is evened out."""
    data = data[3:] if data.startswith(b"\xef\xbb\xbf") else data
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data.rstrip(b"\n") + b"\n"


def _decoded(data: bytes, path: str) -> str:
    if data[0] in _BOM_STARTS:
        for mark, name in _BOMS:
            if data.startswith(mark):
                raise refuse(path, 1, f"is {name}, not UTF-8", "save it as UTF-8")
    if b"\0" in data:
        raise refuse(path, data.count(b"\n", 0, data.index(b"\0")) + 1, "holds a NUL byte", "save it as UTF-8 text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line_start = data.rfind(b"\n", 0, error.start) + 1
        place = f"byte {error.start - line_start + 1} of the line is 0x{data[error.start]:02x}"
        line = data.count(b"\n", 0, error.start) + 1
        raise refuse(path, line, f"is not UTF-8: {place}", "save it as UTF-8") from None


class _Gap:
    """Reads what stands between statements: blanks, comments and, in them, directives."""

    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self.stopped = 0
        self._line, self._counted = 1, 0

    def comments(self, start: int, stop: int | None) -> Iterator[Comment]:
        """Yield the directives from ``start`` to ``stop``; with ``stop`` None to the first thing that is no comment.

        A directive stands at the start of its line; one inside a block comment is switched off.
        """
        end = len(self.text) if stop is None else stop
        while start < end:
            match = _GAP.match(self.text, start, end)
            if not match and stop is None:
                break
            if match and match.lastgroup in ("value", "name"):
                yield self._comment(match)
            start = self._behind(match, start, end)
        self.stopped = start

    def _comment(self, match: re.Match[str]) -> Comment:
        self._line += self.text.count("\n", self._counted, match.start())
        self._counted = match.start()
        if match.lastgroup == "name":
            return Comment(self._line, "check", match["name"].strip())
        return Comment(self._line, "windlass", match["value"].strip())

    def _behind(self, match: re.Match[str] | None, start: int, end: int) -> int:
        if match is None:  # a semicolon, or a line that the splitter passed over
            return start + 1 if self.text[start] == ";" else _line_end(self.text, start)
        return self._block_end(start) if match["block"] else match.end()

    def _block_end(self, start: int) -> int:
        depth = 0
        for edge in _COMMENT_EDGE.finditer(self.text, start):
            depth += 1 if edge.group() == "/*" else -1
            if not depth:
                return edge.end()
        line = self.text.count("\n", 0, start) + 1
        raise refuse(self.path, line, "this comment never ends", "close it with `*/`")


def _line_end(text: str, start: int) -> int:
    match = _LINE_END.search(text, start)
    return match.end() if match else len(text)


def _attach(script: Script, statements: Sequence[Statement], kind: str) -> tuple[tuple[Statement, ...], list[Mistake]]:
    """Give each statement the directives that stand above it."""
    if "--" not in script.text:
        return tuple(statements), []
    told: list[Statement] = []
    mistakes: list[Mistake] = list(_unseen(script, statements))
    gap = _Gap(script.text, script.path)
    behind = 0
    for statement in statements:
        above = list(gap.comments(behind, statement.start))
        told.append(_with(statement, above, script.path, kind, mistakes, first=not told))
        behind = statement.end
    for comment in gap.comments(behind, len(script.text)):
        message = f"no statement follows this `{comment.name}`"
        mistakes.append(Mistake(script.path, comment.line, message, "put it above its statement"))
    return tuple(told), mistakes


def _with(
    statement: Statement, above: list[Comment], path: str, kind: str, mistakes: list[Mistake], *, first: bool
) -> Statement:
    for comment in above:
        if first and comment.name not in ("check", "backfill"):
            continue  # the header's own
        try:
            statement = _told(statement, comment, kind)
        except BadValue as error:
            mistakes.append(Mistake(path, comment.line, str(error)))
    return statement


def _unseen(script: Script, statements: Sequence[Statement]) -> Iterator[Mistake]:
    """Yield the header directives that stand behind something which ended the header early, and would do nothing."""
    header = _Gap(script.text, script.path)
    read = {comment.line for comment in header.comments(0, None)}
    gap = _Gap(script.text, script.path)
    for comment in gap.comments(0, statements[0].start):
        if comment.line not in read and comment.name not in ("check", "backfill"):
            yield Mistake(script.path, comment.line, f"`{comment.name}` stands behind the header", "move it to the top")


def _told(statement: Statement, comment: Comment, kind: str) -> Statement:
    if is_header(comment.name):
        raise BadValue(f"`{comment.name}` must stand above the first statement")
    if comment.name not in ("check", "backfill"):
        raise BadValue(unknown(comment.name))
    wrong = misplaced(comment, kind)
    if wrong:
        raise BadValue(wrong)
    if statement.check or statement.backfill:
        raise BadValue("one statement takes one such directive")
    if comment.name == "check":
        return replace(statement, check=_check_name(comment.argument))
    return replace(statement, backfill=backfill(comment.argument))


def _check_name(name: str) -> str:
    if not name:
        raise BadValue("a check needs a name")
    if len(name) > _NAME_LENGTH:
        raise BadValue(f"a check's name has at most {_NAME_LENGTH} characters")
    return name


def _doubtful(script: Script, kind: str) -> list[Mistake]:
    """Return the mistakes that only the whole script shows."""
    mistakes: list[Mistake] = []
    names: dict[str, int] = {}
    for statement in script.statements:
        if statement.check in names:
            message = f"the check `{statement.check}` is also the one of line {names[statement.check]}"
            mistakes.append(Mistake(script.path, statement.line, message, "give each check its own name"))
        elif statement.check:
            names[statement.check] = statement.line
    if kind in ("verify", "check") and not names:
        mistakes.append(Mistake(script.path, 0, "holds no `-- check: <name>`, so it would verify nothing"))
    return mistakes
