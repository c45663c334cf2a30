"""What a DO block does: the statements in it, and those that it puts together, as far as their text shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

#: What format() fills in, and a name or value to stand for it.
_FILLED = re.compile(r"%(?:\d+\$)?([ILs%])")
_PLACE = {"I": '"?"', "s": '"?"', "L": "'?'", "%": "%"}


def statements(block: str) -> Iterator[str | None]:
    """Yield the SQL of each statement in a block, None for one that its text does not show."""
    import pglast

    try:
        found = pglast.parse_plpgsql(block)
    except (pglast.parser.ParseError, ValueError):
        yield None
        return
    yield from _walk(found)


def _walk(node: Any) -> Iterator[str | None]:
    if isinstance(node, list):
        for item in node:
            yield from _walk(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "PLpgSQL_stmt_execsql":
                yield value["sqlstmt"]["PLpgSQL_expr"]["query"]
            elif key == "PLpgSQL_stmt_perform":
                yield value["expr"]["PLpgSQL_expr"]["query"]
            elif key == "PLpgSQL_stmt_dynexecute":
                yield _made(value["query"]["PLpgSQL_expr"]["query"])
            elif key == "PLpgSQL_stmt_call":
                yield None
            else:
                yield from _walk(value)


def _made(expression: str) -> str | None:
    """Return the statement that EXECUTE gets as a constant or through format(), with ``?`` for names filled in."""
    import pglast

    try:
        select: Any = pglast.parse_sql(f"SELECT {expression}")[0].stmt
    except pglast.parser.ParseError:
        return None
    value = select.targetList[0].val
    name = type(value).__name__
    if name == "FuncCall" and value.funcname[-1].sval == "format" and value.args:
        template = _constant(value.args[0])
        return _FILLED.sub(lambda sign: _PLACE[sign[1]], template) if template else None
    return _constant(value)


def _constant(value: Any) -> str | None:
    text = getattr(getattr(value, "val", None), "sval", None)
    return str(text) if text is not None else None
