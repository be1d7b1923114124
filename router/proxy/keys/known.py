"""Looks keys up in the book, and remembers for a while what it said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cachetools import LRUCache

from providers.errors import ServiceUnavailableError
from router.proxy.holder import Grant, Holder
from router.proxy.keys.book import KeyBook
from router.stores.redis_link import OutageError

FRESH: Final = 2.0
"""Seconds after which it is asked again: so soon everybody knows of a key that is revoked, blocked or changed."""
KNOWN: Final = 600.0
"""Seconds for which a key is let in, after it was last looked up, while Redis is away."""
MOST_KNOWN: Final = 10_000
"""Keys that are remembered; the least recently used is forgotten first."""


class _Entry:
    """A key that was looked up."""

    __slots__ = ("asked", "found", "holder")

    def __init__(self, holder: Holder, now: float) -> None:
        self.holder = holder
        self.found = self.asked = now


class KnownKeys:
    """One for each process. `clock` tells seconds."""

    def __init__(self, book: KeyBook, clock: Callable[[], float]) -> None:
        self.book = book
        """Where they are kept."""
        self._clock = clock
        self._entries: LRUCache[str, _Entry] = LRUCache(MOST_KNOWN)

    async def find(self, digest: str) -> Holder | None:
        """Who has the key with this digest; None: there is no such key.

        Raises `ServiceUnavailableError` if Redis is away and the key was not seen for long, or never.
        """
        now = self._clock()
        entry = self._entries.get(digest)
        if entry is None:
            return self._learn(digest, await self._ask(digest), None)
        if now - entry.asked < FRESH:
            return entry.holder
        before, entry.asked = entry.asked, now  # others need not ask too
        try:
            grant = await self.book.find(digest)
        except OutageError:
            if now - entry.found >= KNOWN:
                raise _unknown() from None
            return entry.holder
        except BaseException:
            entry.asked = before
            raise
        return self._learn(digest, grant, entry.holder)

    def forget(self, digest: str) -> None:
        """The key was changed, or is no more: look it up again when it is shown next."""
        self._entries.pop(digest, None)

    async def _ask(self, digest: str) -> Grant | None:
        try:
            return await self.book.find(digest)
        except OutageError:
            raise _unknown() from None

    def _learn(self, digest: str, grant: Grant | None, before: Holder | None) -> Holder | None:
        if grant is None:
            self.forget(digest)
            return None
        holder = before if before is not None and before.grant == grant else Holder(grant)
        self._entries[digest] = _Entry(holder, self._clock())
        return holder


def _unknown() -> ServiceUnavailableError:
    said = "whether the API key is valid is not known: keys are kept in Redis, which is away for now"
    return ServiceUnavailableError(said, code="key_store_unavailable", retry_after=FRESH)
