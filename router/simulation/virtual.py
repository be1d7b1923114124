"""An event loop whose time does not pass but jumps: to the next timer, as soon as there is nothing else to do."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from contextvars import Context
from typing import Final, TypeVarTuple

_Arguments = TypeVarTuple("_Arguments")

_PATIENCE: Final = 10.0
"""Seconds of real time that nothing may happen in, with nothing left to wait for."""
_NAP: Final = 0.001
_TICK: Final = 1e-6
"""The least virtual time that a timer takes: who waits for a moment that rounding puts just ahead must get there."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs what waits for nothing but timers, as fast as it can. Its time begins at 0.

    It reaches no network: nothing that arrives from outside is noticed. Raises `RuntimeError` out of what it runs if
    that waits for something that never comes.
    """

    def __init__(self) -> None:
        self._time = 0.0
        super().__init__(_Skipping(self))
        # asyncio's: what a timer may be early by. Its own, a nanosecond, is less than the time can tell apart after
        # half a year, and then no timer would ever be due.
        self._clock_resolution = _TICK

    def time(self) -> float:
        """Seconds of virtual time since it was made."""
        return self._time

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call it at this virtual time, or in a moment if that is now or past."""
        return super().call_at(max(when, self._time + _TICK), callback, *args, context=context)

    def skip(self, seconds: float) -> None:
        """Let virtual time pass at once."""
        self._time += seconds


class _Skipping(selectors.SelectSelector):
    """Asked to wait for something, it lets virtual time pass instead."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._napped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None:
            self._napped = 0.0
            self._loop.skip(max(0.0, timeout))
            return []
        # no timer: another thread may be at work, of which the loop is told without this selector
        if self._napped >= _PATIENCE:
            raise RuntimeError("the simulation waits for something that never comes")
        time.sleep(_NAP)
        self._napped += _NAP
        return []
