"""The check by itself: what a Router's calls never do to it, but its contract allows."""

from __future__ import annotations

import pytest
from fakes import Clock

from checks.base import Failed
from checks.budgets.check import Budget, Ended, Means
from checks.budgets.ledger import Ledger
from checks.budgets.period import parse_period
from checks.budgets.rules import Rule, Rules
from checks.catalog import Services, build
from providers.errors import BudgetExceededError, ConfigurationError, InternalServerError
from providers.types import Call, Deployment
from providers.usage import Bill, Cost
from router.stores.memory import MemoryStore

A, B = (Deployment(name, "gpt", "openai", "gpt-4o", max_budget=10.0, budget_duration="1h") for name in "ab")
TAG = Rule("tag", "*", 10 * 10**9, parse_period("1h"))


def budget(clock: Clock, *rules: Rule) -> Budget:
    """A check for whom every call may cost four dollars."""
    means = Means(Rules(rules), Ledger(clock), lambda call, deployment: 4.0, lambda call: None)
    check = Budget(means)
    check.accept((A, B))
    return check


def call(name: str, *tags: str) -> Call:
    return Call("gpt", id=name, metadata={"tags": list(tags)})


def money(check: Budget) -> list[tuple[float, float]]:
    return [(state.spent, state.reserved) for state in check.states()]


async def test_a_call_is_settled_once(clock: Clock) -> None:
    check = budget(clock)
    await check.eligible(call("1"), (A, B))
    assert check.reserve(call("1"), A, 0.0) == 0
    for _ in range(2):
        check.over("1", Ended(Bill(Cost(3.0))))
    assert money(check) == [(3, 0), (0, 0)]


async def test_what_is_released_was_never_reserved(clock: Clock) -> None:
    check = budget(clock)
    await check.eligible(call("1"), (A, B))
    check.reserve(call("1"), A, 0.0)
    check.release(call("1"), A)
    check.release(call("2"), A)
    assert check.reserve(call("1"), B, 0.0) == 0
    assert money(check) == [(0, 0), (0, 4)]


async def test_room_that_is_taken_in_the_step_of_the_pick_is_looked_for_again(clock: Clock) -> None:
    check = budget(clock)
    for name in "123":
        await check.eligible(call(name), (A, B))
    assert [check.reserve(call(name), A, 0.0) > 0 for name in "123"] == [False, False, True]
    assert await check.eligible(call("4"), (A, B)) == [B]


async def test_a_call_that_nobody_has_asked_for_reserves_nothing(clock: Clock) -> None:
    check = budget(clock)
    assert check.reserve(call("1"), A, 0.0) == 0
    assert money(check) == [(0, 0), (0, 0)]


async def test_an_answer_that_failed_is_billed_where_it_was_given(clock: Clock) -> None:
    check = budget(clock, TAG)
    await check.eligible(call("1", "x"), (A, B))
    check.reserve(call("1", "x"), A, 0.0)
    await check.observe(call("1", "x"), A, Failed(InternalServerError("malformed")))
    assert money(check) == [(0, 0), (0, 0), (0, 4)]
    check.over("1", Ended(Bill(Cost(0.5))))
    assert money(check) == [(0.5, 0), (0, 0), (0.5, 0)]


async def test_an_answer_is_not_billed_where_another_has_failed(clock: Clock) -> None:
    check, elsewhere = budget(clock, TAG), Deployment("c", "gpt", "openai", "gpt-4o")
    check.accept((A, B, elsewhere))
    for name, second in (("1", B), ("2", elsewhere)):
        await check.eligible(call(name, "x"), (A, B, elsewhere))
        check.reserve(call(name, "x"), A, 0.0)
        await check.observe(call(name, "x"), A, Failed(InternalServerError("down")))
        check.reserve(call(name, "x"), second, 0.0)
        check.over(name, Ended(Bill(Cost(0.5))))
    assert money(check) == [(0, 0), (0.5, 0), (1, 0)]


async def test_the_error_names_the_budget_that_is_used_up_among_several(clock: Clock) -> None:
    check = budget(clock, TAG)
    for name in "12":
        await check.eligible(call(name, "x"), (A,))
    with pytest.raises(BudgetExceededError, match=r"tag 'x' has no room: \$0 of \$10 per 1h spent, \$8 reserved"):
        await check.eligible(call("3", "w", "x"), (A,))
    assert ("w", 0) not in [(state.name, state.reserved) for state in check.states()]


async def test_closing_settles_what_is_over(clock: Clock) -> None:
    check = budget(clock, TAG)
    await check.eligible(call("1", "x"), (A,))
    check.over("1", Ended(None))
    await check.aclose()
    assert money(check) == [(0, 0), (0, 0)]


def test_without_a_router_the_name_means_nothing() -> None:
    with pytest.raises(ConfigurationError, match="needs the budgets of a Router"):
        build(["budget"], Services(MemoryStore(), lambda _: None))
