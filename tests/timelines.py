"""A clock that only the test advances, and a sleep that waits for it; for several event loops in several threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from fakes import Clock

PATIENCE = 10.0
"""Seconds of real time for what should take milliseconds."""


class Timeline(Clock):
    """`clock=timeline, sleep=timeline.sleep`."""

    def __init__(self, now: float = 1_000.0) -> None:
        super().__init__(now)
        self._lock = Lock()
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        """Until the clock has been advanced so far."""
        done = asyncio.get_running_loop().create_future()
        with self._lock:
            self._sleepers.append((self.now + seconds, done))
        await done

    @property
    def waiting(self) -> int:
        """Those who sleep, with time to come."""
        with self._lock:
            return sum(not done.done() for _, done in self._sleepers)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, and wake those whose time has come."""
        super().advance(seconds)
        with self._lock:
            due = [done for at, done in self._sleepers if at <= self.now]
            self._sleepers = [(at, done) for at, done in self._sleepers if at > self.now]
        for done in due:
            with suppress(RuntimeError):  # its loop has ended
                done.get_loop().call_soon_threadsafe(_wake, done)


def _wake(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition()` holds: for what other threads do, which tell nobody. Raises `TimeoutError`."""
    async with asyncio.timeout(PATIENCE):
        await asyncio.sleep(0)
        while not condition():  # noqa: ASYNC110 - other threads, which set no event
            await asyncio.sleep(0.002)
