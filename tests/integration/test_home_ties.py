"""Every kind of tie brings a call home; two that disagree are refused; a soft one only leans. What is told of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from routers import AFFINITY, closed, create, entry, group, misbehave, read, served, serving, tick
from talking import SAID

from providers.simulated import Behaviour, SimulatedUpstream
from providers.types import Affinity
from providers.views import Response
from router import (
    BadRequestError,
    HomeLostError,
    PreviousResponseNotFoundError,
    ResponseNotFoundError,
    ResponseStream,
    Router,
)

KEY = "0123456789abcdef0123"
FLEET = 5
REASONING: dict[str, Any] = {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]}


@pytest.fixture(params=["store", "signed-id"])
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "store":
        return {}
    return {"affinity": "signed-id", "affinity_key": KEY}


@pytest.fixture
async def upstreams() -> AsyncIterator[dict[str, SimulatedUpstream]]:
    async with serving(FLEET) as made:
        yield {upstream.name: upstream for upstream in made}


@pytest.fixture
async def router(upstreams: dict[str, SimulatedUpstream], settings: dict[str, Any]) -> AsyncIterator[Router]:
    made = Router(
        group(upstreams.values()),
        optional_pre_call_checks=AFFINITY,
        routing_strategy="round-robin",
        discover=False,
        sleep=tick,
        **settings,
    )
    yield made
    await closed(made, upstreams.values())


def user(text: str) -> dict[str, Any]:
    """A message."""
    return {"role": "user", "content": text}


@pytest.mark.parametrize("stream", [False, True])
async def test_items_by_reference(router: Router, stream: bool) -> None:
    for number in range(FLEET + 2):
        first = await create(router, stream, input="hello")
        item = first.output[-1]
        reference = {"type": "item_reference", "id": item.id}
        second = await create(router, number % 2 == 0, input=[user("hello"), reference, user("more")])
        assert served(second) == served(first)
        assert second.routing.affinity is not None
        assert second.routing.affinity.mode == "home"


@pytest.mark.parametrize("include", [True, False], ids=["encrypted", "by id"])
@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning(router: Router, stream: bool, include: bool) -> None:
    params: dict[str, Any] = REASONING if include else {"reasoning": {"effort": "low"}}
    for _ in range(FLEET + 2):
        first = await create(router, stream, input="hello", **params)
        items = [item.to_dict() for item in first.output]
        assert ("encrypted_content" in items[0]) is include
        second = await router.aresponses("gpt", [user("hello"), *items, user("more")])
        assert served(second) == served(first)


async def test_reasoning_as_each_of_its_events_shows_it(router: Router) -> None:
    """What is encrypted differs in each of them."""
    for kind in ("response.output_item.added", "response.output_item.done", "response.completed"):
        stream = await router.aresponses("gpt", "hello", stream=True, **REASONING)
        events = await read(stream)
        event = next(event for event in events if event["type"] == kind)
        item = event["item"] if "item" in event else event["response"]["output"][0]
        answer = {"role": "assistant", "content": "well"}
        second = await router.aresponses("gpt", [user("hello"), item, answer, user("more")])
        assert served(second) == served(stream)
        assert second.routing.affinity is not None


async def test_a_compaction(router: Router) -> None:
    for _ in range(FLEET + 2):
        one = await router.aresponses("gpt", "hello")
        compacted = await router.acompact_responses("gpt", [user("more")], previous_response_id=one.id)
        assert served(cast("Response", compacted)) == served(one)
        items = [item.to_dict() for item in compacted.output]
        two = await router.aresponses("gpt", [*items, user("and more")])
        assert served(two) == served(one)


async def test_every_verb_that_names_a_response(router: Router, upstreams: dict[str, SimulatedUpstream]) -> None:
    for _ in range(FLEET + 2):
        one = await router.aresponses("gpt", "hello", background=True)
        home = upstreams[served(one)]
        before = {name: upstream.calls for name, upstream in upstreams.items()}
        page = await router.alist_input_items(one.id)
        assert page.data[0].content[0].text == "hello"
        polled = cast("Response", await router.aget_responses(one.id))
        assert polled.status == "in_progress"
        cancelled = await router.acancel_responses(one.id)
        assert (cancelled.id, cancelled.status) == (one.id, "cancelled")
        counted = await router.acount_input_tokens("gpt", "more", previous_response_id=one.id)
        assert counted.input_tokens > 0
        assert (await router.adelete_responses(one.id)).id == one.id
        with pytest.raises(ResponseNotFoundError):
            await router.aget_responses(one.id)
        elsewhere = {name: upstream.calls - before[name] for name, upstream in upstreams.items()}
        assert elsewhere.pop(home.name) >= 5
        assert sum(elsewhere.values()) <= FLEET, "only what was deleted is asked for elsewhere"


async def test_polling_in_the_background_until_the_end(router: Router) -> None:
    one = await router.aresponses("gpt", "hello", background=True)
    seen = [one.status]
    while seen[-1] != "completed":
        polled = cast("Response", await router.aget_responses(one.id))
        assert served(polled) == served(one)
        seen.append(polled.status)
    assert seen == ["queued", "in_progress", "completed"]


async def test_a_stream_is_resumed_where_it_broke_off(router: Router) -> None:
    for place in range(1, 10):
        stream = await router.aresponses("gpt", "hello", stream=True, background=True)
        events = [(await anext(stream)).to_dict() for _ in range(place)]
        await stream.aclose()
        response_id = cast("str", cast("dict[str, Any]", events[0]["response"])["id"])
        last = events[-1]["sequence_number"]
        resumed = cast("ResponseStream", await router.aget_responses(response_id, stream=True, starting_after=last))
        assert served(resumed) == served(stream)
        rest = await read(resumed)
        numbers = [event["sequence_number"] for event in (*events, *rest)]
        assert numbers == list(range(len(numbers)))
        assert rest[-1]["type"] == "response.completed"
        assert rest[-1]["response"]["id"] == response_id


async def test_hard_ties_to_two_homes_are_refused(router: Router, upstreams: dict[str, SimulatedUpstream]) -> None:
    one = await router.aresponses("gpt", "hello", **REASONING)
    two = await router.aresponses("gpt", "hello", **REASONING)
    assert served(one) != served(two)
    before = sum(upstream.calls for upstream in upstreams.values())
    reference = {"type": "item_reference", "id": two.output[-1].id}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"previous_response_id": one.id, "input": [reference]}, "input[0].id"),
        ({"previous_response_id": one.id, "input": [two.output[0].to_dict()]}, "input[0].encrypted_content"),
        ({"input": [{"type": "item_reference", "id": one.output[-1].id}, reference]}, "input[1].id"),
    ]
    for tied, param in cases:
        with pytest.raises(BadRequestError) as raised:
            await router.aresponses("gpt", **tied)
        error = raised.value
        assert (error.code, error.param, error.status_code) == ("conflicting_ties", param, 400)
        assert served(one) in error.message
        assert served(two) in error.message
        assert "account" in error.message
    assert sum(upstream.calls for upstream in upstreams.values()) == before, "nothing was sent"
    both = {"type": "item_reference", "id": one.output[-1].id}
    assert served(await router.aresponses("gpt", [both, user("more")], previous_response_id=one.id)) == served(one)


@pytest.mark.parametrize("soft", [{"prompt_cache_key": "k"}, {"extra_headers": {"X-Session-Id": "k"}}], ids=str)
async def test_a_soft_tie_leans_while_it_can(
    router: Router, upstreams: dict[str, SimulatedUpstream], soft: dict[str, Any]
) -> None:
    first = await router.aresponses("gpt", "hello", **soft)
    for number in range(2 * FLEET):
        assert served(await create(router, number % 2 == 0, **soft)) == served(first)
    others = Counter([served(await router.aresponses("gpt", "hello")) for _ in range(2 * FLEET)])
    assert len(others) == FLEET, "who has none is balanced"
    misbehave(upstreams[served(first)], "500")
    for _ in range(4):
        away = await router.aresponses("gpt", "hello", **soft)
        assert served(away) != served(first), "it is left when it can't"
        assert away.routing.affinity is None
    misbehave(upstreams[served(first)])
    router.delete_deployment(served(first))
    moved = await router.aresponses("gpt", "hello", **soft)
    for _ in range(FLEET):
        assert served(await router.aresponses("gpt", "hello", **soft)) == served(moved), "who is gone is replaced"


async def test_a_hard_tie_outranks_a_soft_one(router: Router) -> None:
    soft = await router.aresponses("gpt", "hello", prompt_cache_key="k")
    hard = await router.aresponses("gpt", "hello")
    assert served(soft) != served(hard)
    follow_up = await router.aresponses("gpt", "more", previous_response_id=hard.id, prompt_cache_key="k")
    assert served(follow_up) == served(hard)


async def test_soft_ties_of_two_tenants_are_two(router: Router) -> None:
    homes = {}
    for tenant in ("a", "b"):
        homes[tenant] = served(await router.aresponses("gpt", "hello", prompt_cache_key="k", affinity_scope=tenant))
    assert homes["a"] != homes["b"]
    for _ in range(FLEET):
        for tenant, home in homes.items():
            turn = await router.aresponses("gpt", "hello", prompt_cache_key="k", affinity_scope=tenant)
            assert served(turn) == home


async def test_no_check_is_leant_past(upstreams: dict[str, SimulatedUpstream]) -> None:
    names = list(upstreams)
    router = Router(
        [entry(upstreams[name], tags=["one" if name == names[0] else "two"]) for name in names],
        optional_pre_call_checks=[*AFFINITY, "tags"],
        routing_strategy="round-robin",
    )
    one: dict[str, Any] = {"prompt_cache_key": "k", "litellm_metadata": {"tags": ["one"]}}
    assert served(await router.aresponses("gpt", "hello", **one)) == names[0]
    two: dict[str, Any] = {"prompt_cache_key": "k", "litellm_metadata": {"tags": ["two"]}}
    for _ in range(4):
        assert served(await router.aresponses("gpt", "hello", **two)) != names[0]
    await closed(router, upstreams.values())


async def test_files_and_conversations_stay_where_they_worked(upstreams: dict[str, SimulatedUpstream]) -> None:
    router = Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, routing_strategy="round-robin")
    file = [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]
    tools = [{"type": "file_search", "vector_store_ids": ["vs-1"]}]
    cases: list[dict[str, Any]] = [{"input": file}, {"input": "look", "tools": tools}]
    for params in cases:
        first = await router.aresponses("gpt", **params)
        for _ in range(FLEET):
            assert served(await router.aresponses("gpt", **params)) == served(first)
    await closed(router, upstreams.values())


async def test_uploads_are_used_where_they_are_declared(upstreams: dict[str, SimulatedUpstream]) -> None:
    everywhere, *others = upstreams.values()
    stores = [each.name for each in others]
    router = Router(
        [entry(everywhere, holds=stores), *(entry(each, account=each.name, holds=[each.name]) for each in others)],
        optional_pre_call_checks=AFFINITY,
        routing_strategy="round-robin",
        on_home_lost="replay",
    )
    for name in stores:
        tools: list[Any] = [{"type": "file_search", "vector_store_ids": [name]}]
        found = Counter([served(await router.aresponses("gpt", "look", tools=tools)) for _ in range(6)])
        assert found == {name: 3, everywhere.name: 3}
        turn = await router.aresponses("gpt", "look", tools=tools)
        while served(turn) != name:
            turn = await router.aresponses("gpt", "look", tools=tools)
        assert turn.routing.affinity == Affinity("home", name)
        misbehave(upstreams[name], "500")
        moved = await router.aresponses("gpt", "look again", previous_response_id=turn.id, tools=tools)
        assert moved.routing.affinity == Affinity("replayed", name)
        assert served(moved) == everywhere.name, "it has the store too"
    await closed(router, upstreams.values())


# home that lags, home that forgot


async def test_azure_is_waited_for_while_it_lags(settings: dict[str, Any]) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with serving(3, Behaviour(lag_reads=7)) as made:
        router = Router(
            [entry(each, model="azure/gpt") for each in made],
            optional_pre_call_checks=AFFINITY,
            sleep=sleep,
            on_home_lost="fail",
            **settings,
        )
        one = await router.aresponses("gpt", "hello")
        for each in made:
            misbehave(each, "not_found_lag")
        two = await router.aresponses("gpt", "more", previous_response_id=one.id)
        assert two.output_text.startswith(SAID.format(2, served(one)))
        assert two.routing.affinity is not None
        assert two.routing.affinity.mode == "home"
        assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0]
        assert [attempt.error is None for attempt in two.routing.attempts] == [False] * 7 + [True]
        waits.clear()
        for each in made:
            misbehave(each, "not_found_lag", lag_reads=99)
        with pytest.raises(PreviousResponseNotFoundError):
            await router.aresponses("gpt", "more", previous_response_id=two.id)
        assert len(waits) == 7, "not for ever"
        await closed(router, made)


async def test_a_response_that_home_forgot(router: Router, upstreams: dict[str, SimulatedUpstream]) -> None:
    one = await router.aresponses("gpt", "hello")
    upstreams[served(one)].state.clear()
    with pytest.raises(PreviousResponseNotFoundError) as raised:
        await router.aresponses("gpt", "more", previous_response_id=one.id)
    assert not isinstance(raised.value, HomeLostError)
    assert {attempt.deployment_id for attempt in raised.value.attempts} == {served(one)}
    with pytest.raises(ResponseNotFoundError) as missing:
        await router.aget_responses(one.id)
    assert [attempt.deployment_id for attempt in missing.value.attempts] == [served(one)]


# what a call tells


async def test_what_an_answer_says_of_its_home(router: Router, upstreams: dict[str, SimulatedUpstream]) -> None:
    one = await router.aresponses("gpt", "hello")
    assert one.routing.affinity is None
    for stream in (False, True):
        two = await create(router, stream, previous_response_id=one.id)
        assert two.routing.affinity is not None
        assert (two.routing.affinity.mode, two.routing.affinity.home) == ("home", served(one))
        assert two.routing.affinity.dropped == ()
    stats = router.affinity_stats()
    assert (stats.hit, stats.miss, stats.lost, stats.replayed, stats.discovered) == (2, 0, 0, 0, 0)
    assert stats.learnt >= 3
    assert stats.store_error == 0


async def test_an_explanation_tells_where_a_call_would_go(
    router: Router, upstreams: dict[str, SimulatedUpstream]
) -> None:
    one = await router.aresponses("gpt", "hello")
    before = sum(upstream.calls for upstream in upstreams.values()), router.affinity_stats().hit
    for explanation in (
        await router.aexplain("gpt", previous_response_id=one.id),
        await asyncio.to_thread(router.explain, "gpt", previous_response_id=one.id),
    ):
        assert explanation.home == served(one)
        assert [option.deployment_id for option in explanation.options if option.usable] == [served(one)]
        assert explanation.error is None
        assert "previous_response_id" in explanation.ties[0]
        assert f"home is {served(one)}" in str(explanation)
    free = await router.aexplain("gpt", input="hello")
    assert (free.home, free.ties) == (None, ())
    assert all(option.usable for option in free.options)
    router.delete_deployment(served(one))
    lost = await router.aexplain("gpt", previous_response_id=one.id)
    assert isinstance(lost.error, HomeLostError)
    assert not any(option.may_serve for option in lost.options)
    assert (sum(upstream.calls for upstream in upstreams.values()), router.affinity_stats().hit) == before
