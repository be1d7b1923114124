"""Follow-ups come home: every strategy, streamed and not, async and sync, pins in memory and in Redis."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from typing import Any

import pytest
from redis_servers import Server
from routers import AFFINITY, closed, create, group, read, served, serving

from providers.simulated import Behaviour, SimulatedUpstream
from router import Router

STRATEGIES = ("adaptive", "round-robin", "weighted", "simple-shuffle", "least-busy", "latency")
EACH = 21
"""Conversations in each of the 48 ways: 1,512 follow-ups in all."""
WAYS = list(product(STRATEGIES, (False, True), ("memory", "redis")))


@pytest.fixture(scope="module")
def threads() -> Iterator[list[SimulatedUpstream]]:
    """Five deployments in threads of their own."""
    with ExitStack() as stack:
        yield [stack.enter_context(SimulatedUpstream.in_thread(f"u{index}", seed=index)) for index in range(5)]


def settings(strategy: str, store: str, redis: Server) -> dict[str, Any]:
    """The arguments of a Router with this strategy and store."""
    found: dict[str, Any] = {"routing_strategy": strategy, "optional_pre_call_checks": AFFINITY}
    if store == "redis":
        found |= redis.settings()
    return found


@pytest.mark.parametrize(("strategy", "stream", "store"), WAYS)
async def test_async(strategy: str, stream: bool, store: str, redis: Server) -> None:
    async with serving(5) as upstreams:
        router = Router(group(upstreams), **settings(strategy, store, redis))

        async def converse(number: int) -> bool:
            first = await create(router, stream != (number % 3 == 0), input=f"hello {number}")
            second = await create(router, stream, input="more", previous_response_id=first.id)
            third = await create(router, not stream, input="and more", previous_response_id=second.id)
            assert f"hello {number}" in third.output_text, "the conversation is held there"
            return served(first) == served(second) == served(third)

        home = await asyncio.gather(*(converse(number) for number in range(EACH)))
        assert home == [True] * EACH
        assert len({record.path for upstream in upstreams for record in upstream.requests}) == 1
        assert sum(upstream.calls for upstream in upstreams) == 3 * EACH, "nothing was asked in vain"
        await closed(router, upstreams)


@pytest.mark.parametrize(("strategy", "stream", "store"), WAYS)
def test_sync(strategy: str, stream: bool, store: str, redis: Server, threads: list[SimulatedUpstream]) -> None:
    with Router(group(threads), **settings(strategy, store, redis)) as router:

        def turn(input: str, **params: Any) -> tuple[str, str]:
            """Id and deployment of a response."""
            if not stream:
                response = router.responses("gpt", input, **params)
                return response.id, served(response)
            events = router.responses("gpt", input, stream=True, **params)
            *_, last = events
            return last.response.id, events.routing.deployment_id

        def converse(number: int) -> bool:
            first, home = turn(f"hello {number}")
            return turn("more", previous_response_id=first)[1] == home

        with ThreadPoolExecutor(3) as callers:
            assert list(callers.map(converse, range(EACH))) == [True] * EACH
        assert {each.in_flight for each in router.health()} == {0}
    for upstream in threads:
        upstream.wait_until(lambda upstream=upstream: upstream.open_connections == 0)  # type: ignore[misc]


async def test_a_response_is_known_before_its_stream_has_ended() -> None:
    async with serving(5) as upstreams:
        router = Router(group(upstreams), optional_pre_call_checks=AFFINITY)
        for _ in range(10):
            stream = await router.aresponses("gpt", "hi", stream=True, background=True)
            created = await anext(stream)
            await stream.aclose()
            follow_up = await router.aget_responses(created.response.id)
            assert served(follow_up) == stream.routing.deployment_id
        await closed(router, upstreams)


async def test_an_id_that_nobody_knows_is_learnt() -> None:
    async with serving(5) as upstreams:
        stranger = Router(group(upstreams))
        response = await stranger.aresponses("gpt", "hi")
        router = Router(group(upstreams), optional_pre_call_checks=AFFINITY)
        assert await router.aget_responses(response.id) == response, "it is looked for until it is found"
        assert served(await router.aresponses("gpt", "more", previous_response_id=response.id)) == served(response)
        await stranger.aclose()
        await closed(router, upstreams)


class Gate:
    """Holds every reply back until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        await self.opened.wait()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_burst_spreads_evenly_under_least_busy(stream: bool) -> None:
    gate = Gate()
    slow = Behaviour(latency=1.0)
    upstreams = [SimulatedUpstream(f"u{index}", behaviour=slow, sleep=gate.sleep) for index in range(4)]
    for upstream in upstreams:
        await upstream.start()
    router = Router(group(upstreams), routing_strategy="least-busy")
    burst = [asyncio.create_task(create(router, stream)) for _ in range(40)]
    for upstream in upstreams:
        await upstream.until(lambda upstream=upstream: upstream.active_requests == 10)  # type: ignore[misc]
    assert [each.in_flight for each in router.health()] == [10] * 4
    gate.opened.set()
    assert Counter(served(response) for response in await asyncio.gather(*burst)) == {f"u{i}": 10 for i in range(4)}
    await closed(router, upstreams)
    for upstream in upstreams:
        await upstream.stop()


async def test_streams_at_once_keep_to_themselves() -> None:
    async with serving(3) as upstreams:
        router = Router(group(upstreams), optional_pre_call_checks=AFFINITY)

        async def one(number: int) -> None:
            stream = await router.aresponses("gpt", f"hello {number}", stream=True)
            events = await read(stream)
            assert f"hello {number}'" in events[-1]["response"]["output"][-1]["content"][0]["text"]
            ids = {event["response"]["id"] for event in events if "response" in event}
            assert len(ids) == 1

        await asyncio.gather(*(one(number) for number in range(60)))
        await closed(router, upstreams)
