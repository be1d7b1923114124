"""Cancels work at each of its awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any


class CancelAt:
    """Runs `work` in the awaiting task, which is cancelled at its `place`-th suspension (from 0).

    `late`: not while it waits, but when what it waited for has come, before it is told: the moment results get lost.
    """

    def __init__(self, work: Coroutine[Any, Any, object], place: int, *, late: bool) -> None:
        self._work = work
        self._place = place
        self._late = late
        self.reached = False

    def __await__(self) -> Generator[Any, Any, object]:
        task = asyncio.current_task()
        assert task is not None
        seen = 0
        inner = self._work.__await__()
        value: object = None
        error: BaseException | None = None
        while True:
            try:
                waited = inner.send(value) if error is None else inner.throw(error)
            except StopIteration as end:
                return end.value
            if seen == self._place:
                self.reached = True
                if self._late and waited is not None:
                    waited.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()
            seen += 1
            value = error = None
            try:
                value = yield waited
            except BaseException as thrown:
                error = thrown


async def cancelled(work: Coroutine[Any, Any, object], place: int, *, late: bool) -> bool:
    """Cancel `work` at its `place`-th await; whether it got that far."""
    cut = CancelAt(work, place, late=late)

    async def run() -> object:
        return await cut

    try:
        await asyncio.create_task(run())
    except asyncio.CancelledError:
        assert cut.reached
    return cut.reached
