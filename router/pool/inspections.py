"""What a pool is told by health checks, and tells them: whom to ask, when, and what follows from the answer.

A check is no call: it takes no place in flight, and neither latency, failure rates, the group's traffic nor anything
else that strategies see is touched by it. It bears on the breaker, and a rate limit that it meets on the quota.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from providers.errors import APIError
from providers.types import Deployment
from router.pool import outcome
from router.pool.breaker import Evidence, State
from router.pool.checked import HealthCheck
from router.pool.group import Group
from router.pool.member import Member
from router.pool.outcome import News
from router.pool.quota import Reading, read

HEAD_START = 5.0
"""Seconds that the first probe of an opened breaker is left to a health check, once its time has come. A call may make
it afterwards: who checks may have come to a standstill."""


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """A health check on its way. Ends with `Inspections.conclude`, or `forgo`."""

    member: Member
    epoch: int
    probe: bool
    """Whether it tests a deployment whose breaker is open, in place of a call."""
    started: float
    """On the pool's clock, seconds."""
    proven: bool
    """Whether a call has been served there, and none has failed since."""


class Inspections(ABC):
    """The part of a pool that health checks talk to. Thread-safe, as all of it."""

    _members: dict[str, Member]
    _groups: dict[str | None, Group]
    _news: deque[News]
    _clock: Callable[[], float]
    on_open: Callable[[], None] | None = None
    """Called when a breaker has opened, or a rate limit blocks. Outside the lock, in any thread; must not raise."""
    _checked: Callable[[Deployment], bool] | None = None

    @abstractmethod
    def _locked(self) -> AbstractContextManager[None]:
        """The pool's lock, and what is to be done after it."""

    def watch(self, checked: Callable[[Deployment], bool] | None) -> None:
        """From now on these deployments are checked when their breakers may be tested; None: none are."""
        with self._locked():
            self._checked = checked
            for member in self._members.values():
                self._reserve(member)

    def _reserve(self, member: Member) -> None:
        """Leave first probes to health checks, where there are any."""
        checked = self._checked is not None and self._checked(member.deployment)
        member.breaker.head_start = HEAD_START if checked else 0.0

    def _opened(self) -> None:
        """A breaker may have opened. Outside the lock."""
        if self.on_open is not None:
            self.on_open()

    def deployments(self) -> list[Deployment]:
        """All there are, in the order of the model list."""
        with self._locked():
            return [member.deployment for member in self._members.values()]

    def wants_check(self, deployment_id: str, since: float) -> bool:
        """Whether a check now could tell anything new: not if a call was served since that time, the last of all; nor
        while a breaker is open, or a rate limit keeps the deployment out."""
        now = self._clock()
        with self._locked():
            member = self._members.get(deployment_id)
            if member is None or now < member.allowance.blocked_until:
                return False
            if member.breaker.state is not State.CLOSED:
                return member.breaker.wants_check(now)
            return not _proven(member) or member.measure.at < since

    def reserved(self) -> list[tuple[float, Deployment]]:
        """Those whose first probe is a health check's to make, each with its time, the earliest first."""
        with self._locked():
            found = [
                (max(member.breaker.until, member.allowance.blocked_until), member.deployment)
                for member in self._members.values()
                if member.breaker.reserved
            ]
        return sorted(found, key=lambda each: each[0])

    def suspected(self, deployment_id: str) -> bool:
        """Whether a check has failed, and another failure would decide whether its breaker opens."""
        with self._locked():
            member = self._members.get(deployment_id)
            if member is None or member.breaker.state is not State.CLOSED:
                return False
            breaker = member.breaker
            return breaker.missed > 0 and breaker.streak + breaker.missed < breaker.consecutive

    def inspect(self, deployment_id: str) -> Inspection | None:
        """Begin a check; None if there is no such deployment. It is the probe if the breaker may be tested now."""
        now = self._clock()
        with self._locked():
            member = self._members.get(deployment_id)
            group = self._groups.get(member.group) if member is not None else None
            if member is None or group is None:
                return None
            breaker = member.breaker
            probe = breaker.wants_check(now)
            if probe:
                breaker.probe(now)
                group.place(member, now)
            return Inspection(member, breaker.epoch, probe, now, _proven(member))

    def conclude(
        self,
        inspection: Inspection,
        found: HealthCheck,
        result: Evidence | APIError,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """End a check with what it showed, or what it failed with, and with the reply's headers, if those of calls
        say the same."""
        readings = None if headers is None else read(headers)
        now = self._clock()
        with self._locked():
            member = inspection.member
            member.last_check = found
            group = self._groups.get(member.group)
            if group is None:
                return
            if readings is not None:
                self._take_in(member, readings, now)
            if isinstance(result, APIError):
                self._news.extend(outcome.check_failed(group, inspection, result, now))
            elif member.breaker.check_passed(inspection.epoch, result):
                outcome.recovered(group, member, now)
            else:
                outcome.undecided(group, inspection, now)

    def forgo(self, inspection: Inspection, found: HealthCheck | None = None) -> None:
        """End a check that tells nothing of its deployment; if it was the probe, another may go."""
        now = self._clock()
        with self._locked():
            if found is not None:
                inspection.member.last_check = found
            group = self._groups.get(inspection.member.group)
            if group is not None:
                outcome.undecided(group, inspection, now)

    def _take_in(self, member: Member, readings: tuple[Reading, Reading], now: float) -> None:
        """What a reply's headers say of rate limits. Under the lock."""
        blocked = member.allowance.observe(readings, now)
        group = self._groups.get(member.group)
        if group is not None:
            if member.learn_limits():
                group.limits_changed(member)
            if blocked:
                self._news.extend(outcome.blocked(group, member, blocked, now))


def _proven(member: Member) -> bool:
    return member.measure.latency is not None and not member.breaker.streak and member.breaker.state is State.CLOSED
