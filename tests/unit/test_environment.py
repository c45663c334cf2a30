"""Inventory values become databases, passwords leave URLs, and mistakes are named without a secret."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.environment import Policy, databases, merge_policy, part_url
from windlass.inventory_values import milliseconds
from windlass_engine.errors import WindlassError

SALON = {"name": "salon", "system": "salon", "url": "postgresql://salon@/salon"}


def refusal(call, *args, **kwargs):
    with pytest.raises(WindlassError) as caught:
        call(*args, **kwargs)
    assert caught.value.code == "inventory_invalid"
    return caught.value


@pytest.mark.parametrize(
    ("url", "bare", "password"),
    [
        ("postgresql://u:p@db:5432/x", "postgresql://u@db:5432/x", "p"),
        ("postgresql://u@db/x", "postgresql://u@db/x", ""),
        ("postgres://u:p%40%2F@db/x?sslmode=require", "postgres://u@db/x?sslmode=require", "p@/"),
        ("postgresql://u:p@ss@db/x", "postgresql://u@db/x", "p@ss"),
        ("postgresql:///x?host=/run/pg&password=s%20p", "postgresql:///x?host=/run/pg", "s p"),
        ("postgresql:///x", "postgresql:///x", ""),
        (
            "postgresql://u:p@a:1,b:2/x?target_session_attrs=primary",
            "postgresql://u@a:1,b:2/x?target_session_attrs=primary",
            "p",
        ),
        ("postgresql://u:p@[::1]:5432/x", "postgresql://u@[::1]:5432/x", "p"),
        ("postgresql://u:a:b@db/x", "postgresql://u@db/x", "a:b"),
    ],
)
def test_url_and_password_part(url, bare, password):
    assert part_url(url) == (bare, password)


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_password_survives_and_leaves_the_url(user, password):
    encoded = quote(password, safe="")
    bare, got = part_url(f"postgresql://{quote(user, safe='')}:{encoded}@db.example:5432/app?sslmode=require")
    assert got == password
    assert bare == f"postgresql://{quote(user, safe='')}@db.example:5432/app?sslmode=require"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hush/hush@db/x",
        "postgresql://u:hush#1@db/x",
        "host=db user=u password=hush",
        "postgresql://u:hush@db/x?password=hush",
        "postgresql://u:hush@[db/x",
        "postgresql://u:hush@db℀/x",
        "postgresql://u@db/x?sslpassword=hush",
    ],
)
def test_a_refused_url_is_not_repeated(url):
    error = refusal(part_url, url, host="h", database="d")
    assert "hush" not in str(error.to_wire())
    assert error.__context__ is None or "hush" not in str(error.to_wire())
    assert error.where == {"host": "h", "database": "d"}


def test_an_unset_variable_behind_the_url_is_named():
    error = refusal(databases, [{**SALON, "url": ""}], host="runner")
    assert "is the variable behind it set?" in str(error)
    assert "host runner, database salon" in str(error)


def test_a_database_takes_the_hosts_policy_and_its_own():
    (database,) = databases(
        [{**SALON, "policy": {"on_failure": "rollback"}}], {"backup": "never", "lock_timeout": "1s"}
    )
    assert database.policy == Policy(backup="never", lock_timeout=1000, on_failure="rollback")


def test_the_filter_keeps_names_but_every_entry_is_checked():
    two = [SALON, {**SALON, "name": "other"}]
    assert [d.name for d in databases(two, only=["other"])] == ["other"]
    refusal(databases, [SALON, {"name": "bad"}], only=["salon"])


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("salon", "is not a list"),
        ([{"system": "x"}], "has no name"),
        ([{"name": "a", "url": "postgresql:///a"}], "has no system"),
        ([SALON, SALON], "twice"),
        ([{**SALON, "pasword": "hush"}], "did you mean password?"),
        ([{**SALON, "url": "postgresql://u:hush@h/d", "password": "hush"}], "keep one"),
        ([{**SALON, "policy": {"bakup": "never"}}], "did you mean backup?"),
        ([{**SALON, "policy": {"backup": "sometimes"}}], "required, optional, never"),
        ([{**SALON, "policy": {"lock_timeout": 200}}], "needs a unit"),
        ([{**SALON, "policy": {"serial": [0]}}], "counts (1) or percentages"),
        ([{**SALON, "policy": {"samples": "perhaps"}}], "true or false"),
        ([{**SALON, "policy": {"lock_retries": -1}}], "whole number"),
    ],
)
def test_a_mistake_is_named(raw, says):
    error = refusal(databases, raw, host="h")
    assert says in error.message
    assert error.where["host"] == "h"
    assert "hush" not in str(error)


def test_yaml_booleans_serve_as_confirm_words():
    assert merge_policy({"confirm": True}).confirm == "yes"
    assert merge_policy({"confirm": False}).confirm == "none"


@pytest.mark.parametrize(
    ("text", "ms"), [("200ms", 200), ("60s", 60_000), ("15min", 900_000), ("1h", 3_600_000), (0, 0)]
)
def test_times(text, ms):
    assert milliseconds(text) == ms


def test_options_follow_the_policy():
    (database,) = databases([SALON], {"lock_timeout": "1s", "deploy_lock_wait": "5s", "atomic": True})
    options = database.options("r", "me", "here", check_mode=True)
    assert (options.lock_timeout_ms, options.deploy_lock_wait_s, options.atomic) == (1000, 5.0, True)
    assert options.check_mode


def test_a_password_is_not_in_a_databases_repr():
    (database,) = databases([{**SALON, "password": "hush"}])
    assert "hush" not in repr(database)
    assert "hush" not in repr(database.target)
