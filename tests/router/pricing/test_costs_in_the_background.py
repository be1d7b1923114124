"""Responses in the background are billed once, with the first call that shows their end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from replays import priced
from routers import read

from providers.usage import Cost
from router import ResponseStream, Router
from router.telemetry.debts import Debts, Payer

NOT_YET = "it runs in the background: its usage is not known before it has ended"
BY_HAND = (1000 * 2.5 + 100 * 10) / 1e6


def response(status: str = "completed", **more: Any) -> dict[str, Any]:
    """A native response, which has used something if it has ended."""
    ended = status not in ("queued", "in_progress")
    usage = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100} if ended else None
    return {"id": "resp_1", "object": "response", "status": status, "model": "gpt-4o", "output": [], "usage": usage} | (
        more
    )


async def begun(router: Router, **more: Any) -> None:
    """Begin one, which has no cost by then."""
    told = await router.aresponses("g0", "Hi", background=True, **more)
    assert told.routing.cost_breakdown == Cost(None, NOT_YET)


@pytest.mark.parametrize("status", ["queued", "in_progress"])
async def test_whoever_first_sees_the_end_sees_the_cost_and_who_began_it_pays(status: str) -> None:
    async with priced("openai/gpt-4o") as (replay, router, records):
        replay.respond(response(status))
        await begun(router, user="ann", litellm_metadata={"tags": ["nightly"]})
        costs = []
        for shown in (response("in_progress"), response(), response()):
            replay.respond(shown)
            costs.append((await router.aget_responses("resp_1")).routing.cost)
        assert costs == [None, pytest.approx(BY_HAND), None]
        await router.aclose()
        assert [record.verb for record in records] == ["create", "get", "get", "get"]
        assert [record.usage is not None for record in records] == [False, False, True, False]
        assert [record.end_user for record in records] == ["ann", None, "ann", None]
        assert [record.tags for record in records] == [("nightly",), (), ("nightly",), ()]
        spend = router.spend()
        assert spend.total.cost == spend.end_users["ann"].cost == spend.tags["nightly"].cost == records[2].cost


@pytest.mark.parametrize("status", ["completed", "incomplete"])
async def test_the_end_may_be_seen_in_a_stream(status: str) -> None:
    async with priced("openai/gpt-4o") as (replay, router, _):
        replay.respond(response("queued"))
        await begun(router)
        delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Once"}
        replay.say(b"data: %s\n\n" % json.dumps(delta).encode(), "text/event-stream")
        left = await router.aget_responses("resp_1", stream=True)
        assert isinstance(left, ResponseStream)
        await anext(left)
        await left.aclose()
        assert (left.routing.cost, left.usage) == (None, None), "it has not seen the end"
        for cost in (pytest.approx(BY_HAND), None):
            replay.respond(response(status), stream=True)
            events = await router.aget_responses("resp_1", stream=True)
            assert isinstance(events, ResponseStream)
            await read(events)
            assert events.routing.cost == cost


async def test_what_was_cancelled_or_has_failed_is_billed_for_what_it_says() -> None:
    async with priced("openai/gpt-4o") as (replay, router, _):
        for number, ended in enumerate((response("cancelled"), response("failed", error={"code": "x"}))):
            replay.respond(response("queued", id=f"resp_{number}"))
            await begun(router)
            replay.respond({**ended, "id": f"resp_{number}", "usage": None})
            assert (await router.aget_responses(f"resp_{number}")).routing.cost is None
            replay.respond({**ended, "id": f"resp_{number}"})
            assert (await router.acancel_responses(f"resp_{number}")).routing.cost == pytest.approx(BY_HAND)


async def test_a_response_that_another_began_is_not_billed() -> None:
    async with priced("openai/gpt-4o") as (replay, router, records):
        replay.respond(response())
        assert (await router.aget_responses("resp_1", model="g0")).routing.cost is None
        replay.say(json.dumps(response("queued", id=None)).encode())
        await begun(router)
        await router.aclose()
        assert [record.cost for record in records] == [None, None]


async def test_a_response_is_known_by_the_id_that_its_caller_was_told() -> None:
    signed = {"affinity": "signed-id", "affinity_key": "s" * 32}
    async with priced("openai/gpt-4o", optional_pre_call_checks=["responses_api_deployment_check"], **signed) as (
        replay,
        router,
        _,
    ):
        replay.respond(response("queued"))
        told = await router.aresponses("g0", "Hi", background=True)
        assert told.id != "resp_1"
        replay.respond(response())
        assert (await router.aget_responses(told.id)).routing.cost == pytest.approx(BY_HAND)


def test_the_oldest_debts_are_forgotten_if_there_are_too_many() -> None:
    debts = Debts(most=2)
    for name in "abc":
        debts.owe(name, Payer(name, ()))
    assert len(debts) == 2
    assert [debts.collect(name) for name in "abcc"] == [None, Payer("b", ()), Payer("c", ()), None]
