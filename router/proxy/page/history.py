"""What the page shows of calls that are over: the last ones, and how deployments have served."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from providers.decisions import RouteDecision
from providers.types import JsonObject
from router.pool import DeploymentHealth
from router.telemetry.record import AttemptRecord, CallRecord

MOST_CALLS = 50
"""Calls that are shown."""
MOST_LATENCIES = 40
"""Attempts of one deployment whose times are shown."""
SHARED = 400
"""Attempts of a group by which shares are told."""
MOST_ATTEMPTS = 8
"""Attempts of one call that are shown: the last."""
MOST_REASONS = 6
"""Deployments that one decision is shown with."""
_LONGEST = 200
"""Characters of a name that came with a call."""


class History:
    """Remembers a little of the calls of one Router, and nothing of what was asked or answered. A `Sink`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[_Call] = deque(maxlen=MOST_CALLS)
        self._latencies: dict[str, deque[float]] = {}
        self._served: dict[str, deque[str]] = {}

    def attach(self, health: Callable[[], Sequence[DeploymentHealth]]) -> None:
        """It is told of calls, not of deployments."""

    def take(self, record: CallRecord) -> None:
        """Remember a call."""
        with self._lock:
            self._calls.append(_Call(record))
            for attempt in record.attempts:
                self._served.setdefault(attempt.group, deque(maxlen=SHARED)).append(attempt.deployment_id)
                if attempt.status == "succeeded":
                    times = self._latencies.setdefault(attempt.deployment_id, deque(maxlen=MOST_LATENCIES))
                    times.append(attempt.duration)

    def calls(self) -> list[JsonObject]:
        """The last calls, the newest first."""
        with self._lock:
            calls = list(reversed(self._calls))
        return [each.shown() for each in calls]

    def latencies(self, deployment_id: str) -> list[float]:
        """What the last attempts that it served took, in milliseconds, the oldest first."""
        with self._lock:
            times = tuple(self._latencies.get(deployment_id, ()))
        return [round(each * 1000, 1) for each in times]

    def shares(self, group: str) -> Mapping[str, float]:
        """What fraction of a group's last attempts each deployment got."""
        with self._lock:
            served = tuple(self._served.get(group, ()))
        return {name: count / len(served) for name, count in Counter(served).items()}

    def keep(self, groups: Collection[str], deployments: Collection[str]) -> None:
        """Forget what is known of others."""
        with self._lock:
            self._served = {name: each for name, each in self._served.items() if name in groups}
            self._latencies = {name: each for name, each in self._latencies.items() if name in deployments}


class _Call:
    """One call, put into JSON when somebody first looks: most are never looked at."""

    __slots__ = ("_record", "_shown")

    def __init__(self, record: CallRecord) -> None:
        self._record: CallRecord | None = msgspec.structs.replace(record, input=None, output=None, metadata={})
        self._shown: JsonObject = {}

    def shown(self) -> JsonObject:
        record = self._record
        if record is not None:
            self._shown, self._record = _call(record), None
        return self._shown


def _call(record: CallRecord) -> JsonObject:
    decision = record.decision
    return {
        "id": record.id,
        "at": round(record.started, 3),
        "verb": record.verb,
        "model": record.model[:_LONGEST],
        "group": record.group,
        "deployment": record.deployment_id,
        "status": record.status,
        "error": _error(record.error_type, record.error_status),
        "ms": round(record.duration * 1000, 1),
        "first_ms": None if record.first_event is None else round(record.first_event * 1000, 1),
        "cost": record.cost,
        "affinity": record.affinity,
        "retries": record.retries,
        "fallbacks": record.fallbacks,
        "attempts": [_attempt(each) for each in record.attempts[-MOST_ATTEMPTS:]],
        "decision": None if decision is None else _decision(decision),
    }


def _attempt(attempt: AttemptRecord) -> JsonObject:
    decision = attempt.decision
    return {
        "deployment": attempt.deployment_id,
        "group": attempt.group,
        "status": attempt.status,
        "error": _error(attempt.error_type, attempt.error_status),
        "ms": round(attempt.duration * 1000, 1),
        "decision": None if decision is None else _decision(decision),
    }


def _decision(decision: RouteDecision) -> JsonObject:
    considered = decision.considered[:MOST_REASONS]
    return {
        "strategy": decision.strategy,
        "pin": decision.pin,
        "probe": decision.probe,
        "forced": decision.forced,
        "considered": [
            {"deployment": each.deployment_id, "words": each.words, "score": each.score} for each in considered
        ],
        "omitted": decision.omitted + len(decision.considered) - len(considered),
    }


def _error(kind: str | None, status: int | None) -> str | None:
    return kind if kind is None or status is None else f"{kind} ({status})"
