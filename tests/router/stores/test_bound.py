"""A bound that insists, whatever swallows cancellations."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from router.stores.bound import Bound


async def swallow(times: int) -> str:
    """Goes on so many times when it is cancelled."""
    for _ in range(times):
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    return "done all the same"


def cancellations() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_what_ends_in_time_is_left_alone() -> None:
    with Bound(60):
        await asyncio.sleep(0)
    with pytest.raises(ZeroDivisionError), Bound(60):
        raise ZeroDivisionError


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_what_goes_on_is_cancelled_until_it_ends(times: int) -> None:
    async def work() -> None:
        with Bound(0):
            await swallow(times)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await work()
    assert cancellations() == 0


async def test_what_ended_too_late_is_not_lost() -> None:
    with Bound(0):
        answer = await swallow(1)
    assert answer == "done all the same"
    assert cancellations() == 0
    await asyncio.sleep(0)  # no cancellation of its own comes later


@pytest.mark.parametrize("times", [0, 1])
@pytest.mark.parametrize("seconds", [0, 60])
async def test_somebody_else_s_cancellation_is_heeded(times: int, seconds: float) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        with Bound(seconds):
            begun.set()
            await swallow(times + (not seconds))
            if not times:
                await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
