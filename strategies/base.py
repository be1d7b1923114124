"""What a strategy is: one pure choice among candidates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar, runtime_checkable

from providers.types import Call


class Candidate(Protocol):
    """A deployment as a strategy sees it: numbers only, kept current by the pool. No secret reaches a strategy."""

    @property
    def id(self) -> str:
        """The deployment's id."""
        ...

    @property
    def weight(self) -> float:
        """Configured share (1.0 if unset) times what slow start allows now; always above 0.

        Deployments configured with weight 0 are a tier of their own, shown only when no other is left: as equals.
        """
        ...

    @property
    def weighted(self) -> bool:
        """Whether any deployment of the group has an explicit weight."""
        ...

    @property
    def quota(self) -> float:
        """Known rate limit relative to the mean of the group's known limits; 1.0 if unknown, or if weights are set."""
        ...

    @property
    def in_flight(self) -> int:
        """Leases held now: calls sent, streams not yet over."""
        ...

    def load(self, now: float) -> float:
        """What one more call would weigh here: (in_flight + 1) × learned slowness and failures ÷ weight and quota."""
        ...


C = TypeVar("C", bound=Candidate)


class Candidates(list[C], Generic[C]):
    """The pool's ready set: a list, not to be changed, that also knows its idlest members.

    What a strategy gets unless a check narrowed the choice, or a candidate was already tried: then it gets a plain
    list. `isinstance` tells the two apart. What a strategy may keep between picks is bound to `version`.
    """

    __slots__ = ("uniform", "version")

    def __init__(self, candidates: Iterable[C] = ()) -> None:
        super().__init__(candidates)
        self.version = 0
        """Goes up by one whenever a member joins, leaves, or changes its weight or quota."""
        self.uniform = False
        """Whether all members have the same weight and the same rate limit now."""

    def idlest(self) -> Sequence[C]:
        """Those with the fewest calls in flight, not to be changed or kept. The pool knows them in O(1)."""
        fewest = min(candidate.in_flight for candidate in self)
        return [candidate for candidate in self if candidate.in_flight == fewest]

    def changed(self, since: int) -> Sequence[C] | None:
        """Who joined, left or changed after version `since`, oldest first; None if that can't be told any more."""
        return None


@runtime_checkable
class Strategy(Protocol):
    """Who should serve a call. The one verb of a custom strategy; anything with this method will do."""

    def pick(self, call: Call, candidates: Sequence[Candidate], now: float) -> Candidate:
        """Return one of `candidates`, which is never empty.

        Called in the same synchronous step in which the choice is leased, under the pool's lock: it may not
        await, block or keep `candidates`. `now` is the Router's monotonic clock in seconds.
        """
        ...
