"""Shuffle, least busy, latency, adaptive: who is chosen, how often, and that ties are random."""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import count

import pytest
from fakes import Clock
from pools import CALL, deployments, leased, member, pool_of, ready_set, shares

from router.pool.member import Member
from router.pool.ready import Ready
from strategies import Adaptive, Candidate, Latency, LeastBusy, SimpleShuffle, Strategy, Weighted
from strategies.base import Candidates

PICKS = 8_000
SPREAD = 0.12
"""How far a random share may be off in that many picks: five standard deviations of a share of 1/6."""


def fill(ready: Ready, each: Member, calls: int) -> None:
    for _ in range(calls):
        each.in_flight += 1
        ready.rose(each)


def near(counts: Counter[str], expected: dict[str, float]) -> bool:
    total = sum(expected.values())
    return all(
        abs(counts[name] - PICKS * share / total) <= SPREAD * PICKS * share / total for name, share in expected.items()
    )


BLIND_AT_REST = [SimpleShuffle, LeastBusy, Latency, Adaptive]


@pytest.mark.parametrize("cls", BLIND_AT_REST)
@pytest.mark.parametrize("narrowed", [False, True])
def test_equals_are_chosen_equally_often(cls: type[Strategy], narrowed: bool) -> None:
    ready, members = ready_set([1.0] * 6, weighted=False)
    strategy = cls(rng=random.Random(7))  # type: ignore[call-arg]
    counts = shares(strategy, members if narrowed else ready, PICKS)
    assert near(counts, dict.fromkeys("012345", 1.0))


@pytest.mark.parametrize("cls", BLIND_AT_REST)
def test_no_random_source_is_needed(cls: type[Strategy]) -> None:
    assert cls().pick(CALL, [member("x")], 0.0).id == "x"


# shuffle


@pytest.mark.parametrize("narrowed", [False, True])
def test_shuffle_follows_the_weights(narrowed: bool) -> None:
    ready, members = ready_set([3.0, 2.0, 1.0])
    strategy = SimpleShuffle(rng=random.Random(7))
    assert near(shares(strategy, members if narrowed else ready, PICKS), {"0": 3, "1": 2, "2": 1})


def test_shuffle_follows_the_rate_limits_where_there_are_no_weights(clock: Clock) -> None:
    members = [*deployments(1, rpm=600), *deployments(2, rpm=200)[1:]]
    pool = pool_of(members, clock=clock, strategy="simple-shuffle")
    counts: Counter[str] = Counter()
    for _ in range(PICKS):
        lease = leased(pool.lease("g", CALL))
        counts[lease.deployment.id] += 1
        lease.cancel()
    assert near(counts, {"d0": 3, "d1": 1})


def test_shuffle_notices_who_leaves_and_who_changes() -> None:
    ready, members = ready_set([1.0, 2.0, 5.0])
    strategy = SimpleShuffle(rng=random.Random(7))
    shares(strategy, ready, 10)
    ready.leave(members[2])
    assert near(shares(strategy, ready, PICKS), {"0": 1, "1": 2})
    ready.reweigh(members[0], 4.0)
    assert near(shares(strategy, ready, PICKS), {"0": 4, "1": 2})


def test_shuffle_survives_the_end_of_the_range() -> None:
    class Last(random.Random):
        def random(self) -> float:
            return 1.0 - 2**-53

    _, members = ready_set([0.1, 0.2, 0.3])
    assert SimpleShuffle(rng=Last()).pick(CALL, members, 0.0) is members[2]


# least busy


