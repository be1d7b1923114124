"""A group's members, where each of them belongs now, and when to look again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from math import inf

from providers.errors import ConfigurationError
from providers.types import Deployment
from router.pool.breaker import State
from router.pool.budget import RetryBudget
from router.pool.measure import Pace
from router.pool.member import Limits, Member
from router.pool.ready import Ready
from router.pool.settings import HealthSettings
from router.pool.tally import Tally
from router.pool.waiters import Queue
from strategies.base import Strategy

_RAMP_STEP = 0.25
_PROBE_SHARE = 0.01
"""The fraction of a group's calls that may be probes."""
_FAIR_SHARE = 0.07
"""The fraction of its own usual calls that one deployment may get as probes."""
_SHORTEST, _LONGEST = 1.0, 30.0
"""Seconds between which the limit to opening times lies."""
_FIRST_LONGEST = 10.0
_JITTER = (0.8, 1.2)


class Group:
    """Members in tiers. Every method runs under the pool's lock."""

    def __init__(
        self,
        name: str,
        strategy: Strategy,
        settings: HealthSettings,
        rng: random.Random,
        clock: Callable[[], float],
    ) -> None:
        now = clock()
        self.name = name
        self.strategy = strategy
        self.settings = settings
        self.budget = RetryBudget(clock)
        self.queue = Queue()
        self.tally = Tally(now)
        self.pace = Pace()
        self.members: dict[str, Member] = {}
        self.tiers: list[Ready] = []
        self.due: dict[Member, None] = {}
        """Half-open members whose next probe may go now, the longest waiting first."""
        self.next_look = self.tally.due
        """When `advance` wants to be called next."""
        self._rng = rng
        self._tiers: dict[tuple[bool, int], Ready] = {}
        self._alarms: list[tuple[float, int, Member]] = []
        self._alarms_set = 0
        self._total_share = 1.0

    def disband(self) -> None:
        """Let every member go, ahead of a new enrolment or of the group's end."""
        for ready in self.tiers:
            ready.reset()
        self.members = {}
        self.due.clear()
        self._alarms.clear()

    def enrol(self, members: Sequence[Member], strategy: Strategy, now: float) -> None:
        """Take these as the members of a disbanded group, with what is known of them."""
        self.strategy = strategy
        self.members = {member.id: member for member in members}
        keys = sorted({_tier(member.deployment) for member in members})
        self._tiers = {key: self._tiers.get(key) or Ready() for key in keys}
        self.tiers = list(self._tiers.values())
        weighted = any(member.deployment.weight is not None for member in members)
        limits = Limits()
        for member in members:
            member.group = self.name
            member.tier = keys.index(_tier(member.deployment))
            member.weighted = weighted
            member.limits, member.rpm, member.tpm = limits, None, None
            member.alarm = inf
            member.breaker.move(self.tally)
            if member.measure.pace is not self.pace:
                member.measure.join(self.pace)
            member.learn_limits()
        self.tally.watch([member.breaker.share for member in members])
        self._total_share = sum(member.share for member in members) or 1.0
        for member in members:
            self.place(member, now)
        self.queue.stir_all()

    def advance(self, now: float) -> None:
        """Let time pass: do what is due."""
        self.tally.tick(now)
        alarms = self._alarms
        while alarms and alarms[0][0] <= now:
            at, _, member = heappop(alarms)
            if at == member.alarm and self.members.get(member.id) is member:
                member.alarm = inf
                self.place(member, now)
        self.next_look = min(alarms[0][0], self.tally.due) if alarms else self.tally.due

    def next_alarm(self) -> float:
        """When something changes by itself next; infinity if nothing will."""
        return self._alarms[0][0] if self._alarms else inf

    def place(self, member: Member, now: float) -> None:
        """Put a member where its state wants it: among the ready, the due for a probe, or neither."""
        breaker, blocked_until = member.breaker, member.allowance.blocked_until
        usable = now >= blocked_until and member.in_flight < member.cap
        ready = self.tiers[member.tier]
        ramp = breaker.ramp(now)
        weight = member.share * ramp
        if usable and breaker.state is State.CLOSED:
            if member.ready is None:
                member.weight = weight
                ready.join(member)
                self.queue.stir()
            elif weight != member.weight:
                ready.reweigh(member, weight)
        elif member.ready is not None:
            ready.leave(member)
        wants_probe = breaker.wants_probe(now)
        if usable and wants_probe:
            if member not in self.due:
                self.due[member] = None
                self.queue.stir()
        else:
            self.due.pop(member, None)
        if now < blocked_until:
            self._set_alarm(member, blocked_until)
        change = now + _RAMP_STEP if ramp < 1 else breaker.next_change(now)
        if change is not None:
            self._set_alarm(member, change)

    def limits_changed(self, member: Member) -> None:
        """A member's known rate limits are others now."""
        if member.ready is not None:
            self.tiers[member.tier].reweigh(member, member.weight)

    def opening_time(self, member: Member, now: float) -> float:
        """Seconds to keep a breaker open that opens now.

        So short that a busy group tests again within seconds, so long that probes stay below one in a hundred calls.
        """
        fixed = self.fixed_time(member)
        openings = member.breaker.opening(now)
        if fixed is not None:
            return fixed
        others_open = sum(m.breaker.state is not State.CLOSED for m in self.members.values() if m is not member)
        if others_open == len(self.members) - 1:  # nobody is left: look often whether anybody is back
            return _SHORTEST * self._rng.uniform(*_JITTER)
        rate = self.tally.rate(now)
        pause = inf
        if rate > 0:
            fair = rate * member.share / self._total_share
            pause = max((1 + others_open) / (_PROBE_SHARE * rate), 1 / (_FAIR_SHARE * fair))
        longest = min(max(pause, _SHORTEST), _LONGEST)
        first = min(max(pause / 10, _SHORTEST), _FIRST_LONGEST)
        return min(longest, first * 2.0 ** min(openings, 16)) * self._rng.uniform(*_JITTER)

    def fixed_time(self, member: Member) -> float | None:
        """Seconds the operator wants breakers to stay open; None for the rule above."""
        own = member.deployment.cooldown_time
        return self.settings.cooldown_time if own is None else own

    def _set_alarm(self, member: Member, at: float) -> None:
        if at >= member.alarm:
            return
        member.alarm = at
        self._alarms_set += 1
        heappush(self._alarms, (at, self._alarms_set, member))
        if at < self.next_look:
            self.next_look = at
        if self.queue.waiting:  # who waits must not sleep past this
            self.queue.stir()


def _tier(deployment: Deployment) -> tuple[bool, int]:
    return deployment.weight == 0, deployment.order


def usable_by_force(members: Iterable[Member], now: float) -> list[Member]:
    """Those that only their breaker keeps out, if anything does: never a rate limit, never a full one."""
    return [m for m in members if now >= m.allowance.blocked_until and m.in_flight < m.cap]


def refuse_twins(groups: Mapping[str, tuple[Sequence[Deployment], Strategy]]) -> None:
    """Raise `ConfigurationError` if an id occurs twice."""
    seen: dict[str, str] = {}
    for name, (deployments, _) in groups.items():
        for deployment in deployments:
            if deployment.id in seen:
                raise ConfigurationError(
                    f"deployment id {deployment.id!r} occurs twice (in {seen[deployment.id]!r} and {name!r}); "
                    "give each its own model_info.id"
                )
            seen[deployment.id] = name
