"""What a trace amounts to, recorded or simulated: who served, how fast, what failed, what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec

from router.telemetry.traced import TracedCall

LOST: Final = frozenset({"HomeLostError", "PreviousResponseNotFoundError"})
"""What a follow-up fails with whose conversation is not where it was sent."""
_LIMITED: Final = frozenset({"RateLimitError"})


class Percentiles(msgspec.Struct, frozen=True):
    """Seconds that half, nine of ten and 99 of 100 calls took at most."""

    p50: float
    p90: float
    p99: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the calls under one configuration."""

    name: str
    """`recorded`, or that of the configuration."""
    calls: int
    failures: int
    """Calls that ended with an error."""
    errors: dict[str, int]
    """The same by class of error."""
    left: int
    """Calls whose callers cancelled them or left their stream."""
    shares: dict[str, int]
    """Calls served, by deployment; those first that served most."""
    latency: Percentiles | None
    """Of the calls that succeeded, seconds to the answer or the end of the stream; None if none did."""
    first_output: Percentiles | None
    """Of the streams that succeeded, seconds to the first output."""
    limited_upstream: int
    """Attempts that a deployment refused with a 429."""
    limited_callers: int
    """Calls that ended with a 429."""
    retries: int
    """Attempts after a call's first."""
    fallbacks: int
    """Groups that calls turned to after their first."""
    cost: float
    """US dollars, of the calls whose cost is known."""
    unpriced: int
    """Calls that were served and whose cost is not known."""
    follow_ups: int
    """Calls that went on from an earlier response."""
    home: int
    """Those of them that were served where their conversation is held, or that were told it as no one holds it."""
    breaks: int
    """Those that lost it: `HomeLostError`, `PreviousResponseNotFoundError`, or a replay elsewhere."""


def figures(name: str, calls: Sequence[TracedCall]) -> Figures:
    """The figures of these calls."""
    served = [call for call in calls if call.status == "succeeded"]
    failed = [call for call in calls if call.status == "failed"]
    follow_ups = [call for call in calls if call.previous_response_id is not None]
    attempts = [attempt for call in calls for attempt in call.attempts]
    prices = [call.cost for call in calls if call.cost is not None]
    return Figures(
        name=name,
        calls=len(calls),
        failures=len(failed),
        errors=_counted(call.error_type or "unknown" for call in failed),
        left=len(calls) - len(served) - len(failed),
        shares=_counted(call.deployment or "" for call in served),
        latency=percentiles([call.duration for call in served]),
        first_output=percentiles([call.first_event for call in served if call.first_event is not None]),
        limited_upstream=sum(attempt.error_type in _LIMITED for attempt in attempts),
        limited_callers=sum(call.error_type in _LIMITED for call in failed),
        retries=sum(max(0, len(call.attempts) - 1) for call in calls),
        fallbacks=sum(call.fallbacks for call in calls),
        cost=sum(prices, 0.0),
        unpriced=sum(call.cost is None for call in served),
        follow_ups=len(follow_ups),
        home=sum(call.status == "succeeded" and not _broken(call) for call in follow_ups),
        breaks=sum(map(_broken, follow_ups)),
    )


def percentiles(seconds: Collection[float]) -> Percentiles | None:
    """By nearest rank; None of nothing."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    p50, p90, p99 = (ordered[-(-len(ordered) * percent // 100) - 1] for percent in (50, 90, 99))
    return Percentiles(p50, p90, p99)


def _broken(call: TracedCall) -> bool:
    return call.affinity == "replayed" or (call.status == "failed" and call.error_type in LOST)


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items(), key=lambda each: (-each[1], each[0])))
