"""What was counted so far. No more is kept than the labels' bounds allow, however many calls there are."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from providers import errors
from providers.usage import TokenUsage
from router.telemetry.prometheus import families as metrics
from router.telemetry.prometheus.families import COUNTED, OTHER, UNKNOWN, Family
from router.telemetry.record import AttemptRecord, CallRecord

MOST_DEPLOYMENTS: Final = 10_000
"""Deployments told apart, and groups; those that come later, in a fleet that changes all the time, are `(other)`."""
MOST_KEYS: Final = 1_000
"""Keys told apart; those that come later are `(other)`."""
MOST_REMEMBERED: Final = 50_000
"""Combinations of which it is remembered what they add to; then that is found anew."""
_ERRORS: Final = frozenset(
    name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
) | {"CancelledError"}
"""Classes of errors that are labels; one that a part of the user's own brings is `(other)`."""

Labels: TypeAlias = "tuple[str, ...]"


class Count:
    """A sum that grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def copy(self) -> Count:
        """As it is now."""
        other = Count()
        other.value = self.value
        return other


class Distribution(Count):
    """A histogram: `value` is the sum of what was observed."""

    __slots__ = ("bounds", "counts")

    def __init__(self, bounds: Sequence[float]) -> None:
        super().__init__()
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """By bucket, the last for what is beyond them all."""

    def observe(self, value: float) -> None:
        """One more."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.value += value

    def copy(self) -> Distribution:
        """As it is now."""
        other = Distribution(self.bounds)
        other.value, other.counts = self.value, self.counts.copy()
        return other


class _Calls:
    """What the calls of one combination of labels add to."""

    __slots__ = ("cost", "duration", "fallbacks", "first_event", "queue", "requests", "retries", "tokens", "unpriced")

    def __init__(self, tally: Tally, record: CallRecord) -> None:
        group = tally.group(record.group)
        place = group, tally.deployment(record.deployment_id), record.provider or ""
        stream = "true" if record.stream else "false"
        error = _error(record.error_type)
        self.requests = tally.count(metrics.REQUESTS, (*place, record.verb, stream, record.status, error))
        self.duration = tally.distribution(metrics.DURATION, (*place, stream))
        self.first_event = tally.distribution(metrics.FIRST_EVENT, place) if record.stream else None
        self.queue = tally.distribution(metrics.QUEUE, (group,))
        self.retries = tally.count(metrics.RETRIES, (group,))
        self.fallbacks = tally.count(metrics.FALLBACKS, (group,))
        self.tokens = tuple(tally.count(metrics.TOKENS, (*place, kind)) for kind in _TOKENS)
        self.cost = tally.count(metrics.COST, place)
        self.unpriced = tally.count(metrics.UNPRICED, place)

    def add(self, record: CallRecord) -> None:
        """One more call."""
        self.requests.value += 1
        self.duration.observe(record.duration)
        self.queue.observe(record.queued)
        if record.first_event is not None and self.first_event is not None:
            self.first_event.observe(record.first_event)
        if record.retries:
            self.retries.value += record.retries
        if record.fallbacks:
            self.fallbacks.value += record.fallbacks
        usage = record.usage
        if usage is not None:
            given, told, read, written, reasoned = self.tokens
            given.value += usage.input_tokens
            told.value += usage.output_tokens
            if usage.cache_read_tokens or usage.cache_write_tokens or usage.reasoning_tokens:
                read.value += usage.cache_read_tokens
                written.value += usage.cache_write_tokens
                reasoned.value += usage.reasoning_tokens
        if record.cost is not None:
            self.cost.value += record.cost
        elif record.cost_breakdown is not None:
            self.unpriced.value += 1


_UNUSED: Final = TokenUsage()
_TOKENS: Final = ("input", "output", "cache_read", "cache_write", "reasoning")


class Tally:
    """Adds up calls. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[Family, dict[Labels, Count]] = {family: {} for family in COUNTED}
        self._groups, self._deployments, self._keys = {UNKNOWN}, {""}, {OTHER}
        self._calls: dict[object, _Calls] = {}
        self._attempts: dict[object, tuple[Count, Distribution]] = {}

    def add(self, record: CallRecord) -> None:
        """One call is over."""
        key = (
            record.group,
            record.deployment_id,
            record.provider,
            record.verb,
            record.stream,
            record.status,
            record.error_type,
        )
        with self._lock:
            calls = self._calls.get(key)
            if calls is None:
                if len(self._calls) >= MOST_REMEMBERED:
                    self._calls.clear()
                calls = self._calls[key] = _Calls(self, record)
            calls.add(record)
            for attempt in record.attempts:
                self._attempt(attempt)
            if record.key is not None:
                self._key(record, record.key)
            if record.affinity is not None:
                self.count(metrics.AFFINITY, (self.group(record.group), record.affinity)).value += 1

    def read(self, family: Family) -> Iterator[tuple[Labels, Count]]:
        """What was counted for one metric. Calls that end meanwhile never wait for more than one line of it."""
        with self._lock:
            series = list(self._series[family].items())
        for labels, each in series:
            with self._lock:
                now = each.copy()
            yield labels, now

    # with the lock held

    def count(self, family: Family, labels: Labels) -> Count:
        """The one with these labels."""
        series = self._series[family]
        found = series.get(labels)
        if found is None:
            found = series[labels] = Distribution(family.bounds) if family.bounds else Count()
        return found

    def distribution(self, family: Family, labels: Labels) -> Distribution:
        """The histogram with these labels."""
        found = self.count(family, labels)
        assert isinstance(found, Distribution), "it has bounds"
        return found

    def deployment(self, name: str | None) -> str:
        """The label for a deployment."""
        return _bounded(name or "", self._deployments, MOST_DEPLOYMENTS)

    def group(self, name: str) -> str:
        """The label for a group."""
        return _bounded(name or UNKNOWN, self._groups, MOST_DEPLOYMENTS)

    def _key(self, record: CallRecord, name: str) -> None:
        name = _bounded(name, self._keys, MOST_KEYS)
        self.count(metrics.KEY_REQUESTS, (name, record.status)).value += 1
        usage = record.usage or _UNUSED
        self.count(metrics.KEY_TOKENS, (name, "input")).value += usage.input_tokens
        self.count(metrics.KEY_TOKENS, (name, "output")).value += usage.output_tokens
        self.count(metrics.KEY_COST, (name,)).value += record.cost or 0.0

    def _attempt(self, attempt: AttemptRecord) -> None:
        key = attempt.group, attempt.deployment_id, attempt.provider, attempt.status, attempt.error_type
        found = self._attempts.get(key)
        if found is None:
            if len(self._attempts) >= MOST_REMEMBERED:
                self._attempts.clear()
            place = self.group(attempt.group), self.deployment(attempt.deployment_id), attempt.provider
            outcome = _error(attempt.error_type) or attempt.status
            found = self._attempts[key] = (
                self.count(metrics.ATTEMPTS, (*place, outcome)),
                self.distribution(metrics.ATTEMPT_DURATION, place),
            )
        found[0].value += 1
        found[1].observe(attempt.duration)


def _bounded(name: str, known: set[str], most: int) -> str:
    """`name`, which is `known` from now on; or `(other)`, if there are `most` beside the one there always is."""
    if name not in known:
        if len(known) > most:
            return OTHER
        known.add(name)
    return name


def _error(name: str | None) -> str:
    if name is None:
        return ""
    return name if name in _ERRORS else OTHER
