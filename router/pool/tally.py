"""How much of the recent traffic failed, and how much traffic there is."""

from __future__ import annotations

from math import exp

_WINDOW = 10.0
"""Seconds in which a call's weight falls to 1/e."""
_TICK = 1.0
_RESCALE = 1e9


class Share:
    """One deployment's part of a tally."""

    __slots__ = ("calls", "fails")

    def __init__(self) -> None:
        self.calls = 0.0
        self.fails = 0.0


class Tally:
    """A group's outcomes of the last ten seconds, decaying.

    Forward decay: instead of shrinking what was counted, each new call counts more than the one before, by `unit`.
    So an outcome costs one addition and no share ever needs to be visited (Cormode et al., "Forward decay", 2009).
    """

    __slots__ = ("_at", "_rate", "_seen", "_shares", "calls", "due", "fails", "leased", "unit")

    def __init__(self, now: float) -> None:
        self.unit = 1.0
        """What a call counts now."""
        self.calls = 0.0
        self.fails = 0.0
        self.leased = 0
        """Attempts ever begun; the group's traffic is measured by it."""
        self.due = now + _TICK
        """When `tick` wants to be called next."""
        self._at = now
        self._seen = 0
        self._rate: float | None = None
        self._shares: list[Share] = []

    def watch(self, shares: list[Share]) -> None:
        """Count these from now on, with what they have counted so far."""
        self._shares = shares
        self.calls = sum(share.calls for share in shares)
        self.fails = sum(share.fails for share in shares)

    def forget(self, share: Share) -> None:
        """Drop what was counted for one deployment: while it is out, it says nothing about the group."""
        self.calls = max(0.0, self.calls - share.calls)
        self.fails = max(0.0, self.fails - share.fails)
        share.calls = share.fails = 0.0

    def failing(self, share: Share) -> tuple[float, float]:
        """Calls of one deployment in the window, and the fraction of them that failed."""
        return share.calls / self.unit, share.fails / share.calls if share.calls else 0.0

    def others_failing(self, share: Share) -> tuple[float, float]:
        """The same for all the others together."""
        calls = self.calls - share.calls
        if calls <= 0:
            return 0.0, 0.0
        return calls / self.unit, max(0.0, self.fails - share.fails) / calls

    def rate(self, now: float) -> float:
        """Attempts per second, over the last ten or so."""
        self.tick(now)
        if self._rate is None:
            return (self.leased - self._seen) / max(_TICK, now - self._at)
        return self._rate

    def tick(self, now: float) -> None:
        """Let time pass."""
        passed = now - self._at
        if passed < _TICK:
            return
        fresh = (self.leased - self._seen) / passed
        kept = exp(-passed / _WINDOW)
        self._rate = fresh if self._rate is None else fresh + (self._rate - fresh) * kept
        self._at = now
        self._seen = self.leased
        self.due = now + _TICK
        if passed > 20 * _WINDOW:
            self._start_over()
        else:
            self.unit /= kept
            if self.unit > _RESCALE:
                self._rescale()

    def _rescale(self) -> None:
        for share in self._shares:
            share.calls /= self.unit
            share.fails /= self.unit
        self.unit = 1.0
        self.watch(self._shares)

    def _start_over(self) -> None:
        """After minutes of silence nothing of what was counted matters any more."""
        for share in self._shares:
            share.calls = share.fails = 0.0
        self.unit = 1.0
        self.calls = self.fails = 0.0
