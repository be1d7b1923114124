"""What the end of a call means for its deployment. Every function runs under the pool's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from providers.errors import APIError, CredentialError
from router.pool.breaker import Evidence, State
from router.pool.group import Group
from router.pool.lease import Lease
from router.pool.member import Member
from router.pool.verdict import Verdict, judge

_USELESS_FOR = 60.0
"""Seconds a breaker opens for when the key, the model or the bill is at fault."""
_WORTH_TELLING = 1.0
"""Seconds from which on a rate limit's block is told to other Routers."""

News: TypeAlias = "tuple[str, Literal['breaker', 'quota'], float]"
"""What other Routers should know: a deployment's id, what keeps it out, and for how many seconds."""


class Sent(Protocol):
    """A request that was sent: a call's, or a health check's."""

    @property
    def member(self) -> Member:
        """Where to."""
        ...

    @property
    def epoch(self) -> int:
        """The breaker's, when it was."""
        ...

    @property
    def probe(self) -> bool:
        """Whether it tests a deployment whose breaker is open."""
        ...

    @property
    def started(self) -> float:
        """When, on the pool's clock."""
        ...


def failed(group: Group, lease: Lease, error: APIError, now: float) -> list[News]:
    """The call ended with an error; whose fault that is stands in its type."""
    verdict = judge(error)
    member = lease.member
    if verdict in (Verdict.FAILED, Verdict.USELESS):
        member.failures += 1
    if verdict is Verdict.FAILED:
        member.measure.failed(now)
        member.fresh_until = now
    return _judged(group, lease, error, verdict, now, member.breaker.failed)


def check_failed(group: Group, check: Sent, error: APIError, now: float) -> list[News]:
    """The same for a health check, which is no call: it counts towards its deployment's breaker and nowhere else."""
    return _judged(group, check, error, judge(error), now, check.member.breaker.check_failed)


def _judged(
    group: Group, sent: Sent, error: APIError, verdict: Verdict, now: float, counted: Callable[[int, float], bool]
) -> list[News]:
    if verdict is Verdict.FAILED:
        return _failed(group, sent, error, now, counted)
    if verdict is Verdict.USELESS:
        return _useless(group, sent, error, now)
    undecided(group, sent, now)
    if verdict is Verdict.REFUSED:
        return blocked(group, sent.member, sent.member.allowance.refused(error.retry_after, sent.started, now), now)
    return []


def undecided(group: Group, sent: Sent, now: float) -> None:
    """It ended without saying anything about its deployment. If it was the probe, another may go."""
    if sent.probe:
        sent.member.breaker.probe_undecided(sent.epoch)
        group.place(sent.member, now)


def recovered(group: Group | None, member: Member, now: float) -> None:
    """A deployment whose breaker was open lives."""
    member.breaker.close(now)
    if group is not None:
        group.place(member, now)


def blocked(group: Group, member: Member, seconds: float, now: float) -> list[News]:
    """A rate limit keeps a deployment out."""
    group.place(member, now)
    return [(member.id, "quota", seconds)] if seconds >= _WORTH_TELLING else []


def _failed(group: Group, sent: Sent, error: APIError, now: float, counted: Callable[[int, float], bool]) -> list[News]:
    member, breaker = sent.member, sent.member.breaker
    probe_failed = sent.probe and sent.epoch == breaker.epoch and breaker.state is State.HALF_OPEN
    if not (probe_failed or counted(sent.epoch, now)) or not group.settings.enabled:
        return []
    return _open(group, member, group.opening_time(member, now), error, now)


def _useless(group: Group, sent: Sent, error: APIError, now: float) -> list[News]:
    member, breaker = sent.member, sent.member.breaker
    if sent.epoch != breaker.epoch or not group.settings.enabled:
        return []
    fixed = group.fixed_time(member)
    news = _open(group, member, _USELESS_FOR if fixed is None else fixed, error, now)
    breaker.needs = Evidence.ADMITTED if isinstance(error, CredentialError) else Evidence.SERVED
    return news


def _open(group: Group, member: Member, seconds: float, error: APIError, now: float) -> list[News]:
    member.breaker.open(now, seconds, f"{type(error).__name__} {error.status_code}")
    group.place(member, now)
    return [(member.id, "breaker", member.breaker.until - now)]
