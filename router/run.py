"""One call on its way: where it goes, how long it may take, what happened so far."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from checks.base import Home, PreCallCheck
from providers.decisions import RouteDecision
from providers.errors import APIError, Attempt
from providers.types import Affinity, Call, Deployment
from router.plan import CERTAIN, LONGEST_WAIT, Plan
from router.pool import Waiter

DEFAULT_TIMEOUT = 600.0
"""Seconds for one attempt where nobody set a limit, as in the OpenAI SDK."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take, seconds. None: the deployment's setting, else the Router's."""

    timeout: float | None = None
    """One attempt."""
    stream_timeout: float | None = None
    """To the first event of a stream."""
    idle_timeout: float | None = None
    """Between two chunks of a stream."""
    deadline: float | None = None
    """The whole call: attempts, waits and fallbacks; streamed, until the first output."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name leads: the call for that group, and who is in it."""

    call: Call
    deployments: Sequence[Deployment]
    alone: bool = False
    """Whether the name is a deployment's own id: no other of its group will do."""
    snapshot: int = 0
    """Version of the model list that says so."""


class AttemptTrace(Protocol):
    """Follows one attempt."""

    @property
    def headers(self) -> Mapping[str, str]:
        """To be sent upstream with it."""
        ...

    def failed(self, error: BaseException) -> None:
        """It failed, and another may follow."""
        ...


class Trace(Protocol):
    """Follows one call while it is on its way."""

    def attempt(self, call: Call, deployment: Deployment, url: str) -> AttemptTrace:
        """A request is about to be sent to `url`."""
        ...


class Decided(Protocol):
    """One choice of a deployment, written down where decisions are recorded."""

    def decision(self, waited: float) -> RouteDecision:
        """It as data; `waited`: seconds that it took."""
        ...


