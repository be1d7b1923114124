"""What the end of a call means for its deployment. Every function runs under the pool's lock."""

from __future__ import annotations

from typing import Literal, TypeAlias

from providers.errors import APIError
from router.pool.breaker import State
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


def failed(group: Group, lease: Lease, error: APIError, now: float) -> list[News]:
    """The call ended with an error; whose fault that is stands in its type."""
    verdict = judge(error)
    if verdict is Verdict.FAILED:
        return _counted(group, lease, error, now)
    if verdict is Verdict.USELESS:
        return _useless(group, lease, error, now)
    undecided(group, lease, now)
    if verdict is Verdict.REFUSED:
        return blocked(group, lease.member, lease.member.allowance.refused(error.retry_after, lease.started, now), now)
    return []


def undecided(group: Group, lease: Lease, now: float) -> None:
    """The call ended without saying anything about its deployment. If it was the probe, another may go."""
    if lease.probe:
        lease.member.breaker.probe_undecided(lease.epoch)
        group.place(lease.member, now)


def recovered(group: Group | None, member: Member, now: float) -> None:
    """A deployment whose breaker was open lives."""
    member.breaker.close(now)
    if group is not None:
        group.place(member, now)


def blocked(group: Group, member: Member, seconds: float, now: float) -> list[News]:
    """A rate limit keeps a deployment out."""
    group.place(member, now)
    return [(member.id, "quota", seconds)] if seconds >= _WORTH_TELLING else []


def _counted(group: Group, lease: Lease, error: APIError, now: float) -> list[News]:
    member, breaker = lease.member, lease.member.breaker
    member.failures += 1
    member.measure.failed(now)
    member.fresh_until = now
    probe_failed = lease.probe and lease.epoch == breaker.epoch and breaker.state is State.HALF_OPEN
    if not (probe_failed or breaker.failed(lease.epoch, now)) or not group.settings.enabled:
        return []
    return _open(group, member, group.opening_time(member, now), error, now)


def _useless(group: Group, lease: Lease, error: APIError, now: float) -> list[News]:
    member, breaker = lease.member, lease.member.breaker
    member.failures += 1
    if lease.epoch != breaker.epoch or not group.settings.enabled:
        return []
    fixed = group.fixed_time(member)
    return _open(group, member, _USELESS_FOR if fixed is None else fixed, error, now)


def _open(group: Group, member: Member, seconds: float, error: APIError, now: float) -> list[News]:
    member.breaker.open(now, seconds, f"{type(error).__name__} {error.status_code}")
    group.place(member, now)
    return [(member.id, "breaker", member.breaker.until - now)]
