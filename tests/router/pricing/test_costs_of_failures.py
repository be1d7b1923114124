"""What calls cost that fail, are left, or whose vendor says nonsense."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from replays import priced
from routers import create

from providers.usage import TokenUsage
from router import APIError, InternalServerError, StreamInterruptedError

SEARCHED = {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "a"}}


def response(model: str = "gpt-4o", **more: Any) -> dict[str, Any]:
    """A native response, in OpenAI's words."""
    usage = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
    whole = {"id": "resp_1", "object": "response", "status": "completed", "model": model, "output": []}
    return {**whole, "service_tier": "default", "usage": usage, **more}


def events(*frames: Mapping[str, Any]) -> bytes:
    """A stream of these."""
    return b"".join(b"data: %s\n\n" % json.dumps(each).encode() for each in frames)


FAILED: Mapping[str, Any] = {"status": "failed", "error": {"code": "server_error", "message": "broke"}}


@pytest.mark.parametrize("form", ["whole", "streamed", "at once"])
@pytest.mark.parametrize("error", [FAILED["error"], None])
async def test_what_a_failed_answer_used_is_billed_whatever_form_it_has(form: str, error: Any) -> None:
    failed = response("gpt-5.4", service_tier="flex", **{**FAILED, "error": error}, output=[SEARCHED])
    limits = [
        {"group": "g0", "max_budget": 9, "budget_duration": "1d"},
        {"deployment": "*", "max_budget": 9, "budget_duration": "1d"},
    ]
    async with priced("openai/gpt-5.4", budgets=limits) as (replay, router, records):
        if form == "at once":
            begun = {**failed, "status": "in_progress", "error": None, "output": [], "usage": None}
            ended = {"type": "response.failed", "response": failed}
            replay.say(events({"type": "response.created", "response": begun}, ended), "text/event-stream")
        else:
            replay.respond(failed, stream=form == "streamed")
        with pytest.raises(InternalServerError) as caught:
            await create(router, form != "whole", model="g0")
        pickle.loads(pickle.dumps(caught.value))
        await router.aclose()
        (record,) = records
        by_hand = (1000 * 1.25 + 100 * 7.5) / 1e6 + 0.01
        assert record.cost == pytest.approx(by_hand, rel=1e-12)
        assert (record.status, record.partial, record.response_status) == ("failed", True, "failed")
        assert (record.response_model, record.service_tier) == ("gpt-5.4", "flex")
        assert [each.spent for each in router.budgets()] == pytest.approx([by_hand] * 2, abs=1e-9)
        assert [each.reserved for each in router.budgets()] == [0, 0]
        assert router.spend().total.cost == record.cost


async def test_a_failed_answer_is_not_billed_at_the_prices_of_another_deployment() -> None:
    async with priced("openai/gpt-4o", "openai/gpt-4o-mini", fallbacks=[{"g0": ["g1"]}]) as (replay, router, records):
        replay.respond(response(**FAILED))
        replay.say(b'{"error": {"message": "down"}}', status=500)
        with pytest.raises(InternalServerError):
            await router.aresponses("g0", "Hi")
        await router.aclose()
        assert (records[0].fallbacks, records[0].usage, records[0].cost) == (1, None, None)


async def test_an_error_amid_a_whole_chat_is_billed_as_amid_a_stream() -> None:
    usage = {"prompt_tokens": 40, "completion_tokens": 6, "total_tokens": 46}
    error = {"message": "broke", "code": 502}
    found = []
    for stream in (False, True):
        async with priced("openai/chat_completions/gpt-5.4") as (replay, router, records):
            said = {"role": "assistant", "content": "Hello"}
            first = {"index": 0, "delta" if stream else "message": said}
            last = {"index": 0, "delta": {}, "error": error} if stream else {**first, "error": error}
            told = {"id": "c", "model": "gpt-5.4", "usage": usage}
            if stream:
                frames = [{**told, "choices": [first]}, {**told, "choices": [last]}]
                replay.say(events(*frames), "text/event-stream")
            else:
                replay.say(json.dumps({**told, "choices": [last]}).encode())
            with pytest.raises(APIError):
                await create(router, stream, model="g0")
        found.append((records[0].usage, records[0].cost))
    assert found == [(TokenUsage(40, 6), pytest.approx((40 * 2.5 + 6 * 15) / 1e6, rel=1e-12))] * 2


async def test_a_stream_that_breaks_before_its_first_output_is_billed_for_what_was_told() -> None:
    usage = {"input_tokens": 40, "cache_read_input_tokens": 7, "output_tokens": 2}
    told = {"id": "m", "type": "message", "role": "assistant", "model": "claude-opus-5", "content": [], "usage": usage}
    async with priced("anthropic/claude-opus-5") as (replay, router, records):
        replay.say(events({"type": "message_start", "message": told}), "text/event-stream", cut=True)
        with pytest.raises(StreamInterruptedError):
            await create(router, True, model="g0")
        await router.aclose()
        assert records[0].usage == TokenUsage(47, 2, 7)
        assert records[0].cost == pytest.approx((40 * 5 + 7 * 0.5 + 2 * 25) / 1e6, rel=1e-12)
        assert records[0].response_model == "claude-opus-5"


async def test_searches_of_a_stream_that_is_left_are_billed() -> None:
    async with priced("openai/gpt-4o") as (replay, router, _):
        frames: list[dict[str, Any]] = [
            {"type": "response.created", "response": response(status="in_progress", usage=None)},
            {"type": "response.output_item.done", "output_index": 0, "item": SEARCHED},
            {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "x" * 400},
        ]
        replay.say(events(*frames), "text/event-stream")
        stream = await router.aresponses("g0", "x" * 4_000, stream=True)
        for _ in frames:
            await anext(stream)
        await stream.aclose()
        assert stream.usage == TokenUsage(1_000, 100, web_searches=1, estimated=True)
        assert stream.routing.cost == pytest.approx((1_000 * 2.5 + 100 * 10) / 1e6 + 0.010)


@pytest.mark.parametrize("stream", [False, True])
async def test_counts_beyond_all_sense_fail_no_call_and_cost_nothing_known(stream: bool) -> None:
    async with priced("openai/gpt-4o") as (replay, router, _):
        replay.respond(response(usage={"input_tokens": 10**400, "output_tokens": -50}), stream=stream)
        told = await create(router, stream, model="g0")
        assert told.routing.cost is None
        assert told.routing.cost_breakdown is not None
        assert told.routing.cost_breakdown.reason == "the vendor told no usage"
