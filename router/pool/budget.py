"""How many retries a group may afford."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

_RETRY = 5
"""What a retry takes, in units of what a call gives: whole numbers, so that fifths add up."""
_PER_SECOND = 5
_CAP = 500


class RetryBudget:
    """A bucket of retries: each call adds a fifth of one, each second one, up to 100; a retry takes one.

    While failures are rare it never runs dry; in an outage it keeps retries from multiplying the load (Finagle's
    retry budget). Starts full. Thread-safe.
    """

    __slots__ = ("_at", "_clock", "_lock", "_tokens")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._tokens: float = _CAP
        self._at = clock()

    def deposit(self) -> None:
        """Count a first attempt."""
        with self._lock:
            self._tokens = min(_CAP, self._tokens + 1)

    def withdraw(self) -> bool:
        """Take one retry; False if none is left."""
        with self._lock:
            now = self._clock()
            self._tokens = min(_CAP, self._tokens + (now - self._at) * _PER_SECOND)
            self._at = now
            if self._tokens < _RETRY:
                return False
            self._tokens -= _RETRY
            return True
