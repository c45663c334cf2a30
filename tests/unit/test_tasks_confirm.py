from __future__ import annotations

import pytest

from tests.unit.record_of import closed, plan
from windlass import confirm
from windlass_engine.errors import WindlassError


def asked(policy, given, **options):
    """Return the question that was answered with ``given``, or the refusal's code."""
    questions = []

    def answer(question):
        questions.append(question)
        if given is None:
            raise EOFError
        return given

    try:
        confirm.ask(policy, "prod", "deploy", **{"interactive": True, "answer": answer, **options})
    except WindlassError as error:
        return error.code, error.hint
    return questions


def test_no_policy_asks_nothing():
    assert asked("none", None) == []
    assert asked("none", None, interactive=False) == []


@pytest.mark.parametrize("given", ["y", "Y", "yes", " y "])
def test_a_yes_is_enough(given):
    assert "deploy of prod" in asked("yes", given)[0]


@pytest.mark.parametrize("given", ["", "n", "no", "prod", None])
def test_anything_else_is_a_no(given):
    assert asked("yes", given)[0] == "not_approved"


def test_typed_wants_the_environments_name():
    assert "(prod)" in asked("typed", "prod")[0]
    for given in ("y", "yes", "prod2", "PROD", "", None):
        assert asked("typed", given)[0] == "not_approved"


def test_without_a_terminal_the_way_out_is_said():
    code, hint = asked("yes", "y", interactive=False)
    assert code == "not_approved"
    assert "--plan DIGEST" in hint
    assert "--yes" in hint
    assert "--plan" not in asked("yes", "y", interactive=False, reviewable=False)[1]
    assert "give --confirm prod" in asked("typed", "y", interactive=False, by_name=True)[1]
    assert "give --yes" in asked("yes", "y", interactive=False, by_name=True)[1]


@pytest.mark.parametrize(
    ("policies", "strictest"),
    [((), "none"), (("none",), "none"), (("none", "yes"), "yes"), (("typed", "none", "yes"), "typed")],
)
def test_the_strictest_policy_of_those_with_work_counts(policies, strictest):
    plans = {f"db{n}": {"windlass_plan": {"d": plan(confirm=policy)}} for n, policy in enumerate(policies)}
    idle = {"windlass_plan": {"d": plan([], confirm="typed")}}
    assert confirm.strictest(closed("plan", **plans, idle=idle)) == strictest
