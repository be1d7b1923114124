"""Budgets in Redis, which Routers share."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, cast

from redis.exceptions import RedisError

from checks.budgets.board import Page, Want
from router.stores.redis_client import Command
from router.stores.redis_link import OutageError, RedisLink, Send

LEASE: Final = 900.0
"""Seconds that a writer's reservations count after it was last heard of: longer than an attempt takes by default, so
that what a crash leaves behind does not block a budget for long."""
SLACK: Final = 60.0
"""Seconds that a page outlives its window at least, as clocks differ."""
MOST_WAITING: Final = 10_000
_BATCH: Final = 100
_STALE: Final = -1

# Two hashes for each page. One: writer -> "<number> <spent>", and "total", the sum of what all have spent. The other:
# writer -> "<reserved> <ms when it was told>". A writer always tells all that it has, so that what arrives twice, or
# late, or after Redis has forgotten it, puts things right. Claims are added to that, one after the other, each in
# whole or not at all. Nobody's clock but that of Redis is asked.
_POST: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local lease, count = tonumber(ARGV[1]), #KEYS / 2
local taken, mine, stale, changed, out = {}, {}, {}, {}, {}
for i = 1, count do
  local at = i * 5 - 3
  local writer, number, spent, held = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local page, reserved, ttl = KEYS[2 * i - 1], KEYS[2 * i], ARGV[at + 4]
  local known, told = 0, 0
  local before = redis.call('HGET', page, writer)
  if before then
    known, told = string.match(before, '^(%d+) (%d+)$')
    known, told = tonumber(known), tonumber(told)
  end
  local total = tonumber(redis.call('HGET', page, 'total') or 0)
  if number > known then
    total = total + spent - told
    told = spent
    redis.call('HSET', page, writer, string.format('%.0f %.0f', number, spent))
    redis.call('HSET', page, 'total', string.format('%.0f', total))
    redis.call('PEXPIRE', page, ttl)
    changed[i] = true
  end
  stale[i] = number < known
  mine[i] = held
  local others = 0
  local all = redis.call('HGETALL', reserved)
  for j = 1, #all, 2 do
    local amount, heard = string.match(all[j + 1], '^(%d+) (%d+)$')
    if all[j] ~= writer then
      if now - tonumber(heard) > lease then
        redis.call('HDEL', reserved, all[j])
      else
        others = others + tonumber(amount)
      end
    end
  end
  taken[i] = total + others + held
  out[#out + 1] = total - told
  out[#out + 1] = others
end
local at = count * 5 + 2
while at <= #ARGV do
  local items, verdict = tonumber(ARGV[at]), 0
  for k = 1, items do
    local i, amount, limit = tonumber(ARGV[at + 3 * k - 2]), tonumber(ARGV[at + 3 * k - 1]), tonumber(ARGV[at + 3 * k])
    if stale[i] then
      verdict = -1
    elseif verdict == 0 and (taken[i] >= limit or taken[i] + amount > limit) then
      verdict = k
    end
  end
  if verdict == 0 then
    for k = 1, items do
      local i, amount = tonumber(ARGV[at + 3 * k - 2]), tonumber(ARGV[at + 3 * k - 1])
      taken[i] = taken[i] + amount
      mine[i] = mine[i] + amount
      changed[i] = true
    end
  end
  out[#out + 1] = verdict
  at = at + 3 * items + 1
end
for i, _ in pairs(changed) do
  local writer, ttl = ARGV[i * 5 - 3], ARGV[i * 5 + 1]
  if mine[i] > 0 then
    redis.call('HSET', KEYS[2 * i], writer, string.format('%.0f %.0f', mine[i], now))
    redis.call('PEXPIRE', KEYS[2 * i], ttl)
  else
    redis.call('HDEL', KEYS[2 * i], writer)
  end
end
return out
"""


class _Claim:
    """What one call asks for."""

    __slots__ = ("again", "answer", "loop", "read", "wanted")

    def __init__(self, wanted: Sequence[Want], read: Sequence[Page]) -> None:
        self.wanted = wanted
        self.read = read
        self.again = False
        self.loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[int | None] = self.loop.create_future()

    def change(self, *, reserved: int = 0, pending: int = 0) -> None:
        """Add what it wants so many times to what its pages have."""
        for page, amount, _ in self.wanted:
            page.change(reserved=reserved * amount, pending=pending * amount)


