"""Generated SQL: wherever PostgreSQL's own parser or scanner accepts it, the splitter finds the same boundaries."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.unit.splitter_oracle import our_spans, parser_spans, scanner_spans
from windlass_engine.dialects.postgresql.lexer import tokens
from windlass_engine.errors import WindlassError

pglast = pytest.importorskip("pglast", reason="pglast is missing: pip install pglast")

AWKWARD = st.text(alphabet="ab;'\"$-/*\\é \n()E", max_size=8)
TAGS = st.sampled_from(["$$", "$a$", "$é_1$", "$A$"])
BLANKS = st.sampled_from([" ", "\n", "\t ", "/**/", "/* ; /* ' */ $$ */", "-- ; ' $$ /*\n", " --\n", "\f", "\r\n"])


@st.composite
def literals(draw: st.DrawFn) -> str:
    body = draw(AWKWARD)
    shape = draw(st.sampled_from(["plain", "escape", "dollar", "name", "continued"]))
    if shape == "dollar":
        tag = draw(TAGS)
        assume(tag not in body + tag[:-1])
        return f"{tag}{body}{tag}"
    if shape == "name":
        return '"x' + body.replace('"', '""') + '"'
    doubled = body.replace("'", "''")
    if shape == "plain":
        return f"'{doubled}'"
    escaped = doubled.replace("\\", "\\\\")
    return f"E'{escaped}'" if shape == "escape" else f"e'{escaped}'  -- on\n '{escaped}\\''"


ATOMS = st.one_of(
    literals(),
    st.sampled_from(["1", "2.5", "a", "t.end", "x$y$", "é$", "$1", "CASE WHEN a THEN 1 END", "(SELECT 1)"]),
)
OPERATORS = st.sampled_from([",", "+", "||", "-", "*", "/", "@>", "=", " AS end,", " AS case,"])


@st.composite
def expressions(draw: st.DrawFn) -> str:
    parts = [draw(ATOMS)]
    for _ in range(draw(st.integers(0, 3))):
        parts += [draw(BLANKS), draw(OPERATORS), draw(BLANKS), draw(ATOMS)]
    return "".join(parts)


@st.composite
def statements(draw: st.DrawFn) -> str:
    gap, expression = draw(BLANKS), draw(expressions())
    query = f"SELECT{gap}{expression}"
    shape = draw(st.sampled_from(["query", "body", "rule", "quoted body", "empty", "label"]))
    if shape == "body":
        inner = ";".join(draw(st.lists(expressions().map("SELECT ".__add__), max_size=2)))
        tail = inner + ";" if inner else ""
        return f"CREATE{gap}FUNCTION f(begin int){gap}RETURNS int{gap}BEGIN{gap}ATOMIC {tail}{gap}END"
    return {
        "query": query,
        "rule": f"CREATE RULE r AS ON INSERT TO t DO ALSO{gap}({query};{gap}{query};)",
        "quoted body": f"CREATE OR REPLACE FUNCTION f() RETURNS int AS{gap}$f$ {gap} SELECT 1; $f$ LANGUAGE sql",
        "empty": gap,
        "label": f"SELECT begin atomic{gap}, 1 end",
    }[shape]


@given(st.lists(statements(), min_size=1, max_size=5), BLANKS)
@settings(max_examples=400)
def test_statements_part_where_the_parser_parts_them(parts: list[str], gap: str) -> None:
    text = f"{gap};{gap}".join(parts)
    try:
        expected = parser_spans(text)
    except pglast.parser.ParseError:
        assume(False)
    assert our_spans(text) == expected


SOUP = st.lists(
    st.one_of(
        literals(),
        BLANKS,
        st.sampled_from(
            ["'", "''", '"', "$", "$$", "$a$", "$1", "1", "E", "e'", "U&'", "N", "a", "é", "--", "/*", "*/"]
        ),
        st.sampled_from([";", "(", ")", ".", "+", "-", "*", "/", "<", "|", "@", ",", "copy", "select", "from"]),
    ),
    max_size=25,
).map("".join)


@given(SOUP)
@settings(max_examples=1500)
def test_token_soup_parts_where_the_scanner_would(text: str) -> None:
    try:
        expected = scanner_spans(text)
    except pglast.parser.ParseError:
        assume(False)
    assume(not any(text[token.start] == "\\" for token in tokens(text) if token.kind == "other"))
    try:
        found = our_spans(text)
    except WindlassError as error:
        assert "parenthesis" in error.message  # the scanner alone does not know that one is missing
        return
    assert found == expected
