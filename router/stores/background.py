"""Work that nobody waits for, on whichever loop is running."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Final

PATIENCE: Final = 0.05  # seconds until what was cancelled is cancelled again


class Background:
    """Holds tasks until they are done. They end with their loop, without a word."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run `work`, which handles its own errors, beside the caller; the task, which is held here."""
        task = asyncio.get_running_loop().create_task(work)
        # If a loop is closed on pending tasks, each complains when collected; nobody could act on these complaints.
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own; asyncio.gather does the same
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish(self, timeout: float) -> None:
        """Wait at most `timeout` seconds for what runs on this loop."""
        mine = self._mine()
        if mine:
            await asyncio.wait(mine, timeout=timeout)

    async def stop(self, timeout: float) -> None:
        """Cancel what runs on this loop; wait at most `timeout` seconds for it. Forget what ran on loops now closed.

        Cancels more than once: `asyncio.wait_for` of Python 3.11, which redis-py uses, can swallow a cancellation.
        """
        self._tasks.difference_update([task for task in list(self._tasks) if task.get_loop().is_closed()])
        clock = asyncio.get_running_loop().time
        end = clock() + timeout
        while (mine := self._mine()) and (left := end - clock()) > 0:
            for task in mine:
                task.cancel()
            await asyncio.wait(mine, timeout=min(left, PATIENCE))

    def _mine(self) -> list[asyncio.Task[None]]:
        loop = asyncio.get_running_loop()
        return [task for task in list(self._tasks) if task.get_loop() is loop]
