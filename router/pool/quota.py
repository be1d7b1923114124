"""What a deployment's rate limits allow: learnt from 429s, from `x-ratelimit-*` and from `anthropic-ratelimit-*`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TypeAlias

from providers.headers import seconds_until

_FIRST_BACKOFF = 1.0
_LAST_BACKOFF = 30.0
"""Seconds a 429 without a hint blocks, when it is one of many in a row."""
_CAP = 300.0
"""Seconds a hint is believed for, unless a header says that nothing is left."""
_LONGEST = 86_400.0
_WINDOW = 60.0
"""Seconds a limit is assumed to refill in, when no header says so."""
_SCARCE = 0.25
"""Below this remaining fraction a deployment gets less than its share."""
_FLOOR = 0.02
"""The least factor scarcity leaves: a deployment that may serve is never ruled out by arithmetic."""

_UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|d|h|m|s)", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_TEXT_LIMIT = 32


def seconds(text: str) -> float | None:
    """The duration a reset header names (`120ms`, `6m0s`, `1h2m3.5s`, `50.529`); None if it names none."""
    text = text.strip()
    if len(text) > _TEXT_LIMIT:
        return None
    if _NUMBER.fullmatch(text):
        return min(float(text), _LONGEST)
    if not _DURATION.fullmatch(text):
        return None
    return min(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)), _LONGEST)


def amount(text: str | None) -> float | None:
    """The count a header names; None if it names none. Azure's -1 is none."""
    if text is None or len(text) > _TEXT_LIMIT or not _NUMBER.fullmatch(text.strip()):
        return None
    return float(text)


Reading: TypeAlias = "tuple[float | None, float | None, float | None]"
"""What one kind's headers say: limit, remaining, seconds until all of it is back."""


def read(headers: Mapping[str, str]) -> tuple[Reading, Reading] | None:
    """What a reply's headers (names in lower case) say of requests and of tokens; None if nothing."""
    requests, tokens = _read(headers, "requests"), _read(headers, "tokens")
    if requests is tokens:
        requests, tokens = _read_anthropic(headers, "requests"), _read_anthropic(headers, "tokens")
    return None if requests is tokens else (requests, tokens)


_NOTHING: Reading = (None, None, None)


def _read(headers: Mapping[str, str], kind: str) -> Reading:
    limit, remaining = headers.get(f"x-ratelimit-limit-{kind}"), headers.get(f"x-ratelimit-remaining-{kind}")
    if limit is None and remaining is None:
        return _NOTHING
    return amount(limit), amount(remaining), seconds(headers.get(f"x-ratelimit-reset-{kind}", ""))


def _read_anthropic(headers: Mapping[str, str], kind: str) -> Reading:
    """The same in Anthropic's words, whose `tokens` are whichever limit of tokens is nearest, and resets are times."""
    stem = f"anthropic-ratelimit-{kind}"
    limit, remaining = headers.get(f"{stem}-limit"), headers.get(f"{stem}-remaining")
    if limit is None and remaining is None:
        return _NOTHING
    reset = seconds_until(headers.get(f"{stem}-reset"), headers)
    return amount(limit), amount(remaining), None if reset is None else min(reset, _LONGEST)


class Allowance:
    """One limited thing, requests or tokens: what is left of it, as the last headers said."""

    __slots__ = ("at", "fraction", "limit", "reset")

    def __init__(self) -> None:
        self.limit: float | None = None
        """Units a window, by the headers."""
        self.fraction = 1.0
        """Left of it at `at`."""
        self.at = 0.0
        self.reset = _WINDOW
        """Seconds from `at` until all of it is back."""

    def observe(self, reading: Reading, now: float) -> float:
        """Take in a reading; seconds for which nothing is left (0: something is, or nobody knows)."""
        limit, remaining, reset = reading
        if limit:
            self.limit = limit
        if remaining is None or limit == 0:  # "0 of 0" is what Azure sends when it does not say
            return 0.0
        if not remaining:
            self.fraction, self.at, self.reset = 0.0, now, _WINDOW if reset is None else reset
            return reset or 0.0
        if self.limit:
            self.fraction = min(1.0, remaining / self.limit)
            self.at, self.reset = now, _WINDOW if reset is None else reset
        return 0.0

    def left(self, now: float) -> float:
        """The fraction left, taking it to refill evenly."""
        if self.fraction >= 1.0 or now >= self.at + self.reset:
            return 1.0
        return self.fraction + (1 - self.fraction) * (now - self.at) / self.reset


class Quota:
    """The rate limits of one deployment. A block is no failure: when it ends the deployment is back at once."""

    __slots__ = ("blocked_until", "exhausted_until", "refused_at", "requests", "streak", "tokens")

    def __init__(self) -> None:
        self.blocked_until = -math.inf
        self.exhausted_until = -math.inf
        """Until when headers said that nothing is left."""
        self.refused_at = -math.inf
        self.requests = Allowance()
        self.tokens = Allowance()
        self.streak = 0
        """429s in a row, each for a call sent after the one before was known."""

    def refused(self, retry_after: float | None, started: float, now: float) -> float:
        """Take in a refusal (429, or 503 with a hint) of a call sent at `started`; seconds it blocks for from now."""
        if started >= self.refused_at:
            self.streak += 1
            self.refused_at = now
        if retry_after is None or not math.isfinite(retry_after) or retry_after < 0:
            wait = min(_LAST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(self.streak - 1, 16))
            wait = max(wait, min(self.exhausted_until - now, _LONGEST))
        else:
            wait = min(retry_after, _LONGEST if now < self.exhausted_until else _CAP)
        return self.block(wait, now)

    def block(self, wait: float, now: float) -> float:
        """Block for `wait` seconds at least: of two deadlines the later one counts. Returns seconds from now."""
        self.blocked_until = max(self.blocked_until, now + wait)
        return self.blocked_until - now

    def observe(self, readings: tuple[Reading, Reading], now: float) -> float:
        """Learn from what headers say of requests and tokens; seconds they block for, 0 if they don't."""
        wait = max(self.requests.observe(readings[0], now), self.tokens.observe(readings[1], now))
        if wait > 0:
            self.exhausted_until = max(self.exhausted_until, now + wait)
            self.block(wait, now)
        return wait

    def served(self, started: float) -> None:
        """A call sent at `started` went through."""
        if started >= self.refused_at:
            self.streak = 0

    def left(self, now: float) -> float:
        """The smaller of the fractions left of requests and tokens; 1.0 where unknown."""
        return min(self.requests.left(now), self.tokens.left(now))

    def headroom(self, now: float) -> float:
        """Factor on the deployment's share: 1.0, falling towards 0 when less than a quarter is left."""
        if self.requests.fraction >= 1 and self.tokens.fraction >= 1:
            return 1.0
        return max(_FLOOR, min(1.0, self.left(now) / _SCARCE))
