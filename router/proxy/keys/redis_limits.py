"""What keys use, counted in Redis for all workers and machines together."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Final, cast

from router.proxy.holder import Limits
from router.proxy.keys.limits import PARALLEL_WAIT, REFUSED, WINDOW, MemoryLimiter, Standing, Ticket
from router.stores.redis_link import OutageError, RedisLink

LEASE: Final = 60.0
"""Seconds for which a call in flight counts after it was last heard of: what a crash leaves behind is free by then."""
_NONE: Final = -1

# Two hashes for each key, in one slot. One: second -> "<requests> <tokens>". The other: call in flight -> when its
# lease ends, in ms. Nobody's clock but that of Redis is asked. All whole, for numbers of Redis's scripts lose digits.
_ENTER: Final = """
local t = redis.call('TIME')
local second, now = tonumber(t[1]), t[1] * 1000 + math.floor(t[2] / 1000)
local most = {tonumber(ARGV[1]), tonumber(ARGV[2])}
local parallel, tokens, lease, window = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6]), tonumber(ARGV[7])
local seconds, used, wait, reset, refused = {}, {0, 0}, 0, {0, 0}, 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at = tonumber(all[i])
  if at + window < second then
    redis.call('HDEL', KEYS[1], all[i])
  else
    local requests, spent = string.match(all[i + 1], '^(%d+) (%d+)$')
    local each = {tonumber(requests), tonumber(spent), at, (at + window + 1) * 1000 - now}
    seconds[#seconds + 1] = each
    for k = 1, 2 do
      used[k] = used[k] + each[k]
      if each[k] > 0 then reset[k] = math.max(reset[k], each[4]) end
    end
  end
end
table.sort(seconds, function(a, b) return a[3] < b[3] end)
local excess = {used[1] + 1 - most[1], used[2] + math.min(tokens, most[2]) - most[2]}
for k = 1, 2 do
  if most[k] >= 0 then
    for i = 1, #seconds do
      if excess[k] <= 0 then break end
      excess[k] = excess[k] - seconds[i][k]
      if excess[k] <= 0 and seconds[i][4] > wait then
        wait = seconds[i][4]
        refused = k
      end
    end
  end
end
if parallel >= 0 then
  local held = 0
  local leases = redis.call('HGETALL', KEYS[2])
  for i = 1, #leases, 2 do
    if tonumber(leases[i + 1]) <= now then
      redis.call('HDEL', KEYS[2], leases[i])
    else
      held = held + 1
    end
  end
  if held >= parallel then refused = 3 end
end
if refused == 0 then
  local here = seconds[#seconds]
  if not here or here[3] ~= second then here = {0, 0} end
  redis.call('HSET', KEYS[1], string.format('%.0f', second),
    string.format('%.0f %.0f', here[1] + 1, here[2] + tokens))
  redis.call('PEXPIRE', KEYS[1], (window + 2) * 1000)
  used = {used[1] + 1, used[2] + tokens}
  reset[1] = (second + window + 1) * 1000 - now
  if tokens > 0 then reset[2] = reset[1] end
  if parallel >= 0 then
    redis.call('HSET', KEYS[2], ARGV[5], string.format('%.0f', now + lease))
    redis.call('PEXPIRE', KEYS[2], lease)
  end
end
return {refused, wait, used[1], reset[1], used[2], reset[2], second}
"""
_LEAVE: Final = """
redis.call('HDEL', KEYS[2], ARGV[1])
local before = redis.call('HGET', KEYS[1], ARGV[2])
if before then
  local requests, spent = string.match(before, '^(%d+) (%d+)$')
  redis.call('HSET', KEYS[1], ARGV[2],
    string.format('%.0f %.0f', tonumber(requests), math.max(0, tonumber(spent) + tonumber(ARGV[3]))))
end
return 1
"""
_RENEW: Final = """
local t = redis.call('TIME')
local ends = t[1] * 1000 + math.floor(t[2] / 1000) + tonumber(ARGV[1])
for i = 2, #ARGV do
  redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f', ends))
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""


class RedisLimiter:
    """Counts under `{prefix}:{<digest of the key's id>}:…`, in one round trip for each call.

    While Redis is away, each process counts by itself what it lets through. Calls in flight are leases: they are
    renewed while they last, given back at their end, and run out by themselves where a process has died.
    """

    def __init__(
        self, link: RedisLink, clock: Callable[[], float], *, prefix: str = "homing", lease: float = LEASE
    ) -> None:
        self._link = link
        self._prefix = prefix
        self._lease = lease
        self._alone = MemoryLimiter(clock)
        self._name = secrets.token_hex(6)
        self._numbers = count(1)
        self._held: dict[str, set[str]] = {}
        """By key, the calls in flight."""
        self._leaving: dict[str, set[asyncio.Task[None]]] = {}
        """By key, what tells of calls that are over."""
        self._renewal: asyncio.TimerHandle | None = None
        self._renewals: dict[str, asyncio.Task[None]] = {}
        """By key, what prolongs its leases."""

    async def enter(self, key: str, limits: Limits, tokens: int) -> Standing:
        """Take room for a call, or say why there is none."""
        answer: asyncio.Future[Standing | None] = asyncio.get_running_loop().create_future()
        self._link.background(self._enter(key, limits, tokens, answer))  # goes on if the caller is cancelled
        standing = None
        try:
            standing = await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and (found := answer.result()) is not None:
                self._give_back(found)  # it was answered, but nobody heard
            raise
        return self._alone.take(key, limits, tokens) if standing is None else standing

    def leave(self, ticket: Ticket, tokens: int) -> None:
        """The call is over: that is told in the background."""
        if not isinstance(ticket.place, str):  # taken while Redis was away
            self._alone.leave(ticket, tokens)
            return
        if ticket.held:
            self._drop(ticket.key, ticket.held)
        elif tokens == ticket.tokens:
            return  # nothing to tell
        task = self._link.background(self._leave(ticket, tokens - ticket.tokens))
        self._leaving.setdefault(ticket.key, set()).add(task)
        task.add_done_callback(lambda done: self._told(ticket.key, done))

    async def _enter(self, key: str, limits: Limits, tokens: int, answer: asyncio.Future[Standing | None]) -> None:
        held = "" if limits.parallel is None else f"{self._name}.{next(self._numbers)}"
        most = [_NONE if limit is None else limit for limit in limits]
        lease = int(self._lease * 1000)
        minute, leases = self._keys(key)
        standing = None
        try:
            if held and key in self._leaving:  # a call that is over must not stand in the way of the next
                await asyncio.wait(self._leaving[key])
            reply = await self._link.run(("EVAL", _ENTER, 2, minute, leases, *most, tokens, held, lease, WINDOW))
            standing = self._standing(key, limits, tokens, held, cast("list[int]", reply))
        except OutageError:
            return
        finally:
            if not answer.done():
                answer.set_result(standing)
            elif standing is not None:
                self._give_back(standing)

    def _standing(self, key: str, limits: Limits, tokens: int, held: str, reply: list[int]) -> Standing:
        refused, wait, requests, requests_reset, used, tokens_reset, second = reply
        ticket = None
        if not refused:
            ticket = Ticket(key, self._name, second, tokens, held)
            if held:
                self._hold(key, held)
        return Standing(
            ticket,
            REFUSED[refused - 1] if refused else None,
            PARALLEL_WAIT if refused == len(REFUSED) else wait / 1000,
            max(0, (limits.requests or 0) - requests),
            requests_reset / 1000,
            max(0, (limits.tokens or 0) - used),
            tokens_reset / 1000,
        )

    def _give_back(self, standing: Standing) -> None:
        if standing.ticket is not None:
            self.leave(standing.ticket, 0)

    async def _leave(self, ticket: Ticket, tokens: int) -> None:
        renewal = self._renewals.get(ticket.key)
        if renewal is not None and not renewal.done():  # which may speak of it
            await asyncio.wait({renewal})
        command = ("EVAL", _LEAVE, 2, *self._keys(ticket.key), ticket.held, ticket.at, tokens)
        with suppress(OutageError):  # then its lease runs out, and its minute is over by then
            await self._link.run(command)

    def _told(self, key: str, task: asyncio.Task[None]) -> None:
        tasks = self._leaving[key]
        tasks.discard(task)
        if not tasks:
            del self._leaving[key]

    # leases

    def _hold(self, key: str, held: str) -> None:
        self._held.setdefault(key, set()).add(held)
        if self._renewal is None:
            self._renewal = asyncio.get_running_loop().call_later(self._lease / 3, self._renew)

    def _drop(self, key: str, held: str) -> None:
        calls = self._held[key]
        calls.discard(held)
        if not calls:
            del self._held[key]
        if not self._held and self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None

    def _renew(self) -> None:
        self._renewal = asyncio.get_running_loop().call_later(self._lease / 3, self._renew)
        self._renewals = {key: self._link.background(self._prolong(key)) for key in self._held}

    async def _prolong(self, key: str) -> None:
        calls = self._held.get(key, ())
        command = ("EVAL", _RENEW, 1, self._keys(key)[1], int(self._lease * 1000), *calls)
        with suppress(OutageError):  # the next will
            await self._link.run(command)

    def _keys(self, key: str) -> tuple[str, str]:
        tag = hashlib.blake2b(key.encode(errors="backslashreplace"), digest_size=12).hexdigest()
        return f"{self._prefix}:{{{tag}}}:minute", f"{self._prefix}:{{{tag}}}:calls"
