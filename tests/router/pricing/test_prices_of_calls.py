"""What calls cost: tiers, thresholds, own prices, names, and what is not known."""

from __future__ import annotations

import json
from typing import Any

import pytest
from replays import priced, replaying
from routers import create

from providers.usage import Cost
from router import Router

OWN = {"input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6}
NOON, NIGHT = 1_790_000_000.0 - 1_790_000_000 % 86_400 + 12 * 3600, 1_790_000_000.0 - 1_790_000_000 % 86_400 + 20 * 3600


def response(model: str = "gpt-4o-2024-08-06", **more: Any) -> dict[str, Any]:
    """A native response, in OpenAI's words."""
    usage = {
        "input_tokens": more.pop("given", 1000),
        "input_tokens_details": {"cached_tokens": more.pop("cached", 0)},
        "output_tokens": more.pop("told", 100),
        "output_tokens_details": {"reasoning_tokens": more.pop("reasoning", 0)},
        "total_tokens": 0,
    }
    whole = {"id": "resp_1", "object": "response", "status": "completed", "model": model, "output": []}
    return {**whole, "service_tier": "default", "usage": usage, **more}


async def cost(answer: dict[str, Any], model: str = "openai/gpt-4o", info: Any = None, **params: Any) -> Cost:
    """What a call costs that is answered so; the same streamed and not."""
    async with replaying() as replay:
        router = Router([replay.entry(model, "gpt", info, **params)], num_retries=0)
        async with router:
            found = []
            for stream in (False, True):
                replay.respond(answer, stream=stream)
                told = await create(router, stream)
                assert told.routing.cost_breakdown is not None
                assert told.routing.cost == told.routing.cost_breakdown.total
                found.append(told.routing.cost_breakdown)
            assert found[0] == found[1]
            return found[0]


def dollars(*parts: tuple[int, float]) -> Any:
    """So many tokens at so many dollars for a million of them, and so on."""
    return pytest.approx(sum(tokens * price for tokens, price in parts) / 1e6, rel=1e-12)


async def test_the_parts_of_a_cost() -> None:
    searches = [
        {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "a"}},
        {"type": "web_search_call", "status": "completed", "action": {"type": "open_page", "url": "b"}},
        {"type": "web_search_call", "status": "failed", "action": {"type": "search", "query": "a"}},
        {"type": "file_search_call", "status": "completed"},
    ]
    found = await cost(response(cached=600, output=searches))
    assert found.input == dollars((400, 2.5))
    assert found.cache_read == dollars((600, 1.25))
    assert found.output == dollars((100, 10))
    assert found.requests == pytest.approx(0.010 + 0.0025)
    assert found.total == pytest.approx(found.input + found.cache_read + found.output + found.requests)
    assert (found.cache_write, found.source, found.model, found.reason) == (0, "genai-prices", "gpt-4o", None)


@pytest.mark.parametrize(
    ("given", "price_in", "price_cached", "price_out"),
    [(272_000, 2.5, 0.25, 15), (272_001, 5, 0.5, 22.5), (300_000, 5, 0.5, 22.5)],
)
async def test_a_large_input_changes_the_prices_of_the_whole_call(
    given: int, price_in: float, price_cached: float, price_out: float
) -> None:
    found = await cost(response("gpt-5.4", given=given, cached=1000))
    assert found.total == dollars((given - 1000, price_in), (1000, price_cached), (100, price_out))


@pytest.mark.parametrize(
    ("tier", "price_in", "price_out"),
    [("default", 2.5, 15), ("flex", 1.25, 7.5), ("priority", 5, 30), (None, 2.5, 15), ("scale", 2.5, 15)],
)
async def test_the_tier_that_served_is_billed(tier: str | None, price_in: float, price_out: float) -> None:
    # not the one that was asked for
    found = await cost(response("gpt-5.4", service_tier=tier), service_tier="priority")
    assert found.total == dollars((1000, price_in), (100, price_out))


