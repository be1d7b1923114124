"""Whether Redis is being asked, and the probes that find out when it may be asked again."""

from __future__ import annotations

import asyncio
import random
import threading
import weakref
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final, TypeAlias

from router.stores.background import Background

FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 2.0
STEADY: Final = 10.0

Probe: TypeAlias = Callable[[], Awaitable[bool]]
"""Whether it is well; cleans up after itself if cancelled. Raises nothing else."""


class Circuit:
    """Closed: ask. Down: don't, until one probe in the background, on one of the loops in use, succeeded.

    Probes start 0.1 s after the failure and back off to 2 s, each delay shortened at random by up to half, so that
    many routers do not probe in step; an outage within 10 s of the last one's end goes on with its back-off.
    Between probes there is only a timer: it keeps no process alive, and a loop that ends forgets it in silence.
    Whoever is turned away afterwards, on another loop, carries on there.
    """

    def __init__(self, background: Background, clock: Callable[[], float], rng: random.Random) -> None:
        self.down = False
        self._background = background
        self._clock = clock
        self._rng = rng
        self._lock = threading.Lock()
        self._changed = -inf
        self._delay = FIRST_DELAY
        self._turn = 0
        self._prober: weakref.ref[asyncio.AbstractEventLoop] | None = None

    def trip(self, probe: weakref.WeakMethod[Probe]) -> bool:
        """Stop asking; whether that is news."""
        with self._lock:
            if self.down:
                return False
            self.down = True
            now = self._clock()
            steady = now - self._changed > STEADY
            self._delay = FIRST_DELAY if steady else min(2 * self._delay, LONGEST_DELAY)
            self._changed = now
            self._schedule(probe)
            return True

    def watch(self, probe: weakref.WeakMethod[Probe]) -> None:
        """See to it that somebody probes, if down: the loop that did may have ended."""
        with self._lock:
            prober = None if self._prober is None else self._prober()
            if self.down and (prober is None or not prober.is_running()):
                self._schedule(probe)

    def rest(self) -> None:
        """Probe no more until somebody is turned away again."""
        with self._lock:
            self._turn += 1
            self._prober = None

    def mend(self) -> float | None:
        """Ask again; seconds it has been down, or None if another probe was first."""
        with self._lock:
            if not self.down:
                return None
            self.down = False
            now = self._clock()
            lasted, self._changed = now - self._changed, now
            return lasted

    def _schedule(self, probe: weakref.WeakMethod[Probe]) -> None:
        loop = asyncio.get_running_loop()
        self._turn += 1
        self._prober = weakref.ref(loop)
        loop.call_later(self._delay * self._rng.uniform(0.5, 1), self._begin, self._turn, probe)

    def _begin(self, turn: int, probe: weakref.WeakMethod[Probe]) -> None:
        if turn == self._turn and probe() is not None:
            probing = self._background.start(self._run(turn, probe))
            # one cancelled before its first step never reaches its own `finally`
            probing.add_done_callback(lambda ended: self._release(turn) if ended.cancelled() else None)

    def _release(self, turn: int) -> None:
        """For a cancelled probe: the next to be turned away goes on."""
        with self._lock:
            if turn == self._turn:
                self._prober = None

    async def _run(self, turn: int, probe: weakref.WeakMethod[Probe]) -> None:
        well = False
        try:
            method = probe()
            well = method is not None and await method()
        finally:
            self._release(turn)
        if not well:
            with self._lock:
                if self.down and turn == self._turn:
                    self._delay = min(2 * self._delay, LONGEST_DELAY)
                    self._schedule(probe)
