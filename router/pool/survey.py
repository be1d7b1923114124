"""How the deployments of a group stood when one was picked, or how they stand: who may be, and what is against others.

Everything here runs under the pool's lock, in the step of the pick, so that what is told is what was decided by.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from providers.decisions import MOST_CONSIDERED, Considered
from providers.types import Deployment
from router.pool.breaker import State
from router.pool.choice import Wish, due_probe, narrowed_to, obstacle, shortage_of, split, tiers_of
from router.pool.group import Group, usable_by_force
from router.pool.lease import Shortage
from router.pool.member import Member
from router.pool.settings import HealthSettings

_SAID = {"quota": "its rate limit is reached", "room": "no room within its limits", "tried": "tried already"}
_IS_OPEN = State.OPEN
_OPEN, _HALF_OPEN = "its breaker is open: ", "its breaker is half-open: "
_NOBODY: Mapping[Member, float] = {}


class Outlook:
    """How the members of a group stand to one choice. What is left out here is left out by what the pool knows."""

    __slots__ = ("avoid", "forced", "lead", "now", "ordered", "refused")

    def __init__(
        self, avoid: Collection[str], refused: Mapping[Member, float], now: float, *, ordered: bool, forced: bool
    ) -> None:
        self.avoid = avoid
        self.refused = refused
        self.now = now
        self.ordered = ordered
        self.forced = forced
        """Whether breakers are no obstacle."""
        self.lead: Member | None = None
        """One of those that the choice is made among."""

    def serves(self, member: Member) -> bool:
        """Whether nothing keeps it out, but perhaps that others come first."""
        if member.id in self.avoid or member in self.refused:
            return False
        return bool(usable_by_force((member,), self.now)) if self.forced else member.ready is not None

    def candidates(self, group: Group, narrowed: list[Member] | None, most: int | None = None) -> list[Member]:
        """Those that the choice is made among, the first `most`; in order of preference if it is ordered."""
        if narrowed is None and not self.forced:
            tiers: Iterable[Sequence[Member]] = group.tiers
            if not self.avoid and not self.refused:
                found = next((list(tier[:most]) for tier in tiers if tier), [])
                self.lead = found[0] if found else None
                return found
        else:
            serving = [member for member in _everyone(group, narrowed) if self.serves(member)]
            tiers = [serving] if self.ordered else split(serving, False)
        for tier in tiers:
            found = list(islice(filter(self.serves, tier), most))
            if found:
                self.lead = found[0]
                return found
        return []

    def consider(self, member: Member) -> Considered:
        """How it stands."""
        if self.serves(member):
            lead = self.lead
            if lead is not None and not self.ordered and member.tier != lead.tier:
                return Considered(member.id, _later(member, lead), None, "order")
            if member.ready is not None:
                return Considered(member.id, None, member.load(self.now))
            return self.excuse(member)
        return _out(member, self.now, self.avoid, self.refused)

    def excuse(self, member: Member) -> Considered:
        """One that may serve though its breaker is open."""
        _, wait = obstacle(member, (), _NOBODY, self.now, True)
        return Considered(member.id, _tested(member, wait), member.load(self.now), "breaker", wait)


class Survey:
    """What the pool saw when it looked for one deployment. Made for one choice, and filled by `Pool.lease`.

    `among` and the others are what the choice was narrowed to, as `Pool.lease` takes them; a lease among fewer, the
    preferred, is told of against all of them.
    """

    __slots__ = (
        "among", "avoid", "chosen", "considered", "forced", "ordered", "probe", "refused", "retry", "strategy", "total",
    )  # fmt: skip

    def __init__(
        self, among: Sequence[Deployment] | None, *, ordered: bool, avoid: Collection[str], retry: bool
    ) -> None:
        self.among = among
        self.ordered = ordered
        self.avoid = avoid
        self.retry = retry
        self.refused: dict[Member, float] = {}
        """Those without room, and the seconds after which each may have some."""
        self.chosen: str | None = None
        self.considered: tuple[Considered, ...] = ()
        self.strategy: str | None = None
        """Class of the group's strategy; None if there is no such group."""
        self.total = 0
        """Deployments that there were to choose from, whether they could serve or not."""
        self.probe = False
        self.forced = False

    def saw(
        self, group: Group, refused: Mapping[Member, float], found: tuple[Member, bool] | Shortage, now: float
    ) -> None:
        """Take down how all stand: before the one that was `found`, and may be a probe, is leased."""
        self.strategy = type(group.strategy).__name__
        if refused:
            self.refused |= refused
        if isinstance(found, Shortage):
            narrowed = narrowed_to(group, self.among)
            everyone = _everyone(group, narrowed)
            self._list(Outlook(self.avoid, self.refused, now, ordered=self.ordered, forced=False), [], (), everyone)
            return
        picked, self.probe = found
        self.chosen = picked.id
        if self.among is None and picked.ready is not None and not self.avoid and not self.refused:
            self._list_all(group, picked, picked.ready, now)
            return
        self.forced = picked.ready is None and (self.retry or not self.probe)
        outlook = Outlook(self.avoid, self.refused, now, ordered=self.ordered, forced=self.forced)
        narrowed = narrowed_to(group, self.among)
        others = [each for each in outlook.candidates(group, narrowed, MOST_CONSIDERED) if each is not picked]
        first = outlook.consider(picked) if picked.ready is not None else outlook.excuse(picked)
        listed = [first, *map(outlook.consider, others)]
        self._list(outlook, listed, (picked, *others), _everyone(group, narrowed))

    def _list(
        self, outlook: Outlook, listed: list[Considered], known: Collection[Member], everyone: Collection[Member]
    ) -> None:
        """`listed`, who are `known`, and of `everyone` the rest."""
        self.total = len(everyone)
        room = MOST_CONSIDERED - len(listed)
        if room > 0:
            rest = islice((each for each in everyone if each not in known), room)
            listed += [outlook.consider(each) for each in rest]
        self.considered = tuple(listed[:MOST_CONSIDERED])

    def _list_all(self, group: Group, picked: Member, tier: Sequence[Member], now: float) -> None:
        """The same where the choice was free and nothing was tried, which is most often, and has to be fast."""
        self.total = total = len(group.members)
        some = tier if len(tier) <= MOST_CONSIDERED else tier[:MOST_CONSIDERED]
        listed = [Considered(picked.id, None, picked.load(now))]
        listed += [Considered(each.id, None, each.load(now)) for each in some if each is not picked]
        most = MOST_CONSIDERED if total > MOST_CONSIDERED else total
        if len(listed) < most:
            for each in group.members.values():
                if len(listed) == most:
                    break
                if each.ready is tier:
                    continue
                breaker = each.breaker
                if each.ready is not None:
                    left_out = Considered(each.id, _later(each, picked), None, "order")
                elif breaker.state is _IS_OPEN and now >= each.allowance.blocked_until and each.in_flight < each.cap:
                    left_out = Considered(each.id, _OPEN + breaker.reason, None, "breaker", breaker.until - now)
                else:
                    left_out = _out(each, now)
                listed.append(left_out)
        self.considered = tuple(listed if len(listed) == most else listed[:most])


