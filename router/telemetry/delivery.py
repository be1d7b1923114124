"""The bounded queue between calls and what is made of them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

from router.telemetry.opened import OpenCall

_log = logging.getLogger("router.telemetry")

MOST_WAITING: Final = 10_000
"""Calls whose records wait to be made; beyond them they are dropped, and counted."""
_AT_ONCE: Final = 64
"""Records made in one turn of the event loop, so that a burst does not hold up what else it has to do."""


def _nothing(_: OpenCall) -> None:
    """What has to run before the record of a call can be made."""


class Delivery:
    """Hands calls that are over to `deliver`, on the event loop's next turn.

    `put` may be called anywhere: in any thread, in a destructor, without an event loop. Then the next call's turn
    takes care of it, or `flush`. `before` says what has to run first for a call, and would take long: it runs in a
    thread of its own, while the calls wait.
    """

    def __init__(
        self,
        deliver: Callable[[OpenCall], None],
        before: Callable[[OpenCall], Callable[[], object] | None] = _nothing,
        most: int = MOST_WAITING,
    ) -> None:
        self.dropped = 0
        self._deliver = deliver
        self._before = before
        self._most = most
        self._waiting: deque[OpenCall] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop whose next turn delivers; None: nobody will."""
        self._preparing: Future[None] | None = None
        """Ends when what has to run first has run."""

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

    async def flush(self, timeout: float) -> bool:
        """Deliver all that waits, `timeout` seconds at most; whether nothing waits any more."""
        clock = asyncio.get_running_loop().time
        until = clock() + timeout
        while not self._some(len(self._waiting)):
            assert self._preparing is not None, "it is what holds them up"
            prepared = asyncio.wrap_future(self._preparing)
            # not by cancelling it: others wait for it too
            done, _ = await asyncio.wait((prepared,), timeout=max(0.0, until - clock()))
            if not done:
                return False
        return True

    def _schedule(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._loop = loop
        loop.call_soon(self._turn)

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        if not self._some(_AT_ONCE):
            assert self._preparing is not None, "it is what holds them up"
            self._preparing.add_done_callback(lambda _: _later(loop, self._turn))
        elif self._waiting:
            loop.call_soon(self._turn)
        else:
            self._loop = None

    def _some(self, most: int) -> bool:
        """Deliver so many calls that wait; False if one has to wait on."""
        waiting, prepared = self._waiting, False
        if self._preparing is not None:
            if not self._preparing.done():
                return False
            self._preparing, prepared = None, True
        for _ in range(most):
            try:
                opened = waiting.popleft()
            except IndexError:  # there are no more, or another thread was faster
                break
            work = None if prepared else self._before(opened)
            if work is not None:
                waiting.appendleft(opened)
                self._prepare(work)
                return False
            prepared = False  # whatever came of it, the call does not wait again
            self._one(opened)
        return True

    def _prepare(self, work: Callable[[], object]) -> None:
        done: Future[None] = Future()

        def run() -> None:
            try:
                work()
            except Exception:
                _log.exception("what the record of a call needs could not be loaded")
            finally:
                done.set_result(None)

        self._preparing = done
        threading.Thread(target=run, name="router-loading", daemon=True).start()

    def _one(self, opened: OpenCall) -> None:
        try:
            self._deliver(opened)
        except Exception:
            _log.exception("the record of a call could not be made")


def _later(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop is closed: the next call's turn takes care of it
        loop.call_soon_threadsafe(work)
