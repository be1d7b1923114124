"""Conversations in a simulation: who holds them, and when they are lost."""

from typing import Any

import pytest
from traces import attempt, call, config, entries, failed, simulated, under

from router.telemetry.traced import TracedCall

SPREAD: dict[str, Any] = {"routing_strategy": "round_robin"}


def conversations(number: int, turns: int = 3, deployments: str = "ab") -> list[TracedCall]:
    """Conversations of several turns, each served where it began."""
    return [
        call(
            turn * 100 + index,
            deployments[index % len(deployments)],
            response_id=f"r{index}.{turn}",
            previous_response_id=f"r{index}.{turn - 1}" if turn else None,
            first=0.3 if index % 2 else None,
        )
        for turn in range(turns)
        for index in range(number)
    ]


@pytest.mark.parametrize("affinity", [{}, {"affinity": "signed-id", "affinity_key": "os.environ/AFFINITY_KEY_UNSET"}])
def test_follow_ups_come_home(affinity: dict[str, str]) -> None:
    found = under(conversations(20), entries("a", "b", "c"), **SPREAD, **affinity)
    assert (found.follow_ups, found.home, found.breaks, found.failures) == (40, 40, 0, 0)
    assert len(found.shares) == 3


def test_without_the_check_conversations_are_lost() -> None:
    found = simulated(
        conversations(20), config(entries("a", "b", "c"), **SPREAD, optional_pre_call_checks=[]), config(entries("a"))
    )
    loose, single = found.simulated
    assert found.recorded.breaks == single.breaks == 0
    assert loose.breaks > 10
    assert loose.breaks + loose.home == loose.follow_ups
    assert loose.errors == {"PreviousResponseNotFoundError": loose.breaks}


def test_whoever_shares_an_account_holds_it_too() -> None:
    loose: dict[str, Any] = {**SPREAD, "optional_pre_call_checks": []}
    assert under(conversations(21), entries("a", "b", account="one"), **loose).breaks == 0
    assert under(conversations(21), entries("a", "b", api_key="os.environ/ONE_KEY"), **loose).breaks == 0


def test_one_key_at_two_vendors_is_not_one_place() -> None:
    two = entries("a", "b", api_key="os.environ/ONE_KEY", b={"model": "xai/grok"})
    assert under(conversations(21), two, **SPREAD, optional_pre_call_checks=[]).breaks > 10


def test_a_home_that_is_down_loses_its_conversations_unless_they_are_told_elsewhere() -> None:
    calls = conversations(10, turns=1)
    calls += [
        failed(100 + index, attempt("a", 0.1, "InternalServerError"), previous_response_id=f"r{index}.0")
        for index in range(10)
    ]
    lost = under(calls, entries("a", "b"), **SPREAD, home_wait=1)
    assert lost.errors.get("HomeLostError")
    assert lost.breaks == lost.errors["HomeLostError"]
    told = under(calls, entries("a", "b"), **SPREAD, on_home_lost="replay")
    assert "HomeLostError" not in told.errors
    assert told.breaks > 0
    assert told.home + told.breaks == told.follow_ups


def test_conversations_of_before_the_trace_are_where_the_trace_shows_them() -> None:
    calls = [call(index, "ab"[index % 2], previous_response_id=f"old{index // 4}{index % 2}") for index in range(20)]
    found = under(calls, entries("a", "b", "c"), **SPREAD)
    assert (found.follow_ups, found.home, found.breaks) == (20, 20, 0)
    assert found.shares == {"a": 10, "b": 10}
    without = under(calls, entries("b", "c"), **SPREAD)
    assert without.breaks == 10
    assert without.shares == {"b": 10}


def test_what_goes_on_from_what_is_not_there_begins_anew() -> None:
    gone = failed(0, attempt("a", 0.1, "InternalServerError"), previous_response_id="unknown")
    found = simulated([gone, call(99)], config(entries("a"), num_retries=0))
    assert found.notes == ("follow-ups that begin anew, as what they go on from is not there: 1",)
    assert found.simulated[0].follow_ups == 0
    ahead = call(0, previous_response_id="r", status="cancelled")
    found = simulated([ahead, call(1, response_id="r")], config(entries("a")))
    assert found.notes, "what it goes on from comes later: the clocks that wrote this disagreed"


def test_after_a_turn_that_failed_a_caller_goes_on_from_the_one_before() -> None:
    calls = [
        call(0, response_id="r0"),
        call(100, response_id="r1", previous_response_id="r0", before=[attempt("a", 0.1, "InternalServerError")]),
        call(200, response_id="r2", previous_response_id="r1"),
    ]
    # what happened at 100 s is met again, and now nobody tries again
    found = under(calls, entries("a"), num_retries=0, on_home_lost="fail")
    assert found.errors == {"HomeLostError": 1}
    assert (found.follow_ups, found.home, found.breaks) == (2, 1, 1)


def test_who_keeps_no_state_is_told_what_was_said() -> None:
    chat = entries("a", "b", use_chat_completions_api=True)
    found = under(conversations(10), chat, **SPREAD)
    assert (found.follow_ups, found.home, found.breaks, found.failures) == (20, 20, 0, 0)
    before = [call(0, previous_response_id="old"), call(1, "b")]
    assert simulated(before, config(chat)).notes == (
        "follow-ups that begin anew, as what they go on from is not there: 1",
    )


def test_an_owner_that_nobody_remembers_is_asked_for() -> None:
    """As after a restart: with a tiny memory of owners, the deployments are asked, at the cost of time."""
    found = simulated(conversations(10), config(entries("a", "b", "c"), **SPREAD, affinity_max_entries=1))
    assert found.simulated[0].breaks == 0
    assert found.simulated[0].home == 20
    down = [failed(at, attempt("c", 0.1, "InternalServerError")) for at in (0, 150)]
    down += [failed(at, attempt("b", 0.1, "APITimeoutError")) for at in (90, 95, 210)]
    asked = under([*conversations(10, deployments="a"), *down], entries("a", "b", "c"), affinity_max_entries=1)
    assert asked.home == 20
