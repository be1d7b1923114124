"""Transcripts in memory: compressed, bounded by bytes, by number and by age; least recently used first to go."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from checks.affinity.transcript import MAX_TURN_BYTES, Turn, decode, encode
from providers.errors import ConfigurationError

_OVERHEAD = 512
"""Bytes that an entry takes besides its key and its data, rounded up."""

_LONG = 256 * 1024
"""Bytes that take milliseconds to pack or unpack: done in a thread, so that others needn't wait."""


async def unpacked(data: bytes) -> Turn | None:
    """The turn in `data`; None if there is none."""
    return await asyncio.to_thread(decode, data) if len(data) > _LONG else decode(data)


@dataclass(slots=True)
class TranscriptStats:
    """Counters since the start. For reading; only the stores write them."""

    hits: int = 0
    """Lookups that memory answered."""
    shared_hits: int = 0
    """Lookups that Redis answered."""
    misses: int = 0
    """Lookups that found nothing."""
    oversized: int = 0
    """Turns that were not kept, because each alone is too large."""
    evicted: int = 0
    """Turns that had to make room for others."""
    unreadable: int = 0
    """Values in Redis that are no turns, or of a later version of this library."""
    dropped: int = 0
    """Writes that Redis was never sent: too many waited, or the turn had left memory."""


class Kept:
    """One encoded turn."""

    __slots__ = ("data", "expires", "size", "ttl", "written")

    def __init__(self, key: str, data: bytes, ttl: float, now: float) -> None:
        self.data = data
        self.size = len(data) + len(key) + _OVERHEAD
        self.ttl = ttl
        """Seconds it lives after its last use."""
        self.expires = now + ttl
        """When it dies unless it is used, by the store's clock."""
        self.written = now
        """When it was put; a store that keeps a copy elsewhere moves it on when it renews that copy."""


class MemoryTranscripts:
    """A `TranscriptStore` of this process, for any number of threads and event loops.

    As every use renews an entry, the least recently used is also the first to die, if all have the same time to live:
    what is dead leaves with the next that comes, though nobody asks for it.
    """

    def __init__(
        self,
        max_bytes: int = 64 * 1024 * 1024,
        max_entries: int = 100_000,
        *,
        max_turn_bytes: int = MAX_TURN_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`max_bytes`: of all turns, compressed, bookkeeping included; `max_turn_bytes`: of one turn, compressed.

        Raises `ConfigurationError` unless the largest turn fits.
        """
        if max_entries < 1:
            raise ConfigurationError(f"max_entries: {max_entries} is too small; give at least 1")
        if max_turn_bytes < 1:
            raise ConfigurationError(f"max_turn_bytes: {max_turn_bytes} is too small; give at least 1")
        if max_bytes < max_turn_bytes + 2 * _OVERHEAD:
            raise ConfigurationError(
                f"max_bytes: {max_bytes} is too small for one turn; give at least max_turn_bytes + {2 * _OVERHEAD}, "
                f"which is {max_turn_bytes + 2 * _OVERHEAD}"
            )
        self.stats = TranscriptStats()
        self.clock = clock
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._max_turn_bytes = max_turn_bytes
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many turns are held."""
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes held, bookkeeping included."""
        return self._size

    async def encode(self, turn: Turn) -> bytes | None:
        """`turn` as it is kept; None, and counted, if it is too large."""
        if turn.size > _LONG:
            data = await asyncio.to_thread(encode, turn, limit=self._max_turn_bytes)
        else:
            data = encode(turn, limit=self._max_turn_bytes)
        if data is None:
            self.stats.oversized += 1
        return data

    def lookup(self, key: str) -> Kept | None:
        """The living entry of `key`, whose time to live starts anew."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return None
            now = self.clock()
            if now >= kept.expires:
                self._drop(key)
                return None
            kept.expires = now + kept.ttl
            self._kept.move_to_end(key)
            return kept

    def remember(self, key: str, data: bytes, ttl: float) -> None:
        """Keep `data` for `ttl` seconds, in place of what `key` had. `ValueError` unless `ttl` > 0."""
        if not ttl > 0:
            raise ValueError(f"ttl: {ttl} is not a time to live; give seconds above 0")
        with self._lock:
            now = self.clock()
            self._drop(key)
            kept = self._kept[key] = Kept(key, data, ttl, now)
            self._size += kept.size
            self._make_room(now)

    def forget(self, key: str) -> None:
        """Drop `key`."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: str) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size -= kept.size

    def _make_room(self, now: float) -> None:
        while self._kept:
            key, oldest = next(iter(self._kept.items()))
            dead = now >= oldest.expires
            if not dead and self._size <= self._max_bytes and len(self._kept) <= self._max_entries:
                return
            self._drop(key)
            self.stats.evicted += not dead

    async def get(self, response_id: str, *, fresh: bool = False) -> Turn | None:
        """The turn that made a response, whose time to live starts anew; None if it is not known. Always `fresh`."""
        kept = self.lookup(response_id)
        if kept is None:
            self.stats.misses += 1
            return None
        self.stats.hits += 1
        return await unpacked(kept.data)

    async def put(self, turn: Turn, *, ttl: float) -> None:
        """Remember `turn` for `ttl` seconds; not if it is too large. `ValueError` unless `ttl` > 0."""
        data = await self.encode(turn)
        if data is None:
            self.forget(turn.response_id)  # what an earlier, shorter version said is not the turn
        else:
            self.remember(turn.response_id, data, ttl)

    async def delete(self, response_id: str) -> None:
        """Forget the turn that made a response."""
        self.forget(response_id)

    async def aclose(self) -> None:
        """Nothing to close: a store that another Router shares goes on remembering."""
