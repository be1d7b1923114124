"""One deployment of a group, with all that is known of it."""

from __future__ import annotations

import sys
from math import inf

from providers.types import Deployment
from router.pool.breaker import Breaker
from router.pool.checked import HealthCheck
from router.pool.measure import Measure
from router.pool.quota import Quota
from strategies.base import Candidates

_FRESH = 0.25
"""Seconds for which a computed cost is good enough."""

Kind = tuple[float, float | None, float | None]
"""Weight and rate limits: what must be equal for the members of a ready set to be uniform."""


class Limits:
    """The known rate limits of a group, to compare one deployment's with."""

    __slots__ = ("requests", "requests_known", "tokens", "tokens_known")

    def __init__(self) -> None:
        self.requests = 0.0
        self.requests_known = 0
        self.tokens = 0.0
        self.tokens_known = 0

    def add(self, requests: float | None, tokens: float | None, sign: int = 1) -> None:
        """Count one deployment's limits in; with `sign` -1, out."""
        if requests:
            self.requests += sign * requests
            self.requests_known += sign
        if tokens:
            self.tokens += sign * tokens
            self.tokens_known += sign


class Member:
    """One deployment of a group with all that is known of it: what strategies see as a `Candidate`."""

    __slots__ = (
        "alarm", "allowance", "breaker", "calls", "cap", "cost", "deployment", "failures", "fresh_until", "group",
        "id", "in_flight", "kind", "last_check", "level_slot", "limits", "measure", "ready", "rpm", "share", "slot",
        "tier", "tpm", "weight", "weighted",
    )  # fmt: skip

    def __init__(self, deployment: Deployment, breaker: Breaker, measure: Measure) -> None:
        self.id = deployment.id
        self.breaker = breaker
        self.measure = measure
        self.allowance = Quota()
        self.in_flight = 0
        self.calls = 0
        self.failures = 0
        self.last_check: HealthCheck | None = None
        self.ready: Candidates[Member] | None = None
        """The ready set it is in, if any."""
        self.slot = 0
        """Where in that."""
        self.level_slot = -1
        self.kind: Kind = (1.0, None, None)
        """As it counts in its ready set."""
        self.tier = 0
        self.alarm = inf
        """When to look at it again."""
        self.cost = 1.0
        self.fresh_until = -inf
        self.group: str | None = None
        """Name of its group; None once it was removed."""
        self.weighted = False
        self.limits = Limits()
        self.rpm: float | None = None
        self.tpm: float | None = None
        self.take(deployment)

    def take(self, deployment: Deployment) -> None:
        """Become this deployment, which has the same id."""
        self.deployment = deployment
        self.cap = deployment.max_parallel_requests or sys.maxsize
        self.share = deployment.weight or 1.0
        self.weight = self.share
        self.fresh_until = -inf

    @property
    def standby(self) -> bool:
        """Whether its weight is 0: used only when no other is left."""
        return self.deployment.weight == 0

    @property
    def quota(self) -> float:
        """Known rate limit relative to the group's mean; 1.0 if unknown, or if weights are set."""
        limits = self.limits
        if self.weighted:
            return 1.0
        if self.rpm:
            return self.rpm * limits.requests_known / limits.requests
        if self.tpm:
            return self.tpm * limits.tokens_known / limits.tokens
        return 1.0

    def learn_limits(self) -> bool:
        """Take the limits that are configured, or that headers told; whether anything changed."""
        deployment, allowance = self.deployment, self.allowance
        rpm, tpm = deployment.rpm or allowance.requests.limit, deployment.tpm or allowance.tokens.limit
        if rpm == self.rpm and tpm == self.tpm:
            return False
        self.limits.add(self.rpm, self.tpm, -1)
        self.limits.add(rpm, tpm)
        self.rpm, self.tpm = rpm, tpm
        return not self.weighted

    def load(self, now: float) -> float:
        """What one more call would weigh here."""
        if now >= self.fresh_until:
            self._refresh(now)
        return (self.in_flight + 1) * self.cost

    def _refresh(self, now: float) -> None:
        share = self.weight * self.quota * self.allowance.headroom(now)
        self.cost = self.measure.cost(now) / share
        self.fresh_until = now + _FRESH
