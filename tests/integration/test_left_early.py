"""Calls cancelled at every await and streams abandoned at every event: no place, request or connection is left."""

import asyncio
import gc
import random
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import pytest
from cancelling import cancelled
from redis_servers import Server
from routers import AFFINITY, closed, create, entry, group, in_flight, misbehave, quiet, served, serving, tick

from checks.base import Outcome, PreCallCheck
from providers.simulated import Behaviour, SimulatedUpstream
from providers.types import Call, Deployment
from router import APIError, InternalServerError, ResponseStream, Router


class Slow(PreCallCheck):
    """Waits wherever it may."""

    async def eligible(self, call: Call, deployments: Any) -> Any:
        await asyncio.sleep(0)
        return deployments

    async def observe(self, call: Call, deployment: Deployment, outcome: Outcome) -> None:
        await asyncio.sleep(0)


@pytest.mark.parametrize("late", [False, True], ids=["waiting", "late"])
@pytest.mark.parametrize("store", ["memory", "redis"])
@pytest.mark.parametrize("fault", [None, "500", "error_event"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_call_cancelled_at_each_of_its_awaits(
    stream: bool, fault: Any, store: str, late: bool, redis: Server
) -> None:
    settings: dict[str, Any] = {}
    if store == "redis":
        settings = redis.settings()
    async with serving(2, Behaviour(fault=fault, latency=1, token_delay=1), tick) as upstreams:
        checks: list[Any] = [*AFFINITY, "rate_limit", Slow()]
        router = Router(
            group(upstreams, rpm=100_000),
            optional_pre_call_checks=checks,
            sleep=tick,
            disable_cooldowns=True,
            **settings,
        )

        async def call() -> None:
            try:
                await create(router, stream)
            except APIError:
                assert fault

        await call()
        place = 0
        while await cancelled(call(), place, late=late):
            assert in_flight(router) == {}, f"cancelled at await {place}"
            place += 1
            assert place < 200
        assert place >= 4, "there were awaits to cancel at"
        for upstream in upstreams:
            misbehave(upstream)
        response = await create(router, stream)
        other = Router(group(upstreams), optional_pre_call_checks=AFFINITY, **settings)
        for each in (router, other) if settings else (router,):
            follow_up = await create(each, stream, previous_response_id=response.id)
            assert served(follow_up) == served(response), "no reply was taken for another's"
        await closed(other, [])
        await closed(router, upstreams)


async def test_a_thousand_calls_cancelled_at_random_awaits() -> None:
    rng = random.Random(3)
    async with serving(4, Behaviour(latency=1, token_delay=1), tick) as upstreams:
        router = Router(group(upstreams), optional_pre_call_checks=[*AFFINITY, Slow()])
        cut: list[bool] = []

        async def one(number: int) -> None:
            work = create(router, number % 2 == 0)
            cut.append(await cancelled(work, rng.randrange(12 if number % 2 == 0 else 6), late=number % 3 == 0))

        for start in range(0, 1_000, 100):
            await asyncio.gather(*(one(number) for number in range(start, start + 100)))
        assert sum(cut) > 700
        await closed(router, upstreams)


async def test_waiting_calls_that_are_cancelled_leave_the_line() -> None:
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "hang")
        router = Router(group(upstreams, max_parallel_requests=1))
        calls = [asyncio.create_task(router.aresponses("gpt", "hi")) for _ in range(20)]
        await upstreams[0].until(lambda: upstreams[0].active_requests == 1)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        misbehave(upstreams[0])
        await router.aresponses("gpt", "hi")
        assert upstreams[0].calls == 2
        await closed(router, upstreams)


# streams


async def drop(stream: ResponseStream) -> None:
    """Nothing: the last reference goes with the frame."""


async def close(stream: ResponseStream) -> None:
    await stream.aclose()
    await stream.aclose()


async def leave_the_block(stream: ResponseStream) -> None:
    async with stream:
        pass


async def fail_in_the_block(stream: ResponseStream) -> None:
    with pytest.raises(ZeroDivisionError):
        async with stream:
            raise ZeroDivisionError


async def cancel_the_reader(stream: ResponseStream) -> None:
    async def read() -> None:
        async for _ in stream:
            pass

    await cancelled(read(), 0, late=False)


async def cycle(stream: ResponseStream) -> None:
    """Only the collector can end this one."""
    ring: list[object] = [stream]
    ring.append(ring)


WAYS: list[Callable[[ResponseStream], Awaitable[None]]] = [
    drop,
    close,
    leave_the_block,
    fail_in_the_block,
    cancel_the_reader,
    cycle,
]


@pytest.mark.parametrize("fault", [None, "stall_after_output"])
async def test_a_thousand_streams_abandoned_at_random_events(fault: Any) -> None:
    rng = random.Random(5)
    async with serving(4, Behaviour(fault=fault, cut_after=6)) as upstreams:
        router = Router(group(upstreams), optional_pre_call_checks=[*AFFINITY, Slow()])

        async def one(number: int) -> None:
            stream = await router.aresponses("gpt", "hi", stream=True)
            for _ in range(rng.randrange(10)):
                await anext(stream)
            await WAYS[number % len(WAYS)](stream)

        for start in range(0, 500, 100):
            await asyncio.gather(*(one(number) for number in range(start, start + 100)))
            gc.collect()
            assert in_flight(router) == {}
        await closed(router, upstreams)


@pytest.mark.parametrize("way", WAYS)
async def test_a_stream_abandoned_at_each_of_its_events(way: Callable[[ResponseStream], Awaitable[None]]) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), optional_pre_call_checks=AFFINITY)
        place, ended = 0, False
        while not ended:
            stream = await router.aresponses("gpt", "hi", stream=True)
            for _ in range(place):
                ended = (await anext(stream)).type == "response.completed"
            await way(stream)
            del stream
            if way is cycle:
                gc.collect()
            assert in_flight(router) == {}
            await quiet(upstreams)
            place += 1
        assert place > 10
        await closed(router, upstreams)


