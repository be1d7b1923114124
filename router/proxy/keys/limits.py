"""How much a key may use, and who counts it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Literal, NamedTuple, Protocol

from cachetools import LRUCache

from router.proxy.holder import Limits

WINDOW: Final = 60
"""Seconds over which requests and tokens count: any minute, not the clock's. They are counted by the second, and a
second is let go as a whole, once all of it is so long ago: what is allowed in a minute is never exceeded in one."""
PARALLEL_WAIT: Final = 1.0
"""Seconds to wait where nobody knows when one of the calls in flight will end."""
MOST_KEYS: Final = 10_000
"""Keys whose use is remembered in memory; the least recently used is forgotten first."""

What = Literal["requests", "tokens", "parallel requests"]
REFUSED: Final[tuple[What, ...]] = ("requests", "tokens", "parallel requests")


class Ticket(NamedTuple):
    """What one call has taken, to be given back once it is over."""

    key: str
    place: object
    """Where it counts; the limiter's own."""
    at: int
    """In which second it was taken."""
    tokens: int
    """How many were assumed."""
    held: str = ""
    """By which name it is in flight; empty: that is not counted."""


class Standing(NamedTuple):
    """How a key stands, now that it has asked for one call more."""

    ticket: Ticket | None
    """None: there is no room for it."""
    refused: What | None = None
    """What there is no room for."""
    wait: float = 0.0
    """Seconds until there may be."""
    requests: int = 0
    """That are left."""
    requests_reset: float = 0.0
    """Seconds until all are."""
    tokens: int = 0
    tokens_reset: float = 0.0


class Limiter(Protocol):
    """Counts what keys use."""

    async def enter(self, key: str, limits: Limits, tokens: int) -> Standing:
        """Take room for a call that may use so many tokens, all of it or nothing. Cancelled, it leaves nothing taken.

        A call larger than all tokens of a minute is let through alone rather than never.
        """
        ...

    def leave(self, ticket: Ticket, tokens: int) -> None:
        """The call is over, and has used so many tokens. May not wait or block."""
        ...


class _Use:
    """What one key has used in the last minute, and its calls in flight."""

    __slots__ = ("in_flight", "requests", "seconds", "tokens")

    def __init__(self) -> None:
        self.seconds: deque[list[int]] = deque()
        """Number, requests, tokens of each, oldest first."""
        self.requests = self.tokens = self.in_flight = 0

    def forget(self, second: int) -> None:
        """Let go what is more than a minute before `second`."""
        while self.seconds and self.seconds[0][0] + WINDOW < second:
            _, requests, tokens = self.seconds.popleft()
            self.requests -= requests
            self.tokens -= tokens

    def wait(self, column: int, excess: int, now: float) -> float:
        """Seconds until so many requests (1) or tokens (2) are let go; 0 for none."""
        for each in self.seconds:
            if excess <= 0:
                break
            excess -= each[column]
            left = each[0] + WINDOW + 1 - now
            if excess <= 0:
                return left
        return 0.0

    def reset(self, column: int, now: float) -> float:
        """Seconds until all is let go."""
        return max((each[0] + WINDOW + 1 - now for each in self.seconds if each[column]), default=0.0)

    def add(self, second: int, tokens: int) -> None:
        """One request more, now."""
        if not self.seconds or self.seconds[-1][0] < second:
            self.seconds.append([second, 0, 0])
        self.seconds[-1][1] += 1
        self.seconds[-1][2] += tokens
        self.requests += 1
        self.tokens += tokens

    def settle(self, second: int, tokens: int) -> None:
        """So many tokens more, or less, in a second; of no matter if it is let go."""
        for each in reversed(self.seconds):
            if each[0] == second:
                each[2] += tokens
                self.tokens += tokens
                return


class MemoryLimiter:
    """Counts what this process lets through. `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._uses: LRUCache[str, _Use] = LRUCache(MOST_KEYS)

    async def enter(self, key: str, limits: Limits, tokens: int) -> Standing:
        """Take room for a call, or say why there is none."""
        return self.take(key, limits, tokens)

    def take(self, key: str, limits: Limits, tokens: int) -> Standing:
        """As `enter`, at once."""
        now = self._clock()
        second = int(now // 1)
        use = self._uses.get(key)
        if use is None:
            use = self._uses[key] = _Use()
        use.forget(second)
        refused, wait = _verdict(use, limits, tokens, now)
        ticket = None
        if refused is None:
            use.add(second, tokens)
            held = limits.parallel is not None
            use.in_flight += held
            ticket = Ticket(key, use, second, tokens, "held" if held else "")
        return Standing(
            ticket,
            refused,
            wait,
            max(0, (limits.requests or 0) - use.requests),
            use.reset(1, now),
            max(0, (limits.tokens or 0) - use.tokens),
            use.reset(2, now),
        )

    def leave(self, ticket: Ticket, tokens: int) -> None:
        """The call is over."""
        use = ticket.place
        assert isinstance(use, _Use), "it was taken here"
        use.forget(int(self._clock() // 1))
        use.in_flight -= bool(ticket.held)
        if tokens != ticket.tokens:
            use.settle(ticket.at, tokens - ticket.tokens)

    def in_flight(self, key: str) -> int:
        """Calls of a key that are counted as in flight."""
        use = self._uses.get(key)
        return 0 if use is None else use.in_flight


def _verdict(use: _Use, limits: Limits, tokens: int, now: float) -> tuple[What | None, float]:
    """What has no room, and the seconds until it has."""
    if limits.parallel is not None and use.in_flight >= limits.parallel:
        return "parallel requests", PARALLEL_WAIT
    wait = 0.0
    what: What | None = None
    if limits.requests is not None:
        wait = use.wait(1, use.requests + 1 - limits.requests, now)
        what = "requests" if wait > 0 else None
    if limits.tokens is not None:
        longer = use.wait(2, use.tokens + min(tokens, limits.tokens) - limits.tokens, now)
        if longer > wait:
            return "tokens", longer
    return what, wait
