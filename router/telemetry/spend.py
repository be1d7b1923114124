"""What was spent, on what, and for whom: sums over the records of calls."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from router.pool import DeploymentHealth
from router.telemetry.record import CallRecord

OTHERS: Final = "(others)"
"""The entry of all those that are not listed any more, as there were too many."""
NONE: Final = "(none)"
"""The entry of calls that have none: that were sent nowhere, or are for nobody."""
MOST_ENTRIES: Final = 10_000
"""Entries of one kind that are kept; beyond them, the one that had no call for the longest time goes to `OTHERS`."""
_MOST_PLACES: Final = 1_000


class Totals(msgspec.Struct, frozen=True):
    """Sums over calls. Money in US dollars."""

    calls: int = 0
    failures: int = 0
    """Those that ended with an error; not those that were cancelled or left."""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    """Part of the input."""
    cost: float = 0.0
    """Of those whose cost is known."""
    unpriced: int = 0
    """Calls that used something, and what that cost is not known."""
    estimated: int = 0
    """Calls whose usage was guessed, as their stream was left, or broke off, before the vendor told it."""


class Spend(msgspec.Struct, frozen=True):
    """Totals since the Router was made: of all calls, and by what they were for. Every call is in one group, with one
    deployment and provider, those that served it or were asked last, and for one end user; it may have any number of
    tags."""

    total: Totals
    groups: Mapping[str, Totals]
    deployments: Mapping[str, Totals]
    """By id."""
    providers: Mapping[str, Totals]
    end_users: Mapping[str, Totals]
    tags: Mapping[str, Totals]


class _Sum:
    """Totals that grow."""

    __slots__ = Totals.__struct_fields__

    def __init__(self) -> None:
        self.calls = self.failures = self.unpriced = self.estimated = 0
        self.input_tokens = self.output_tokens = self.cache_read_tokens = 0
        self.cost = 0.0

    def add(self, record: CallRecord) -> None:
        self.calls += 1
        if record.status == "failed":
            self.failures += 1
        usage = record.usage
        if usage is not None:
            self.input_tokens += usage.input_tokens
            self.output_tokens += usage.output_tokens
            self.cache_read_tokens += usage.cache_read_tokens
            self.estimated += usage.estimated
        if record.cost is not None:
            self.cost += record.cost
        elif record.cost_breakdown is not None:
            self.unpriced += 1

    def take_over(self, other: _Sum) -> None:
        self.calls += other.calls
        self.failures += other.failures
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cache_read_tokens += other.cache_read_tokens
        self.cost += other.cost
        self.unpriced += other.unpriced
        self.estimated += other.estimated

    def totals(self) -> Totals:
        return Totals(*(getattr(self, name) for name in _Sum.__slots__))


class _Kind:
    """The totals of one kind of thing, by name; bounded."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sums: OrderedDict[str, _Sum] = OrderedDict()
        self._others = _Sum()

    def of(self, name: str) -> _Sum:
        """The totals of this one, to which something is to be added."""
        sums = self._sums
        found = self._others if name == OTHERS else sums.get(name)  # a caller may call itself so
        if found is None:
            if len(sums) >= self._most:
                self._others.take_over(sums.popitem(last=False)[1])
            found = sums[name] = _Sum()
        elif found is not self._others:
            sums.move_to_end(name)
        return found

    def totals(self) -> dict[str, Totals]:
        found = {name: each.totals() for name, each in self._sums.items()}
        if self._others.calls:
            found[OTHERS] = self._others.totals()
        return found


class SpendSink:
    """Adds up what calls used and cost."""

    def __init__(self, most: int = MOST_ENTRIES) -> None:
        """`most`: entries of one kind."""
        self._lock = threading.Lock()
        self._total = _Sum()
        self._places: dict[tuple[str, str | None, str | None], _Sum] = {}
        """Sums that are yet to be added to the total and to those of a group, a deployment and a provider: they are
        the same calls, and so are added up only once."""
        self._groups, self._deployments, self._providers, self._end_users, self._tags = (_Kind(most) for _ in range(5))

    def attach(self, health: Callable[[], Sequence[DeploymentHealth]]) -> None:
        """It is told of calls, not of deployments."""

    def take(self, record: CallRecord) -> None:
        """Add a call."""
        self.take_all((record,))

    def take_all(self, records: Sequence[CallRecord]) -> None:
        """Add calls."""
        with self._lock:
            for record in records:
                self._place(record).add(record)
                self._end_users.of(record.end_user or NONE).add(record)
                for tag in _once(record.tags):
                    self._tags.of(tag).add(record)

    def brief(self) -> tuple[Totals, dict[str, Totals]]:
        """The totals by now, and those of deployments; quick, however many end users there are. From any thread."""
        with self._lock:
            self._share()
            return self._total.totals(), self._deployments.totals()

    def spend(self) -> Spend:
        """The totals by now. From any thread."""
        with self._lock:
            self._share()
            kinds = self._groups, self._deployments, self._providers, self._end_users, self._tags
            return Spend(self._total.totals(), *(kind.totals() for kind in kinds))

    # with the lock held

    def _place(self, record: CallRecord) -> _Sum:
        place = record.group, record.deployment_id, record.provider
        found = self._places.get(place)
        if found is None:
            if len(self._places) >= _MOST_PLACES:
                self._share()
            found = self._places[place] = _Sum()
        return found

    def _share(self) -> None:
        for (group, deployment, provider), found in self._places.items():
            self._total.take_over(found)
            self._groups.of(group or NONE).take_over(found)
            self._deployments.of(deployment or NONE).take_over(found)
            self._providers.of(provider or NONE).take_over(found)
        self._places.clear()


def _once(tags: tuple[str, ...]) -> Iterable[str]:
    return tags if len(tags) < 2 else dict.fromkeys(tags)