async def test_a_stream_that_is_closed_gives_nothing_more() -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams))
        stream = await router.aresponses("gpt", "hi", stream=True)
        await anext(stream)
        await stream.aclose()
        assert [event async for event in stream] == []
        await closed(router, upstreams)


async def test_a_stream_outlives_its_router() -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams))
        stream = await router.aresponses("gpt", "hi", stream=True)
        first = await anext(stream)
        del router
        gc.collect()
        rest = [event.type async for event in stream]
        assert (first.type, rest[-1]) == ("response.created", "response.completed")
        del stream, first
        gc.collect()
        await upstreams[0].until(lambda: upstreams[0].open_connections == 0)


def test_a_sync_stream_outlives_its_router() -> None:
    with ExitStack() as stack:
        upstream = stack.enter_context(SimulatedUpstream.in_thread("u0"))
        stream = Router(group([upstream])).responses("gpt", "hi", stream=True)
        gc.collect()
        assert [event.type for event in stream][-1] == "response.completed"
        del stream
        gc.collect()
        upstream.wait_until(lambda: upstream.open_connections == 0)


async def test_a_router_that_is_dropped_leaves_nothing() -> None:
    async with serving(2) as upstreams:
        for number in range(4):
            router = Router(group(upstreams), optional_pre_call_checks=AFFINITY)
            await create(router, number % 2 == 0)
            thread = threading.Thread(target=router.responses, args=("gpt", "hi"))
            thread.start()
            await asyncio.to_thread(thread.join)  # an executor's thread would hold on to what it ran last
            del router
            gc.collect()
        for upstream in upstreams:
            await upstream.until(lambda upstream=upstream: upstream.open_connections == 0)  # type: ignore[misc]


async def test_closing_ends_calls_on_their_way_for_good() -> None:
    async with serving(2) as upstreams:
        misbehave(upstreams[0], "hang")
        router = Router(
            [
                entry(upstreams[0], max_parallel_requests=2),
                entry(upstreams[0], "other", id="again"),
                entry(upstreams[1], "spare"),
            ],
            fallbacks=[{"other": ["spare"]}],
        )
        names = ["gpt"] * 4 + ["other"] * 2
        calls = [asyncio.create_task(create(router, place % 2 == 0, name)) for place, name in enumerate(names)]
        await upstreams[0].until(lambda: upstreams[0].active_requests == 4)
        await router.aclose()
        for result in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(result, APIError), result
        assert upstreams[1].calls == 0, "nobody fell back"
        assert upstreams[0].calls == 4, "those in line were not sent"
        await closed(router, upstreams)


async def test_closing_ends_a_call_that_waits_to_retry() -> None:
    async with serving(1) as upstreams:
        waiting, resume = asyncio.Event(), asyncio.Event()

        async def pause(seconds: float) -> None:
            waiting.set()
            await resume.wait()

        misbehave(upstreams[0], "500")
        router = Router(group(upstreams), sleep=pause)
        call = asyncio.create_task(router.aresponses("gpt", "hi"))
        await waiting.wait()
        await router.aclose()
        resume.set()
        with pytest.raises(InternalServerError):
            await call
        assert upstreams[0].calls == 1
        await closed(router, upstreams)


class Failing(PreCallCheck):
    """Can't be closed."""

    def __init__(self) -> None:
        self.closings = 0

    async def aclose(self) -> None:
        self.closings += 1
        raise OSError("stuck")


async def test_a_check_that_cannot_be_closed_keeps_nothing_open(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(1) as upstreams:
        check = Failing()
        async with Router(group(upstreams), optional_pre_call_checks=[check]) as router:
            await asyncio.to_thread(router.responses, "gpt", "hi")
            await router.aresponses("gpt", "hi")
        await closed(router, upstreams)
        assert check.closings == 1
        assert "Failing failed to close" in caplog.text


async def test_a_router_may_be_used_again_after_it_was_closed() -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), optional_pre_call_checks=AFFINITY)
        for _ in range(2):
            await create(router, True)
            await closed(router, upstreams)
