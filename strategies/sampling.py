"""The two ways to look at candidates: all of them, or a few at random."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from strategies.base import C


def draw(rng: random.Random, candidates: Sequence[C]) -> C:
    """One of `candidates`, uniformly. Cheaper than `rng.choice`."""
    return candidates[int(rng.random() * len(candidates))]


def least_loaded(rng: random.Random, candidates: Iterable[C], now: float) -> C:
    """The one with the least `load`; among equals, any with equal chance."""
    low = float("inf")
    ties: list[C] = []
    for candidate in candidates:
        load = candidate.load(now)
        if load < low:
            low = load
            ties = [candidate]
        elif load == low:
            ties.append(candidate)
    return ties[0] if len(ties) == 1 else draw(rng, ties)


def few(rng: random.Random, candidates: Sequence[C], size: int) -> list[C]:
    """`size` random ones, with repetition; all of them if there are no more than that."""
    count = len(candidates)
    if count <= size:
        return list(candidates)
    return [candidates[int(rng.random() * count)] for _ in range(size)]
