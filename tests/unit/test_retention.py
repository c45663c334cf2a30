"""Retention: never the last good one, whatever the policy, the clocks and the failures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass_engine.errors import WindlassError
from windlass_engine.keeping.retention import Backup, Decision, Policy, Verdict, decide, policy_of

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
COUNTS = st.integers(0, 5)
POLICIES = st.builds(
    Policy, last=COUNTS, hourly=COUNTS, daily=COUNTS, weekly=COUNTS, monthly=COUNTS, yearly=COUNTS, verified=COUNTS
)


def backup(hours: float, name: str = "", **more: object) -> Backup:
    taken = NOW - timedelta(hours=hours)
    return Backup(f"{taken:%Y%m%dT%H%M%SZ}-{name or 'aaaaaa'}", taken, **more)  # type: ignore[arg-type]


@st.composite
def series(draw: st.DrawFn) -> list[Backup]:
    hours = draw(st.lists(st.integers(-30_000, 30_000), unique=True, max_size=25))
    return [
        backup(
            each,
            complete=draw(st.booleans()) or draw(st.booleans()),
            verified=draw(st.booleans()),
            failed=draw(st.sampled_from(("", "", "", "differs"))),
        )
        for each in hours
    ]


def sound(backups: list[Backup]) -> list[Backup]:
    """The good ones that are not from the future, newest first."""
    good = [each for each in backups if each.complete and not each.failed and each.taken <= NOW]
    return sorted(good, key=lambda each: each.taken, reverse=True)


def kept(verdict: Verdict) -> set[str]:
    return {decision.id for decision in verdict.decisions if decision.keep}


def decisions(backups: list[Backup], policy: Policy, **more: str) -> dict[str, Decision]:
    return {each.id: each for each in decide(backups, policy, NOW, **more).decisions}


@given(series(), POLICIES)
def test_the_newest_good_one_and_the_last_verified_one_always_stay(backups: list[Backup], policy: Policy) -> None:
    good = sound(backups)
    verified = [each for each in good if each.verified]
    found = kept(decide(backups, policy, NOW))
    assert {each.id for each in good[:1] + verified[: max(policy.verified, 1)]} <= found


@given(series(), POLICIES)
def test_every_backup_gets_one_decision_with_a_reason(backups: list[Backup], policy: Policy) -> None:
    verdict = decide(backups, policy, NOW)
    assert sorted(each.id for each in verdict.decisions) == sorted(each.id for each in backups)
    assert all(each.reasons for each in verdict.decisions)
    assert set(verdict.going) == {each.id for each in backups} - kept(verdict)


@given(series(), POLICIES)
def test_deleting_what_goes_and_deciding_again_deletes_nothing_more(backups: list[Backup], policy: Policy) -> None:
    going = decide(backups, policy, NOW).going
    left = [each for each in backups if each.id not in going]
    assert decide(left, policy, NOW).going == ()


@given(series(), POLICIES, st.sampled_from(("last", "hourly", "daily", "weekly", "monthly", "yearly", "verified")))
def test_a_larger_policy_never_deletes_more(backups: list[Backup], policy: Policy, rule: str) -> None:
    larger = replace(policy, **{rule: getattr(policy, rule) + 1})
    assert kept(decide(backups, policy, NOW)) <= kept(decide(backups, larger, NOW))


@given(series(), POLICIES)
def test_failed_and_broken_ones_are_never_counted(backups: list[Backup], policy: Policy) -> None:
    good = sound(backups)
    only_good = decide(good, policy, NOW)
    together = decide(backups, policy, NOW)
    assert {each.id for each in good} & kept(together) >= kept(only_good)
    if not together.held:
        assert {each.id for each in good} & kept(together) == kept(only_good)


@given(series(), POLICIES)
@settings(max_examples=50)
def test_nothing_goes_when_the_newest_is_bad(backups: list[Backup], policy: Policy) -> None:
    for newest in (backup(-0.1, complete=False), backup(-0.1, failed="rows differ")):
        older = [each for each in backups if each.taken <= NOW]
        assert decide([*older, newest], policy, NOW).going == ()
    assert decide(backups, policy, NOW, last_failure="no space left").going == ()


@given(series(), POLICIES)
def test_what_lies_in_the_future_is_neither_counted_nor_deleted(backups: list[Backup], policy: Policy) -> None:
    ahead = {each.id for each in backups if each.taken > NOW + timedelta(minutes=10)}
    past = [each for each in backups if each.id not in ahead]
    verdict = decide(backups, policy, NOW)
    assert ahead <= kept(verdict)
    assert kept(verdict) - ahead == kept(decide(past, policy, NOW))


def test_the_backup_just_made_stays_though_the_clock_was_set_back() -> None:
    made = backup(10_000)
    backups = [backup(hours) for hours in range(1, 5)] + [made]
    found = decisions(backups, Policy(last=2), made=made.id)
    assert found[made.id].reasons[0] == "the newest"
    assert not decisions(backups, Policy(last=2))[made.id].keep, "without the word nobody could know"


def test_the_calendar_keeps_the_newest_of_each_slot_and_says_which() -> None:
    backups = [backup(hours) for hours in range(0, 24 * 100, 6)]
    found = decisions(backups, Policy(last=1, daily=3, weekly=2, monthly=3))
    reasons = {name: each.reasons for name, each in found.items() if each.keep}
    assert reasons == {
        "20260318T120000Z-aaaaaa": (
            "the newest", "last 1 of 1", "daily 2026-03-18", "weekly 2026-W12", "monthly 2026-03",
        ),
        "20260317T180000Z-aaaaaa": ("daily 2026-03-17",),
        "20260316T180000Z-aaaaaa": ("daily 2026-03-16",),
        "20260315T180000Z-aaaaaa": ("weekly 2026-W11",),
        "20260228T180000Z-aaaaaa": ("monthly 2026-02",),
        "20260131T180000Z-aaaaaa": ("monthly 2026-01",),
    }  # fmt: skip


def test_a_broken_one_goes_only_when_a_newer_one_is_whole() -> None:
    old, new = backup(5, complete=False), backup(1)
    assert decisions([old, new], Policy(last=9))[old.id].reasons == (f"is broken, and {new.id} is newer and whole",)
    assert decide([old], Policy(last=9), NOW).going == ()
    assert decide([old], Policy(last=9), NOW).held == "there is no complete backup"


def test_one_that_failed_its_test_goes_only_when_a_newer_one_passed() -> None:
    old, new = backup(5, failed="rows differ"), backup(1)
    assert decisions([old, new], Policy(last=9))[old.id].reasons == (
        "failed its check (rows differ), but nothing newer is verified",
    )
    assert not decisions([old, replace(new, verified=True)], Policy(last=9))[old.id].keep


def test_a_verified_one_outlives_a_long_series_that_nobody_tested() -> None:
    tested = backup(1000, verified=True)
    verdict = decide([tested, *(backup(hours) for hours in range(50))], Policy(last=3, verified=0), NOW)
    assert len(verdict.going) == 47
    assert {each.id: each.reasons for each in verdict.decisions}[tested.id] == ("the last verified",)


@pytest.mark.parametrize("raw", [None, {}, ""])
def test_without_a_policy_there_is_none(raw: object) -> None:
    assert policy_of(raw) is None


@pytest.mark.parametrize(
    "raw", [{"dayly": 3}, {"last": -1}, {"last": "all"}, {"last": True}, {"verified": 2}, {"last": 0}, [3]]
)
def test_a_policy_that_cannot_be_meant_is_refused(raw: object) -> None:
    with pytest.raises(WindlassError) as caught:
        policy_of(raw)
    assert caught.value.code == "inventory_invalid"


def test_a_policy_is_read() -> None:
    assert policy_of({"last": 7, "daily": "14"}) == Policy(last=7, daily=14)
