"""The bounded queue between calls and what is made of them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from math import ceil, inf
from typing import Final

from router.telemetry.opened import OpenCall

_log = logging.getLogger("router.telemetry")

MOST_WAITING: Final = 10_000
"""Calls whose records wait to be made; beyond them they are dropped, and counted."""
PAUSE: Final = 0.01
"""Seconds between two turns while calls come fast: records made together cost half of what each costs alone."""
_AT_ONCE: Final = 64
"""Calls delivered together, in one turn of the event loop, so that a burst does not hold up what else it has to do."""


def _nothing(_: OpenCall) -> None:
    """What has to run before the record of a call can be made."""


class Delivery:
    """Hands calls that are over to `deliver`, on the event loop's next turn, or `PAUSE` after the last.

    `put` may be called anywhere: in any thread, in a destructor, without an event loop. Where none runs, the next
    call's turn takes care of it, or `flush`. `before` says what has to run first for a call, and would take long: it
    runs in a thread of its own, while the calls wait.
    """

    def __init__(
        self,
        deliver: Callable[[Sequence[OpenCall]], None],
        before: Callable[[OpenCall], Callable[[], object] | None] = _nothing,
        most: int = MOST_WAITING,
    ) -> None:
        self.dropped = 0
        self._deliver = deliver
        self._before = before
        self._most = most
        self._context = copy_context()
        self._waiting: deque[OpenCall] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop that delivered last, or will."""
        self._turned = -inf
        """When a turn delivered last, by its loop's clock."""
        self._scheduled = False
        """Whether its next turn will, or the one after what has to run first."""
        self._preparing: Future[None] | None = None
        """Ends when what has to run first has run."""

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

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
        """Deliver all that waits, now; what should run first runs when it is needed, which may block."""
        waiting = self._waiting
        while waiting:
            batch: list[OpenCall] = []
            with suppress(IndexError):  # nothing waits any more
                while len(batch) < _AT_ONCE:
                    batch.append(waiting.popleft())
            self._give(batch)

    async def flush(self, timeout: float) -> bool:
        """Deliver all that waits, `timeout` seconds at most; whether nothing waits any more."""
        clock = asyncio.get_running_loop().time
        until = clock() + timeout
        while (preparing := self._all()) is not None:
            # not by cancelling it: others wait for it too
            done, _ = await asyncio.wait((asyncio.wrap_future(preparing),), timeout=max(0.0, until - clock()))
            if not done:
                return False
        return True

    def _all(self) -> Future[None] | None:
        """Deliver what waits by now; what has to end first, if one has to wait on."""
        turns = ceil(len(self._waiting) / _AT_ONCE)
        return next((preparing for _ in range(turns) if (preparing := self._some()) is not None), None)

    def _schedule(self, own: asyncio.AbstractEventLoop) -> None:
        """See to it that a turn delivers: of the loop that runs here, else of the call's own.

        In the context in which this was made: a call's would be the wrong one for the others of its turn, as for ids
        in their log.
        """
        try:
            self._loop = loop = asyncio.get_running_loop()
        except RuntimeError:  # a stream that is dropped on a thread without a loop
            self._loop = own
            with suppress(RuntimeError):  # it is closed
                own.call_soon_threadsafe(self._turn, context=self._context.copy())
                self._scheduled = True
            return
        self._scheduled = True
        wait = self._turned + PAUSE - loop.time()
        if 0 < wait <= PAUSE:
            loop.call_later(wait, self._turn, context=self._context.copy())
        else:
            loop.call_soon(self._turn, context=self._context.copy())

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        self._turned = loop.time()
        try:
            preparing = self._some()
        except BaseException:  # as `KeyboardInterrupt`
            self._scheduled = False  # the next call's turn goes on
            raise
        if preparing is not None:
            preparing.add_done_callback(lambda _: self._later(loop))
            return
        self._scheduled = False  # before looking: whoever puts one from now on, on another thread, sees to it
        if self._waiting:
            self._scheduled = True
            loop.call_soon(self._turn)

    def _later(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop is closed: the next call's turn takes care of it
            loop.call_soon_threadsafe(self._turn, context=self._context.copy())

    def _some(self) -> Future[None] | None:
        """Deliver up to `_AT_ONCE` calls that wait, together; what has to end first, if one has to wait on."""
        waiting, preparing, work = self._waiting, self._preparing, None
        if preparing is not None:
            if not preparing.done():
                return preparing
            self._preparing = None
        prepared = preparing is not None  # whatever came of it, the first does not wait again
        batch: list[OpenCall] = []
        with suppress(IndexError):  # there are no more
            while len(batch) < _AT_ONCE:
                opened = waiting.popleft()
                work = None if prepared else self._before(opened)
                if work is not None:
                    waiting.appendleft(opened)
                    break
                prepared = False
                batch.append(opened)
        self._give(batch)
        return None if work is None else self._prepare(work)

    def _prepare(self, work: Callable[[], object]) -> Future[None]:
        done: Future[None] = Future()

        def run() -> None:
            try:
                work()
            except Exception:
                _log.exception("what the record of a call needs could not be loaded")
            finally:
                done.set_result(None)

        self._preparing = done
        threading.Thread(target=run, name="homing-router-loading", daemon=True).start()
        return done

    def _give(self, batch: Sequence[OpenCall]) -> None:
        if not batch:
            return
        try:
            self._deliver(batch)
        except Exception:
            _log.exception("the records of calls could not be made")
