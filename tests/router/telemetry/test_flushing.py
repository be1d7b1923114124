"""`flush`, `aflush` and `callback_stats`: what waits is delivered, nobody waits longer than was said."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import asdict

from routers import create, group, serving

from providers.simulated import SimulatedUpstream
from router import CallbackStats, CallRecord, Router


async def test_flushing_waits_for_callbacks_of_both_kinds() -> None:
    seen: list[str] = []

    async def slow(record: CallRecord) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        seen.append("async")

    def on_thread(record: CallRecord) -> None:
        seen.append("thread")

    async with serving(1) as upstreams, Router(group(upstreams), callbacks=[slow, on_thread]) as router:
        await create(router, False)
        await create(router, False)
        assert await router.aflush()
        assert sorted(seen) == ["async", "async", "thread", "thread"]
        assert [(each.delivered, each.waiting, each.failed, each.dropped) for each in router.callback_stats()] == [
            (2, 0, 0, 0)
        ] * 2


async def test_flushing_is_bounded_and_says_whether_all_was_delivered() -> None:
    leave = threading.Event()
    async with serving(1) as upstreams, Router(group(upstreams), callbacks=[lambda record: leave.wait(60)]) as router:
        await create(router, False)
        assert not await router.aflush(timeout=0.01)
        (stats,) = router.callback_stats()
        assert (stats.waiting, stats.delivered) == (1, 0)
        leave.set()
        assert await router.aflush()


def test_a_synchronous_caller_flushes_too() -> None:
    seen: list[str] = []

    async def asynchronous(record: CallRecord) -> None:
        seen.append(record.status)

    with SimulatedUpstream.in_thread("u0") as upstream, Router(group([upstream]), callbacks=[asynchronous]) as router:
        router.responses("gpt", "hi")
        assert router.flush()
        assert seen == ["succeeded"]
        assert router.spend().total.calls == 1


async def test_what_a_callback_s_figures_say_is_a_copy() -> None:
    def fails(record: CallRecord) -> None:
        raise ValueError("wrong")

    async with serving(1) as upstreams, Router(group(upstreams), callbacks=[fails]) as router:
        (before,) = router.callback_stats()
        await create(router, False)
        assert await router.aflush()
        assert (asdict(before)["failed"], router.callback_stats()[0].failed) == (0, 1)
        assert isinstance(before, CallbackStats)
