"""Whom to lease: probes first, then the strategy's choice in the first tier that has one, then panic."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from providers.errors import RouterError
from providers.types import Call, Deployment
from router.pool.breaker import State
from router.pool.group import Group, usable_by_force
from router.pool.lease import Cause, Shortage
from router.pool.member import Member
from router.pool.settings import HealthSettings
from strategies.base import Strategy

Reserve: TypeAlias = Callable[[Deployment, float], float]
"""Claims room on a deployment at a time; seconds to wait if there is none, else 0."""

_ASKED = 4
"""Proposals of a strategy that may be out of room before the rest is simply walked through."""
_EXPLAINED = 20
_PREFERRED, _HEADSTART = 2, 4
"""A preferred deployment may have so many times the calls in flight of the idlest, and so many more."""
_RANKED: tuple[Cause, ...] = ("tried", "capacity", "quota", "breaker")


@dataclass(slots=True)
class Wish:
    """What one call wants."""

    call: Call
    among: Sequence[Deployment] | None
    ordered: bool
    avoid: Collection[str]
    retry: bool
    reserve: Reserve | None
    force: bool = True
    """Whether a breaker is no obstacle when nothing else is left."""
    refused: dict[Member, float] = field(default_factory=dict)
    """Those without room, and the seconds after which each may have some."""

    def room(self, member: Member, now: float) -> bool:
        """Claim room on a member, if the caller has that counted."""
        if self.reserve is None:
            return True
        wait = self.reserve(member.deployment, now)
        if wait > 0:
            self.refused[member] = wait
        return wait <= 0


def ask(strategy: Strategy, call: Call, options: Sequence[Member], now: float) -> Member:
    """The strategy's choice, which must be one of `options`."""
    picked = strategy.pick(call, options, now)
    if isinstance(picked, Member) and picked in options:
        return picked
    raise RouterError(
        f"the strategy {type(strategy).__name__} returned {picked!r}, which is none of the {len(options)} candidates"
    )


def choose(group: Group, wish: Wish, now: float, settings: HealthSettings) -> tuple[Member, bool] | Shortage:
    """A member and whether it is a probe; or why there is none."""
    narrowed = narrowed_to(group, wish.among)
    everyone: Iterable[Member] = group.members.values() if narrowed is None else narrowed
    sets = tiers_of(group, wish, narrowed)
    horizon = sets[0][0] if sets else None
    probe = due_probe(group, wish, narrowed, horizon, now)
    if probe is not None:
        return probe, True
    for options in sets:
        member = _from(group, wish, options, now)
        if member is not None:
            return member, False
    if horizon is None and wish.force and settings.on_all_down == "try":
        member = _panic(group, wish, everyone, now)
        if member is not None:
            return member, member.breaker.wants_probe(now)
    return shortage_of(group, wish, everyone, now, settings)


def spare(group: Group, preferred: Iterable[Deployment]) -> list[Deployment]:
    """Those of `preferred` that are ready in the first tier that has any, and have calls to spare.

    The bound is that of consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2018), with the
    idlest in place of the average: what everybody prefers would otherwise serve everybody.
    """
    first = next((ready for ready in group.tiers if ready), None)
    if first is None:
        return []
    most = _PREFERRED * first.idlest()[0].in_flight + _HEADSTART
    members = ((each, group.members.get(each.id)) for each in preferred)
    return [each for each, member in members if member and member.ready is first and member.in_flight < most]


def narrowed_to(group: Group, among: Sequence[Deployment] | None) -> list[Member] | None:
    """The members that a choice is narrowed to, in its order; None: all are."""
    if among is None:
        return None
    members = [group.members.get(deployment.id) for deployment in among]
    return list(dict.fromkeys(member for member in members if member is not None))


def tiers_of(group: Group, wish: Wish, narrowed: list[Member] | None) -> Sequence[Sequence[Member]]:
    """The ready ones, in the sets that are to be tried one after the other."""
    if narrowed is None:
        return [ready for ready in group.tiers if ready]
    return split([member for member in narrowed if member.ready is not None], wish.ordered)


def split(members: list[Member], ordered: bool) -> list[list[Member]]:
    """`members` in the sets that are to be tried one after the other."""
    if ordered:
        return [[member] for member in members]
    tiers: dict[int, list[Member]] = {}
    for member in members:
        tiers.setdefault(member.tier, []).append(member)
    return [tiers[tier] for tier in sorted(tiers)]


