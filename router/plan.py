"""What to try after a failure: pure, no clock, no network. The engine asks and acts.

A plan is a value; every failure makes the next one, or raises the error to end with. The rules (sources: gRPC A6,
Finagle, SRE workbook; figures in the README):

- the caller's fault ends the call at once, except that an over-long input and a refusal by a content filter may turn
  to the groups named for them, and that what one dialect can't say is tried at deployments that speak another;
- anything else moves to a deployment not yet tried; when all were tried, it waits and tries again, `num_retries`
  times in all. Walking on after a refused key, a missing model or a rate limit costs no retry, for it is certain
  not to help to ask the same one again;
- when that is used up, the call turns to the next fallback group;
- a conversation never leaves its home: `HomeLostError` and `previous_response_not_found` end where they arise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tenacity import RetryCallState, Retrying
from tenacity.wait import wait_exponential

from providers.errors import (
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    CallerError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    CredentialError,
    HomeLostError,
    InsufficientQuotaError,
    NoDeploymentError,
    NotFoundError,
    PreviousResponseNotFoundError,
    RateLimitError,
    ResponseNotFoundError,
    UnsupportedParamsError,
)
from providers.types import Verb

MAX_ATTEMPTS = 16
"""Requests one group may cost a call, whatever the configuration says."""

LONGEST_WAIT = 60.0
"""Seconds a server may make a call without a deadline wait."""

_IMPATIENT = 2.0
"""Seconds a call waits for its own group when it could turn to another."""

_MORE_AT_HOME = 3
_LOOK_AGAIN = 1.0
"""Seconds to wait where nobody can say how long it takes."""

CERTAIN = (CallerError, CredentialError, NotFoundError, InsufficientQuotaError)
"""What the same deployment would answer again."""

_CEILING = wait_exponential(multiplier=0.25, max=8)

_LAG_WAITS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Azure answers `previous_response_not_found` for up to half a minute after the response was completed (reported
worst: 32.7 s), so its home is asked again after these waits, in seconds."""
_LAG_WAITS_ELSEWHERE = _LAG_WAITS[:2]