@pytest.mark.parametrize(
    ("model", "answered", "info", "price_in", "listed"),
    [
        ("openai/gpt-4o", "gpt-4o-mini", {}, 0.15, "gpt-4o-mini"),  # what answered
        ("openai/gpt-4o", "gpt-unheard-of-1", {}, 2.5, "gpt-4o"),  # else what was asked for
        ("openai/gpt-4o", "", {}, 2.5, "gpt-4o"),
        ("azure/prod", "gpt-4o-2024-08-06", {}, 2.5, "gpt-4o"),
        ("azure/prod", "prod", {"base_model": "azure/gpt-4o"}, 2.5, "gpt-4o"),
        ("azure/prod", "prod", {"base_model": "gpt-4o-mini"}, 0.15, "gpt-4o-mini"),
        ("azure/prod", "gpt-4o", {"base_model": "gpt-4o-mini"}, 0.15, "gpt-4o-mini"),
        ("azure/prod", "gpt-4o", {"base_model": "nobody/knows-it"}, 2.5, "gpt-4o"),
        ("azure/prod", "gpt-4o", {"base_model": ["no text"]}, 2.5, "gpt-4o"),
        ("azure/prod", "grok-4", {}, 3, "grok-4-0709"),  # by who makes it
        ("hosted_vllm/mine", "mine", {"base_model": "groq/llama-3.3-70b-versatile"}, 0.59, "llama-3.3-70b-versatile"),
        ("hosted_vllm/mine", "mine", {"base_model": "gpt-4o"}, 2.5, "gpt-4o"),  # whoever is known for it
        ("xai/grok-4", "grok-4", {}, 3, "grok-4-0709"),
        ("openrouter/openai/gpt-4o-mini", "openai/gpt-4o-mini", {}, 0.15, "openai/gpt-4o-mini"),
    ],
)
async def test_what_a_model_is_listed_as(model: str, answered: str, info: Any, price_in: float, listed: str) -> None:
    found = await cost(response(answered, told=0), model, info)
    assert found.total == dollars((1000, price_in))
    assert found.model == listed


@pytest.mark.parametrize(
    ("model", "answered", "said"),
    [
        ("openai/mine", "mine", "genai-prices does not know 'mine' of openai; set input_cost_per_token and output_c"),
        ("hosted_vllm/gpt-4o", "gpt-4o", "there are no prices of hosted_vllm; set input_cost_per_token and output_cos"),
        ("litellm_proxy/gpt-4o", "gpt-4o", "there are no prices of litellm_proxy; set input_cost_per_token and outp"),
        ("openai/whisper-1", "whisper-1", "genai-prices knows no price of a token of 'whisper-1'"),
    ],
)
async def test_what_nobody_knows_is_none_with_a_reason_and_never_nothing(model: str, answered: str, said: str) -> None:
    found = await cost(response(answered), model)
    assert found.total is None
    assert found.reason is not None
    assert found.reason.startswith(said)


async def test_a_free_model_costs_nothing() -> None:
    name = "openrouter/deepseek/deepseek-r1:free"
    found = await cost(response("deepseek/deepseek-r1:free"), name)
    assert (found.total, found.reason) == (0, None)


async def test_usage_that_contradicts_itself_has_no_cost() -> None:
    found = await cost(response(given=10, cached=20))
    assert found.total is None
    assert found.reason == "the usage contradicts itself: its parts are more than all of input_tokens"


async def test_parts_of_one_price_need_not_add_up() -> None:
    assert (await cost(response(told=10, reasoning=20))).total == dollars((1000, 2.5), (10, 10))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (OWN, [(400, 1), (600, 1), (100, 4)]),
        (OWN | {"cache_read_input_token_cost": 0}, [(400, 1), (100, 4)]),
        (OWN | {"cache_read_input_token_cost": 5e-7}, [(400, 1), (600, 0.5), (100, 4)]),
        (OWN | {"output_cost_per_reasoning_token": 9e-6}, [(1000, 1), (60, 4), (40, 9)]),
        ({"input_cost_per_token": 1e-6}, [(400, 1), (600, 1), (100, 10)]),
        ({"output_cost_per_token": 4e-6}, [(400, 2.5), (600, 1.25), (100, 4)]),
        ({"cache_read_input_token_cost": 1e-7}, [(400, 2.5), (600, 0.1), (100, 10)]),
        ({"input_cost_per_token": 0, "output_cost_per_token": 0}, []),
        (OWN | {"input_cost_per_request": 0.25}, [(1000, 1), (100, 4), (1_000_000, 0.25)]),
        ({"input_cost_per_query": 0.25}, [(400, 2.5), (600, 1.25), (100, 10), (1_000_000, 0.25)]),
        (OWN | {"input_cost_per_token_flex": 5e-7}, [(1000, 1), (100, 4)]),
        (OWN | {"input_cost_per_token_priority": 2e-6}, [(1000, 2), (100, 4)]),
    ],
)
@pytest.mark.parametrize("where", ["litellm_params", "model_info"])
async def test_a_deployment_s_own_prices_win(given: dict[str, float], expected: Any, where: str) -> None:
    answer = response(cached=600, reasoning=40, service_tier="priority" if "priority" in str(given) else "default")
    params, info = (given, {}) if where == "litellm_params" else ({}, given)
    found = await cost(answer, "openai/gpt-4o", info, **params)
    assert found.total == dollars(*expected)
    whole = {"input_cost_per_token", "output_cost_per_token"} <= given.keys()
    assert found.source == ("deployment" if whole else "deployment, genai-prices")
    assert found.model == "gpt-4o"


