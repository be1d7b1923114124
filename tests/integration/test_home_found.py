"""An id that nobody remembers, as after a restart: its home is asked for, within bounds, or learnt from a call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
from fakes import Clock
from redis_servers import Server
from routers import AFFINITY, create, entry, group, homing_settings, misbehave, served, serving, tick
from talking import SAID, calls

from providers.simulated import SimulatedUpstream
from router import APIError, PreviousResponseNotFoundError, ResponseNotFoundError, Router

FLEET = 4


@pytest.fixture
async def upstreams() -> AsyncIterator[dict[str, SimulatedUpstream]]:
    async with serving(FLEET) as made:
        yield {upstream.name: upstream for upstream in made}


@asynccontextmanager
async def restarted(
    upstreams: dict[str, SimulatedUpstream], **settings: Any
) -> AsyncIterator[tuple[Router, Router, Any]]:
    """A Router that made a response, one that never heard of it, and the response."""
    async with AsyncExitStack() as stack:
        common: dict[str, Any] = {"optional_pre_call_checks": AFFINITY, "sleep": tick, **settings}
        old = await stack.enter_async_context(Router(group(upstreams.values()), **common))
        new = await stack.enter_async_context(Router(group(upstreams.values()), **common))
        yield old, new, await old.aresponses("gpt", "hello")


def gets(upstreams: dict[str, SimulatedUpstream]) -> dict[str, int]:
    """How often each was asked for a response."""
    found = {name: sum(each.method == "GET" for each in upstream.requests) for name, upstream in upstreams.items()}
    return {name: asked for name, asked in found.items() if asked}


@pytest.mark.parametrize("stream", [False, True])
async def test_after_a_restart_each_is_asked_once_at_most(
    stream: bool, upstreams: dict[str, SimulatedUpstream]
) -> None:
    async with restarted(upstreams) as (_, router, first):
        home = served(first)
        second = await create(router, stream, input="more", previous_response_id=first.id)
        assert second.output_text.startswith(SAID.format(2, home))
        assert second.routing.affinity is not None
        assert (second.routing.affinity.mode, second.routing.affinity.home) == ("discovered", home)
        asked = gets(upstreams)
        assert asked[home] == 1
        assert set(asked.values()) == {1}
        for _ in range(3):
            again = await create(router, stream, input="more", previous_response_id=first.id)
            assert again.routing.affinity is not None
            assert again.routing.affinity.mode == "home", "it is learnt"
        assert gets(upstreams) == asked
        assert router.affinity_stats().discovered == 1


async def test_fifty_calls_at_once_ask_once(upstreams: dict[str, SimulatedUpstream]) -> None:
    async with restarted(upstreams) as (_, router, first):
        turns = await asyncio.gather(
            *(
                create(router, number % 2 == 0, input=f"more {number}", previous_response_id=first.id)
                for number in range(50)
            )
        )
        assert {served(turn) for turn in turns} == {served(first)}
        assert set(gets(upstreams).values()) == {1}
        assert router.affinity_stats().discovered == 1


async def test_reads_are_found_as_well(upstreams: dict[str, SimulatedUpstream]) -> None:
    async with restarted(upstreams) as (_, router, first):
        page = await router.alist_input_items(first.id)
        assert page.data[0].content[0].text == "hello"
        assert (await router.adelete_responses(first.id)).id == first.id


async def test_a_miss_is_remembered_for_a_minute(clock: Clock, upstreams: dict[str, SimulatedUpstream]) -> None:
    async with Router(group(upstreams.values()), optional_pre_call_checks=AFFINITY, clock=clock, sleep=tick) as router:
        for number in range(3):
            await asyncio.gather(*(_refused(router) for _ in range(10)))
            assert gets(upstreams) == dict.fromkeys(upstreams, number + 1)
            clock.advance(30)
            await _refused(router)
            assert gets(upstreams) == dict.fromkeys(upstreams, number + 1), "the miss is remembered"
            clock.advance(31)


async def _refused(router: Router) -> None:
    with pytest.raises(PreviousResponseNotFoundError):
        await router.aresponses("gpt", "more", previous_response_id="resp_unknown")


async def test_a_home_that_is_away_during_the_search_is_not_forgotten(
    clock: Clock, upstreams: dict[str, SimulatedUpstream]
) -> None:
    async with restarted(upstreams, clock=clock) as (_, router, first):
        misbehave(upstreams[served(first)], "503")
        with suppress(APIError):
            await router.aresponses("gpt", "more", previous_response_id=first.id)
        misbehave(upstreams[served(first)])
        clock.advance(10)  # not the minute for which a certain miss counts
        second = await router.aresponses("gpt", "more", previous_response_id=first.id)
        assert served(second) == served(first)


async def test_a_caller_that_leaves_does_not_end_the_search_of_others(
    upstreams: dict[str, SimulatedUpstream],
) -> None:
    async with restarted(upstreams) as (_, router, first):
        for upstream in upstreams.values():
            misbehave(upstream, "hang")
        calls = [
            asyncio.create_task(create(router, False, input="more", previous_response_id=first.id)) for _ in range(5)
        ]
        for upstream in upstreams.values():
            await upstream.until(lambda upstream=upstream: upstream.active_requests == 1)  # type: ignore[misc]
        for call in calls[:4]:
            call.cancel()
        await asyncio.wait(calls[:4])
        assert [upstream.active_requests for upstream in upstreams.values()] == [1] * FLEET
        calls[4].cancel()
        await asyncio.wait(calls)
        for upstream in upstreams.values():
            await upstream.until(lambda upstream=upstream: upstream.active_requests == 0)  # type: ignore[misc]


async def test_without_discovery_an_id_is_routed_and_learnt(upstreams: dict[str, SimulatedUpstream]) -> None:
    async with restarted(upstreams, discover=False) as (_, router, first):
        attempts = 0
        while True:
            attempts += 1
            try:
                second = await router.aresponses("gpt", "more", previous_response_id=first.id)
            except PreviousResponseNotFoundError:
                assert attempts < 200
            else:
                break
        assert gets(upstreams) == {}
        assert served(second) == served(first)
        assert second.routing.affinity is None
        before = calls(upstreams)
        for _ in range(5):
            third = await router.aresponses("gpt", "more", previous_response_id=first.id)
            assert third.routing.affinity is not None
            assert third.routing.affinity.mode == "home"
        assert calls(upstreams) == {**before, served(first): before[served(first)] + 5}


async def test_each_domain_is_asked_once(upstreams: dict[str, SimulatedUpstream]) -> None:
    model_list = [entry(upstream, id=f"{name}-{number}") for name, upstream in upstreams.items() for number in range(5)]
    async with Router(model_list, optional_pre_call_checks=AFFINITY) as router:
        with pytest.raises(PreviousResponseNotFoundError):
            await router.aresponses("gpt", "more", previous_response_id="resp_unknown")
        assert gets(upstreams) == dict.fromkeys(upstreams, 1)


@pytest.mark.parametrize(("domains", "searched"), [(16, True), (17, False)])
async def test_more_than_sixteen_domains_are_not_searched(
    domains: int, searched: bool, upstreams: dict[str, SimulatedUpstream]
) -> None:
    place = upstreams["u0"]
    model_list = [entry(place, id=f"d{number}", account=f"a{number}") for number in range(domains)]
    async with Router(model_list, optional_pre_call_checks=AFFINITY, discover=True) as router:
        with pytest.raises(PreviousResponseNotFoundError):
            await router.aresponses("gpt", "more", previous_response_id="resp_unknown")
        assert gets(upstreams) == ({"u0": domains} if searched else {})


async def test_with_redis_nobody_is_asked_unless_told_to(
    redis: Server, upstreams: dict[str, SimulatedUpstream]
) -> None:
    for discover, asked in ((None, False), (True, True)):
        settings = {**homing_settings("redis", redis), "discover": discover}
        async with Router(group(upstreams.values()), **settings) as router:
            with pytest.raises(ResponseNotFoundError):
                await router.aget_responses("resp_unknown")
            stranger = await create(router, False, input="hello")
            settings["redis_key_prefix"] += "-other"
            async with Router(group(upstreams.values()), **settings) as other:
                before = gets(upstreams)
                with suppress(PreviousResponseNotFoundError):
                    turn = await other.aresponses("gpt", "more", previous_response_id=stranger.id)
                    assert served(turn) == served(stranger)
                assert (gets(upstreams) != before) is asked


async def test_signed_ids_need_no_search(upstreams: dict[str, SimulatedUpstream]) -> None:
    settings = {"affinity": "signed-id", "affinity_key": "0123456789abcdef"}
    async with restarted(upstreams, **settings) as (_, router, first):
        second = await router.aresponses("gpt", "more", previous_response_id=first.id)
        assert second.output_text.startswith(SAID.format(2, served(first)))
        assert second.routing.affinity is not None
        assert second.routing.affinity.mode == "home"
        assert gets(upstreams) == {}