@pytest.mark.parametrize(("members", "calls"), [(4, 40), (1_000, 3_000), (3, 3), (17, 170)])
def test_a_burst_is_spread_evenly(members: int, calls: int, clock: Clock) -> None:
    pool = pool_of(deployments(members), clock=clock)
    leases = [leased(pool.lease("g", CALL)) for _ in range(calls)]
    held = Counter(lease.deployment.id for lease in leases)
    assert set(held.values()) == {calls // members}
    assert len(held) == members
    for lease in leases:
        lease.cancel()


def test_the_first_in_the_list_is_nobodys_favourite(clock: Clock) -> None:
    firsts = Counter(
        leased(pool_of(deployments(4), clock=clock, seed=seed).lease("g", CALL)).deployment.id for seed in range(400)
    )
    assert all(70 <= firsts[f"d{index}"] <= 130 for index in range(4))


@pytest.mark.parametrize("narrowed", [False, True])
def test_least_busy_counts_relative_to_the_weight(narrowed: bool) -> None:
    ready, members = ready_set([8.0, 1.0, 1.0])
    strategy = LeastBusy(rng=random.Random(7))
    options: Sequence[Candidate] = members if narrowed else ready
    for _ in range(100):
        picked = strategy.pick(CALL, options, 0.0)
        fill(ready, members[int(picked.id)], 1)
    assert [each.in_flight for each in members] == [80, 10, 10]


def test_least_busy_samples_large_groups_of_unequals() -> None:
    ready, members = ready_set([2.0] * 20 + [1.0] * 20)
    strategy = LeastBusy(rng=random.Random(7))
    for _ in range(600):
        picked = strategy.pick(CALL, ready, 0.0)
        fill(ready, members[int(picked.id)], 1)
    heavy = sum(each.in_flight for each in members[:20])
    assert 360 <= heavy <= 440, "two thirds, give or take"


def test_a_large_group_is_not_searched() -> None:
    class Watched(Candidates[Member]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            raise AssertionError("a pass over everybody")

        def idlest(self) -> Sequence[Member]:
            return self[:3]

    crowd = Watched(member(str(index), weighted=False) for index in range(100))
    for crowd.uniform in (True, False):
        for cls in (LeastBusy, Latency, Adaptive):
            cls(rng=random.Random(7)).pick(CALL, crowd, 0.0)


def test_candidates_outside_a_pool_work_as_well() -> None:
    """For those who test a strategy of their own."""
    busy, idle = member("busy"), member("idle")
    busy.in_flight = 1
    candidates = Candidates([busy, idle, member("second")])
    assert [each.id for each in candidates.idlest()] == ["idle", "second"]
    assert candidates.changed(0) is None
    assert shares(Weighted(rng=random.Random(1)), candidates, 30) == {"busy": 10, "idle": 10, "second": 10}


# latency and adaptive


class Loaded:
    """A candidate with a load to order."""

    def __init__(self, name: str, load: float, *, in_flight: int = 0, weight: float = 1.0, weighted: bool = False):
        self.id = name
        self.weight = weight
        self.weighted = weighted
        self.quota = 1.0
        self.in_flight = in_flight
        self._load = load

    def load(self, now: float) -> float:
        return self._load


@pytest.mark.parametrize("cls", [Latency, Adaptive])
def test_the_least_load_wins(cls: type[Strategy]) -> None:
    options = [Loaded("a", 3.0), Loaded("b", 1.0), Loaded("c", 2.0)]
    assert cls(rng=random.Random(7)).pick(CALL, options, 0.0).id == "b"  # type: ignore[call-arg]


@pytest.mark.parametrize(("cls", "size"), [(Latency, 64), (Adaptive, 16)])
def test_the_least_load_of_all_wins_up_to_a_size(cls: type[Strategy], size: int) -> None:
    loads = count(100.0, -1.0)
    options = [Loaded(str(index), next(loads)) for index in range(size)]
    assert cls(rng=random.Random(7)).pick(CALL, options, 0.0) is options[-1]  # type: ignore[call-arg]


@pytest.mark.parametrize("cls", [Latency, Adaptive])
def test_above_it_the_worst_are_still_avoided(cls: type[Strategy]) -> None:
    options = [Loaded(str(index), float(index)) for index in range(1_000)]
    strategy = cls(rng=random.Random(7))  # type: ignore[call-arg]
    picked = [int(strategy.pick(CALL, options, 0.0).id) for _ in range(300)]
    assert sum(picked) / 300 < 250, "the best of a few random ones"


def test_an_idle_but_slow_one_has_competition() -> None:
    """The only one without a call in flight may be so because it is avoided."""
    ready, members = ready_set([1.0] * 100, weighted=False)
    for each in members[1:]:
        fill(ready, each, 1)
    members[0].cost = 50.0
    for each in members:
        each.fresh_until = 1e9
    strategy = Adaptive(rng=random.Random(7))
    assert all(strategy.pick(CALL, ready, 0.0) is not members[0] for _ in range(50))


def test_adaptive_keeps_the_weights_while_that_hurts_nobody(clock: Clock) -> None:
    weights = dict(zip(("d0", "d1", "d2"), (8.0, 1.0, 1.0), strict=True))
    members = [next(iter(deployments(3, weight=w)[i : i + 1])) for i, w in enumerate(weights.values())]
    pool = pool_of(members, clock=clock, strategy="adaptive")
    counts: Counter[str] = Counter()
    for _ in range(1_000):
        lease = leased(pool.lease("g", CALL))
        counts[lease.deployment.id] += 1
        clock.advance(0.1)
        lease.succeed(output_tokens=100)
    assert counts == {"d0": 800, "d1": 100, "d2": 100}


def test_adaptive_leaves_the_weights_for_the_sake_of_the_load() -> None:
    jammed = Loaded("a", 41.0, in_flight=40, weighted=True)
    idle = Loaded("b", 1.0, weighted=True)
    strategy = Adaptive(rng=random.Random(7))
    assert shares(strategy, [jammed, idle], 20) == {"b": 20}


def test_adaptive_stays_with_the_proposal_below_the_limit() -> None:
    busy = Loaded("a", 3.0, in_flight=2, weighted=True)
    idle = Loaded("b", 1.0, weighted=True)
    assert shares(Adaptive(rng=random.Random(7)), [busy, idle], 20) == {"a": 10, "b": 10}
