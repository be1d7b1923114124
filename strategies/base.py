"""What a strategy is: one pure choice among candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from providers.types import Call


class Candidate(Protocol):
    """A deployment as a strategy sees it: numbers only, kept current by the pool. No secret reaches a strategy."""

    @property
    def id(self) -> str:
        """The deployment's id."""
        ...

    @property
    def weight(self) -> float:
        """Configured share (1.0 if unset) times what slow start allows now."""
        ...

    @property
    def weighted(self) -> bool:
        """Whether any deployment of the group has an explicit weight."""
        ...

    @property
    def quota(self) -> float:
        """Known rate limit relative to the mean of the group's known limits; 1.0 if unknown."""
        ...

    @property
    def in_flight(self) -> int:
        """Leases held now: calls sent, streams not yet over."""
        ...

    def load(self, now: float) -> float:
        """What one more call would weigh here: (in_flight + 1) × learned slowness and failures ÷ weight and quota."""
        ...


@runtime_checkable
class Candidates(Protocol):
    """The pool's ready set: a sequence that also knows its idlest members. Never empty when a strategy sees it."""

    version: int
    """Changes whenever a member joins, leaves or changes its weight."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Candidate: ...
    def __contains__(self, candidate: object, /) -> bool: ...

    def idlest(self) -> Sequence[Candidate]:
        """Those with the fewest calls in flight; O(1), not to be changed or kept."""
        ...


class Strategy(Protocol):
    """Who should serve a call. The one verb of a custom strategy; anything with this method will do."""

    def pick(self, call: Call, candidates: Sequence[Candidate], now: float) -> Candidate:
        """Return one of `candidates`, which is never empty.

        Called in the same synchronous step in which the choice is leased, under the pool's lock: it may not
        await, block or keep `candidates`. `now` is the Router's monotonic clock in seconds.
        """
        ...
