"""The state of a deployment, for people and dashboards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from router.pool.breaker import State
from router.pool.checked import HealthCheck
from router.pool.member import Member


@dataclass(frozen=True, slots=True)
class DeploymentHealth:
    """What is known of one deployment now. Times in seconds."""

    id: str
    group: str
    state: Literal["closed", "open", "half-open", "ramping"]
    """`open`: its breaker keeps it out; `half-open`: it is being tested; `ramping`: back, with a growing share."""
    open_for: float
    """Until the breaker lets a probe through; 0 unless open."""
    blocked_for: float
    """Until its rate limit lets it serve again."""
    in_flight: int
    latency: float | None
    """Moving average of what its calls took; None before the first."""
    failure_rate: float
    """Moving average of the fraction of its calls that failed."""
    calls: int
    """Attempts ever begun."""
    failures: int
    """Those that counted against it."""
    headroom: float
    """The fraction left of its rate limit; 1.0 if unknown."""
    weight: float
    """Its share now: as configured, less while ramping; 0 if it only stands by."""
    last_check: HealthCheck | None = None
    """What the last health check found; None if there was none."""
    reason: str = ""
    """Why its breaker opened; empty if it is closed."""


def examine(member: Member, now: float) -> DeploymentHealth:
    """One member's health."""
    breaker, ramp = member.breaker, member.breaker.ramp(now)
    state: Literal["closed", "open", "half-open", "ramping"] = "closed"
    if breaker.state is State.HALF_OPEN or (breaker.state is State.OPEN and now >= breaker.until):
        state = "half-open"
    elif breaker.state is State.OPEN:
        state = "open"
    elif ramp < 1:
        state = "ramping"
    return DeploymentHealth(
        id=member.id,
        group=member.group or "",
        state=state,
        open_for=max(0.0, breaker.until - now) if state == "open" else 0.0,
        blocked_for=max(0.0, member.allowance.blocked_until - now),
        in_flight=member.in_flight,
        latency=member.measure.latency,
        failure_rate=member.measure.failing,
        calls=member.calls,
        failures=member.failures,
        headroom=member.allowance.left(now),
        weight=0.0 if member.standby else member.share * ramp,
        last_check=member.last_check,
        reason="" if state in ("closed", "ramping") else breaker.reason,
    )
