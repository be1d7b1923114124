"""Smooth weighted round robin with exact shares; with equal weights, plain rotation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace
from math import ceil, floor

from providers.types import Call
from strategies.base import Candidate, Candidates

_ROUNDING = 1e-9
"""What a product of a time and a weight may be off by."""

_RINGS = 8
"""Ready sets remembered at once: a group has one for each tier."""


class _Turn:
    """One candidate's place in the rotation: its k-th pick (from 0) is due at virtual time (k + ½) / weight."""

    __slots__ = ("candidate", "count", "due", "tie", "weight")

    def __init__(self, candidate: Candidate, tie: float, time: float) -> None:
        self.candidate = candidate
        self.tie = tie
        self.weight = candidate.weight
        self.count: float = floor(time * self.weight + 0.5)
        self.due = (self.count + 0.5) / self.weight

    def __lt__(self, other: _Turn) -> bool:  # the last resort of the heap, should two ties be equal
        return self.candidate.id < other.candidate.id

    def advance(self) -> None:
        """Count one pick."""
        self.count += 1
        self.due = (self.count + 0.5) / self.weight

    def catch_up(self, time: float) -> None:
        """Forgo the turns missed before `time`, so that an absence is not followed by a burst."""
        if self.due < time:
            self.count = max(self.count, ceil(time * self.weight - 0.5 - _ROUNDING))
            self.due = (self.count + 0.5) / self.weight

    def reweigh(self, candidate: Candidate, time: float) -> None:
        """Take on a new weight, keeping what part of a turn is still to wait."""
        self.candidate = candidate
        weight = candidate.weight
        if weight == self.weight:
            return
        count = time * weight + (self.due - time) * self.weight - 0.5
        self.weight = weight
        self.count = round(count) if weight.is_integer() else count
        self.due = (self.count + 0.5) / weight


_Item = tuple[float, float, _Turn]


class _Ring:
    """The turns of one ready set, in a heap by due time. Items may be out of date; the turn knows."""

    __slots__ = ("candidates", "heap", "version")

    def __init__(self, candidates: Candidates[Candidate]) -> None:
        self.candidates = candidates
        self.heap: list[_Item] = []
        self.version = -1


class Weighted:
    """Exact shares: after Σ weight picks everyone had exactly its weight, evenly spread; O(log n) a pick.

    Earliest due time first, the k-th pick of a candidate being due at (k + ½) / weight: the divisor method of
    Webster and Sainte-Laguë. It interleaves as nginx's smooth weighted round robin does, without its pass over all
    candidates at each pick. Counts are integers, so nothing drifts. Ties go by a random number drawn once for each
    candidate: several Routers don't start with the same one, and equal weights give strict rotation.

    A candidate that was away returns without a claim to the turns it missed.
    """

    def __init__(self, *, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._turns: dict[str, _Turn] = {}
        self._rings: dict[int, _Ring] = {}
        self._time = 0.0

    def pick(self, call: Call, candidates: Sequence[Candidate], now: float) -> Candidate:
        """The candidate whose turn it is."""
        if isinstance(candidates, Candidates):
            return self._next(candidates)
        return self._next_of_few(candidates)

    def _next(self, candidates: Candidates[Candidate]) -> Candidate:
        ring = self._rings.get(id(candidates))
        if ring is None or ring.version != candidates.version or ring.candidates is not candidates:
            ring = self._synchronise(candidates, ring)
        heap = ring.heap
        while True:
            due, tie, turn = heap[0]
            if turn.due != due:
                heapreplace(heap, (turn.due, tie, turn))
            elif turn.candidate not in candidates:
                heappop(heap)
            elif due < self._time - 1 / turn.weight:
                turn.catch_up(self._time)
            else:
                break
        turn.count = count = turn.count + 1
        turn.due = fresh = (count + 0.5) / turn.weight
        heapreplace(heap, (fresh, tie, turn))
        if due > self._time:
            self._time = due
        return turn.candidate

    def _next_of_few(self, candidates: Sequence[Candidate]) -> Candidate:
        """The same turns, over a list made for one call."""
        best: _Turn | None = None
        for candidate in candidates:
            turn = self._turn(candidate)
            if turn.due < self._time - 1 / turn.weight:
                turn.catch_up(self._time)
            if best is None or (turn.due, turn.tie) < (best.due, best.tie):
                best = turn
        assert best is not None, "candidates are never empty"
        self._time = max(self._time, best.due)
        best.advance()
        self._prune(candidates)
        return best.candidate

    def _turn(self, candidate: Candidate) -> _Turn:
        turn = self._turns.get(candidate.id)
        if turn is None:
            turn = self._turns[candidate.id] = _Turn(candidate, self._rng.random(), self._time)
        else:
            turn.reweigh(candidate, self._time)
        return turn

    def _synchronise(self, candidates: Candidates[Candidate], ring: _Ring | None) -> _Ring:
        """Bring the ring up to the ready set's version: by what changed, or all of it anew."""
        changed: Sequence[Candidate] | None = None
        if ring is None or ring.candidates is not candidates:
            ring = self._adopt(candidates)
        elif len(ring.heap) <= 2 * len(candidates) + 64:
            changed = candidates.changed(ring.version)
        if changed is None:
            self._prune(candidates)
            turns = [self._returning(candidate) for candidate in candidates]
            ring.heap[:] = [(turn.due, turn.tie, turn) for turn in turns]
            heapify(ring.heap)
        else:
            for candidate in changed:
                if candidate in candidates:
                    turn = self._returning(candidate)
                    heappush(ring.heap, (turn.due, turn.tie, turn))
        ring.version = candidates.version
        return ring

    def _returning(self, candidate: Candidate) -> _Turn:
        turn = self._turn(candidate)
        turn.catch_up(self._time)
        return turn

    def _adopt(self, candidates: Candidates[Candidate]) -> _Ring:
        while len(self._rings) >= _RINGS:
            del self._rings[next(iter(self._rings))]
        ring = self._rings[id(candidates)] = _Ring(candidates)
        return ring

    def _prune(self, candidates: Sequence[Candidate]) -> None:
        """Forget those that are nowhere any more, before they outnumber the living."""
        known = max(len(candidates), *(len(ring.candidates) for ring in self._rings.values()), 32)
        if len(self._turns) > 2 * known:
            alive = {c.id for c in candidates}
            for ring in self._rings.values():
                alive.update(c.id for c in ring.candidates)
            self._turns = {name: turn for name, turn in self._turns.items() if name in alive}