@pytest.mark.parametrize(
    ("tokens", "tier", "price_in", "price_cached", "price_out"),
    [
        (128_000, "default", 1, 0.1, 4),
        (128_001, "default", 2, 0.1, 4),
        (200_000, "default", 2, 0.1, 4),
        (200_001, "default", 3, 0.3, 9),
        (200_001, "priority", 6, 0.3, 9),
        (100, "flex", 0.5, 0.1, 4),
        (300_000, "flex", 3, 0.3, 9),
    ],
)
async def test_own_prices_for_large_inputs_and_tiers(
    tokens: int, tier: str, price_in: float, price_cached: float, price_out: float
) -> None:
    own = {
        "input_cost_per_token": 1e-6,
        "input_cost_per_token_flex": 0.5e-6,
        "input_cost_per_token_above_128k_tokens": 2e-6,
        "input_cost_per_token_above_200k_tokens": 3e-6,
        "input_cost_per_token_above_200k_tokens_priority": 6e-6,
        "cache_read_input_token_cost": 1e-7,
        "cache_read_input_token_cost_above_200k_tokens": 3e-7,
        "output_cost_per_token": 4e-6,
        "output_cost_per_token_above_200k_tokens": 9e-6,
    }
    found = await cost(response("mine", given=tokens, cached=50, service_tier=tier), "hosted_vllm/mine", **own)
    assert found.total == dollars((tokens - 50, price_in), (50, price_cached), (100, price_out))


async def test_own_prices_lie_over_published_ones_for_large_inputs() -> None:
    answer = response("gpt-5.4", given=300_000)
    found = await cost(answer, "openai/gpt-5.4", input_cost_per_token_above_200k_tokens=1e-6)
    assert found.total == dollars((300_000, 1), (100, 22.5))
    found = await cost(response("gpt-5.4", given=1000), "openai/gpt-5.4", input_cost_per_token_above_200k_tokens=1e-6)
    assert found.total == dollars((1000, 2.5), (100, 15))


async def test_half_a_price_of_an_unknown_model_is_none() -> None:
    found = await cost(response("mine"), "hosted_vllm/mine", input_cost_per_token=1e-6)
    assert found.total is None
    assert str(found.reason).startswith("the deployment does not say output_cost_per_token, and there are no prices of")


async def test_own_prices_of_what_is_written_to_caches_and_of_sound() -> None:
    details = {
        "cached_tokens": 30,
        "cache_write_tokens": 50,
        "cache_write_1h_tokens": 20,
        "audio_tokens": 10,
        "cached_audio_tokens": 4,
    }
    usage = {
        "input_tokens": 100,
        "input_tokens_details": details,
        "output_tokens": 40,
        "output_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 6, "image_tokens": 7},
    }
    own = {
        **OWN,
        "cache_read_input_token_cost": 0.1e-6,
        "cache_creation_input_token_cost": 2e-6,
        "cache_creation_input_token_cost_above_1hr": 3e-6,
        "input_cost_per_audio_token": 10e-6,
        "output_cost_per_audio_token": 20e-6,
        "output_cost_per_reasoning_token": 5e-6,
    }
    found = await cost(response("mine", usage=usage), "hosted_vllm/mine", **own)
    assert found.input == dollars((100 - 30 - 50 - 6, 1), (6, 10))
    assert found.cache_read == dollars((30, 0.1))
    assert found.cache_write == dollars((30, 2), (20, 3))
    assert found.output == dollars((40 - 5 - 6 - 7 + 7, 4), (5, 5), (6, 20))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_costs_what_it_costs_where_it_was_served(stream: bool) -> None:
    async with priced("openai/gpt-4o", "openai/gpt-4o-mini", fallbacks=[{"g0": ["g1"]}]) as (replay, router, records):
        replay.say(b'{"error": {"message": "down"}}', status=500)
        replay.respond(response("gpt-4o-mini"), stream=stream)
        told = await create(router, stream, model="g0")
        assert told.routing.cost == dollars((1000, 0.15), (100, 0.6))
        await router.aclose()
        (record,) = records
        assert record.cost == told.routing.cost
        assert record.group == "g1"
        assert record.fallbacks == 1