class RedisBudgets:
    """A `BudgetBoard` under `{prefix}:{{budgets}}:…`: in one slot of a cluster, so that claims on several are atomic.

    One request is on its way at a time: what is asked and told meanwhile goes with the next, together. So a claim
    waits for one round trip, in a burst for two, however many there are. In an outage up to `max_waiting` pages wait
    to be told.
    """

    def __init__(self, link: RedisLink, *, prefix: str = "homing", max_waiting: int = MOST_WAITING) -> None:
        self._link = link
        self._prefix = f"{prefix}:{{budgets}}:"
        self._max_waiting = max_waiting
        self._asked: deque[_Claim] = deque()
        self._changed: OrderedDict[Page, None] = OrderedDict()
        self._lock = threading.Lock()
        self._sender: asyncio.Task[None] | None = None
        link.admit(self)

    @property
    def waiting(self) -> int:
        """Pages that wait to be told."""
        return len(self._changed)

    async def claim(self, wanted: Sequence[Want], read: Sequence[Page]) -> int | None:
        """Reserve all or nothing; which has no room, -1 if all is granted, None in an outage."""
        claim = _Claim(wanted, read)
        self._asked.append(claim)
        self._send_soon()
        try:
            async with asyncio.timeout(3 * self._link.timeout):  # that of the request before it, and of its own
                return await claim.answer
        except TimeoutError:  # of whoever was to send it, the loop has ended
            return None
        except asyncio.CancelledError:
            if not claim.answer.cancelled():  # it was answered, but nobody heard
                self._give_back(claim, claim.answer.result())
            raise

    def tell(self, page: Page) -> None:
        """Send it soon, in the background; in an outage, when it is over."""
        self._keep((page,))
        if not self._link.down:
            self._send_soon()

    def probes(self) -> Sequence[Command]:
        """Claim nothing of a page of our own."""
        page = Page("probe", "", "", 0, "", 0.0)
        return (self._command([page], [page.told()], [[Want(page, 0, 1)]]),)

    async def recover(self, send: Send) -> None:
        """Send what waits now, not what is added meanwhile. Raises what `send` does; nothing is lost by it."""

        async def ask(command: Command) -> object:
            (reply,) = await send([command])
            return reply

        left = len(self._changed)
        while left > 0 and (pages := self._take(min(left, _BATCH))):
            left -= len(pages)
            await self._exchange(ask, pages, [])

    def _keep(self, pages: Sequence[Page]) -> None:
        with self._lock:
            self._changed.update(dict.fromkeys(pages))
            while len(self._changed) > self._max_waiting:
                self._changed.popitem(last=False)
                self._link.stats.dropped += 1

    def _take(self, count: int) -> list[Page]:
        with self._lock:
            return [self._changed.popitem(last=False)[0] for _ in range(min(count, len(self._changed)))]

    def _send_soon(self) -> None:
        """See to it that somebody sends, on a loop that runs."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:  # the next call will
            return
        sender = self._sender
        if sender is None or sender.done() or not sender.get_loop().is_running():
            self._sender = self._link.background(self._send())
        elif sender.get_loop() is not here:  # which may just have seen that there is nothing to send
            with suppress(RuntimeError):
                sender.get_loop().call_soon_threadsafe(self._send_soon)

    async def _send(self) -> None:
        while self._asked or (self._changed and not self._link.down):
            claims = [self._asked.popleft() for _ in range(min(_BATCH, len(self._asked)))]
            try:
                await self._exchange(self._link.run, self._take(_BATCH), claims)
            except OutageError:
                continue  # what is told waits; who asks is answered by memory, as are those who ask now

    async def _exchange(
        self, ask: Callable[[Command], Awaitable[object]], changed: Sequence[Page], claims: Sequence[_Claim]
    ) -> None:
        """One request: tell, claim, read."""
        asked = [page for claim in claims for page in (*(want.page for want in claim.wanted), *claim.read)]
        pages = list(dict.fromkeys((*changed, *asked)))
        command = self._command(pages, [page.told() for page in pages], [claim.wanted for claim in claims])
        for claim in claims:
            claim.change(pending=1)
        verdicts: Sequence[int] | None = None
        try:
            reply = await ask(command)
            if isinstance(reply, RedisError):
                self._link.stats.dropped += len(pages)  # once more it would be refused again
                verdicts = ()
            else:
                verdicts = self._heard(pages, cast("list[int]", reply))
                self._link.stats.flushed += len(changed)
        finally:
            for claim in claims:
                claim.change(pending=-1)
            if verdicts is None:
                self._keep(pages)
            for index, claim in enumerate(claims):
                self._answer(claim, None if verdicts is None else verdicts[index])

    def _heard(self, pages: Sequence[Page], reply: Sequence[int]) -> Sequence[int]:
        """Take over what the others have; the verdicts on the claims."""
        for index, page in enumerate(pages):
            page.heard(reply[2 * index], reply[2 * index + 1])
        return reply[2 * len(pages) :]

    def _answer(self, claim: _Claim, verdict: int | None) -> None:
        if verdict == _STALE and not claim.again:  # newer news were faster, from another thread's loop
            claim.again = True
            self._asked.appendleft(claim)
            return
        result = None if verdict is None or verdict == _STALE else verdict - 1
        if result == -1:
            claim.change(reserved=1)

        def arrive() -> None:
            if claim.answer.done():
                self._give_back(claim, result)
            else:
                claim.answer.set_result(result)

        try:
            if claim.loop is asyncio.get_running_loop():
                arrive()
            else:
                claim.loop.call_soon_threadsafe(arrive)
        except RuntimeError:  # its loop has ended, or this one
            self._give_back(claim, result)

    def _give_back(self, claim: _Claim, result: int | None) -> None:
        """Nobody wants it any more."""
        if result == -1:
            claim.change(reserved=-1)
            for want in claim.wanted:
                self.tell(want.page)

    def _command(
        self, pages: Sequence[Page], told: Sequence[tuple[int, int, int]], claims: Sequence[Sequence[Want]]
    ) -> Command:
        place = {page: number for number, page in enumerate(pages, 1)}
        keys: list[str | int] = []
        arguments: list[str | int] = [int(LEASE * 1000)]
        for page, (number, spent, reserved) in zip(pages, told, strict=True):
            name = self._name(page)
            keys += [name, f"{name}:held"]
            arguments += [page.writer, number, spent, reserved, int((page.lifetime + SLACK) * 1000)]
        for wanted in claims:
            arguments.append(len(wanted))
            for page, amount, limit in wanted:
                arguments += [place[page], amount, limit]
        return ("EVAL", _POST, len(keys), *keys, *arguments)

    def _name(self, page: Page) -> str:
        name = f"{self._prefix}{page.scope}:{page.duration}:{page.index}:{page.name}"
        return name.encode(errors="backslashreplace").decode()  # whoever calls names end users and tags
