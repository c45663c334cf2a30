"""T-SQL text → batches, with the boundaries that ``GO`` lines ask for; a batch is one statement to the journal.

What only sqlcmd understands and what is Windlass's own business (transactions, the database) is refused with file and
line.
"""

from __future__ import annotations

import re

from ...model import Statement
from ...project.mistakes import Mistake, raise_any, refuse
from ..lexis import Token, Unterminated
from .lexer import every
from .reader import Reader
from .tokens import is_routine, transaction_words

#: So often one batch may be run by a `GO 5`: each run is a statement of its own to the journal.
MOST_REPEATS = 1000
_GO = re.compile(r"go(?:[ \t]+(\d+))?[ \t]*(?:--[^\n]*|/\*[^\n*/]*\*/[ \t]*)?(?=\n|\Z)", re.IGNORECASE)
_SQLCMD = re.compile(r"(?::[A-Za-z!]|!!)[^\n]*|(?:exit|quit)[ \t]*(?:\([^\n]*)?(?=\n|\Z)", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\([A-Za-z_][\w-]*\)")
_DIRECTIVE = re.compile(r"--+[ \t]*(?:windlass[ \t]*:|check:)", re.IGNORECASE)
_REMOVE = "remove it: Windlass opens and ends the transaction itself"


def split(text: str, path: str) -> tuple[Statement, ...]:
    """Return the batches of ``text`` in order, without their GO lines; one that GO repeats stands as often.

    ``path`` is for messages.  Raises WindlassError ``project_invalid`` with the line where a string, quoted name or
    comment began that has no end, and with the line of each thing that a script may not hold.
    """
    parts = _Parts(text, path)
    parts.read()
    raise_any(sorted(parts.mistakes, key=lambda mistake: mistake.line))
    return tuple(parts.statements)


class _Parts:
    """One text on its way into batches."""

    def __init__(self, text: str, path: str) -> None:
        """Nothing is read yet."""
        self._text = text
        self._path = path
        self._batch: list[Token] = []
        self._line, self._counted = 1, 0
        self.statements: list[Statement] = []
        self.mistakes: list[Mistake] = []

    def read(self) -> None:
        """Go over the text once.  Raises WindlassError where something never ends."""
        skip_to = 0
        try:
            for token in every(self._text):
                if token.start < skip_to:
                    continue
                skip_to = self._take(token)
        except Unterminated as lost:
            hint = "close it, or take the opening mark away"
            raise refuse(self._path, self._line_at(lost.start), f"this {lost.what} never ends", hint) from None
        self._close(1)

    def _take(self, token: Token) -> int:
        """Add a token to the batch, or end the batch at a GO; return where reading goes on."""
        if token.kind == "word" and self._is(token, "GO") and self._is_first_on_line(token):
            go = _GO.match(self._text, token.start)
            if go:
                self._close(self._repeats(go, token))
                return go.end()
            told = "GO stands on a line of its own, with a count at most"
            self._add(token.start, told, "write GO, or [go] for a name")
        elif token.is_code and self._is_first_on_line(token) and _SQLCMD.match(self._text, token.start):
            told = "put the statements into the script itself; the run stops at the first error anyway"
            self._add(token.start, "this is a command of sqlcmd, not SQL", told)
        if token.kind in ("string", "name", "word"):
            self._look_for_variable(token)
        self._batch.append(token)
        return token.end

    def _is(self, token: Token, word: str) -> bool:
        return self._text[token.start : token.end].upper() == word

    def _is_first_on_line(self, token: Token) -> bool:
        line_start = self._text.rfind("\n", 0, token.start) + 1
        return not self._text[line_start : token.start].strip()

    def _repeats(self, go: re.Match[str], token: Token) -> int:
        """Return how often GO runs its batch."""
        count = int(go.group(1) or 1)
        if not 1 <= count <= MOST_REPEATS:
            self._add(token.start, f"GO {count}: a count is 1 to {MOST_REPEATS}", "write a loop in the batch")
            return 1
        return count

    def _look_for_variable(self, token: Token) -> None:
        """Refuse a sqlcmd variable: sqlcmd would put its value in, strings and all."""
        end = self._text.find(")", token.end) + 1 if token.kind == "word" else token.end
        found = _VARIABLE.search(self._text, token.start, max(end, token.end))
        if found and (token.kind != "word" or found.start() < token.end):
            hint = "write the value; in a string part it: '$' + '(x)'"
            self._add(found.start(), f"{found.group()} is a variable of sqlcmd", hint)

    def _close(self, repeats: int) -> None:
        """End the batch, unless it is empty."""
        batch, self._batch = self._batch, []
        code = [token for token in batch if token.is_code]
        if not code:
            return
        start, end = code[0].start, max(token.end for token in batch if token.is_code or token.kind == "block")
        statement = Statement(start, max(end, code[-1].end), self._count(start))
        self.statements += [statement] * repeats
        self._judge(statement, [token for token in batch if start <= token.start < end])

    def _judge(self, statement: Statement, batch: list[Token]) -> None:
        """Refuse what a batch may not hold; a routine's body may hold it all."""
        words = Reader(self._text[statement.start : statement.end])
        if is_routine(words):
            return
        last = max(token.start for token in batch if token.is_code)
        for token in batch:
            if token.kind == "comment" and token.start < last and self._is_first_on_line(token):
                directive = _DIRECTIVE.match(self._text, token.start)
                if directive:
                    self._add(token.start, "a directive in the middle of a batch does nothing", "put GO above it")
        for at, word in transaction_words(words):
            self._add(statement.start + words.items[at].start, f"{word} in a script", _REMOVE)
        self._refuse_use(words, statement.start)

    def _refuse_use(self, words: Reader, base: int) -> None:
        for at, item in enumerate(words.items):
            words.at = at
            if words.peek() == "USE" and words.peek(1) not in ("HINT", "PLAN"):
                told = "USE would lead away from the database that is deployed to"
                self._add(base + item.start, told, "remove it; write database.schema.table where it must be another")
        words.at = 0

    def _add(self, at: int, message: str, hint: str) -> None:
        self.mistakes.append(Mistake(self._path, self._line_at(at), message, hint))

    def _line_at(self, at: int) -> int:
        return self._text.count("\n", 0, at) + 1

    def _count(self, at: int) -> int:
        """Return the line of a place; places come in order."""
        self._line += self._text.count("\n", self._counted, at)
        self._counted = at
        return self._line
