"""The splitter agrees with PostgreSQL's own parser: on our tricky cases, and on any folder of SQL files given."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.unit.splitter_oracle import blanked, our_spans, parser_spans, scanner_spans, without_psql
from windlass_engine.errors import WindlassError

pglast = pytest.importorskip("pglast", reason="pglast is missing: pip install pglast")

CASES = sorted((Path(__file__).parents[1] / "script_cases").glob("*.sql"))
CORPUS = os.environ.get("WINDLASS_SQL_CORPUS", "")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_tricky_cases_agree_with_the_parser(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    expected = parser_spans(blanked(text))
    assert len(expected) >= 5
    assert our_spans(text) == expected


@pytest.mark.skipif(not CORPUS, reason="WINDLASS_SQL_CORPUS names no folder of SQL files")
@pytest.mark.timeout(1800)
def test_a_corpus_agrees_with_the_parser() -> None:
    tally: Counter[str] = Counter()
    differing = []
    for path in sorted(Path(CORPUS).rglob("*.sql")):
        verdict = judge(path)
        tally[verdict] += 1
        if verdict == "differs":
            differing.append(str(path))
    print(dict(tally))
    assert tally["agrees"] > 0, f"no file below {CORPUS} could be compared: {dict(tally)}"
    assert not differing


def judge(path: Path) -> str:
    """Compare one file; psql's own commands are taken out where the parser cannot read the file with them."""
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return "not UTF-8"
    plain = without_psql(text)
    for verdict, candidate, oracle in (
        ("agrees", text, parser_spans),
        ("agrees without psql commands", plain, parser_spans),
        ("agrees with the scanner", plain, scanner_spans),
    ):
        try:
            expected = oracle(blanked(candidate))
        except pglast.parser.ParseError:
            continue
        if oracle is scanner_spans and ("atomic" in candidate.lower() or "\\" in _code(candidate)):
            return "left out"
        try:
            return verdict if our_spans(candidate) == expected else "differs"
        except WindlassError:
            return "we refuse" if oracle is scanner_spans else "differs"
    return "both refuse"


def _code(text: str) -> str:
    """Return the text without strings and comments, roughly: what the scanner calls a token of one sign."""
    signs = [text[token.start] for token in pglast.parser.scan(blanked(text)) if token.start == token.end]
    return "".join(signs)
