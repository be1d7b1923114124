"""Totals: what they add up, that no call is lost when there are too many names, that they can be read in any thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest
from call_records import CALL
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from routers import create, entry, group, misbehave, serving

from providers.types import Deployment
from providers.usage import Cost, TokenUsage
from router import APIError, CallRecord, Router, Totals
from router.telemetry import spend
from router.telemetry.spend import NONE, OTHERS, SpendSink

NAMES = st.sampled_from([None, "a", "b", "c", "d", OTHERS])


@st.composite
def records(draw: st.DrawFn) -> CallRecord:
    cost = draw(st.sampled_from([None, 0.0, 0.25, 1.5, 1024.0]))
    priced = cost is not None or draw(st.booleans())
    usage = st.builds(TokenUsage, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), estimated=st.booleans())
    return CallRecord(
        id="call",
        verb="create",
        status=draw(st.sampled_from(["succeeded", "failed", "cancelled", "abandoned"])),
        model="m",
        group=draw(NAMES) or "",
        deployment_id=draw(NAMES),
        provider=draw(NAMES),
        deployment_model=None,
        stream=False,
        started=0.0,
        queued=0.0,
        first_event=None,
        duration=0.0,
        usage=draw(st.none() | usage),
        cost=cost,
        cost_breakdown=Cost(cost) if priced else None,
        end_user=draw(NAMES),
        tags=tuple(draw(st.lists(st.sampled_from("abcd"), max_size=3))),
    )


def added(totals: Mapping[str, Totals]) -> Totals:
    """The sum of all entries."""
    rows = [msgspec.structs.astuple(each) for each in totals.values()]
    return Totals(*(sum(column) for column in zip(*rows, strict=True))) if rows else Totals()


def expected(found: list[CallRecord]) -> Totals:
    """The same, straight from the records. Costs here are sums of powers of two: exact in any order."""
    usages = [each.usage for each in found if each.usage is not None]
    return Totals(
        calls=len(found),
        failures=sum(each.status == "failed" for each in found),
        input_tokens=sum(each.input_tokens for each in usages),
        output_tokens=sum(each.output_tokens for each in usages),
        cache_read_tokens=sum(each.cache_read_tokens for each in usages),
        cost=sum(each.cost or 0.0 for each in found),
        unpriced=sum(each.cost_breakdown is not None and each.cost is None for each in found),
        estimated=sum(each.estimated for each in usages),
    )


@pytest.fixture(scope="module", autouse=True)
def _few_places() -> Iterator[None]:
    """So that what is yet to be shared out is, often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spend, "_MOST_PLACES", 3)
        yield


@given(st.lists(records(), max_size=30), st.integers(1, 6))
def test_the_sum_over_each_kind_is_the_sum_over_the_records(found: list[CallRecord], most: int) -> None:
    sink = SpendSink(most)
    for record in found:
        sink.take(record)
    spend = sink.spend()
    assert spend.total == expected(found)
    for kind in (spend.groups, spend.deployments, spend.providers, spend.end_users):
        assert added(kind) == spend.total
        assert len(kind) <= most + 1
    for tag, totals in spend.tags.items():
        if tag != OTHERS and most >= 4:
            assert totals == expected([each for each in found if tag in each.tags])
    if most == 6:  # one for each name, and one for none
        by_id = {each.deployment_id or NONE: each for each in found}
        assert spend.deployments == {
            name: expected([each for each in found if (each.deployment_id or NONE) == name]) for name in by_id
        }


def test_who_had_no_call_for_the_longest_time_is_listed_no_more() -> None:
    sink = SpendSink(2)

    def listed(*users: str) -> dict[str, int]:
        for user in users:
            sink.take(replace(CALL, end_user=user))
        return {name: each.calls for name, each in sink.spend().end_users.items()}

    assert listed("ann", "bob", "ann", "eve", "ann", "bob") == {"ann": 3, "bob": 1, OTHERS: 2}
    assert listed("ann", "joe") == {"ann": 4, "joe": 1, OTHERS: 3}


class FlatRate:
    """Knows one price."""

    def cost(
        self, usage: TokenUsage, deployment: Deployment, *, model: str, service_tier: str | None, at: float
    ) -> Cost:
        """A quarter of a dollar; of `u1` it is not known."""
        return Cost(0.25) if deployment.id == "u0" else Cost(None, "no price")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_router_s_totals(stream: bool) -> None:
    async with serving(3) as upstreams:
        misbehave(upstreams[2], "context_window")
        async with Router(
            [*group(upstreams[:1]), entry(upstreams[1], "other"), entry(upstreams[2], "bad")], price_source=FlatRate()
        ) as router:
            assert router.spend().total == Totals()
            tags = {"tags": ["x", "y", "x"]}
            first = await create(router, stream, user="ann", litellm_metadata=tags)
            await create(router, stream, user="bob", litellm_metadata={"tags": ["y"]})
            await create(router, stream, model="other", user="ann")
            with pytest.raises(APIError):
                await create(router, stream, model="bad")
            with pytest.raises(APIError):
                await create(router, stream, model="nothing")
            assert await router.aflush()
            spend = router.spend()
    assert first.usage is not None
    each = first.usage.input_tokens, first.usage.output_tokens
    assert (spend.total.calls, spend.total.failures, spend.total.cost, spend.total.unpriced) == (5, 2, 0.5, 1)
    assert (spend.total.input_tokens, spend.total.output_tokens) == (3 * each[0], 3 * each[1])
    assert spend.deployments["u0"] == Totals(2, 0, 2 * each[0], 2 * each[1], cost=0.5)
    assert spend.deployments["u1"] == Totals(1, 0, *each, unpriced=1)
    assert (spend.deployments["u2"], spend.deployments[NONE]) == (Totals(1, 1), Totals(1, 1))
    assert set(spend.groups) == {"gpt", "other", "bad", NONE}
    assert {name: found.calls for name, found in spend.providers.items()} == {"openai": 4, NONE: 1}
    assert {name: found.calls for name, found in spend.end_users.items()} == {"ann": 2, "bob": 1, NONE: 2}
    assert {name: found.cost for name, found in spend.tags.items()} == {"x": 0.25, "y": 0.5}


async def test_a_stream_that_is_left_counts_what_was_guessed_of_it() -> None:
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "stall_after_output")
        async with Router(group(upstreams)) as router:
            stream = await router.aresponses("gpt", "hi", stream=True)
            async for event in stream:
                if event.type == "response.output_text.delta":
                    break
            await stream.aclose()
            await router.aflush()
            total = router.spend().total
    assert (total.calls, total.failures, total.estimated) == (1, 0, 1)
    assert total.output_tokens > 0


def test_totals_can_be_read_while_calls_are_added() -> None:
    sink = SpendSink(50)
    plain: dict[str, Any] = dict.fromkeys(("provider", "deployment_model", "first_event")) | dict.fromkeys(
        ("started", "queued", "duration"), 0.0
    )
    made = [
        CallRecord(
            id="c",
            verb="create",
            status="failed",
            model="m",
            group="g",
            stream=False,
            deployment_id=f"d{n % 70}",
            **plain,
        )
        for n in range(3_000)
    ]

    def add() -> None:
        for record in made:
            sink.take(record)

    writer = threading.Thread(target=add)
    writer.start()
    seen = [0]
    while seen[-1] < len(made):
        spend = sink.spend()
        assert added(spend.deployments) == added(spend.groups) == spend.total
        seen.append(spend.total.calls)
    writer.join()
    assert seen == sorted(seen)
