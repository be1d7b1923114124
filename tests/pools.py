"""Parts for tests of the pool and of strategies: deployments, candidates and pools made in a line."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from providers.types import Call, Deployment
from router.pool import HealthSettings, Lease, Pool, Shortage
from router.pool.breaker import Breaker
from router.pool.measure import Measure, Pace
from router.pool.member import Member
from router.pool.ready import Ready
from router.pool.tally import Tally
from strategies.base import Candidate, Strategy
from strategies.catalog import build

CALL = Call("g")


def deployment(name: str = "a", **fields: object) -> Deployment:
    """A deployment of group `g`."""
    return replace(Deployment(id=name, group="g", provider="openai", model="m"), **fields)  # type: ignore[arg-type]


def deployments(count: int, **fields: object) -> list[Deployment]:
    """`d0`, `d1`, … of group `g`."""
    return [deployment(f"d{index}", **fields) for index in range(count)]


def pool_of(
    members: Sequence[Deployment],
    *,
    clock: Callable[[], float],
    strategy: str | Strategy = "least-busy",
    settings: HealthSettings | None = None,
    seed: int = 1,
) -> Pool:
    """A pool with one group `g`."""
    rng = random.Random(seed)
    pool = Pool(settings or HealthSettings(), clock=clock, rng=rng)
    pool.update({"g": (members, build(strategy, None, rng))})
    return pool


def leased(got: Lease | Shortage) -> Lease:
    """The lease that is expected."""
    assert isinstance(got, Lease), got
    return got


def refused(got: Lease | Shortage) -> Shortage:
    """The shortage that is expected."""
    assert isinstance(got, Shortage), got
    return got


def ready_set(weights: Sequence[float], *, weighted: bool = True) -> tuple[Ready, list[Member]]:
    """A ready set of members `0`, `1`, … with these weights."""
    ready = Ready()
    members = [member(str(index), weight, weighted=weighted) for index, weight in enumerate(weights)]
    for each in members:
        ready.join(each)
    return ready, members


def member(name: str, weight: float = 1.0, *, weighted: bool = True) -> Member:
    """A member that is in no group."""
    made = Member(deployment(name, weight=weight), Breaker(2, Tally(0.0)), Measure(Pace()))
    made.weighted = weighted
    return made


def shares(strategy: Strategy, candidates: Sequence[Candidate], picks: int, *, now: float = 0.0) -> Counter[str]:
    """How often each is picked, in `picks` picks that nobody leases."""
    return Counter(strategy.pick(CALL, candidates, now).id for _ in range(picks))
