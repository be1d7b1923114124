"""Weighted random choice."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Iterable, Sequence
from itertools import accumulate

from providers.types import Call
from strategies.base import Candidate, Candidates
from strategies.sampling import draw


class SimpleShuffle:
    """Random, in proportion to the weights; without weights, to the known rate limits; without either, uniform.

    Blind to load and speed: `adaptive` serves better wherever calls differ in length. O(log n) a pick, O(n) when
    membership or weights changed.
    """

    def __init__(self, *, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._seen: Candidates[Candidate] | None = None
        self._version = -1
        self._sums: list[float] = []

    def pick(self, call: Call, candidates: Sequence[Candidate], now: float) -> Candidate:
        """Any of them."""
        if not isinstance(candidates, Candidates):
            return self._draw(candidates, _sums(candidates))
        if candidates.uniform:
            everyone: Sequence[Candidate] = candidates
            return draw(self._rng, everyone)
        if candidates is not self._seen or candidates.version != self._version:
            self._seen, self._version, self._sums = candidates, candidates.version, _sums(candidates)
        return self._draw(candidates, self._sums)

    def _draw(self, candidates: Sequence[Candidate], sums: list[float]) -> Candidate:
        return candidates[bisect(sums, self._rng.random() * sums[-1], hi=len(sums) - 1)]


def _sums(candidates: Iterable[Candidate]) -> list[float]:
    return list(accumulate(candidate.weight * candidate.quota for candidate in candidates))
