"""Whose turn it is to be checked, and when: spread out evenly, so that there is never a burst of checks."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf
from typing import Final

from providers.types import Deployment
from router.pool import HealthCheck, Pool

_JITTER: Final = (0.8, 1.2)
"""What the time between two turns varies by: several Routers that began together soon take turns."""
_CONFIRM: Final = 2.0
"""Seconds after which a failed check is repeated: one failure is no verdict."""


class Rota:
    """When which deployment is checked.

    Of `n` deployments one has its turn each `interval / n` seconds, give or take a fifth, the one whose last turn was
    the longest ago; so each has one within 1.2 intervals. Who served a call since needs no check, and whose breaker is
    open gets none. Beside their turns, those are checked whose breaker may be tested, at the moment when it may; and
    those of whom a check has just failed, so that two failures are not an interval apart.
    """

    def __init__(
        self,
        pool: Pool,
        wanted: Callable[[Deployment], bool],
        interval: float,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._pool = pool
        self._wanted = wanted
        self._interval = interval
        self._clock = clock
        self._rng = rng
        self._turns: dict[str, float] = {}
        """When each had its last turn; the longest ago first."""
        self._next: float | None = None
        """When the next turn is; None: nobody was there to have one."""
        self._suspects: dict[str, float] = {}
        """When to check them again."""

    def due(self, room: int) -> list[Deployment]:
        """Those to check now, at most so many. They are taken off the list."""
        now = self._clock()
        known = {each.id: each for each in self._pool.deployments() if self._wanted(each)}
        self._keep(known)
        found: dict[str, Deployment] = {}
        for at, deployment in self._pool.reserved():
            if at <= now and len(found) < room:
                found[deployment.id] = deployment
        for suspect, at in list(self._suspects.items()):
            if at <= now and len(found) < room:
                del self._suspects[suspect]
                if suspect in known and self._pool.suspected(suspect):  # and no call has decided it since
                    found[suspect] = known[suspect]
        if self._next is not None and now >= self._next and len(found) < room:
            turn = next(iter(self._turns))
            self._has_turn(turn, now)
            if turn not in found and self._pool.wants_check(turn, now - self._interval):
                found[turn] = known[turn]
        return list(found.values())

    def wait(self, *, full: bool) -> float:
        """Seconds until somebody may be due; `full`: only the end of a check makes room."""
        if full:
            return self._interval
        now = self._clock()
        times = [at for at, _ in self._pool.reserved()] + list(self._suspects.values())
        times.append(now + self._interval if self._next is None else self._next)
        return max(0.0, min(times) - now)

    def checked(self, found: HealthCheck) -> None:
        """A check has ended."""
        suspect = found.deployment_id
        if found.ok is False and self._pool.suspected(suspect):
            self._suspects[suspect] = self._clock() + min(self._interval, _CONFIRM) * self._rng.uniform(*_JITTER)
        else:
            self._suspects.pop(suspect, None)

    def _keep(self, known: dict[str, Deployment]) -> None:
        """Take the deployments that there are now for all there are; who is new comes first."""
        now = self._clock()
        if self._turns.keys() != known.keys():
            fresh = [each for each in known if each not in self._turns]
            kept = {each: at for each, at in self._turns.items() if each in known}
            self._turns = dict.fromkeys(fresh, -inf) | kept
            if known and self._next is not None:  # more of them have their turns closer together
                self._next = min(self._next, now + self._gap())
        if not known:
            self._next = None
        elif self._next is None:  # somewhere within the first gap: Routers that begin together are not to ask together
            self._next = now + self._rng.uniform(0.0, self._interval / len(known))

    def _has_turn(self, turn: str, now: float) -> None:
        """Put it last, and set the time of the next."""
        del self._turns[turn]
        self._turns[turn] = now
        self._next = now + self._gap()

    def _gap(self) -> float:
        """Seconds between two turns."""
        return self._interval / len(self._turns) * self._rng.uniform(*_JITTER)
