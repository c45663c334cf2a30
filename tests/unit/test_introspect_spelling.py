from __future__ import annotations

import pytest

from windlass_engine.dialects.postgresql import deparse
from windlass_engine.schema import introspect
from windlass_engine.schema.introspect import Schema

WRITTEN = "CHECK (((x)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))"
READ_BACK = "CHECK (((x)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))"


def view(definition: str) -> Schema:
    return Schema((("view", "public.v", definition),))


def test_the_cast_of_an_array_goes_to_its_elements() -> None:
    assert deparse.settled(WRITTEN) == READ_BACK
    assert deparse.settled(READ_BACK) == READ_BACK


@pytest.mark.parametrize(
    ("element", "count"),
    [("'it''s, ]'::bpchar", 1), ("f(1, 2)", 1), ("ARRAY[1, 2]", 1), ('"a,b"', 1), ("a, b", 2), ("'('::x, ')'::x", 2)],
)
def test_elements_are_told_apart(element: str, count: int) -> None:
    settled = deparse.settled(f"x = ANY ((ARRAY[{element}])::numeric(10,2)[])")
    assert settled.startswith("x = ANY (ARRAY[(")
    assert settled.count(")::numeric(10,2)") == count
    assert "[]" not in settled


@pytest.mark.parametrize("text", ["(ARRAY[", "(ARRAY['a", "(ARRAY[1])", "(ARRAY[1]) || (ARRAY[2])", "no array"])
def test_what_is_no_cast_stays(text: str) -> None:
    assert deparse.settled(text) == text


def test_another_spelling_is_no_real_difference() -> None:
    one, two = view("SELECT ((a)::text || b)"), view("SELECT (a || b)::timestamp without time zone")
    assert introspect.difference(one, two) == [
        "~ view public.v: SELECT ((a)::text || b) -> SELECT (a || b)::timestamp without time zone"
    ]
    assert introspect.real_difference(one, two, deparse.loose) == []
    assert introspect.real_difference(one, view("SELECT a || c"), deparse.loose) != []
    assert introspect.real_difference(one, Schema(), deparse.loose) == ["- view public.v"]
