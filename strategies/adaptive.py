"""The default strategy: least load, learnt; explicit weights are kept, unless keeping them would hurt."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from providers.types import Call
from strategies.arguments import Whole
from strategies.base import Candidate, Candidates
from strategies.sampling import few, least_loaded
from strategies.weighted import Weighted

_OVERLOAD = 1.25
"""How far above the mean load, and one more call, a weighted proposal may lie."""
_OTHERS = 2
"""Random others looked at besides the idlest, so that an idle but slow one has competition."""


class Adaptive:
    """Least normalised load × learned slowness^γ over all candidates, or over a few of the idlest.

    Up to `full_scan` candidates all are compared. Above that, `sample` of those with the fewest calls in flight and
    two random others: the choice costs the same among 20 and 20,000.

    As soon as any deployment of the group has a weight, `Weighted` proposes, so that shares match the weights; the
    proposal yields to the least loaded only if its load is above 1.25 × the mean load + one call.
    """

    ARGUMENTS: ClassVar = {"sample": Whole(2, 64), "full_scan": Whole(1, 256)}

    def __init__(self, *, sample: int = 4, full_scan: int = 16, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._sample = sample
        self._full_scan = full_scan
        self._shares = Weighted(rng=self._rng)

    def pick(self, call: Call, candidates: Sequence[Candidate], now: float) -> Candidate:
        """The least loaded, or the one whose turn it is."""
        if candidates[0].weighted:
            return self._keep_shares(call, candidates, now)
        return least_loaded(self._rng, self._looked_at(candidates), now)

    def _looked_at(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        if len(candidates) <= self._full_scan:
            return candidates
        if isinstance(candidates, Candidates):
            return few(self._rng, candidates.idlest(), self._sample) + few(self._rng, candidates, _OTHERS)
        return few(self._rng, candidates, self._sample + _OTHERS)

    def _keep_shares(self, call: Call, candidates: Sequence[Candidate], now: float) -> Candidate:
        proposed = self._shares.pick(call, candidates, now)
        if not proposed.in_flight:  # then its load is that of one call, and no mean is below 0
            return proposed
        load = proposed.load(now)
        one_call = load / (proposed.in_flight + 1)
        looked_at = few(self._rng, candidates, self._full_scan)
        mean = sum(candidate.load(now) for candidate in looked_at) / len(looked_at)
        if load <= _OVERLOAD * mean + one_call:
            return proposed
        return least_loaded(self._rng, looked_at, now)
