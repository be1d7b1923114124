"""Those who wait for a deployment to become usable, in order."""

from __future__ import annotations

import asyncio
from bisect import insort


class Waiter:
    """One waiting coroutine, woken from any thread."""

    __slots__ = ("future", "loop", "place", "woken")

    def __init__(self, loop: asyncio.AbstractEventLoop, place: int) -> None:
        self.loop = loop
        self.place = place
        self.woken = False
        """Whether it was woken, rather than tired of waiting."""
        self.future: asyncio.Future[None] = loop.create_future()

    def __lt__(self, other: Waiter) -> bool:
        return self.place < other.place

    def wake(self) -> bool:
        """Wake it; False if its loop is gone."""
        try:
            self.loop.call_soon_threadsafe(self.done)
        except RuntimeError:
            return False
        return True

    def done(self) -> None:
        """End its wait. Runs in its loop."""
        if not self.future.done():
            self.future.set_result(None)


class Queue:
    """Waiters by place, first come first served. All but `wait` under the pool's lock."""

    __slots__ = ("_next_place", "events", "waiting")

    def __init__(self) -> None:
        self.events = 0
        """How often something became usable, or may have."""
        self._next_place = 0
        self.waiting: list[Waiter] = []
        """In order of their places."""

    def enter(self, loop: asyncio.AbstractEventLoop, place: int | None) -> Waiter:
        """Stand in line: at the end, or at a place taken earlier."""
        if place is None:
            place = self._next_place
            self._next_place += 1
        waiter = Waiter(loop, place)
        insort(self.waiting, waiter)
        return waiter

    def leave(self, waiter: Waiter) -> bool:
        """Step out of line; False if the waiter was woken already."""
        if waiter in self.waiting:
            self.waiting.remove(waiter)
            return True
        return False

    def stir(self) -> None:
        """Something may have become usable: wake the first in line."""
        self.events += 1
        self.wake_next()

    def wake_next(self, behind: int = -1) -> None:
        """Wake the first in line whose place is behind `behind`."""
        index = 0
        while index < len(self.waiting):
            if self.waiting[index].place <= behind:
                index += 1
            elif self.waiting.pop(index).wake():
                return

    def stir_all(self) -> None:
        """Everything changed: wake everybody."""
        self.events += 1
        waiting, self.waiting = self.waiting, []
        for waiter in waiting:
            waiter.wake()


async def sleep(waiter: Waiter, seconds: float) -> None:
    """Until woken, or for `seconds`."""
    alarm = waiter.loop.call_later(max(0.0, seconds), waiter.done)
    try:
        await waiter.future
    finally:
        alarm.cancel()