def due_probe(
    group: Group, wish: Wish, narrowed: list[Member] | None, horizon: Member | None, now: float
) -> Member | None:
    """One that is due for a probe and not inferior to `horizon`; none for a retry, which has been through enough."""
    if wish.retry or not group.due:
        return None
    for member in _due(group, wish, narrowed):
        if member.id not in wish.avoid and not _inferior(wish, narrowed, member, horizon) and wish.room(member, now):
            return member
    return None


def _due(group: Group, wish: Wish, narrowed: list[Member] | None) -> list[Member]:
    """Those due for a probe, in the order in which they would be used."""
    due = list(group.due) if narrowed is None else [member for member in narrowed if member in group.due]
    return due if wish.ordered and narrowed is not None else sorted(due, key=lambda member: member.tier)


def _inferior(wish: Wish, narrowed: list[Member] | None, member: Member, horizon: Member | None) -> bool:
    """Whether `horizon`, which is ready, is to be preferred to `member` by order."""
    if horizon is None:
        return False
    if wish.ordered and narrowed is not None:
        return narrowed.index(member) > narrowed.index(horizon)
    return member.tier > horizon.tier


def _from(group: Group, wish: Wish, options: Sequence[Member], now: float) -> Member | None:
    """The strategy's choice among those not tried yet that have room; None if there are none."""
    avoid = wish.avoid
    for _ in range(_ASKED + 1):
        if not options:
            return None
        member = options[0] if len(options) == 1 else ask(group.strategy, wish.call, options, now)
        if member.id not in avoid and wish.room(member, now):
            return member
        options = [m for m in options if m.id not in avoid and m not in wish.refused]
    for member in sorted(options, key=lambda m: m.load(now)):
        if wish.room(member, now):
            return member
    return None


def _panic(group: Group, wish: Wish, everyone: Iterable[Member], now: float) -> Member | None:
    """Every breaker is open: rather try one than fail."""
    for options in split(usable_by_force(everyone, now), wish.ordered):
        member = _from(group, wish, options, now)
        if member is not None:
            return member
    return None


def shortage_of(group: Group, wish: Wish, members: Iterable[Member], now: float, settings: HealthSettings) -> Shortage:
    """Why none of `members` can be had."""
    forced = wish.force and settings.on_all_down == "try"
    causes: set[Cause] = set()
    waits: list[float] = []
    reasons: list[tuple[str, str]] = []
    for member in members:
        cause, wait, why = _why(wish, member, now, forced)
        causes.add(cause)
        if wait is not None:
            waits.append(wait)
        if len(reasons) < _EXPLAINED:
            reasons.append((member.id, why))
    return Shortage(_first(causes), min(waits, default=None), tuple(reasons), group.queue.events)


def _first(causes: Collection[Cause]) -> Cause:
    for cause in _RANKED:
        if cause in causes:
            return cause
    return "empty"


def _why(wish: Wish, member: Member, now: float, forced: bool) -> tuple[Cause, float | None, str]:
    """What keeps one member from serving, and for how long."""
    cause, wait = obstacle(member, wish.avoid, wish.refused, now, forced)
    if cause == "room":
        return "quota", wait, f"no room within its limits for {wait:.1f} s more"
    if cause == "quota":
        return "quota", wait, f"rate limit reached, for {wait:.1f} s more"
    if cause == "capacity":
        return "capacity", None, f"{member.in_flight} of {member.cap} parallel requests in flight"
    if cause == "tried":
        return "tried", None, "tried already"
    if wait is None:
        return "breaker", None, f"being tested: {member.breaker.reason}"
    return "breaker", wait, f"cooling for {max(0.0, wait):.1f} s more: {member.breaker.reason}"


Obstacle: TypeAlias = Literal["quota", "room", "capacity", "tried", "breaker"]


def obstacle(
    member: Member, avoid: Collection[str], refused: Mapping[Member, float], now: float, forced: bool
) -> tuple[Obstacle, float | None]:
    """What keeps a member from serving, and for how many seconds, if a clock tells; asked of those that can't serve.

    With `forced`, a breaker alone would be no obstacle.
    """
    blocked, breaker = member.allowance.blocked_until - now, member.breaker
    if blocked > 0:
        return "quota", blocked
    if member in refused:
        return "room", refused[member]
    if member.in_flight >= member.cap:
        return "capacity", None
    if member.id in avoid and (forced or breaker.state is State.CLOSED):
        return "tried", None
    return "breaker", breaker.until - now if breaker.state is State.OPEN else None
