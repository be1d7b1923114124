"""A time limit for one wait after another, cheaper than `asyncio.timeout` where there are thousands."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Watch:
    """Limits one wait at a time: `with watch.limit(seconds): await …` raises `TimeoutError` as `asyncio.timeout` does.

    A stream waits for each of its chunks, and a timer made and cancelled for each would cost more than reading the
    chunk. Here one timer is left running: when it goes off while a later wait is still within its limit, it is set
    anew. `close` takes the timer off the loop; without it, the timer goes off once in vain. For one event loop.
    """

    __slots__ = ("_expired", "_requests", "_seconds", "_task", "_timer", "_until")

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._requests = 0
        self._seconds = self._until = 0.0
        self._expired = False

    def limit(self, seconds: float) -> Self:
        """Set the limit of the next wait."""
        self._seconds = seconds
        return self

    def close(self) -> None:
        """Take the timer off the loop. The watch can be used again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None, "waits in a task"
        self._task = task
        self._requests = task.cancelling()
        self._expired = False
        self._until = until = loop.time() + self._seconds
        timer = self._timer
        if timer is None or timer.when() > until:
            if timer is not None:
                timer.cancel()
            self._timer = loop.call_at(until, self._ring, loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        # a cancellation from elsewhere at the same moment goes before ours: then there is no timeout to report
        if self._expired and task is not None and task.uncancel() <= self._requests and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._task is None:
            return  # nobody waits; the next wait sets a timer of its own
        if loop.time() < self._until:
            self._timer = loop.call_at(self._until, self._ring, loop)
            return
        self._expired = True
        self._task.cancel()
