"""Where a database URL leads, and the URL for the near side of a tunnel."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from windlass.tunnel import endpoint
from windlass_engine.errors import WindlassError


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("postgresql://me@db.example:5433/salon", ("db.example", 5433)),
        ("postgres://me@db.example/salon", ("db.example", 5432)),
        ("postgresql://me@[::1]:5433/salon", ("::1", 5433)),
        ("postgresql://me@first,second/salon", ("first", 5432)),
        ("postgresql://me@first:1,second:2/salon", ("first", 1)),
        ("postgresql://me@name:1/salon?hostaddr=10.0.0.1", ("10.0.0.1", 1)),
        ("postgresql:///salon", "/var/run/postgresql/.s.PGSQL.5432"),
        ("postgresql:///salon?host=/tmp&port=5544", "/tmp/.s.PGSQL.5544"),
        ("postgresql://me@%2Ftmp%2Fa%20b/salon", "/tmp/a b/.s.PGSQL.5432"),
    ],
)
def test_where_a_url_leads(url: str, destination: object) -> None:
    assert endpoint.of_url(url).destination == destination


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://me@db:5433/salon", {"user": "me", "dbname": "salon"}),
        ("postgresql://me@db", {"user": "me", "dbname": "me"}),
        ("postgresql:///salon", {"user": "login", "dbname": "salon"}),
        ("postgresql://", {"user": "login", "dbname": "login"}),
        (
            "postgresql://J%C3%B6%2F%22x%27@db/sa%20lon%3F?sslmode=require&options=-c%20a%3Db",
            {"user": "Jö/\"x'", "dbname": "sa lon?", "sslmode": "require", "options": "-c a=b"},
        ),
        ("postgresql://me@db/salon?sslrootcert=/on/the/target", {"user": "me", "dbname": "salon"}),
    ],
)
def test_the_url_for_this_side(url: str, expected: dict[str, str]) -> None:
    local = endpoint.of_url(url).local_url(6000, "login")
    assert conninfo_to_dict(local) == {**expected, "host": "127.0.0.1", "port": "6000"}


def test_a_certificate_is_still_checked_against_the_servers_own_name() -> None:
    local = endpoint.of_url("postgresql://me@db.example/salon?sslmode=verify-full").local_url(6000, "login")
    told = conninfo_to_dict(local)
    assert (told["host"], told["hostaddr"], told["sslmode"]) == ("db.example", "127.0.0.1", "verify-full")


def test_the_command_is_one_word_for_a_shell() -> None:
    command = endpoint.of_url("postgresql://o'neil@db/salon").client_command(6000, "login")
    assert command == "psql postgresql://o%27neil@127.0.0.1:6000/salon"
    assert endpoint.of_url("postgresql://a@b/c?sslmode=require").client_command(1, "x").endswith("require'")


@pytest.mark.parametrize("url", ["mysql://me@db/x", "postgresql://me@db/x?nonsense=hunter2", "salon"])
def test_what_is_no_postgresql_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(WindlassError) as caught:
        endpoint.of_url(url)
    assert caught.value.code == "inventory_invalid"
    assert "hunter2" not in str(caught.value)
    assert psycopg.ProgrammingError.__name__ not in str(caught.value)
