"""Where the body of a procedure, function, trigger, event or anonymous block ends when no DELIMITER says so."""

from __future__ import annotations

from itertools import islice

from .lexer import tokens

_ROUTINES = ("PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE")
#: What may stand between CREATE and the kind of object.
_BETWEEN = ("OR", "REPLACE", "DEFINER", "AGGREGATE", "=", "@", "CURRENT_USER", "CURRENT_ROLE", "(", ")")
_BLOCKS = ("IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR")
#: A statement of a body begins behind one of these.
_STARTERS = (";", "BEGIN", "ATOMIC", "THEN", "ELSE", "DO", "LOOP", "REPEAT", ":")
#: Before a body that is one statement: the end of the parameters, or of what is said about the routine.
_HEAD_ENDS = (")", "ROW", "DETERMINISTIC", "DATA", "SQL", "DEFINER", "INVOKER")


def has_body(text: str, start: int) -> bool:
    """Tell whether the statement at ``start`` may hold semicolons of its own."""
    head = []
    for token in islice(tokens(text, start), 16):
        if token.kind in ("word", "other"):
            head.append(text[token.start : token.end].upper())
    if head[:1] in (["CREATE"], ["ALTER"]):
        return _creates_routine(head[1:])
    return head[:2] == ["BEGIN", "NOT"] or head[:1] in ([word] for word in _BLOCKS)


def _creates_routine(head: list[str]) -> bool:
    """Tell whether the kind of object is a routine; a definer's name may stand before it."""
    defined = "DEFINER" in head[:3]
    for word in head:
        if word in _ROUTINES:
            return True
        if word not in _BETWEEN and not defined:
            return False
        if word in ("TABLE", "VIEW", "SQL", "ALGORITHM"):
            return False
    return False


class BodyEnd:
    """Counts what is open in a body, token by token.

    A CASE is an expression or a statement; IF, REPEAT and their like are blocks only where a statement may begin, for
    they are functions too.
    """

    def __init__(self) -> None:
        """Nothing is open."""
        self._open: list[str] = []
        self._parens = 0
        self._before = ";"

    @property
    def is_closed(self) -> bool:
        """Return whether a semicolon here ends the whole statement."""
        return not self._open and self._parens <= 0

    def feed(self, word: str) -> None:
        """Take the next token: a word in capitals, a sign, or ``x`` for anything quoted."""
        if self._before == "END" and word in _BLOCKS:
            pass  # END IF, END LOOP: closed with the END
        elif word == "BEGIN":
            self._open.append("block")
        elif word == "CASE":
            self._open.append("block" if self._begins_statement(word) else "expression")
        elif word in _BLOCKS and self._begins_statement(word):
            self._open.append("block")
        elif word == "END" and self._open:
            self._open.pop()
        self._parens += (word == "(") - (word == ")")
        self._before = word

    def _begins_statement(self, word: str) -> bool:
        if self._open and self._open[-1] == "expression":
            return False
        if self._before in _STARTERS:
            return True
        # FOR EACH ROW is no loop.
        return word != "FOR" and not self._open and not self._parens and self._before in _HEAD_ENDS