_POLICY_NAMES: tuple[tuple[type[APIError], str], ...] = (
    (ContentPolicyViolationError, "ContentPolicyViolationErrorRetries"),
    (BadRequestError, "BadRequestErrorRetries"),
    (AuthenticationError, "AuthenticationErrorRetries"),
    (RateLimitError, "RateLimitErrorRetries"),
    (APITimeoutError, "TimeoutErrorRetries"),
    (APIError, "InternalServerErrorRetries"),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A group to turn to, and the body parameters that change on the way."""

    group: str
    overrides: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be tried for a call: the Router's settings, its group's and the call's own, merged."""

    num_retries: int = 2
    retry_policy: Mapping[str, int] = field(default_factory=dict)
    """Retries by LiteLLM's class names (`RateLimitErrorRetries`, …); wins over `num_retries`."""
    retry_after: float = 0.0
    """Seconds to wait at least before asking the same deployment again."""
    fallbacks: Mapping[str, tuple[Target, ...]] = field(default_factory=dict)
    default_fallbacks: tuple[Target, ...] = ()
    context_window_fallbacks: Mapping[str, tuple[Target, ...]] = field(default_factory=dict)
    content_policy_fallbacks: Mapping[str, tuple[Target, ...]] = field(default_factory=dict)
    max_fallbacks: int = 5
    disable_fallbacks: bool = False
    wait_when_down: bool = True
    """Whether a deployment whose breaker is open is waited for, if there is no other."""
    insistent: bool = False
    """Whether `num_retries` was given with the call: then it wins over everything."""

    def retries(self, error: APIError, deployment: int | None) -> int:
        """How often a call may be retried in its group after `error` from a deployment with its own `num_retries`."""
        if self.insistent:
            return self.num_retries
        for cls, name in _POLICY_NAMES if self.retry_policy else ():
            if isinstance(error, cls):
                if name in self.retry_policy:
                    return self.retry_policy[name]
                break
        return self.num_retries if deployment is None else deployment

    def turns(self, group: str, error: APIError) -> tuple[Target, ...]:
        """The groups to turn to when `group` ended with `error`."""
        if self.disable_fallbacks:
            return ()
        if isinstance(error, ContextWindowExceededError):
            return _of(self.context_window_fallbacks, group)
        if isinstance(error, ContentPolicyViolationError):
            return _of(self.content_policy_fallbacks, group)
        if isinstance(error, (CallerError, HomeLostError)):
            return ()
        return _of(self.fallbacks, group) or self.default_fallbacks


def _of(table: Mapping[str, tuple[Target, ...]], group: str) -> tuple[Target, ...]:
    return table.get(group) or table.get("*", ())


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt ended, as far as the plan must know."""

    error: APIError
    deployment_id: str | None = None
    """None if nothing was sent: no deployment was found."""
    at_home: bool = False
    """Whether the call was sent to the known home of its conversation."""
    num_retries: int | None = None
    """The deployment's own setting."""
    probe: bool = False
    """Whether it was the breaker's probe: the pool chose a risk, so the retry is free."""
    slow_to_read: bool = False
    """Whether the vendor is known to answer reads late after writes."""
    home_wait: float = 0.0
    """Seconds for which home may be waited for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a call stands: which group it tries now, and what it has tried there."""

    policy: Policy
    target: Target
    verb: Verb = Verb.CREATE
    tried: frozenset[str] = frozenset()
    unfit: frozenset[str] = frozenset()
    """Those of the tried that can't say what is asked: they are never asked again."""
    sent: int = 0
    """Requests sent in this group."""
    retries: int = 0
    """Retries spent in this group."""
    lag: int = 0
    """Waits spent on a home that does not know its response yet."""
    wait: float = 0.0
    """Seconds to wait before the next attempt, whoever serves it."""
    allowed: int = 0
    """Retries allowed after the last failure."""
    charged: bool = False
    """Whether a retry was charged for the attempt to come."""
    pause: float = 0.0
    """Seconds the last server asked for, to wait if it must be asked again."""
    visited: tuple[str, ...] = ()
    """Groups turned away from."""
    ahead: tuple[Target, ...] = ()
    """Groups still to turn to."""

    @property
    def retrying(self) -> bool:
        """Whether this group has failed the call before."""
        return self.sent > 0

    def after(self, failure: Failure) -> Plan:
        """The plan after `failure`; raises its error when there is nothing left to try."""
        error = failure.error
        if failure.deployment_id is None:
            return self._turn(error, at_home=failure.at_home)
        if isinstance(error, UnsupportedParamsError):
            unfit = self.unfit | {failure.deployment_id}
            return replace(self, tried=self.tried | unfit, unfit=unfit, wait=0.0)
        plan = replace(
            self,
            tried=self.tried | {failure.deployment_id},
            sent=self.sent + 1,
            wait=0.0,
            pause=error.retry_after or 0.0,
            allowed=self._allowed(failure),
            charged=False,
        )
        if isinstance(error, PreviousResponseNotFoundError):
            return plan._ask_home_again(failure)
        elsewhere = isinstance(error, ResponseNotFoundError) and self.verb.by_id and not failure.at_home
        if isinstance(error, CallerError) and not elsewhere:
            return plan._turn(error, at_home=failure.at_home)
        if plan.sent >= MAX_ATTEMPTS or plan.allowed == 0:
            return plan._turn(error, at_home=failure.at_home)
        if failure.probe or isinstance(error, (*CERTAIN, RateLimitError)):
            return plan
        if plan.retries >= plan.allowed:
            return plan._turn(error, at_home=failure.at_home)
        return replace(plan, retries=plan.retries + 1, charged=True)

    def _allowed(self, failure: Failure) -> int:
        """Retries after `failure`; at home a few more, as there is nowhere else to turn to.

        Without any, home is still waited for, which is in vain unless it is asked again. Not after a timeout: that was
        a wait, and what was asked for may be done.
        """
        error = failure.error
        allowed = self.policy.retries(error, failure.num_retries)
        waits = failure.home_wait > 0 and not isinstance(error, APITimeoutError)
        return allowed + _MORE_AT_HOME if failure.at_home and (allowed or waits) else allowed

    def patience(
        self, kind: str, wait: float | None, error: APIError, *, jitter: float, left: float, at_home: bool = False
    ) -> float | None:
        """Seconds to wait for a deployment when none can be had now; None to give the group up.

        `kind` and `wait` are the pool's shortage, `jitter` is uniform in [0, 1), `left` what the deadline leaves. A
        call `at_home` has nowhere else to go.
        """
        if (
            isinstance(error, CERTAIN)
            or kind == "empty"
            or (self.sent and not self.charged and self.retries >= self.allowed)
        ):
            return None
        elsewhere = not at_home and bool(self._next(error))
        if kind == "tried":
            needed = max(jitter * self.ceiling(), self.pause, self.policy.retry_after)
            return needed if needed <= (min(left, _IMPATIENT) if elsewhere else left) else None
        if elsewhere:
            return None
        if kind == "breaker" and not self.policy.wait_when_down:
            return None
        if kind == "capacity":
            return left if left > 0 else None
        needed = _LOOK_AGAIN if wait is None else max(wait, 0.01)
        return needed if needed <= left else None

    def charge(self) -> Plan:
        """The plan for asking a tried deployment again: that costs a retry, if none was charged for it yet."""
        if not self.sent or self.charged:
            return self
        return replace(self, retries=self.retries + 1, charged=True)

    def ceiling(self) -> float:
        """Upper end of the jittered wait before a deployment is asked again, seconds."""
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = max(1, self.retries)
        return float(_CEILING(state))

    def _ask_home_again(self, failure: Failure) -> Plan:
        """Wait out a vendor's lag at home; anywhere else the id is unknown, and that is the answer."""
        waits = _LAG_WAITS if failure.slow_to_read else _LAG_WAITS_ELSEWHERE
        if not failure.at_home or self.lag >= len(waits):
            raise failure.error
        return replace(self, tried=self.unfit, lag=self.lag + 1, wait=waits[self.lag])

    def _next(self, error: APIError) -> tuple[Target, ...]:
        """Groups that may follow this one, nearest first, none visited twice."""
        turns = self.policy.turns(self.target.group, error)
        if isinstance(error, (CallerError, HomeLostError)) and not turns:
            return ()
        if len(self.visited) >= self.policy.max_fallbacks:
            return ()
        seen = {*self.visited, self.target.group}
        return tuple(target for target in (*turns, *self.ahead) if target.group not in seen)

    def _turn(self, error: APIError, *, at_home: bool = False) -> Plan:
        """On to the next group, with a clean slate."""
        following = () if at_home else self._next(error)
        if not following:
            raise error
        first, *rest = following
        return Plan(
            self.policy,
            Target(first.group, {**self.target.overrides, **first.overrides}),
            self.verb,
            visited=(*self.visited, self.target.group),
            ahead=tuple(rest),
        )


def shortage_error(kind: str, group: str, wait: float | None, reasons: tuple[tuple[str, str], ...]) -> APIError:
    """The error for a group of which no deployment can be had."""
    why = "; ".join(f"{name}: {reason}" for name, reason in reasons[:8]) or "it has no deployments"
    more = f" and {len(reasons) - 8} more" if len(reasons) > 8 else ""
    message = f"no deployment of {group!r} can serve this call now ({why}{more})"
    if kind in ("quota", "capacity"):
        return RateLimitError(message, retry_after=wait, code="no_deployment_available")
    return NoDeploymentError(message, retry_after=wait, code="no_deployment_available")
