"""The bounded queue between calls and what is made of them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from router.telemetry.opened import OpenCall

_log = logging.getLogger("router.telemetry")

MOST_WAITING: Final = 10_000
"""Calls whose records wait to be made; beyond them they are dropped, and counted."""
_AT_ONCE: Final = 64
"""Records made in one turn of the event loop, so that a burst does not hold up what else it has to do."""


class Delivery:
    """Hands calls that are over to `deliver`, on the event loop's next turn.

    `put` may be called anywhere: in any thread, in a destructor, without an event loop. Where none runs, the next
    call's turn takes care of it, or `drain`.
    """

    def __init__(self, deliver: Callable[[OpenCall], None], most: int = MOST_WAITING) -> None:
        self.dropped = 0
        self._deliver = deliver
        self._most = most
        self._waiting: deque[OpenCall] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop that delivered last, or will."""
        self._scheduled = False
        """Whether its next turn will."""

    def put(self, opened: OpenCall) -> None:
        """This call is over."""
        waiting = self._waiting
        if len(waiting) >= self._most:
            self.dropped += 1
            return
        waiting.append(opened)
        if not self._scheduled or self._loop is None or not self._loop.is_running():
            self._schedule(opened.loop)

    def drain(self) -> None:
        """Deliver all that waits, now."""
        with suppress(IndexError):  # nothing waits any more
            while True:
                self._one(self._waiting.popleft())

    def _schedule(self, own: asyncio.AbstractEventLoop) -> None:
        """See to it that a turn delivers: of the loop that runs here, else of the call's own."""
        try:
            self._loop = loop = asyncio.get_running_loop()
        except RuntimeError:  # a stream that is dropped on a thread without a loop
            self._loop = own
            with suppress(RuntimeError):  # it is closed
                own.call_soon_threadsafe(self._turn)
                self._scheduled = True
            return
        self._scheduled = True
        loop.call_soon(self._turn)

    def _turn(self) -> None:
        with suppress(IndexError):
            for _ in range(_AT_ONCE):
                self._one(self._waiting.popleft())
        self._scheduled = False  # before looking: whoever puts one from now on, on another thread, sees to it
        if self._waiting:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _one(self, opened: OpenCall) -> None:
        try:
            self._deliver(opened)
        except Exception:
            _log.exception("the record of a call could not be made")
