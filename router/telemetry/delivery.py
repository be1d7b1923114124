"""The bounded queue between calls and what is made of them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from router.telemetry.opened import OpenCall

_log = logging.getLogger("router.telemetry")

MOST_WAITING: Final = 10_000
"""Calls whose records wait to be made; beyond them they are dropped, and counted."""
_AT_ONCE: Final = 64
"""Records made in one turn of the event loop, so that a burst does not hold up what else it has to do."""


class Delivery:
    """Hands calls that are over to `deliver`, on the event loop's next turn.

    `put` may be called anywhere: in any thread, in a destructor, without an event loop. Then the next call's turn
    takes care of it, or `drain`.
    """

    def __init__(self, deliver: Callable[[OpenCall], None], most: int = MOST_WAITING) -> None:
        self.dropped = 0
        self._deliver = deliver
        self._most = most
        self._waiting: deque[OpenCall] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop whose next turn delivers; None: nobody will."""

    def put(self, opened: OpenCall) -> None:
        """This call is over."""
        waiting = self._waiting
        if len(waiting) >= self._most:
            self.dropped += 1
            return
        waiting.append(opened)
        loop = self._loop
        if loop is None or loop.is_closed():
            self._schedule()

    def drain(self) -> None:
        """Deliver all that waits, now."""
        waiting = self._waiting
        while waiting:
            try:
                opened = waiting.popleft()
            except IndexError:  # another thread was faster
                return
            self._one(opened)

    def _schedule(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._loop = loop
        loop.call_soon(self._turn)

    def _turn(self) -> None:
        waiting = self._waiting
        for _ in range(min(_AT_ONCE, len(waiting))):
            try:
                opened = waiting.popleft()
            except IndexError:
                break
            self._one(opened)
        if waiting:
            asyncio.get_running_loop().call_soon(self._turn)
        else:
            self._loop = None

    def _one(self, opened: OpenCall) -> None:
        try:
            self._deliver(opened)
        except Exception:
            _log.exception("the record of a call could not be made")
