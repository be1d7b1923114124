"""A bound on how long something may take, which insists."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

_AGAIN: Final = 0.01
"""Seconds between two cancellations of what goes on after the first."""


class Bound:
    """Ends what runs within it after so many seconds, with `TimeoutError`; as `asyncio.timeout`, but in the end.

    `asyncio.wait_for` of Python 3.11, which redis-py uses, swallows a cancellation that comes as what it waits for ends
    (https://github.com/python/cpython/issues/86296). So this cancels until it is heeded; and a cancellation of
    somebody else's that was swallowed is raised when the work has ended all the same.
    """

    __slots__ = ("_before", "_cuts", "_loop", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._cuts = 0

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "only tasks can be cancelled"
        self._task = task
        self._before = task.cancelling()
        self._loop = task.get_loop()
        self._timer = self._loop.call_later(self._seconds, self._cut)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        task = self._task
        for _ in range(self._cuts):
            task.uncancel()
        ours = task.cancelling() <= self._before
        if kind is None and not ours:
            raise asyncio.CancelledError
        if kind is asyncio.CancelledError and self._cuts and ours:
            raise TimeoutError from error

    def _cut(self) -> None:
        self._cuts += 1
        self._task.cancel()
        self._timer = self._loop.call_later(_AGAIN, self._cut)
