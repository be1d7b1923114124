"""Fewest calls in flight."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from providers.types import Call
from strategies.arguments import Whole
from strategies.base import Candidate, Candidates
from strategies.sampling import draw, few


class LeastBusy:
    """The one with the fewest calls in flight, relative to its weight; ties random.

    With equal weights exact at any size, O(1) a pick. With unequal ones a scan of up to `full_scan` candidates, above
    that the best of `sample` idle ones and as many others (Envoy's and Finagle's power of random choices).
    """

    ARGUMENTS: ClassVar = {"sample": Whole(1, 64), "full_scan": Whole(1, 64)}

    def __init__(self, *, sample: int = 4, full_scan: int = 16, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._sample = sample
        self._full_scan = full_scan

    def pick(self, call: Call, candidates: Sequence[Candidate], now: float) -> Candidate:
        """The least busy."""
        if isinstance(candidates, Candidates):
            idlest: Sequence[Candidate] = candidates.idlest()
            if candidates.uniform:
                return draw(self._rng, idlest)
            if len(candidates) > self._full_scan:
                return self._least(few(self._rng, idlest, self._sample) + few(self._rng, candidates, self._sample))
        return self._least(candidates)

    def _least(self, candidates: Sequence[Candidate]) -> Candidate:
        low = float("inf")
        ties: list[Candidate] = []
        for candidate in candidates:
            busy = (candidate.in_flight + 1) / candidate.weight
            if busy < low:
                low = busy
                ties = [candidate]
            elif busy == low:
                ties.append(candidate)
        return draw(self._rng, ties)
