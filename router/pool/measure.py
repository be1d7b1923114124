"""How slow a deployment is, and how much it minds company."""

from __future__ import annotations

from math import exp, log

_UP, _DOWN, _PLUNGE = 0.35, 0.15, 0.5
"""How fast the slowness follows a slower reply, a faster one, one more than twice as fast."""
_FADE = 30.0
"""Seconds in which unobserved slowness, and unobserved failures, fall to 1/e. That is the exploration."""
_FAILING = 0.2
_CALLS = 0.2
_BASE_TOKENS = 50.0
"""Output tokens that a call costs whatever its length."""
_PROMPT_TOKENS = 100.0
"""Input tokens that cost as much as one output token."""
_SLOWEST = 20.0
"""Slowness relative to the mean is kept within this factor, either way."""
_TREND = 0.1
_KEEP = 0.99
_MOST = 6.0
"""The greatest γ; the least is 1."""
_FLATTEST = 0.7 / _MOST - 0.1
"""The slope that gives it."""
_SHORTEST = 1e-6
_PRIOR = 1.0
_PRIOR_SLOPE = 0.25
"""Before anything is learnt γ is 2."""


class Pace:
    """What the deployments of a group have in common: their mean slowness, and γ.

    γ says how much slowness counts against calls in flight. Where latency grows with concurrency (a GPU server), the
    calls in flight already tell most of it and γ is small; where it doesn't (an elastic API), γ is large.
    """

    __slots__ = ("covariance", "gamma", "known", "total", "variance")

    def __init__(self) -> None:
        self.total = 0.0
        self.known = 0
        self.gamma = 2.0
        self.variance = 0.0
        """Of the log concurrency around each deployment's own mean; both fade with every reply."""
        self.covariance = 0.0
        """Of that with the log time per work."""


class Measure:
    """Latency and failures of one deployment, as moving averages."""

    __slots__ = ("_company", "_log_time", "at", "failing", "latency", "pace", "time_per_work")

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.time_per_work: float | None = None
        """Seconds per unit of work, which is an output token; None until a call was served."""
        self.latency: float | None = None
        """Seconds a call took."""
        self.failing = 0.0
        """Fraction of the calls that failed."""
        self.at = 0.0
        """When it was last observed."""
        self._company = 0.0
        self._log_time = 0.0

    def served(self, now: float, took: float, input_tokens: int, output_tokens: int, in_flight: int) -> None:
        """Take in a call that took `took` seconds, sent when `in_flight` calls were there, itself included."""
        if took < _SHORTEST:
            took = _SHORTEST
        fresh = took / (output_tokens + _BASE_TOKENS + input_tokens / _PROMPT_TOKENS)
        self.failing *= 1 - _FAILING
        self.at = now
        known, latency = self.time_per_work, self.latency
        x, y = log(in_flight), log(fresh)
        pace = self.pace
        if known is None or latency is None:
            self.latency, self.time_per_work, self._company, self._log_time = took, fresh, x, y
            pace.known += 1
            pace.total += fresh
            return
        self.latency = latency + _CALLS * (took - latency)
        change = (_UP if fresh > known else _PLUNGE if fresh < known / 2 else _DOWN) * (fresh - known)
        self.time_per_work = known + change
        pace.total += change
        # the slope of the log time per work over the log concurrency, by regression; no calls, this is the hot path
        dx, dy = x - self._company, y - self._log_time
        self._company += _TREND * dx
        self._log_time += _TREND * dy
        pace.variance = variance = pace.variance * _KEEP + dx * dx
        pace.covariance = covariance = pace.covariance * _KEEP + dx * dy
        slope = (covariance + _PRIOR * _PRIOR_SLOPE) / (variance + _PRIOR)
        gamma = 0.7 / (slope + 0.1) if slope > _FLATTEST else _MOST
        pace.gamma = gamma if gamma > 1.0 else 1.0

    def failed(self, now: float) -> None:
        """Take in a failure."""
        self.failing += _FAILING * (1 - self.failing)
        self.at = now

    def join(self, pace: Pace) -> None:
        """Count in another group's pace from now on."""
        self.leave()
        self.pace = pace
        if self.time_per_work is not None:
            pace.known += 1
            pace.total += self.time_per_work

    def leave(self) -> None:
        """Count in no group's pace."""
        if self.time_per_work is not None:
            self.pace.known -= 1
            self.pace.total -= self.time_per_work
        self.pace = Pace()
        if self.time_per_work is not None:
            self.pace.known = 1
            self.pace.total = self.time_per_work

    def cost(self, now: float) -> float:
        """Slowness^γ × (1 + 8 × failing fraction); 1.0 for an average deployment that doesn't fail."""
        fade = exp((self.at - now) / _FADE) if now > self.at else 1.0
        return float(self._slowness(fade) ** self.pace.gamma) * (1 + 8 * self.failing * fade)

    def _slowness(self, fade: float) -> float:
        if self.time_per_work is None or self.pace.known < 2:
            return 1.0
        slow = self.time_per_work * self.pace.known / self.pace.total
        if slow > 1:
            slow = 1 + (slow - 1) * fade
        return min(_SLOWEST, max(1 / _SLOWEST, slow))
