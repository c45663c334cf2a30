"""PostgreSQL's own parser and scanner, as the judge of where statements begin and end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from windlass_engine.dialects.postgresql.splitter import boundaries, copy_parts

Span = tuple[int, int]

_COPY_BLOCK = re.compile(
    r"^(COPY\b(?:[^;']|'[^']*')*?\bFROM\s+STD(?:IN|OUT)\b(?:[^;']|'[^']*')*;)([^\n]*\n(?:.*\n)*?\\\.[ \t]*)$",
    re.MULTILINE | re.IGNORECASE,
)
_PSQL_LINE = re.compile(r"^[ \t]*\\[^.\n].*$", re.MULTILINE)
_PSQL_ENDING = re.compile(r";?[ \t]*\\(?:g|crosstabview|bind|parse|watch|;)[^\n]*$", re.MULTILINE)


def blanked(text: str) -> str:
    """Return the text with its COPY data as blanks, because the parser knows only the command."""
    return _COPY_BLOCK.sub(lambda match: match[1] + re.sub(r"[^\n]", " ", match[2]), text)


def without_psql(text: str) -> str:
    """Return the text with psql's own commands as blanks; one that sends the statement becomes a semicolon."""
    text = _PSQL_LINE.sub(lambda match: " " * len(match[0]), text)
    return _PSQL_ENDING.sub(lambda match: ";" + " " * (len(match[0]) - 1), text)


def parser_spans(text: str, *, with_parser: bool = True) -> list[Span]:
    """Return first and last character of each statement, without comments around it.  Raises on a syntax error."""
    from pglast import parser

    slices = parser.split(text, with_parser=with_parser, only_slices=True)
    spans = []
    for tokens in _grouped(_tokens(text), slices):
        if tokens:
            spans.append((tokens[0].start, tokens[-1].end + 1))
    return spans


def scanner_spans(text: str) -> list[Span]:
    """Return what the scanner alone tells: a semicolon outside parentheses ends a statement."""
    spans: list[Span] = []
    current: list[Any] = []
    depth = 0
    for token in _tokens(text):
        sign = text[token.start : token.end + 1]
        depth += (sign == "(") - (sign == ")")
        if sign == ";" and depth <= 0:
            depth = 0
            spans += [(current[0].start, current[-1].end + 1)] if current else []
            current = []
        else:
            current.append(token)
    return spans + ([(current[0].start, current[-1].end + 1)] if current else [])


def our_spans(text: str) -> list[Span]:
    """Return the same of our own splitter, which lets a block comment behind a statement belong to it."""
    spans = []
    for statement in boundaries(text, "case.sql"):
        sql = text[statement.start : statement.end]
        if statement.copy_data:
            spans.append((statement.start, statement.start + len(copy_parts(sql)[0])))
        else:
            last = list(_tokens(sql))[-1]
            spans.append((statement.start, statement.start + last.end + 1))
    return spans


def _tokens(text: str) -> list[Any]:
    from pglast import parser

    return [token for token in parser.scan(text) if token.name not in ("SQL_COMMENT", "C_COMMENT")]


def _grouped(tokens: Sequence[Any], slices: Sequence[slice]) -> list[list[Any]]:
    groups: list[list[Any]] = [[] for _ in slices]
    at = 0
    for token in tokens:
        while at < len(slices) and token.start >= slices[at].stop:
            at += 1
        if at < len(slices) and token.start >= slices[at].start:
            groups[at].append(token)
    return groups
