"""Work beside the callers: that stopping stops it, even if it is deaf to the first cancellation."""

import asyncio

from router.stores.background import Background


async def test_what_swallows_a_cancellation_is_cancelled_again() -> None:
    background = Background()
    heard = 0

    async def deaf() -> None:
        nonlocal heard
        while heard < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                heard += 1

    task = background.start(deaf())
    await asyncio.sleep(0)
    await background.stop(timeout=60)
    assert task.done()
    assert heard == 2


async def test_what_never_heeds_it_is_waited_for_no_longer_than_asked() -> None:
    background = Background()
    over = asyncio.Event()

    async def stubborn() -> None:
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue

    task = background.start(stubborn())
    await asyncio.sleep(0)
    await background.stop(timeout=0.1)
    assert not task.done()
    over.set()
    await task


async def test_stopping_with_nothing_to_stop() -> None:
    await Background().stop(timeout=0)