class Run:
    """One call on its way: the plan it follows and what happened so far."""

    __slots__ = (
        "affinity",
        "asked",
        "attempt_trace",
        "attempts",
        "began",
        "call",
        "call_id",
        "choice",
        "continues",
        "decision",
        "deployment",
        "dropped",
        "echo",
        "era",
        "error",
        "home",
        "late",
        "leaning",
        "limits",
        "own",
        "place",
        "plan",
        "queued",
        "refusal",
        "started",
        "trace",
        "unsaid",
        "waited",
        "waiter",
    )

    def __init__(self, place: Place, plan: Plan, limits: Limits, now: float, call_id: str = "") -> None:
        self.place = place
        self.call = place.call
        self.plan = plan
        self.call_id = call_id
        self.limits = limits
        self.began = now
        self.started = time.time()
        self.attempts: list[Attempt] = []
        self.era = 0
        """Between which two closings of its Router it began."""
        self.error: APIError | None = None
        """What the last attempt in this group failed with."""
        self.unsaid: APIError | None = None
        """Why the last deployment of this group that can't say what is asked can't."""
        self.refusal: APIError | None = None
        """What a check has just refused with for now."""
        self.home: Home | None = None
        """The deployments it can't leave."""
        self.leaning: Sequence[Deployment] = ()
        """Those it would rather have."""
        self.continues = place.call.previous_response_id
        """The response that the caller goes on from, by the id the caller knows."""
        self.echo: str | None = None
        """The same, if the last attempt was sent without it: the answer is to say it all the same."""
        self.dropped: tuple[str, ...] = ()
        """Parameters that the last attempt did without."""
        self.deployment: Deployment | None = None
        """The one that was asked last."""
        self.affinity: Affinity | None = None
        """How the attempt that served found the home of its conversation."""
        self.choice: Decided | None = None
        """The choice that the next attempt is made by, where decisions are recorded."""
        self.decision: RouteDecision | None = None
        """The last choice that found nobody, where decisions are recorded."""
        self.trace: Trace | None = None
        self.attempt_trace: AttemptTrace | None = None
        self.asked = now
        """When the deployment of the last attempt began to be looked for."""
        self.queued = 0.0
        """Seconds that went into finding deployments so far."""
        self.waited = 0.0
        self.waiter: Waiter | None = None
        """Its place among those who wait for the group it tries; None if it has not waited there."""
        self.late = False
        """Whether its deadline has passed, whatever the clock says."""
        self.own = True
        """Whether the attempt's time limit is the deployment's to keep, not the caller's impatience."""

    def note(self, sent: float, now: float, error: APIError | None = None) -> None:
        """The attempt that was sent at `sent` is over; without `error` it served, or was cancelled."""
        deployment = self.deployment
        assert deployment is not None, "it was sent somewhere"
        waited, began = sent - self.asked, sent - self.began
        group, provider = self.call.group, deployment.provider
        decision = None if self.choice is None else self.choice.decision(waited)
        self.attempts.append(Attempt(deployment.id, group, began, now - sent, error, provider, waited, decision))
        self.choice = None
        if self.attempt_trace is not None and error is not None:
            self.attempt_trace.failed(error)
            self.attempt_trace = None

    def found_nobody(self, waited: float) -> None:
        """No deployment could be had, though it was tried for `waited` seconds."""
        if self.choice is not None:
            self.decision = self.choice.decision(waited)
            self.choice = None

    def left(self, now: float) -> float:
        """Seconds the call may still take; infinite without a deadline."""
        deadline = self.limits.deadline
        if deadline is None:
            return float("inf")
        return 0.0 if self.late else deadline - (now - self.began)

    def limit(self, deployment: Deployment, defaults: Limits, now: float) -> float:
        """Seconds to the reply (streams: to the first event). Notes whose limit it is."""
        asked, usual = self.limits.timeout, deployment.timeout or defaults.timeout or DEFAULT_TIMEOUT
        if self.call.stream:
            asked = self.limits.stream_timeout or asked
            usual = deployment.stream_timeout or defaults.stream_timeout or usual
        limit = min(asked or usual, max(0.0, self.left(now)))
        self.own = limit >= usual
        return limit

    def idle(self, deployment: Deployment, defaults: Limits) -> tuple[float, bool]:
        """Seconds between two chunks of a stream, and whether they are the deployment's to keep."""
        asked, usual = self.limits.idle_timeout, deployment.idle_timeout or defaults.idle_timeout
        if usual is None:
            asked = asked or self.limits.timeout
            usual = deployment.timeout or defaults.timeout or DEFAULT_TIMEOUT
        idle = asked or usual
        return idle, idle >= usual

    def patience(self, now: float, kind: str = "") -> float:
        """Seconds the call may still wait for a deployment, of which there is a shortage of this `kind`."""
        longest = LONGEST_WAIT
        if self.home is not None and kind != "capacity":
            longest = self.home_wait
        return min(self.left(now), longest - self.waited)

    @property
    def home_wait(self) -> float:
        """Seconds to wait for home in all, if it can't serve."""
        policy = None if self.home is None else self.home.policy
        return policy.wait if policy is not None and policy.on_lost == "wait" else 0.0

    @property
    def insists(self) -> bool:
        """Whether home is asked though its breaker is open: it was waited for as long as it may be."""
        return 0 < self.home_wait <= self.waited

    def may_insist(self, now: float, kind: str, error: APIError) -> bool:
        """Whether home is worth asking once more when the time to wait for it is over.

        A breaker that stays open for longer says when others may try; this call has nowhere else to go. `kind` is the
        pool's shortage, `error` what home said last.
        """
        return (
            kind == "breaker"
            and self.home_wait > 0
            and self.plan.policy.wait_when_down
            and 0 < self.patience(now) < self.left(now)
            and not isinstance(error, CERTAIN)
        )


def overriding(checks: Sequence[PreCallCheck], method: str) -> tuple[PreCallCheck, ...]:
    """The checks that define `method` themselves: what a check does not do costs nothing."""
    return tuple(check for check in checks if getattr(type(check), method) is not getattr(PreCallCheck, method))
