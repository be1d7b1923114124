"""However a stream ends, at whichever of its events, the next turn comes home: every store, every strategy."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from redis_servers import Server
from relays import Relays, relayed
from routers import STORES, create, entry, homing_settings, in_flight, served, serving

from providers.simulated import Behaviour
from router import ResponseStream, Router, StreamInterruptedError

STRATEGIES = ("adaptive", "round-robin", "weighted", "simple-shuffle", "least-busy", "latency")
TOKENS = 3
EVENTS = TOKENS + 8
"""Of one stream: created, in progress, item and part added, the deltas, text, part and item done, completed."""
FIRST_OUTPUT = 5
"""The first event that a caller can have, unless the response runs in the background."""


class Fleet:
    """Routers of every strategy over one group; and for each, another that is to find what it has begun."""

    def __init__(self, relays: Relays, store: str, redis: Server) -> None:
        self.relays = relays
        self._model_list = [entry(url, id=name) for name, url in relays.urls.items()]
        self._alone = store == "memory"
        self._settings = homing_settings(store, redis)
        self.pairs = {strategy: (self.router(strategy), self.router(strategy)) for strategy in STRATEGIES}

    def router(self, strategy: str) -> Router:
        return Router(
            self._model_list, routing_strategy=strategy, disable_cooldowns=True, discover=False, **self._settings
        )

    def other(self, strategy: str) -> Router:
        """Who serves the next turn: the same Router, where nobody else can know."""
        mine, other = self.pairs[strategy]
        return mine if self._alone else other

    async def aclose(self) -> None:
        for router in (each for pair in self.pairs.values() for each in pair):
            assert in_flight(router) == {}
            await router.aclose()


@asynccontextmanager
async def fleet(store: str, redis: Server) -> AsyncIterator[Fleet]:
    async with serving(3, Behaviour(tokens=TOKENS)) as upstreams, relayed(upstreams) as relays:
        made = Fleet(relays, store, redis)
        yield made
        await made.aclose()


async def comes_home(fleet: Fleet, strategy: str, response_id: str, owner: str, stream: bool) -> None:
    """The next turn is served where the response is, at once, with the conversation so far."""
    before = len(fleet.relays.homes)
    turn = await create(fleet.other(strategy), stream, input="more", previous_response_id=response_id)
    assert served(turn) == owner
    assert turn.output_text.startswith(f"Turn 2 at {owner}. You began: 'hello'")
    assert fleet.relays.homes[before:] == [owner], "nobody was asked in vain"


async def cancelled(fleet: Fleet, router: Router, background: bool, place: int) -> tuple[str | None, str]:
    """A reader that is cancelled after `place` events: the id it saw, and where the stream came from."""
    cut = fleet.relays.cut(place, "hold")
    seen: list[str] = []
    got = asyncio.Event()
    if place == 0 or (place < FIRST_OUTPUT and not background):
        got = cut.passed  # the caller has nothing yet

    async def read() -> None:
        stream = await router.aresponses("gpt", "hello", stream=True, background=background)
        number = 0
        async for event in stream:
            number += 1
            if "response" in event:
                seen.append(event.response.id)
            if number == place:
                got.set()

    task = asyncio.create_task(read())
    async with asyncio.timeout(20):
        await got.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return seen[0] if seen else None, fleet.relays.homes[-1]


async def cut_off(fleet: Fleet, router: Router, background: bool, place: int) -> tuple[str | None, str]:
    """An upstream that closes the connection after `place` events."""
    fleet.relays.cut(place, "cut")
    stream = await router.aresponses("gpt", "hello", stream=True, background=background)
    seen: list[str] = []

    async def read() -> None:
        async for event in stream:
            if "response" in event:
                seen.append(event.response.id)  # noqa: PERF401 - what was seen before a failure counts

    if place == EVENTS + background or stream.routing.attempts[0].error is not None:
        await read()  # it was whole; or, cut before its output, it began anew elsewhere
    else:
        with pytest.raises(StreamInterruptedError) as raised:
            await read()
        assert raised.value.received is not None
        assert raised.value.received["id"] == seen[0], "the error tells it too"
    return seen[0], served(stream)


async def abandoned(fleet: Fleet, router: Router, background: bool, place: int) -> tuple[str | None, str]:
    """A reader that breaks off after `place` events, and drops the stream."""
    return await _leave(fleet, router, background, place, drop=True)


async def closed_early(fleet: Fleet, router: Router, background: bool, place: int) -> tuple[str | None, str]:
    """A reader that closes the stream after `place` events."""
    return await _leave(fleet, router, background, place, drop=False)


async def _leave(fleet: Fleet, router: Router, background: bool, place: int, *, drop: bool) -> tuple[str | None, str]:
    fleet.relays.cut(max(place, 1 if background else FIRST_OUTPUT), "hold")
    stream: ResponseStream = await router.aresponses("gpt", "hello", stream=True, background=background)
    owner, number, seen = served(stream), 0, None
    if place:
        async for event in stream:
            number += 1
            if "response" in event:
                seen = event.response.id
            if number == place:
                break
    if seen is None:  # before its first event: the stream itself tells the id
        assert stream.response is not None
        seen = stream.response.id
    if not drop:
        await stream.aclose()
    elif place % 4 == 3:
        ring: list[object] = [stream]
        ring.append(ring)
        del ring, stream
        gc.collect()
    return seen, owner


ENDS = (cancelled, cut_off, abandoned, closed_early)


@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
@pytest.mark.parametrize("store", STORES)
async def test_every_cut_point_under_every_strategy(store: str, end: Any, background: bool, redis: Server) -> None:
    events = EVENTS + background  # it is queued first
    home = 0
    async with fleet(store, redis) as made:
        for place in range(events + 1):
            for index, strategy in enumerate(STRATEGIES):
                router = made.pairs[strategy][0]
                response_id, owner = await end(made, router, background, place)
                if response_id is None:
                    assert end is cancelled
                    assert place == 0 or (place < FIRST_OUTPUT and not background)
                    continue
                assert in_flight(router) == {}
                await comes_home(made, strategy, response_id, owner, stream=(place + index) % 2 == 0)
                home += 1
    unseen = (1 if background else FIRST_OUTPUT) if end is cancelled else 0
    assert home == (events + 1 - unseen) * len(STRATEGIES)
