"""Pins in memory: bounded, least recently used first to go, each with its own time to live."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from providers.errors import ConfigurationError


class Entry:
    """One remembered value."""

    __slots__ = ("expires", "ttl", "value", "written")

    def __init__(self, value: str, ttl: float, now: float) -> None:
        self.value = value
        self.ttl = ttl
        """Seconds it lives after its last use."""
        self.expires = now + ttl
        """When it dies unless it is used, by the store's clock."""
        self.written = now
        """When it was set; a store that keeps a copy elsewhere moves it on when it renews that copy."""


class MemoryStore:
    """A `ManyStore` of this process, for any number of threads and event loops.

    Holds at most `max_entries` (default 100,000); the least recently used goes first. every `get`
    renews, so what nobody asks for drifts to the old end. (cachetools' timed cache keeps a heap of expiry times that
    each renewal would push to, and its LRU is written in Python: a lookup, which every follow-up makes, took four
    times and twice as long.)
    """

    def __init__(self, max_entries: int = 100_000, clock: Callable[[], float] = time.monotonic) -> None:
        if max_entries < 1:
            raise ConfigurationError(f"max_entries: {max_entries} is too small; give at least 1")
        self.clock = clock
        self._max_entries = max_entries
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many entries are held, those included that have died but were not asked for since."""
        return len(self._entries)

    def lookup(self, key: str) -> Entry | None:
        """The living entry of `key`, whose time to live starts anew."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            now = self.clock()
            if now >= entry.expires:
                del self._entries[key]
                return None
            entry.expires = now + entry.ttl
            self._entries.move_to_end(key)
            return entry

    def remember(self, key: str, value: str, ttl: float) -> str | None:
        """Keep `value` for `ttl` seconds; the living value it replaces, if any. `ValueError` unless `ttl` > 0."""
        if not ttl > 0:
            raise ValueError(f"ttl: {ttl} is not a time to live; give seconds above 0")
        with self._lock:
            now = self.clock()
            old = self._entries.pop(key, None)
            if len(self._entries) >= self._max_entries:
                self._entries.popitem(last=False)
            self._entries[key] = Entry(value, ttl, now)
        return old.value if old is not None and now < old.expires else None

    def forget(self, key: str) -> None:
        """Drop `key`."""
        with self._lock:
            self._entries.pop(key, None)

    async def get(self, key: str) -> str | None:
        """The value of `key`, whose time to live starts anew; None if there is none."""
        entry = self.lookup(key)
        return None if entry is None else entry.value

    async def set(self, key: str, value: str, *, ttl: float) -> None:
        """Remember `value` for `ttl` seconds. `ValueError` unless `ttl` > 0."""
        self.remember(key, value, ttl)

    async def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """The values of those `keys` that have one; the times to live of these start anew."""
        found: dict[str, str] = {}
        for key in keys:
            entry = self.lookup(key)
            if entry is not None:
                found[key] = entry.value
        return found

    async def set_many(self, values: Mapping[str, str], *, ttl: float) -> None:
        """Remember each of `values`, by key, for `ttl` seconds. `ValueError` unless `ttl` > 0."""
        for key, value in values.items():
            self.remember(key, value, ttl)

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        self.forget(key)

    async def aclose(self) -> None:
        """Nothing to close: a store that another Router shares goes on remembering."""
