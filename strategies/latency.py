"""Least load, looking at as many as is affordable."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from providers.types import Call
from strategies.arguments import Whole
from strategies.base import Candidate
from strategies.sampling import few, least_loaded


class Latency:
    """The one that should answer soonest: least load, which is calls in flight × learned slowness.

    Looks at every candidate up to `full_scan` of them, above that at `sample` random ones. A choice by latency alone
    would send everybody to one machine until it is slow; the calls in flight are what keeps this from happening.
    """

    ARGUMENTS: ClassVar = {"sample": Whole(2, 64), "full_scan": Whole(1, 256)}

    def __init__(self, *, sample: int = 8, full_scan: int = 64, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._sample = sample
        self._full_scan = full_scan

    def pick(self, call: Call, candidates: Sequence[Candidate], now: float) -> Candidate:
        """The least loaded of those looked at."""
        if len(candidates) > self._full_scan:
            candidates = few(self._rng, candidates, self._sample)
        return least_loaded(self._rng, candidates, now)
