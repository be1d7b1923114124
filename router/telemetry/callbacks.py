"""The user's own callbacks: each called with every record, off the calls' path, and none able to harm a call.

Each has a bounded queue and a runner of its own, so that one that hangs holds up nobody else: a coroutine function
runs as a task on the event loop, anything else on a thread, for it may block.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from router.pool import DeploymentHealth
from router.stores.background import Background
from router.telemetry.base import RAISED
from router.telemetry.record import CallRecord

_log = logging.getLogger("router.telemetry")

Callback: TypeAlias = "Callable[[CallRecord], object] | Callable[[CallRecord], Awaitable[object]]"
"""What is called with each record. What it returns is ignored; what it raises is logged."""

LONGEST_CALL: Final = 60.0
"""Seconds that one call of an asynchronous callback may take."""
_IDLE: Final = 1.0
"""Seconds without a record after which a thread ends; the next record starts another."""
_AT_EXIT: Final = 2.0
"""Seconds that the end of the process waits for callbacks on threads."""


@dataclass(slots=True)
class CallbackStats:
    """What became of the records that one callback was to get. For reading."""

    name: str
    delivered: int = 0
    failed: int = 0
    """Those on which it raised, or took too long."""
    dropped: int = 0
    """Those it never got, as too many waited."""
    waiting: int = 0
    """Those it is yet to get."""


class _Queue:
    """Records that wait for one callback."""

    def __init__(self, callback: Callback, name: str, most: int) -> None:
        self.callback = callback
        self.stats = CallbackStats(name)
        self.records: deque[CallRecord] = deque()
        self.changed = threading.Condition()
        self.busy = False
        """Whether a runner is at work, or about to be."""
        self._most = most
        self._resting = False

    def put(self, record: CallRecord) -> bool:
        """Let `record` wait; whether somebody must begin to work on it."""
        with self.changed:
            if len(self.records) >= self._most:
                self.stats.dropped += 1
                return False
            self._resting = False
            self.records.append(record)
            self.stats.waiting += 1
            self.changed.notify()
            begin, self.busy = not self.busy, True
            return begin

    def next(self, patience: float = 0.0) -> CallRecord | None:
        """The next one; None, and nobody is at work any more, if there is none within `patience` seconds."""
        with self.changed:
            if not self.records and patience:
                self.changed.wait_for(lambda: self.records or self._resting, patience)
            if not self.records:
                self.busy = False
                return None
            return self.records.popleft()

    def done(self, error: BaseException | None = None) -> None:
        """The callback is through with one."""
        with self.changed:
            self.stats.waiting -= 1
            if error is None:
                self.stats.delivered += 1
            else:
                self.stats.failed += 1
            if not self.stats.waiting:
                self.changed.notify_all()
        if error is not None:
            _log.error("the callback %s failed", self.stats.name, exc_info=error)

    def give_up(self) -> None:
        """Those that wait are dropped."""
        with self.changed:
            dropped = len(self.records)
            self.records.clear()
            self.stats.dropped += dropped
            self.stats.waiting -= dropped
            self.changed.notify_all()

    def rest(self) -> None:
        """Wait for no more records; those that wait, and later ones, are worked off all the same."""
        with self.changed:
            self._resting = True
            self.changed.notify_all()

    def settled(self, timeout: float) -> bool:
        """Block until nothing waits, at most `timeout` seconds; whether nothing does."""
        with self.changed:
            return self.changed.wait_for(lambda: not self.stats.waiting, timeout)


class CallbackSink:
    """Gives each record to one callback."""

    def __init__(self, callback: Callback, *, name: str = "", most: int = 10_000) -> None:
        """`most`: records that may wait; what comes when so many do is dropped, and counted."""
        self._queue = _Queue(callback, name or _name(callback), most)
        self._background = Background()
        self._task: asyncio.Task[None] | None = None
        """The runner that began last, of an asynchronous callback."""
        self._is_async = is_async(callback)
        # at the end of the process only: a sink that is dropped leaves its thread to finish by itself
        self._at_exit = weakref.finalize(self, self._queue.settled, 0.0 if self._is_async else _AT_EXIT)

    def __del__(self) -> None:
        self._at_exit.detach()

    @property
    def stats(self) -> CallbackStats:
        """What became of the records so far."""
        return self._queue.stats

    def attach(self, health: Callable[[], Sequence[DeploymentHealth]]) -> None:
        """Callbacks are told of calls, not of deployments."""

    def take(self, record: CallRecord) -> None:
        """Let the callback have `record` soon."""
        queue = self._queue
        begin = queue.put(record)
        if not self._is_async:
            if begin:
                threading.Thread(target=_serve, args=(queue,), name="homing-router-callback", daemon=True).start()
        elif begin or self._has_died():
            self._task = self._background.start(self._run())

    async def flush(self, timeout: float) -> bool:
        """Wait until the callback has had every record, at most `timeout` seconds; whether it has."""
        queue = self._queue
        if not await self.finish(timeout) and queue.stats.waiting:
            await asyncio.to_thread(queue.settled, timeout)
        return not queue.stats.waiting

    async def finish(self, timeout: float) -> bool:
        """As `flush`, but only of what runs on this loop; whether the callback does."""
        if self.stranded:
            self._task = self._background.start(self._run())
        here = self._task is not None and self._task.get_loop() is asyncio.get_running_loop()
        if here:
            await self._background.finish(timeout)
        return here

    async def aclose(self, timeout: float) -> None:
        """Stop what runs on this loop, for which nothing waits any more, and the thread once it has nothing to do.

        Later records begin anew.
        """
        self._queue.rest()
        await self._background.stop(timeout)
        if self.stranded:
            self._queue.give_up()

    @property
    def stranded(self) -> bool:
        """Whether records wait for a runner whose loop has ended, or that was stopped."""
        return bool(self._queue.records) and self._has_died()

    def _has_died(self) -> bool:
        """Whether the runner has ended, or its loop has, whatever still waits for it."""
        task = self._task
        return task is not None and (task.done() or task.get_loop().is_closed())

    async def _run(self) -> None:
        queue, task = self._queue, asyncio.current_task()
        assert task is not None, "it runs as one"
        callback = cast("Callable[[CallRecord], Awaitable[object]]", queue.callback)
        while (record := queue.next()) is not None:
            try:
                async with asyncio.timeout(LONGEST_CALL):
                    await callback(record)
            except RAISED as error:
                queue.done(error)
                if isinstance(error, asyncio.CancelledError) and task.cancelling():  # not what it waited for: itself
                    raise
            except BaseException as error:
                queue.done(error)
                raise
            else:
                queue.done()


def _serve(queue: _Queue) -> None:
    """Work off a queue, on a thread of its own."""
    while (record := queue.next(_IDLE)) is not None:
        try:
            answer = queue.callback(record)
            if inspect.isawaitable(answer):
                asyncio.run(_awaited(answer))
        except BaseException as error:
            queue.done(error)
        else:
            queue.done()


async def _awaited(answer: Awaitable[object]) -> None:
    await answer


def is_async(callback: object) -> bool:
    """Whether calling it makes a coroutine."""
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(getattr(callback, "__call__", None))  # noqa: B004 - asked for its kind


def _name(callback: object) -> str:
    if inspect.ismethod(callback):
        return type(callback.__self__).__name__
    return getattr(callback, "__qualname__", None) or type(callback).__name__
