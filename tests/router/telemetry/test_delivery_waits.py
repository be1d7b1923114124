"""Calls that are over wait in order for what has to be loaded before their records can be made."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from router.telemetry.delivery import Delivery
from router.telemetry.opened import OpenCall


class Numbered(int):
    """Stands for a call: the queue asks it only on which loop it was made."""

    loop: asyncio.AbstractEventLoop


def call(number: int) -> OpenCall:
    """A call that is over."""
    made = Numbered(number)
    made.loop = asyncio.get_running_loop()
    return cast("OpenCall", made)


async def test_those_before_it_do_not_wait_for_what_a_call_needs() -> None:
    delivered: list[Any] = []
    go = threading.Event()
    needs: dict[Any, Callable[[], object]] = {2: lambda: needs.pop(2) if go.wait(30) else None}
    delivery = Delivery(delivered.extend, lambda opened: needs.get(opened))
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
    delivery = Delivery(delivered.extend, lambda opened: needs.get(opened))
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
