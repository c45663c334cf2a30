"""A host whose link broke is waited for as long as the policy says, counted from when the link was missed."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure

from windlass import actions
from windlass_engine.errors import WindlassError

HOUR_S = 3600.0
DATABASES: list[Any] = [SimpleNamespace(policy=SimpleNamespace(reconnect=300_000))]


class Clock:
    """Time that passes when somebody waits, or works."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Following(actions.WindlassAction):
    """An action whose calls take the given times, and then find the link lost or bring an answer."""

    def __init__(self, clock: Clock, calls: Iterator[tuple[float, bool]], reached: bool) -> None:
        self.clock, self.calls, self.reached, self.host, self.said = clock, calls, reached, "db1", list[str]()

    def call(self, module: str, databases: Any, **more: Any) -> dict[str, Any]:
        takes_s, answers = next(self.calls)
        self.clock.now += takes_s
        if not answers:
            raise AnsibleConnectionFailure("Broken pipe")
        return {"answer": 42}

    def _tell(self, lines: Any) -> None:
        self.said += lines

    def _drop_connection(self) -> None:
        """There is none."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(actions, "time", found)
    return found


def test_a_call_that_took_long_until_its_link_broke_is_made_again(clock: Clock) -> None:
    action = Following(clock, iter([(HOUR_S, False), (1.0, False), (1.0, True)]), reached=True)
    assert action.patiently("db_verify", DATABASES) == {"answer": 42}
    assert len(action.said) == 2 and "the connection is lost" in action.said[0]


def test_a_host_that_stays_away_is_given_up_after_the_policys_patience(clock: Clock) -> None:
    action = Following(clock, iter([(HOUR_S, False), *[(15.0, False)] * 100]), reached=True)
    with pytest.raises(WindlassError, match="did not come back in 5 min") as gone:
        action.patiently("db_verify", DATABASES)
    assert gone.value.code == "host_unreachable"
    assert 300 <= clock.now - HOUR_S <= 330


def test_a_host_that_nobody_has_reached_is_not_waited_for(clock: Clock) -> None:
    with pytest.raises(AnsibleConnectionFailure):
        Following(clock, iter([(1.0, False)]), reached=False).patiently("db_migrate", DATABASES)
