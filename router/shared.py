"""What a Router remembers outside the pool, and shares if it has a Redis: owners of responses, cooldowns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checks.affinity.transcript import MAX_TURN_BYTES, TranscriptStore
from checks.base import AffinityStore
from checks.budgets.board import BudgetBoard
from router.config import RouterSettings
from router.pool import Pool
from router.stores.memory import MemoryStore
from router.stores.transcripts import MemoryTranscripts

if TYPE_CHECKING:
    from router.stores.feed import CooldownFeed
    from router.stores.redis_link import RedisLink

LARGEST_TURN = 8 * 1024 * 1024
"""Bytes of one turn, compressed, where memory is as large as by default: room for the largest image vendors take."""
_SMALLEST = 4096
"""Bytes that transcripts have at least."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one Router."""

    affinity: AffinityStore
    transcripts: TranscriptStore
    """Used for what deployments don't keep, and where replays are asked for."""
    feed: CooldownFeed | None = None
    """Cooldowns that other Routers found; None without Redis."""
    link: RedisLink | None = None
    transcript_link: RedisLink | None = None
    budgets: BudgetBoard | None = None
    """Where budgets are shared; None without Redis."""

    async def aclose(self) -> None:
        """Close connections; a store of the user's own is the user's to close."""
        for link in (self.link, self.transcript_link):
            if link is not None:
                await link.aclose()


def open_stores(
    settings: RouterSettings, pool: Pool, affinity: AffinityStore | None, clock: Callable[[], float]
) -> Stores:
    """The stores that `settings` ask for; `affinity` is the user's own, instead. Connects to nothing yet."""
    memory = MemoryStore(settings.affinity_max_entries, clock)
    kept = _transcripts(settings, clock)
    redis = settings.redis()
    if redis is None:
        return Stores(memory if affinity is None else affinity, kept)
    # Imported when needed: redis-py takes a sixth of the time that `import router` takes, and many have no Redis.
    from router.stores.board import RedisCooldownBoard
    from router.stores.feed import CooldownFeed
    from router.stores.redis import RedisStore
    from router.stores.redis_budgets import RedisBudgets
    from router.stores.redis_link import RedisLink

    link = RedisLink(redis, timeout=settings.redis_timeout, clock=clock)
    prefix = settings.redis_key_prefix
    board = RedisCooldownBoard(link, prefix=prefix)

    def impose(cooldowns: Mapping[str, tuple[str, float]]) -> None:
        for deployment_id, (kind, seconds) in cooldowns.items():
            pool.impose(deployment_id, "quota" if kind == "quota" else "breaker", seconds)

    def publish(deployment_id: str, kind: str, seconds: float) -> None:
        link.background(board.publish(deployment_id, kind, seconds))

    pool.on_trip = publish
    store = RedisStore(link, memory, prefix=prefix) if affinity is None else affinity
    feed = CooldownFeed(board, impose, clock)
    from router.stores.redis_transcripts import RedisTranscripts

    # a link of its own: a long transcript that takes its time is no outage for the pins
    long_link = RedisLink(redis, timeout=max(1.0, settings.redis_timeout), clock=clock)
    budgets = RedisBudgets(link, prefix=prefix)
    return Stores(store, RedisTranscripts(long_link, kept, prefix=prefix), feed, link, long_link, budgets)


def _transcripts(settings: RouterSettings, clock: Callable[[], float]) -> MemoryTranscripts:
    most = max(_SMALLEST, settings.transcript_max_bytes)
    turn = min(LARGEST_TURN, max(MAX_TURN_BYTES, most // 8), most - _SMALLEST // 2)
    return MemoryTranscripts(most, settings.affinity_max_entries, max_turn_bytes=turn, clock=clock)
