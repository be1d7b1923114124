"""The pool: what is known of each deployment now, and the one step that picks one and takes a place on it."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TypeAlias

from providers.errors import APIError
from providers.types import Call, Deployment
from router.pool import outcome
from router.pool.breaker import Breaker
from router.pool.budget import RetryBudget
from router.pool.choice import Reserve, Wish, ask, choose, spare
from router.pool.group import Group, refuse_twins
from router.pool.inspections import Inspections
from router.pool.lease import Lease, Shortage
from router.pool.measure import Measure, Pace
from router.pool.member import Member
from router.pool.outcome import News
from router.pool.quota import read
from router.pool.report import DeploymentHealth, examine
from router.pool.settings import HealthSettings
from router.pool.survey import Prospect, Survey, foresee
from router.pool.tally import Tally
from router.pool.waiters import Waiter, sleep
from strategies.base import Strategy

_log = logging.getLogger("router")

OnTrip: TypeAlias = Callable[[str, str, float], None]


class Pool(Inspections):
    """In-flight counts, health, speed and rate limits of every deployment; leases.

    Thread-safe: everything happens under one lock that is held for microseconds. Nothing here waits but `wait`.
    `clock` is monotonic, in seconds; `rng` draws the jitter.
    """

    def __init__(
        self,
        settings: HealthSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.settings = settings or HealthSettings()
        self.on_trip: OnTrip | None = None
        """Called with (deployment id, "breaker" or "quota", seconds) when a breaker opens here, or when a rate limit
        seen here blocks for a second or more. Outside the lock; what it raises is logged."""
        self._clock = clock
        self._rng = rng or random.Random()
        self._lock = Lock()
        self._groups: dict[str | None, Group] = {}
        self._members: dict[str, Member] = {}
        self._dropped: deque[Lease] = deque()
        self._news: deque[News] = deque()

    # Membership

    def update(self, groups: Mapping[str, tuple[Sequence[Deployment], Strategy]]) -> None:
        """Swap the groups whole. What is known of a deployment stays as long as its id does.

        Leases of deployments that are gone stay valid; they end without effect. Raises `ConfigurationError` if an id
        occurs twice.
        """
        refuse_twins(groups)
        now = self._clock()
        with self._locked():
            before, self._members = self._members, {}
            known, self._groups = self._groups, {}
            for group in known.values():
                group.disband()
            for name, (deployments, strategy) in groups.items():
                group = known.get(name) or Group(name, strategy, self.settings, self._rng, self._clock)
                self._groups[name] = group
                members = [self._member(before, deployment) for deployment in deployments]
                for member in members:
                    self._members[member.id] = member
                    self._reserve(member)
                group.enrol(members, strategy, now)
            for vanished in known.keys() - groups.keys():
                known[vanished].queue.stir_all()
            for member_id in before.keys() - self._members.keys():
                self._retire(before[member_id], now)

    def _member(self, before: Mapping[str, Member], deployment: Deployment) -> Member:
        member = before.get(deployment.id)
        if member is None:
            breaker = Breaker(self.settings.consecutive, Tally(0.0))
            return Member(deployment, breaker, Measure(Pace()))
        member.take(deployment)
        return member

    @staticmethod
    def _retire(member: Member, now: float) -> None:
        member.group = None
        member.breaker.move(Tally(now))
        member.measure.leave()

    # Leases

    def lease(
        self,
        group: str,
        call: Call,
        *,
        among: Sequence[Deployment] | None = None,
        ordered: bool = False,
        avoid: Collection[str] = (),
        retry: bool = False,
        reserve: Reserve | None = None,
        force: bool = True,
        survey: Survey | None = None,
    ) -> Lease | Shortage:
        """Pick a deployment of `group` and take a place on it, in one step.

        `among` narrows the choice; with `ordered` it is in order of preference and the first usable one is taken,
        else the strategy chooses. Ids in `avoid` were tried: they are not leased (see `Shortage.only_tried`). A
        `retry` is never used as a probe. `reserve(deployment, now)` claims room elsewhere: it returns 0, or the
        seconds to wait if there is none, and then another is picked; it runs under the lock and may not block.
        With `force` (and `on_all_down="try"`), one whose breaker is open is leased rather than none. A `survey` is told
        how all stood at the pick.

        Raises `RouterError` if the strategy returns what is not a candidate.
        """
        now = self._clock()
        with self._lock:
            home = self._groups.get(group)
            if home is None:
                return Shortage("empty")
            if now >= home.next_look:
                home.advance(now)
            taken: Lease | Shortage | None = None
            if among is None and reserve is None and not avoid and not home.due:
                for ready in home.tiers:
                    if ready:
                        picked = ask(home.strategy, call, ready, now)
                        if survey is not None:
                            survey.saw(home, {}, (picked, False), now)
                        taken = self._take(home, picked, False, now)
                        break
            if taken is None:
                wish = Wish(call, among, ordered, avoid, retry, reserve, force)
                chosen = choose(home, wish, now, self.settings)
                if survey is not None:
                    survey.saw(home, wish.refused, chosen, now)
                taken = chosen if isinstance(chosen, Shortage) else self._take(home, *chosen, now)
        if self._dropped:
            self._sweep()
        return taken

    def foresee(self, group: str, wish: Wish) -> Prospect:
        """What `lease` would choose from now. `wish.reserve` may keep nothing claimed."""
        now = self._clock()
        with self._locked():
            home = self._groups.get(group)
            if home is None:
                return Prospect()
            home.advance(now)
            return foresee(home, wish, now, self.settings)

    def spare(self, group: str, preferred: Sequence[Deployment]) -> list[Deployment]:
        """Those of `preferred` that may be preferred now: usable, in the first tier, not much busier than others."""
        with self._lock:
            home = self._groups.get(group)
            return [] if home is None else spare(home, preferred)

    def _take(self, group: Group, member: Member, probe: bool, now: float) -> Lease:
        member.in_flight += 1
        lease = Lease(self, member, now, probe)
        member.calls += 1
        group.tally.leased += 1
        if member.ready is not None:
            group.tiers[member.tier].rose(member)
        if probe:
            member.breaker.probe(now)
        if probe or member.in_flight >= member.cap:
            group.place(member, now)
        return lease

    def _end(self, lease: Lease, now: float) -> Group | None:
        """Give the place back; the group, unless the deployment is gone."""
        member = lease.member
        lease.open = False
        member.in_flight -= 1
        group = self._groups.get(member.group)
        if group is not None:
            if member.ready is not None:
                group.tiers[member.tier].fell(member)
                if group.queue.waiting:  # each place that comes free is somebody's, not only the first of a full one
                    group.queue.stir()
            elif member.in_flight == member.cap - 1:
                group.place(member, now)
        return group

    # Ends of leases (see `Lease`)

    def succeed(self, lease: Lease, input_tokens: int, output_tokens: int) -> None:
        """The call ended well."""
        now = self._clock()
        with self._lock:
            if not lease.open:
                return
            member = lease.member
            group = self._end(lease, now)
            if member.allowance.streak:
                member.allowance.served(lease.started)
            member.measure.served(now, now - lease.started, input_tokens, output_tokens, lease.company)
            if member.breaker.succeeded(lease.epoch):
                outcome.recovered(group, member, now)
        if self._dropped:
            self._sweep()

    def alive(self, lease: Lease, now: float | None) -> None:
        """The call gave its first sign of life."""
        if not lease.tests():
            return
        now = self._clock() if now is None else now
        with self._locked():
            if lease.open and lease.tests():
                outcome.recovered(self._groups.get(lease.member.group), lease.member, now)

    def fail(self, lease: Lease, error: APIError) -> None:
        """The call failed."""
        now = self._clock()
        with self._locked():
            if not lease.open:
                return
            group = self._end(lease, now)
            if group is not None:
                self._news.extend(outcome.failed(group, lease, error, now))

    def cancel(self, lease: Lease) -> None:
        """The call was given up."""
        now = self._clock()
        with self._lock:
            if lease.open:
                self._give_up(lease, now)
        if self._dropped:
            self._sweep()

    def learn(self, lease: Lease, headers: Mapping[str, str]) -> None:
        """Take in the headers of a reply."""
        readings = read(headers)
        if readings is None:
            return
        now = self._clock()
        with self._locked():
            self._take_in(lease.member, readings, now)

    def drop(self, lease: Lease) -> None:
        """The lease is garbage. May run anywhere, even while this thread holds the lock."""
        self._dropped.append(lease)
        self._sweep()

    def _give_up(self, lease: Lease, now: float) -> None:
        group = self._end(lease, now)
        if group is not None:
            outcome.undecided(group, lease, now)

    def impose(self, deployment_id: str, kind: str, seconds: float) -> None:
        """Take over what another Router found: an open `"breaker"` or a `"quota"`, for `seconds` from now.

        Never shortens what is known here. Ids that are not known are ignored.
        """
        now = self._clock()
        with self._locked():
            member = self._members.get(deployment_id)
            group = self._groups.get(member.group) if member is not None else None
            if member is None or group is None:
                return
            if kind == "quota":
                member.allowance.block(seconds, now)
                group.place(member, now)
                return
            if not self.settings.enabled or not member.breaker.impose(now, seconds, "reported by another Router"):
                return
            group.place(member, now)
        self._opened()

    # Waiting

    async def wait(
        self, group: str, timeout: float, *, since: Shortage | None = None, again: Waiter | None = None
    ) -> Waiter | None:
        """Until something in `group` may have become usable, or for `timeout` seconds. Who waits longest wakes first.

        Pass the `Shortage` as `since`, so that what happened after it is not missed. Returns a waiter to pass as
        `again` to the next wait of the same call, which then need not queue at the end again. A waiter that is
        cancelled passes its wake-up on; a call that gives up after one owes it to the next in line (`pass_on`).
        """
        loop = asyncio.get_running_loop()
        now = self._clock()
        with self._locked():
            home = self._groups.get(group)
            if home is None or (since is not None and since.seen != home.queue.events):
                return again
            if again is not None and again.woken:  # it found nothing for itself: the next in line may
                home.queue.wake_next(again.place)
            waiter = home.queue.enter(loop, None if again is None else again.place)
            seconds = min(timeout, home.next_alarm() - now)
        try:
            await sleep(waiter, seconds)
        except BaseException:
            with self._locked():
                if not home.queue.leave(waiter):
                    home.queue.stir()
            raise
        with self._locked():
            waiter.woken = not home.queue.leave(waiter)
        return waiter

    def pass_on(self, group: str, waiter: Waiter) -> None:
        """The call that waited with `waiter` will not lease after all: wake the next in line, if it was woken."""
        with self._locked():
            home = self._groups.get(group)
            if home is not None and waiter.woken:
                waiter.woken = False
                home.queue.stir()

    def wake_all(self) -> None:
        """Wake everybody who waits, in every group."""
        with self._locked():
            for home in self._groups.values():
                home.queue.stir_all()

    # Views

    def budget(self, group: str) -> RetryBudget:
        """The group's retry budget; a new one for a group that has just been removed."""
        home = self._groups.get(group)
        return RetryBudget(self._clock) if home is None else home.budget

    def health(self) -> list[DeploymentHealth]:
        """The state of every deployment."""
        now = self._clock()
        with self._locked():
            return [examine(member, now) for member in self._members.values()]

    def __repr__(self) -> str:
        lines = [f"<Pool of {len(self._members)} in {len(self._groups)} groups>"]
        for each in self.health():
            note = f", open for {each.open_for:.1f} s" if each.open_for else ""
            note += f", blocked for {each.blocked_for:.1f} s" if each.blocked_for else ""
            lines.append(f"  {each.group}/{each.id}: {each.state}, {each.in_flight} in flight{note}")
        return "\n".join(lines)

    # After the lock

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The lock, and what is to be done after it."""
        try:
            with self._lock:
                yield
        finally:
            if self._dropped:
                self._sweep()
            if self._news:
                self._tell()

    def _sweep(self) -> None:
        """Cancel what was dropped. Never blocks: if the lock is held, its holder sweeps on leaving."""
        while self._dropped and self._lock.acquire(blocking=False):
            try:
                now = self._clock()
                while self._dropped:
                    lease = self._dropped.popleft()
                    if lease.open:
                        self._give_up(lease, now)
            finally:
                self._lock.release()

    def _tell(self) -> None:
        with suppress(IndexError):  # another thread was faster
            while True:
                news = self._news.popleft()
                self._opened()
                if self.on_trip is not None:
                    try:
                        self.on_trip(*news)
                    except Exception:
                        _log.exception("on_trip failed for deployment %s", news[0])
