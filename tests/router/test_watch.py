"""One timer for many waits: what a `Watch` shares with `asyncio.timeout`, and what it spares."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from router.watch import Watch


class _Loop(asyncio.SelectorEventLoop):
    """A loop whose clock is set by hand, and which counts the timers that are made."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def call_at(self, *args: object, **kwargs: object) -> asyncio.TimerHandle:
        self.timers.append(super().call_at(*args, **kwargs))  # type: ignore[arg-type]  # passed on as they are
        return self.timers[-1]


@pytest.fixture
def loop() -> Iterator[_Loop]:
    made = _Loop()
    yield made
    made.close()


async def _let(loop: _Loop, now: float) -> None:
    """Set the clock and let everything that is due happen."""
    loop.now = now
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_wait_that_lasts_too_long_times_out(loop: _Loop) -> None:
    async def wait() -> None:
        with Watch().limit(2.0):
            await loop.create_future()

    async def main() -> None:
        task = loop.create_task(wait())
        await _let(loop, 0.0)
        await _let(loop, 1.9)
        assert not task.done()
        await _let(loop, 2.1)
        with pytest.raises(TimeoutError):
            task.result()
        assert not task.cancelled()

    loop.run_until_complete(main())


def test_many_waits_share_a_timer(loop: _Loop) -> None:
    async def main() -> None:
        watch = Watch()
        for moment in range(100):
            loop.now = moment / 100
            with watch.limit(2.0):
                await asyncio.sleep(0)
        assert len(loop.timers) == 1

    loop.run_until_complete(main())


def test_an_early_timer_is_set_anew_for_the_wait_that_is_on(loop: _Loop) -> None:
    async def wait() -> None:
        watch = Watch()
        with watch.limit(2.0):
            await _let(loop, 1.0)
        with watch.limit(2.0):
            await loop.create_future()

    async def main() -> None:
        task = loop.create_task(wait())
        await _let(loop, 0.0)
        await _let(loop, 1.0)
        await _let(loop, 2.5)
        assert [timer.when() for timer in loop.timers] == [2.0, 3.0]
        assert not task.done()
        await _let(loop, 3.1)
        with pytest.raises(TimeoutError):
            task.result()

    loop.run_until_complete(main())


def test_a_shorter_limit_is_kept(loop: _Loop) -> None:
    async def wait() -> None:
        watch = Watch()
        with watch.limit(100.0):
            await asyncio.sleep(0)
        with watch.limit(1.0):
            await loop.create_future()

    async def main() -> None:
        task = loop.create_task(wait())
        await _let(loop, 0.0)
        await _let(loop, 1.1)
        with pytest.raises(TimeoutError):
            task.result()
        assert [timer.cancelled() for timer in loop.timers] == [True, False]

    loop.run_until_complete(main())


def test_a_timer_between_two_waits_does_nothing(loop: _Loop) -> None:
    async def main() -> None:
        watch = Watch()
        with watch.limit(1.0):
            await asyncio.sleep(0)
        await _let(loop, 5.0)
        with watch.limit(1.0):
            await asyncio.sleep(0)
        assert len(loop.timers) == 2

    loop.run_until_complete(main())


def test_closing_leaves_no_timer_behind(loop: _Loop) -> None:
    async def main() -> None:
        watch = Watch()
        watch.close()
        with watch.limit(1.0):
            await asyncio.sleep(0)
        watch.close()
        assert all(timer.cancelled() for timer in loop.timers)
        assert len(loop.timers) == 1

    loop.run_until_complete(main())


def test_a_cancellation_is_no_timeout(loop: _Loop) -> None:
    async def wait() -> None:
        with Watch().limit(1.0):
            await loop.create_future()

    async def main() -> None:
        task = loop.create_task(wait())
        await _let(loop, 0.5)
        task.cancel()
        await _let(loop, 0.5)
        assert task.cancelled()

    loop.run_until_complete(main())


def test_a_cancellation_at_the_moment_of_a_timeout_stays_one(loop: _Loop) -> None:
    async def wait() -> None:
        with Watch().limit(1.0):
            await loop.create_future()

    async def main() -> None:
        task = loop.create_task(wait())
        await _let(loop, 0.5)
        loop.now = 1.5
        loop.call_soon(task.cancel)
        await _let(loop, 1.5)
        assert task.cancelled()

    loop.run_until_complete(main())


def test_what_the_awaited_raises_comes_through(loop: _Loop) -> None:
    async def main() -> None:
        watch = Watch()
        broken = loop.create_future()
        loop.call_soon(broken.set_exception, ConnectionResetError())
        with pytest.raises(ConnectionResetError), watch.limit(1.0):
            await broken
        with watch.limit(1.0):
            await asyncio.sleep(0)

    loop.run_until_complete(main())
