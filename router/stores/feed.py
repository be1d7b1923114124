"""Keeps a Router's view of the cooldown board fresh, at the price of one read now and then."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from math import inf
from typing import Final

from router.stores.background import Background
from router.stores.board import CooldownBoard

logger: Final = logging.getLogger("router.stores")


class CooldownFeed:
    """Reads `board` as calls come, for `apply` to take over; while no calls come, nothing is read.

    A view older than `refresh_after` seconds (0.5) is renewed in the background, one older than `stale_after` (1) is
    waited for: so a cooldown is honoured within `stale_after`. Callers share one read per event loop.
    """

    def __init__(
        self,
        board: CooldownBoard,
        apply: Callable[[Mapping[str, tuple[str, float]]], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        refresh_after: float = 0.5,
        stale_after: float = 1.0,
    ) -> None:
        """`apply` is given each reading, deployment id → (kind, seconds left), on the loop that read it."""
        self._board = board
        self._apply = apply
        self._clock = clock
        self._refresh_after = refresh_after
        self._stale_after = stale_after
        self._read_at = -inf
        self._background = Background()
        self._readings: dict[asyncio.AbstractEventLoop, asyncio.Event] = {}

    async def sync(self) -> None:
        """Return at once if the view is fresh, else once it is (at most `stale_after` seconds). Never raises."""
        age = self._clock() - self._read_at
        if age < self._refresh_after:
            return
        done = self._reading()
        if age >= self._stale_after:
            try:
                async with asyncio.timeout(self._stale_after):
                    await done.wait()
            except TimeoutError:
                logger.warning("The cooldown board took longer than %g s", self._stale_after)

    def _reading(self) -> asyncio.Event:
        loop = asyncio.get_running_loop()
        done = self._readings.get(loop)
        if done is None:
            for ended in [other for other in list(self._readings) if other.is_closed()]:
                self._readings.pop(ended, None)
            done = self._readings[loop] = asyncio.Event()
            self._background.start(self._read(loop, done))
        return done

    async def _read(self, loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
        try:
            found = await self._board.read()
            self._read_at = self._clock()  # a board that is away is asked again no sooner
            if found is not None:
                self._apply(found)
        except Exception:
            self._read_at = self._clock()
            logger.exception("Cooldowns of other Routers could not be taken over")
        finally:
            self._readings.pop(loop, None)
            done.set()
