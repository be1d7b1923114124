"""The circuit breaker of one deployment: a state machine with the time passed in.

CLOSED ── trip ──▶ OPEN ── time ──▶ HALF_OPEN ── probe lives ──▶ CLOSED (slow start, then on probation)
                    ▲                  │
                    └── probe fails ───┘
"""

from __future__ import annotations

from enum import Enum, IntEnum

from router.pool.tally import Share, Tally

_GUARD = 0.10
"""When more than this fraction of the others' calls fails, the trouble is not the deployment's own."""
_GUARD_VOLUME = 5.0
_VOLUME = 5.0
"""Calls in the window from which on a failure ratio means anything."""
_RATIO = 0.5
_RAMP = 5.0
"""Seconds of slow start after closing."""
_RAMP_FROM = 0.25
_PROBATION = 10.0
"""Seconds after closing in which one failure opens again, unless the others fail as well."""
_HEALTHY = 60.0
"""Seconds after closing from which on the next opening starts short again."""
_PATIENCE = 30.0
"""Seconds after which a probe that gave no sign of life no longer keeps others from probing."""


class State(Enum):
    """Whether a deployment may be used."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Evidence(IntEnum):
    """What a health check has shown of a deployment that did not fail it; each shows what those before it do."""

    ANSWERED = 0
    """That there is somebody who answers."""
    ADMITTED = 1
    """That the key is good."""
    SERVED = 2
    """That it serves."""


class Breaker:
    """Consecutive failures or a failing half of the recent calls open it; one probe at a time tests it again.

    Every call carries the `epoch` in which it was sent. What a call of an earlier epoch ends with says nothing about
    the present: it neither closes the breaker nor opens it again.
    """

    __slots__ = ("closed_at", "consecutive", "epoch", "head_start", "missed", "needs", "openings", "probing_until",
                 "reason", "reserved", "share", "state", "streak", "tally", "until")  # fmt: skip

    def __init__(self, consecutive: int, tally: Tally) -> None:
        self.consecutive = consecutive
        self.tally = tally
        self.share = Share()
        self.state = State.CLOSED
        self.epoch = 0
        self.streak = 0
        """Failures in a row."""
        self.missed = 0
        """Health checks failed in a row. They count as failures do, and for nothing else: they are no traffic."""
        self.until = 0.0
        """When an open one becomes half-open."""
        self.openings = 0
        """How often it opened without being healthy for a minute in between."""
        self.closed_at: float | None = None
        """When it last closed; None if it never opened."""
        self.probing_until: float | None = None
        self.reason = ""
        self.needs = Evidence.ANSWERED
        """What a health check must show to close it."""
        self.head_start = 0.0
        """Seconds that calls leave the first probe to a health check, once its time has come; 0: nobody checks."""
        self.reserved = False
        """Whether the first probe is still a health check's to make."""

    def move(self, tally: Tally) -> None:
        """Count in another group's tally, from now on."""
        if tally is not self.tally:
            self.tally = tally
            self.share = Share()

    def succeeded(self, epoch: int) -> bool:
        """Take in a success; whether it should close the breaker now."""
        if epoch != self.epoch:
            return False
        if self.state is not State.CLOSED:
            return True
        self.streak = self.missed = 0
        tally, share = self.tally, self.share
        tally.calls += tally.unit
        share.calls += tally.unit
        return False

    def failed(self, epoch: int, now: float) -> bool:
        """Take in a failure; whether it should open the breaker now. A probe's failure is not told here."""
        if epoch != self.epoch or self.state is not State.CLOSED:
            return False
        self.streak += 1
        tally, share = self.tally, self.share
        for count in (tally, share):
            count.calls += tally.unit
            count.fails += tally.unit
        return self._due_to_open(now)

    def check_failed(self, epoch: int, now: float) -> bool:
        """Take in a health check that failed; whether that should open the breaker now."""
        if epoch != self.epoch or self.state is not State.CLOSED:
            return False
        self.missed += 1
        return self._due_to_open(now)

    def check_passed(self, epoch: int, evidence: Evidence) -> bool:
        """Take in a health check that did not fail; whether it should close the breaker now."""
        if epoch != self.epoch:
            return False
        if self.state is not State.CLOSED:
            return evidence >= self.needs
        self.missed = 0
        if evidence is Evidence.SERVED:
            self.streak = 0
        return False

    def _due_to_open(self, now: float) -> bool:
        streak = self.streak + self.missed
        volume, others = self.tally.others_failing(self.share)
        if volume >= _GUARD_VOLUME and others > _GUARD:
            return streak >= max(self.consecutive, 3 + 12 * others)
        if self.closed_at is not None and now < self.closed_at + _PROBATION:
            return True
        calls, ratio = self.tally.failing(self.share)
        return streak >= self.consecutive or (calls >= _VOLUME and ratio >= _RATIO)

    def opening(self, now: float) -> int:
        """Count an opening; how many came before it without a healthy minute in between."""
        if self.closed_at is not None and self.state is State.CLOSED and now >= self.closed_at + _HEALTHY:
            self.openings = 0
        self.openings += 1
        return self.openings - 1

    def impose(self, now: float, seconds: float, reason: str) -> bool:
        """Open by hearsay; False if that would change nothing."""
        if seconds <= 0 or (self.state is State.OPEN and now + seconds <= self.until):
            return False
        self.open(now, seconds, reason)
        return True

    def open(self, now: float, seconds: float, reason: str) -> None:
        """Open, or stay open, until `seconds` from now at least: of two deadlines the later one counts.

        If health checks are made, the first probe is reserved for one: for a while, in case none comes.
        """
        until = now + seconds
        self.until = max(self.until, until) if self.state is State.OPEN else until
        self.state = State.OPEN
        self.epoch += 1
        self.reason = reason
        self.needs = Evidence.ANSWERED
        self.reserved = self.head_start > 0
        self.probing_until = self.until + self.head_start if self.reserved else None
        self.streak = self.missed = 0
        self.tally.forget(self.share)

    def close(self, now: float) -> None:
        """Close, and start slowly."""
        self.state = State.CLOSED
        self.closed_at = now
        self.probing_until = None
        self.reserved = False
        self.streak = self.missed = 0
        self.reason = ""

    def wants_probe(self, now: float) -> bool:
        """Whether the next first attempt may test it."""
        if self.state is State.OPEN and now >= self.until:
            self.state = State.HALF_OPEN
        return self.state is State.HALF_OPEN and (self.probing_until is None or now >= self.probing_until)

    def wants_check(self, now: float) -> bool:
        """Whether a health check may test it now, as the probe that is reserved or as any other."""
        return self.wants_probe(now) or (self.state is State.HALF_OPEN and self.reserved)

    def probe(self, now: float) -> None:
        """A probe is on its way."""
        self.reserved = False
        self.probing_until = now + _PATIENCE

    def probe_undecided(self, epoch: int) -> None:
        """The probe ended without a verdict; another one may go."""
        if epoch == self.epoch:
            self.probing_until = None

    def next_change(self, now: float) -> float | None:
        """When to look at it again, if nothing happens until then."""
        if self.state is State.OPEN:
            return self.until
        if self.state is State.HALF_OPEN:
            return self.probing_until if self.probing_until is not None and now < self.probing_until else None
        return None

    def ramp(self, now: float) -> float:
        """The part of its weight it may carry: ¼ when it closes, all of it 5 s later."""
        if self.closed_at is None or now >= self.closed_at + _RAMP:
            return 1.0
        return _RAMP_FROM + (1 - _RAMP_FROM) * max(0.0, now - self.closed_at) / _RAMP