@dataclass(frozen=True, slots=True)
class Prospect:
    """What would become of a call that asked the pool now."""

    strategy: str | None = None
    """Class of the group's strategy; None if there is no such group."""
    considered: Mapping[str, Considered] = field(default_factory=dict)
    """How each of those stands that the choice is narrowed to, by id."""
    candidates: tuple[str, ...] = ()
    """Ids of those that one would be picked from."""
    probe: bool = False
    """Whether the one would be tested, its breaker being open."""
    forced: bool = False
    """Whether breakers would be no obstacle, as nobody else is left."""
    lead: Deployment | None = None
    """One of the candidates, whose tier is that of all."""
    shortage: Shortage | None = None
    """Why nobody would be picked."""


def foresee(group: Group, wish: Wish, now: float, settings: HealthSettings) -> Prospect:
    """What `choose` would choose from now. `wish.reserve` is asked of everybody, and may keep nothing claimed."""
    narrowed = narrowed_to(group, wish.among)
    everyone = _everyone(group, narrowed)
    sets = tiers_of(group, wish, narrowed)
    horizon = sets[0][0] if sets else None
    probe = due_probe(group, wish, narrowed, horizon, now)
    forced = probe is None and horizon is None and wish.force and settings.on_all_down == "try"
    for member in usable_by_force(everyone, now):
        if forced or member.ready is not None:
            wish.room(member, now)
    outlook = Outlook(wish.avoid, wish.refused, now, ordered=wish.ordered, forced=forced)
    found = outlook.candidates(group, narrowed)
    considered = {each.id: outlook.excuse(each) if each is probe else outlook.consider(each) for each in everyone}
    picked = [probe] if probe is not None else found[:1] if wish.ordered else found
    return Prospect(
        type(group.strategy).__name__,
        considered,
        tuple(each.id for each in picked),
        probe is not None,
        forced and bool(picked),
        picked[0].deployment if picked else None,
        None if picked else shortage_of(group, wish, everyone, now, settings),
    )


def _everyone(group: Group, narrowed: list[Member] | None) -> Collection[Member]:
    return group.members.values() if narrowed is None else narrowed


def _later(member: Member, lead: Member) -> str:
    """Why one waits until no other of a lower tier is left."""
    if member.standby and not lead.standby:
        return "its weight is 0, and one that has a weight can serve"
    return f"its order is {member.deployment.order}, and one of order {lead.deployment.order} can serve"


def _out(
    member: Member, now: float, avoid: Collection[str] = (), refused: Mapping[Member, float] = _NOBODY
) -> Considered:
    """One that can't serve."""
    cause, wait = obstacle(member, avoid, refused, now, True)
    if cause == "breaker":
        reason = _tested(member, wait)
    elif cause == "capacity":
        reason = f"{member.in_flight} of {member.cap} parallel requests are in flight"
    else:
        reason = _SAID[cause]
    return Considered(member.id, reason, None, cause, wait)


def _tested(member: Member, wait: float | None) -> str:
    """Its breaker, which closes no sooner than in `wait` seconds; None: it is being tested."""
    return (_HALF_OPEN if wait is None else _OPEN) + member.breaker.reason