async def test_a_call_that_nobody_served_costs_nothing_known() -> None:
    async with priced("openai/gpt-4o") as (replay, router, records):
        replay.say(b'{"error": {"message": "no"}}', status=400)
        with pytest.raises(Exception, match="no"):
            await router.aresponses("g0", "Hi")
        await router.aclose()
        assert (records[0].cost, records[0].cost_breakdown) == (None, None)


@pytest.mark.parametrize("status", ["incomplete", "failed"])
async def test_a_response_that_did_not_come_to_its_end_is_billed_all_the_same(status: str) -> None:
    async with priced("openai/gpt-4o") as (replay, router, records):
        said: dict[str, Any] = {"incomplete_details": {"reason": "max_output_tokens"}}
        if status == "failed":
            said = {"error": {"code": "server_error", "message": "broke"}}
        replay.respond(response(status=status, **said), stream=True)
        events = await router.aresponses("g0", "Hi", stream=True)
        try:
            async for _ in events:
                pass
        except Exception:
            assert status == "failed"
        await router.aclose()
        assert records[0].cost == dollars((1000, 2.5), (100, 10))
        assert records[0].partial == (status == "failed")


@pytest.mark.parametrize(("speed", "tier", "dearer"), [("fast", "fast", 2), ("standard", "default", 1)])
async def test_claude_s_fast_mode_has_its_price_streamed_and_not(speed: str, tier: str, dearer: int) -> None:
    for stream in (False, True):
        async with priced("anthropic/claude-opus-5") as (replay, router, records):
            usage = {"input_tokens": 40, "output_tokens": 2, "service_tier": "standard", "speed": speed}
            said = {"id": "m", "type": "message", "role": "assistant", "model": "claude-opus-5", "usage": usage}
            stop = {"stop_reason": "end_turn", "stop_sequence": None}
            frames: list[dict[str, Any]] = [
                {"type": "message_start", "message": {**said, "content": []}},
                {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 2}},
                {"type": "message_stop"},
            ]
            if stream:
                replay.say(
                    b"".join(b"data: %s\n\n" % json.dumps(each).encode() for each in frames), "text/event-stream"
                )
            else:
                replay.say(json.dumps({**said, **stop, "content": []}).encode())
            await create(router, stream, model="g0", extra_body={"speed": "fast"})
        assert records[0].service_tier == tier
        assert records[0].cost == dollars((40, dearer * 5), (2, dearer * 25))


async def test_an_abandoned_stream_of_claude_costs_what_it_said_at_its_start() -> None:
    async with priced("anthropic/claude-opus-5") as (replay, router, records):
        start = (
            b'event: message_start\ndata: {"type": "message_start", "message": {"id": "m", "type": "message", "role": '
            b'"assistant", "model": "claude-opus-5", "content": [], "stop_reason": null, "usage": {"input_tokens": 40, '
            b'"cache_read_input_tokens": 7, "output_tokens": 2}}}\n\n'
            b'event: content_block_start\ndata: {"type": "content_block_start", "index": 0, "content_block": '
            b'{"type": "text", "text": "Once upon"}}\n\n'
        )
        replay.say(start, "text/event-stream")
        async with await router.aresponses("g0", "Hi", stream=True) as events:
            assert await anext(events)
        assert events.routing.cost == dollars((40, 5), (7, 0.5), (2, 25))
        await router.aclose()
        (record,) = records
        assert record.status == "abandoned"
        assert record.partial
        assert (record.usage.input_tokens, record.usage.output_tokens, record.usage.estimated) == (47, 2, False)
        assert record.cost == events.routing.cost


@pytest.mark.parametrize(("when", "price_in", "price_out"), [(NOON, 0.27, 1.1), (NIGHT, 0.135, 0.55)])
async def test_prices_go_by_the_time_of_the_call(when: float, price_in: float, price_out: float) -> None:
    async with priced("deepseek/responses/deepseek-chat") as (replay, router, records):
        router._recorder.wall = lambda: when
        replay.respond(response("deepseek-chat"))
        await router.aresponses("g0", "Hi")
        await router.aclose()
        assert records[0].cost == dollars((1000, price_in), (100, price_out))
