"""The lanes of one connection: in each, one response follows the other; lanes go side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from providers.errors import BadRequestError, RateLimitError
from router.proxy.exchange import Disconnected
from router.proxy.websocket.said import Create

MOST_NAMES = 32
"""Lanes with a name that one connection may use, as with OpenAI."""
MOST_ACTIVE = 16
"""Responses of one connection in flight, as with OpenAI; more wait."""
MOST_WAITING = 64
"""Responses that may wait for their turn."""


class Lanes:
    """Has `serve` called for each response, in its turn. `rested` is called when nothing is left to do."""

    def __init__(
        self, serve: Callable[[Create], Awaitable[None]], rested: Callable[[], None], *, most_bytes: int
    ) -> None:
        """`most_bytes`: of what waits, as it was said."""
        self._serve = serve
        self._rested = rested
        self._most_bytes = most_bytes
        self._names: set[str] = set()
        self._waiting: dict[str | None, deque[Create]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(MOST_ACTIVE)

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight, and nothing waits."""
        return not self._tasks

    def submit(self, create: Create) -> None:
        """Serve it in its turn. Raises `BadRequestError`, `RateLimitError`."""
        lane = create.lane
        if lane is not None and lane not in self._names:
            if len(self._names) >= MOST_NAMES:
                said = f"stream_id: this connection has used {MOST_NAMES} names, which is the most"
                raise BadRequestError(said, param="stream_id", code="websocket_stream_limit_reached")
            self._names.add(lane)
        waiting = [each.size for queue in self._waiting.values() for each in queue]
        if len(waiting) >= MOST_WAITING or (waiting and sum(waiting) + create.size > self._most_bytes):
            said = f"{len(waiting)} responses wait for their turn on this connection already"
            raise RateLimitError(said, code="rate_limit_exceeded")
        if lane in self._waiting:
            self._waiting[lane].append(create)
            return
        self._waiting[lane] = queue = deque([create])
        task = asyncio.get_running_loop().create_task(self._run(lane, queue))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def aclose(self) -> None:
        """End whatever is in flight, upstream too."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, lane: str | None, queue: deque[Create]) -> None:
        try:
            with suppress(Disconnected):  # the connection's reader hears of it as well
                while queue:
                    async with self._slots:
                        await self._serve(queue.popleft())
        finally:
            del self._waiting[lane]

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._rested()
