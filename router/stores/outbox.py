"""Writes that wait to be sent, the newest of each key, the oldest dropped when there are too many."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Pin:
    """A value to remember."""

    value: str
    ttl: float
    """Seconds."""
    known: str | None
    """The value its writer knew before, which this one may replace. Any other is another's, and stands."""


class Outbox:
    """For any number of threads."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._waiting: OrderedDict[str, Pin | None] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, key: str, write: Pin | None) -> int:
        """Let `write` (None: forget `key`) wait, in place of an older one; how many were dropped for it."""
        with self._lock:
            older = self._waiting.pop(key, None)
            if write is not None and older is not None:
                write = replace(write, known=older.known)  # Redis has not heard of what came between
            self._waiting[key] = write
            return self._trim()

    def discard(self, key: str) -> None:
        """Let nothing wait for `key`."""
        with self._lock:
            self._waiting.pop(key, None)

    def take(self, count: int) -> dict[str, Pin | None]:
        """Up to `count` of those that have waited longest; they wait no more."""
        with self._lock:
            return dict(self._waiting.popitem(last=False) for _ in range(min(count, len(self._waiting))))

    def give_back(self, taken: dict[str, Pin | None]) -> int:
        """Let `taken` wait again, at the front, but for keys written since; how many were dropped for it."""
        with self._lock:
            for key, write in reversed(taken.items()):
                if key not in self._waiting:
                    self._waiting[key] = write
                    self._waiting.move_to_end(key, last=False)
            return self._trim()

    def _trim(self) -> int:
        dropped = max(0, len(self._waiting) - self._max_waiting)
        for _ in range(dropped):
            self._waiting.popitem(last=False)
        return dropped
