"""Pins in Redis, which Routers share, behind the memory of this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from redis.exceptions import RedisError

from router.stores.memory import Entry, MemoryStore
from router.stores.outbox import Outbox, Pin
from router.stores.redis_client import Command
from router.stores.redis_link import OutageError, RedisLink, Send
from router.stores.stats import StoreStats

RENEWALS: Final = 10  # per time to live, at most
_BATCH: Final = 200
_TOGETHER: Final = 1000  # asked in one round trip; more would hold up what other calls ask
_LONGEST: Final = 10.0**14  # milliseconds; more than Redis takes is no more than for ever

# A pin is stored as "<time to live in ms> <value>", so that whoever reads it can renew it.
_WRITE: Final = """
local held = redis.call('GET', KEYS[1])
held = held and string.match(held, '^%d+ (.*)$')
if held and held ~= ARGV[1] and held ~= ARGV[3] then return held end
redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""
_READ: Final = """
local held = redis.call('GET', KEYS[1])
local ttl = held and string.match(held, '^(%d+) ')
if not ttl then return false end
redis.call('PEXPIRE', KEYS[1], ttl)
return held
"""


class RedisStore:
    """A `ManyStore`: memory answers if it can, else Redis; what one Router writes, the others find.

    Of two writers that know nothing of each other, the first pin stands, and the second adopts it; who has read a pin
    may move it. A pin in use is renewed in Redis, in the background, at most ten times per time to live: so one
    that Redis lost comes back as well. While Redis is away memory answers alone; up to `max_waiting` writes wait for
    it to return.
    """

    def __init__(
        self, link: RedisLink, memory: MemoryStore, *, prefix: str = "homing", max_waiting: int = 10_000
    ) -> None:
        """Keys are `{prefix}:pin:{key}`."""
        self._link = link
        self._memory = memory
        self._prefix = prefix
        self._outbox = Outbox(max_waiting)
        link.admit(self)

    @property
    def stats(self) -> StoreStats:
        """What the stores on this link have counted."""
        return self._link.stats

    @property
    def down(self) -> bool:
        """Whether Redis is given up on for now, and memory answers alone."""
        return self._link.down

    @property
    def waiting(self) -> int:
        """Writes that wait to be sent."""
        return len(self._outbox)

    async def get(self, key: str) -> str | None:
        """The value of `key`, whose time to live starts anew; None if there is none, or Redis alone would know."""
        value = self._recall(key)
        if value is not None:
            return value
        try:
            held = await self._link.run(self._question(key))
        except OutageError as outage:
            held = outage
        return self._learn(key, held)

    async def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """The values of those `keys` that have one, as `get` gives them; what memory lacks is asked together."""
        found: dict[str, str] = {}
        lacking: list[str] = []
        for key in dict.fromkeys(keys):
            value = self._recall(key)
            if value is None:
                lacking.append(key)
            else:
                found[key] = value
        for start in range(0, len(lacking), _TOGETHER):
            await self._ask(lacking[start : start + _TOGETHER], found)
        return found

    async def set(self, key: str, value: str, *, ttl: float) -> None:
        """Remember `value` for `ttl` seconds. `ValueError` unless `ttl` > 0."""
        pin = Pin(value, ttl, known=self._memory.remember(key, value, ttl))
        self._outbox.discard(key)
        try:
            self._settle(key, pin, await self._link.run(self._command(key, pin)))
        except OutageError:
            self._defer(key, pin)

    async def set_many(self, values: Mapping[str, str], *, ttl: float) -> None:
        """Remember each of `values`, by key, for `ttl` seconds; Redis hears of it in the background.

        What this process knows already is only renewed. `ValueError` unless `ttl` > 0.
        """
        news = False
        for key, value in values.items():
            entry = self._memory.lookup(key)
            if entry is not None and entry.value == value and entry.ttl == ttl:
                self._renew_old(key, entry)
                continue
            known = self._memory.remember(key, value, ttl)
            self.stats.dropped += self._outbox.put(key, Pin(value, ttl, known))
            news = True
        if news and not self._link.down:
            self._link.background(self._drain())

    async def delete(self, key: str) -> None:
        """Forget `key`; other Routers that have used it may remember it on their own."""
        self._memory.forget(key)
        self._outbox.discard(key)
        try:
            await self._link.run(self._command(key, None))
        except OutageError:
            self._defer(key, None)

    async def aclose(self) -> None:
        """Close connections."""
        await self._link.aclose()

    def probes(self) -> Sequence[Command]:
        """Write, read and delete a key of our own."""
        key = f"{self._prefix}:probe"
        return ("EVAL", _WRITE, 1, key, "", 1000, ""), ("EVAL", _READ, 1, key), ("DEL", key)

    async def recover(self, send: Send) -> None:
        """Send what waits now, not what is added meanwhile: under load that would never end.

        Raises what `send` does; nothing is lost by it.
        """
        left = len(self._outbox)
        while left > 0 and (batch := self._outbox.take(min(_BATCH, left))):
            left -= len(batch)
            sent = False
            try:
                replies = await send([self._command(key, write) for key, write in batch.items()])
                sent = True
            finally:
                if not sent:
                    self.stats.dropped += self._outbox.give_back(batch)
            for (key, write), reply in zip(batch.items(), replies, strict=True):
                if isinstance(reply, RedisError):
                    self.stats.dropped += 1
                    continue
                self.stats.flushed += 1
                if write is not None:
                    self._settle(key, write, reply)

    def _recall(self, key: str) -> str | None:
        """What memory knows, renewed in Redis if that is due."""
        entry = self._memory.lookup(key)
        if entry is None:
            return None
        self.stats.hits += 1
        self._renew_old(key, entry)
        return entry.value

    async def _ask(self, keys: Sequence[str], found: dict[str, str]) -> None:
        """Add what Redis has of `keys` to `found`."""
        try:
            replies = await self._link.run_all([self._question(key) for key in keys])
        except OutageError as outage:
            replies = [outage] * len(keys)
        for key, held in zip(keys, replies, strict=True):
            value = self._learn(key, held)
            if value is not None:
                found[key] = value

    def _question(self, key: str) -> Command:
        return "EVAL", _READ, 1, self._name(key)

    def _learn(self, key: str, held: object) -> str | None:
        """The value in a reply to the question, which memory keeps from now on; None if there is none, or no reply."""
        if not isinstance(held, str):
            self.stats.misses += 1
            self.stats.blind += isinstance(held, Exception)
            return None
        self.stats.shared_hits += 1
        ttl, _, value = held.partition(" ")
        self._memory.remember(key, value, int(ttl) / 1000)
        return value

    def _name(self, key: str) -> str:
        return f"{self._prefix}:pin:{key}"

    def _command(self, key: str, write: Pin | None) -> Command:
        name = self._name(key)
        if write is None:
            return "DEL", name
        lifetime = int(max(1, min(write.ttl * 1000, _LONGEST)))
        return "EVAL", _WRITE, 1, name, write.value, lifetime, "" if write.known is None else write.known

    def _settle(self, key: str, pin: Pin, held: object) -> None:
        if isinstance(held, str) and held != pin.value:
            self._memory.remember(key, held, pin.ttl)

    def _defer(self, key: str, write: Pin | None) -> None:
        self.stats.dropped += self._outbox.put(key, write)
        if not self._link.down:  # it came back meanwhile, and does not know of this one
            self._link.background(self._drain())

    def _renew_old(self, key: str, entry: Entry) -> None:
        now = self._memory.clock()
        if now - entry.written <= entry.ttl / RENEWALS or self._link.down:
            return
        entry.written = now
        self.stats.dropped += self._outbox.put(key, Pin(entry.value, entry.ttl, known=entry.value))
        self._link.background(self._drain())

    async def _drain(self) -> None:
        while not self._link.down:
            try:
                await self.recover(self._link.run_all)
            except OutageError:
                continue  # what was taken waits again; if Redis came back meanwhile, nobody else would send it
            return
