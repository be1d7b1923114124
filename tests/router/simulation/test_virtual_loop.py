"""The event loop whose time jumps."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.simulation import virtual
from router.simulation.virtual import VirtualLoop

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def test_days_pass_at_once() -> None:
    async def wait() -> float:
        await asyncio.sleep(3 * 86_400)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run(wait()) == pytest.approx(3 * 86_400)
    assert time.monotonic() - began < 60


@given(st.lists(st.integers(0, 10**10), max_size=30))
def test_everything_happens_in_its_order_and_at_its_time(milliseconds: list[int]) -> None:
    delays = [each / 1000 for each in milliseconds]
    happened: list[tuple[float, float]] = []

    async def one(delay: float) -> None:
        await asyncio.sleep(delay)
        happened.append((delay, asyncio.get_running_loop().time()))

    async def all_of_them() -> None:
        await asyncio.gather(*map(one, delays))

    run(all_of_them())
    assert [delay for delay, _ in happened] == sorted(delays)
    assert all(at == pytest.approx(delay, abs=1e-5) for delay, at in happened)


def test_time_limits_are_kept() -> None:
    async def limited() -> None:
        async with asyncio.timeout(5):
            await asyncio.sleep(10)

    with pytest.raises(TimeoutError):
        run(limited())


def test_a_moment_that_rounding_puts_just_ahead_is_reached() -> None:
    async def briefly() -> float:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(1e6)
        before = loop.time()
        await asyncio.sleep(1e-15)
        return loop.time() - before

    assert run(briefly()) > 0


def test_years_may_pass() -> None:
    async def long() -> list[float]:
        loop = asyncio.get_running_loop()
        times = []
        for seconds in (300 * 86400, 0.25, 50 * 365 * 86400, 0.25, 1e-9):
            await asyncio.sleep(seconds)
            times.append(loop.time())
        return times

    half_a_year, soon, decades, later, latest = run(long())
    assert soon - half_a_year == pytest.approx(0.25, abs=1e-5)
    assert later - decades == pytest.approx(0.25, abs=1e-5)
    assert latest > later


def _slowly() -> str:
    time.sleep(0.05)
    return "done"


def test_other_threads_are_waited_for() -> None:
    async def work() -> str:
        return await asyncio.to_thread(_slowly)

    assert run(work()) == "done"


def test_what_never_comes_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual, "_PATIENCE", 0.01)

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    loop = VirtualLoop()
    task = loop.create_task(never())
    with pytest.raises(RuntimeError, match="waits for something that never comes"):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
