"""One producer of what any number of viewers see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Broadcast:
    """Makes a frame each `interval` seconds while somebody looks, once for all of them.

    A viewer that is slow misses frames; none wait for it. Used on one event loop.
    """

    def __init__(self, make: Callable[[], bytes], interval: float) -> None:
        self._make = make
        self._interval = interval
        self._waiting: set[asyncio.Future[bytes | None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.ended = False
        """Whether nothing more comes."""

    async def next(self) -> bytes | None:
        """The next frame; None if nothing more comes."""
        if self.ended:
            return None
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[bytes | None] = loop.create_future()
        self._waiting.add(waiting)
        if self._timer is None:
            self._timer = loop.call_later(self._interval, self._produce)
        try:
            return await waiting
        finally:
            self._waiting.discard(waiting)

    def end(self) -> None:
        """Let every viewer go."""
        self.ended = True
        self._hand_out(None)

    def _produce(self) -> None:
        self._timer = None
        if self._waiting:
            try:
                self._hand_out(self._make())
            except BaseException:
                self._hand_out(None)
                raise

    def _hand_out(self, frame: bytes | None) -> None:
        for each in self._waiting:
            if not each.done():
                each.set_result(frame)
