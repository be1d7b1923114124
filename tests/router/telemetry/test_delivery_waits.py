"""The queue of calls that are over: bounded, in turns, and whatever one call does, the next is delivered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from router.telemetry.delivery import Delivery
from router.telemetry.opened import OpenCall


def call(number: int) -> OpenCall:
    """Stands for a call: the queue looks into none."""
    return cast("OpenCall", number)


async def test_a_burst_is_delivered_in_several_turns() -> None:
    delivered: list[Any] = []
    delivery = Delivery(delivered.append)
    for number in range(200):
        delivery.put(call(number))
    assert delivered == []
    await asyncio.sleep(0)
    assert len(delivered) == 64
    for _ in range(3):
        await asyncio.sleep(0)
    assert delivered == list(range(200))


async def test_what_is_too_much_is_dropped_and_counted() -> None:
    delivered: list[Any] = []
    delivery = Delivery(delivered.append, most=2)
    for number in range(5):
        delivery.put(call(number))
    assert await delivery.flush(5)
    assert (delivered, delivery.dropped) == ([0, 1], 3)


def test_without_a_loop_calls_wait_for_one() -> None:
    delivered: list[Any] = []
    delivery = Delivery(delivered.append)
    delivery.put(call(1))
    assert delivered == []
    assert asyncio.run(delivery.flush(5))
    assert delivered == [1]


async def test_one_that_fails_does_not_hold_up_the_next(caplog: pytest.LogCaptureFixture) -> None:
    delivered: list[Any] = []

    def deliver(opened: OpenCall) -> None:
        delivered.append(opened)
        if opened == call(1):
            raise ValueError("no")

    delivery = Delivery(deliver)
    delivery.put(call(1))
    delivery.put(call(2))
    assert await delivery.flush(5)
    assert delivered == [1, 2]
    assert "the record of a call could not be made" in caplog.text


async def test_those_before_it_do_not_wait_for_what_a_call_needs() -> None:
    delivered: list[Any] = []
    go = threading.Event()
    needs: dict[Any, Callable[[], object]] = {2: lambda: needs.pop(2) if go.wait(30) else None}
    delivery = Delivery(delivered.append, lambda opened: needs.get(opened))
    for number in (1, 2, 3):
        delivery.put(call(number))
    await asyncio.sleep(0)
    assert delivered == [1]
    first, second = (asyncio.ensure_future(delivery.flush(30)) for _ in range(2))
    await asyncio.sleep(0)
    go.set()
    assert await first
    assert await second
    assert delivered == [1, 2, 3]


async def test_whoever_gives_up_waiting_leaves_the_others_theirs() -> None:
    delivered: list[Any] = []
    go = threading.Event()
    needs: dict[Any, Callable[[], object]] = {1: lambda: needs.pop(1) if go.wait(30) else None}
    delivery = Delivery(delivered.append, lambda opened: needs.get(opened))
    delivery.put(call(1))
    patient = asyncio.ensure_future(delivery.flush(30))
    hasty = asyncio.ensure_future(delivery.flush(30))
    await asyncio.sleep(0)
    hasty.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hasty
    go.set()
    assert await patient
    assert delivered == [1]
