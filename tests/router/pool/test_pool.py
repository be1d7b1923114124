"""Leases: picked and taken in one step, ended exactly once; narrowing, tiers, capacity, membership."""

import gc
import random
import threading
from collections.abc import Callable, Sequence

import pytest
from fakes import Clock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pools import CALL, deployment, deployments, leased, pool_of, refused

from providers.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    InternalServerError,
    RateLimitError,
    RouterError,
)
from providers.types import Call, Deployment
from router.pool import Lease, Pool, Shortage
from strategies import Candidate, Strategy
from strategies.catalog import STRATEGIES, build

DOWN = InternalServerError("down")


def in_flight(pool: Pool) -> dict[str, int]:
    return {each.id: each.in_flight for each in pool.health()}


def strategy_of(pool: Pool) -> Strategy:
    return pool._groups["g"].strategy


class Fixed:
    """Picks what it is told to, and remembers what it was shown."""

    def __init__(self, answer: Callable[[Sequence[Candidate]], object] = lambda options: options[0]) -> None:
        self.answer = answer
        self.shown: list[list[str]] = []

    def pick(self, call: Call, candidates: Sequence[Candidate], now: float) -> Candidate:
        self.shown.append([each.id for each in candidates])
        return self.answer(candidates)  # type: ignore[return-value]


# ends


ENDS: list[Callable[[Lease], None]] = [
    Lease.succeed,
    Lease.cancel,
    lambda lease: lease.fail(DOWN),
    lambda lease: lease.fail(BadRequestError("x")),
    lambda lease: lease.fail(RateLimitError("x", retry_after=0)),
]


@pytest.mark.parametrize("first", ENDS)
@pytest.mark.parametrize("second", ENDS)
def test_a_lease_ends_exactly_once(
    first: Callable[[Lease], None], second: Callable[[Lease], None], clock: Clock
) -> None:
    pool = pool_of(deployments(1), clock=clock)
    lease, other = leased(pool.lease("g", CALL)), leased(pool.lease("g", CALL))
    assert in_flight(pool) == {"d0": 2}
    first(lease)
    after = pool.health()
    assert in_flight(pool) == {"d0": 1}
    second(lease)
    lease.first_output()
    del lease
    gc.collect()
    assert pool.health() == after
    other.cancel()
    assert in_flight(pool) == {"d0": 0}


def test_what_a_call_took_is_remembered(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock)
    lease = leased(pool.lease("g", CALL))
    assert lease.started == clock.now
    clock.advance(3)
    lease.first_output()
    lease.succeed(input_tokens=10, output_tokens=20)
    (health,) = pool.health()
    assert (health.latency, health.calls, health.failures, health.state) == (3, 1, 0, "closed")


def test_a_dropped_lease_is_released(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock)
    lease = leased(pool.lease("g", CALL))
    cycle: list[object] = [lease]
    cycle.append(cycle)
    del lease, cycle
    gc.collect()
    assert in_flight(pool) == {"d0": 0}


def test_a_lease_dropped_while_the_lock_is_held_waits_for_its_holder(clock: Clock) -> None:
    """The collector runs when it likes: also inside a strategy, under the pool's lock."""
    pool = pool_of(deployments(2), clock=clock)
    held = [leased(pool.lease("g", CALL))]

    def drop(options: Sequence[Candidate]) -> Candidate:
        held.clear()
        assert sum(each.in_flight for each in options) == 1, "not yet: the set must not change under a strategy"
        return options[0]

    pool.update({"g": (deployments(2), Fixed(drop))})
    fresh = leased(pool.lease("g", CALL))
    assert sum(in_flight(pool).values()) == 1
    fresh.cancel()


@pytest.mark.parametrize("end", [*ENDS[:3], lambda lease: lease._ledger.health()])
def test_every_holder_of_the_lock_releases_what_was_dropped_meanwhile(
    end: Callable[[Lease], None], clock: Clock
) -> None:
    pool = pool_of(deployments(1), clock=clock)
    dropped, lease = leased(pool.lease("g", CALL)), leased(pool.lease("g", CALL))
    with pool._lock:
        del dropped
    assert len(pool._dropped) == 1
    end(lease)
    assert len(pool._dropped) == 0
    lease.cancel()
    assert in_flight(pool) == {"d0": 0}


def test_a_lease_that_ended_after_it_was_dropped_counts_once(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock)
    lease = leased(pool.lease("g", CALL))
    with pool._lock:
        pool.drop(lease)
    lease.succeed()
    assert in_flight(pool) == {"d0": 0}
    assert pool.health()[0].latency is not None


def test_threads_leave_nothing_behind() -> None:
    pool = Pool(rng=random.Random(1))
    members = [*deployments(3, max_parallel_requests=2), *deployments(6)[3:]]
    rng = random.Random(1)
    pool.update({"g": (members, build("adaptive", None, rng))})
    start = threading.Barrier(4)
    errors: list[BaseException] = []

    def hammer(seed: int) -> None:
        rng, held = random.Random(seed), list[Lease]()
        start.wait()
        try:
            for _ in range(1_500):
                got = pool.lease("g", CALL, among=rng.choice([None, members[:2]]))
                if isinstance(got, Lease):
                    held.append(got)
                if held and rng.random() < 0.6:
                    rng.choice(ENDS)(held.pop(rng.randrange(len(held))))
                if held and rng.random() < 0.2:
                    held.pop()
            for lease in held:
                lease.succeed()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert errors == []
    assert set(in_flight(pool).values()) == {0}


def test_a_lease_says_what_it_is(clock: Clock) -> None:
    pool = pool_of([deployment("d0", max_parallel_requests=2)], clock=clock)
    lease = leased(pool.lease("g", CALL))
    assert repr(lease) == "<Lease of d0>"
    lease.cancel()
    assert repr(lease) == "<Lease of d0, ended>"
    for _ in range(2):
        leased(pool.lease("g", CALL)).fail(DOWN)
    clock.advance(60)
    assert repr(leased(pool.lease("g", CALL))) == "<Lease of d0 (probe)>"


# the choice


def test_pick_and_lease_are_one_step(clock: Clock) -> None:
    """The next pick sees this one in flight, before any request was sent."""
    pool = pool_of(deployments(2), clock=clock)
    first, second = leased(pool.lease("g", CALL)), leased(pool.lease("g", CALL))
    assert first.deployment is not second.deployment


def test_an_unknown_group_is_empty(clock: Clock) -> None:
    pool = pool_of([], clock=clock)
    assert refused(pool.lease("nobody", CALL)).kind == "empty"
    assert refused(pool.lease("g", CALL)) == Shortage("empty", None, (), 1)
    assert refused(pool.lease("g", CALL, among=[deployment("stranger")])).kind == "empty"


@pytest.mark.parametrize("answer", [None, object(), "d0"])
@pytest.mark.parametrize("narrowed", [False, True])
def test_a_strategy_must_return_a_candidate(answer: object, narrowed: bool, clock: Clock) -> None:
    members = deployments(3)
    pool = pool_of(members, clock=clock, strategy=Fixed(lambda options: answer))
    with pytest.raises(RouterError, match=r"strategy Fixed returned .* none of the [23] candidates"):
        pool.lease("g", CALL, among=members[:2] if narrowed else None)
    assert set(in_flight(pool).values()) == {0}


def test_a_strategy_may_not_return_one_that_is_out(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    out = pool._members["d0"]
    pool.impose("d0", "breaker", 10)
    pool._groups["g"].strategy = Fixed(lambda options: out)
    with pytest.raises(RouterError, match="none of the 1 candidates"):
        pool.lease("g", CALL)


def test_a_strategy_that_raises_leaves_the_pool_intact(clock: Clock) -> None:
    def burst(options: Sequence[Candidate]) -> object:
        raise ZeroDivisionError

    pool = pool_of(deployments(2), clock=clock, strategy=Fixed(burst))
    with pytest.raises(ZeroDivisionError):
        pool.lease("g", CALL)
    assert set(in_flight(pool).values()) == {0}


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_was_tried_is_not_leased_again(name: str, clock: Clock) -> None:
    pool = pool_of(deployments(4), clock=clock, strategy=name)
    tried: set[str] = set()
    for _ in range(4):
        lease = leased(pool.lease("g", CALL, avoid=tried, retry=bool(tried)))
        tried.add(lease.deployment.id)
        lease.fail(BadRequestError("x"))
    assert len(tried) == 4
    shortage = refused(pool.lease("g", CALL, avoid=tried))
    assert shortage.only_tried
    assert shortage.reasons == tuple((f"d{index}", "tried already") for index in range(4))
    assert leased(pool.lease("g", CALL, avoid=()))


def test_what_was_tried_and_is_out_may_be_forced_later(clock: Clock) -> None:
    """The group's only one failed twice in one call: the caller waits, and then it is tried all the same."""
    pool = pool_of(deployments(1), clock=clock)
    for _ in range(2):
        leased(pool.lease("g", CALL)).fail(DOWN)
    assert refused(pool.lease("g", CALL, avoid={"d0"}, retry=True)).only_tried
    assert leased(pool.lease("g", CALL, retry=True)).deployment.id == "d0"


def test_a_narrowed_choice_is_kept(clock: Clock) -> None:
    members = deployments(6)
    strategy = Fixed()
    pool = pool_of(members, clock=clock, strategy=strategy)
    assert leased(pool.lease("g", CALL, among=[members[4], members[1], members[4]])).deployment is members[4]
    assert strategy.shown == [["d4", "d1"]]
    assert leased(pool.lease("g", CALL, among=[members[5]])).deployment is members[5]
    assert len(strategy.shown) == 1, "there was nothing to choose"


def test_an_ordered_choice_takes_the_first_that_can(clock: Clock) -> None:
    members = [deployment("d0", order=2), deployment("d1", max_parallel_requests=1), deployment("d2")]
    strategy = Fixed()
    pool = pool_of(members, clock=clock, strategy=strategy)
    order = [members[1], members[0], members[2]]
    first = leased(pool.lease("g", CALL, among=order, ordered=True))
    assert first.deployment.id == "d1"
    second = leased(pool.lease("g", CALL, among=order, ordered=True))
    assert second.deployment.id == "d0", "a preference outranks a tier"
    assert leased(pool.lease("g", CALL, among=order, ordered=True, avoid={"d0"})).deployment.id == "d2"
    assert strategy.shown == []


def test_an_ordered_choice_forces_the_first_if_all_are_down(clock: Clock) -> None:
    members = deployments(3)
    pool = pool_of(members, clock=clock)
    for each in members:
        pool.impose(each.id, "breaker", 30)
    got = leased(pool.lease("g", CALL, among=[members[2], members[0]], ordered=True))
    assert got.deployment is members[2]


def test_without_force_an_open_breaker_is_respected(clock: Clock) -> None:
    members = deployments(2)
    pool = pool_of(members, clock=clock)
    for each in members:
        pool.impose(each.id, "breaker", 30)
    home = [members[1]]
    shortage = refused(pool.lease("g", CALL, among=home, force=False))
    assert (shortage.kind, shortage.wait) == ("breaker", 30)
    assert leased(pool.lease("g", CALL, among=home)).deployment is members[1], "by default it is tried all the same"
    clock.advance(31)
    probe = leased(pool.lease("g", CALL, among=home, force=False))
    assert probe.probe, "once its time has come"
    assert leased(pool.lease("g", CALL, force=False)).deployment is members[0]


# preferences


def test_who_is_preferred_may_be_somewhat_busier_than_others(clock: Clock) -> None:
    members = deployments(3)
    pool = pool_of(members, clock=clock)
    favourite = [members[2]]
    held: list[Lease] = []

    def busy(among: Sequence[Deployment], count: int) -> None:
        held.extend(leased(pool.lease("g", CALL, among=among)) for _ in range(count))

    for _ in range(4):
        assert pool.spare("g", favourite) == favourite
        busy(favourite, 1)
    assert pool.spare("g", favourite) == [], "four more than the idlest"
    assert pool.spare("g", [*members[1:], *favourite]) == [members[1]]
    busy(members[:1], 3)
    assert pool.spare("g", favourite) == []
    busy(members[1:2], 1)
    assert pool.spare("g", favourite) == favourite, "and twice what that has"


def test_who_is_preferred_must_be_usable_and_of_the_first_tier(clock: Clock) -> None:
    members = [deployment("a", order=1), deployment("b", order=2), deployment("c", order=1, max_parallel_requests=1)]
    pool = pool_of(members, clock=clock)
    assert pool.spare("g", members) == [members[0], members[2]]
    full = leased(pool.lease("g", CALL, among=[members[2]]))
    assert pool.spare("g", members) == [members[0]]
    assert full.open
    pool.impose("a", "quota", 5)
    assert pool.spare("g", members) == [members[1]]
    pool.impose("b", "breaker", 5)
    assert pool.spare("g", members) == []
    assert pool.spare("other", members) == []
    assert pool.spare("g", [deployment("stranger")]) == []


# tiers and standby


def test_a_tier_is_used_only_when_none_of_a_better_one_is_left(clock: Clock) -> None:
    members = [deployment("a", order=1, max_parallel_requests=1), deployment("b", order=2), deployment("c", order=3)]
    pool = pool_of(members, clock=clock)
    leases = [leased(pool.lease("g", CALL)) for _ in range(2)]
    assert [lease.deployment.id for lease in leases] == ["a", "b"]
    leases[0].cancel()
    assert leased(pool.lease("g", CALL)).deployment.id == "a"
    assert leased(pool.lease("g", CALL, avoid={"a"})).deployment.id == "b"
    assert leased(pool.lease("g", CALL, avoid={"a", "b"})).deployment.id == "c"
    assert leased(pool.lease("g", CALL, among=members[1:])).deployment.id == "b"


@pytest.mark.parametrize("name", STRATEGIES)
def test_weight_zero_serves_only_when_alone(name: str, clock: Clock) -> None:
    members = [deployment("a", weight=0), deployment("b", weight=1), deployment("c"), deployment("d", weight=0)]
    pool = pool_of(members, clock=clock, strategy=name)
    held = [leased(pool.lease("g", CALL)) for _ in range(40)]
    assert {lease.deployment.id for lease in held} == {"b", "c"}
    for name in ("b", "c"):
        pool.impose(name, "quota", 60)
    assert {leased(pool.lease("g", CALL)).deployment.id for _ in range(40)} == {"a", "d"}
    assert {each.weight for each in pool.health()} == {0.0, 1.0}


# capacity


def test_one_that_is_full_is_left_alone_until_a_place_is_free(clock: Clock) -> None:
    pool = pool_of(deployments(2, max_parallel_requests=2), clock=clock)
    held = [leased(pool.lease("g", CALL)) for _ in range(4)]
    shortage = refused(pool.lease("g", CALL))
    assert (shortage.kind, shortage.wait, shortage.only_tried) == ("capacity", None, False)
    assert shortage.reasons == tuple((f"d{i}", "2 of 2 parallel requests in flight") for i in range(2))
    held[2].succeed()
    assert leased(pool.lease("g", CALL)).deployment is held[2].deployment


def test_panic_does_not_overfill(clock: Clock) -> None:
    pool = pool_of(deployments(1, max_parallel_requests=1), clock=clock)
    for _ in range(2):
        leased(pool.lease("g", CALL)).fail(DOWN)
    held = leased(pool.lease("g", CALL))
    assert refused(pool.lease("g", CALL)).kind == "capacity"
    held.cancel()
    assert leased(pool.lease("g", CALL))


def test_a_shortage_explains_twenty_at_most(clock: Clock) -> None:
    pool = pool_of(deployments(50, max_parallel_requests=1), clock=clock)
    held = [leased(pool.lease("g", CALL)) for _ in range(50)]
    assert len(refused(pool.lease("g", CALL)).reasons) == 20
    assert len(held) == 50


# reservations


def test_without_room_there_another_is_taken(clock: Clock) -> None:
    pool = pool_of(deployments(3), clock=clock)
    asked: list[str] = []

    def reserve(each: Deployment, now: float) -> float:
        assert now == clock.now
        asked.append(each.id)
        return 0.0 if each.id == "d2" else 5.0

    assert leased(pool.lease("g", CALL, reserve=reserve)).deployment.id == "d2"
    assert asked[-1] == "d2"
    assert len(asked) == len(set(asked)), "nobody is asked twice for one lease"


@pytest.mark.parametrize("count", [1, 3, 4, 5, 6, 40])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_everybody_is_asked_before_room_is_given_up(count: int, strategy: str, clock: Clock) -> None:
    pool = pool_of(deployments(count), clock=clock, strategy=strategy)
    asked: list[str] = []

    def reserve(each: Deployment, now: float) -> float:
        asked.append(each.id)
        return float(each.id[1:]) + 1

    shortage = refused(pool.lease("g", CALL, reserve=reserve))
    assert sorted(asked) == sorted(f"d{index}" for index in range(count))
    assert (shortage.kind, shortage.wait) == ("quota", 1.0)
    assert shortage.reasons[0] == ("d0", "no room within its limits for 1.0 s more")
    assert set(in_flight(pool).values()) == {0}
    last = leased(pool.lease("g", CALL, reserve=lambda each, now: 0.0 if each.id == f"d{count - 1}" else 1.0))
    assert last.deployment.id == f"d{count - 1}"


def test_room_is_claimed_in_panic_too(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    for name in ("d0", "d1"):
        pool.impose(name, "breaker", 30)
    assert refused(pool.lease("g", CALL, reserve=lambda each, now: 3.0)).wait == 3.0
    assert leased(pool.lease("g", CALL, reserve=lambda each, now: 0.0))


# membership


def test_what_is_known_survives_a_swap(clock: Clock) -> None:
    pool = pool_of(deployments(3), clock=clock)
    held = leased(pool.lease("g", CALL, avoid={"d1", "d2"}))
    leased(pool.lease("g", CALL, avoid={"d0", "d2"})).fail(AuthenticationError("x"))
    leased(pool.lease("g", CALL, avoid={"d0", "d1"})).fail(RateLimitError("x", retry_after=9))
    before = pool.health()
    pool.update({"g": (deployments(3), strategy_of(pool))})
    assert pool.health() == before
    fresh = deployments(4)
    pool.update({"g": (fresh, strategy_of(pool))})
    assert pool.health()[:3] == before
    got = leased(pool.lease("g", CALL))
    assert got.deployment is fresh[3], "d0 is busy, d1 open, d2 blocked"
    held.succeed()
    got.succeed()
    clock.advance(9)
    assert {leased(pool.lease("g", CALL)).deployment.id for _ in range(40)} == {"d0", "d2", "d3"}


def test_a_changed_deployment_keeps_its_past_and_takes_its_new_settings(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock)
    held = [leased(pool.lease("g", CALL)) for _ in range(3)]
    pool.update({"g": ([deployment("d0", max_parallel_requests=3, weight=4)], strategy_of(pool))})
    assert refused(pool.lease("g", CALL)).kind == "capacity"
    held[0].cancel()
    assert leased(pool.lease("g", CALL)).deployment.weight == 4
    pool.update({"g": ([deployment("d0", max_parallel_requests=1)], strategy_of(pool))})
    held[1].cancel()
    assert refused(pool.lease("g", CALL)).kind == "capacity"
    held[2].cancel()
    assert leased(pool.lease("g", CALL))


@pytest.mark.parametrize("end", [*ENDS, Lease.first_output])
def test_leases_of_what_is_gone_end_into_the_void(end: Callable[[Lease], None], clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    leases = [leased(pool.lease("g", CALL)) for _ in range(2)]
    pool.update({"g": (deployments(1), strategy_of(pool))})
    for lease in leases:
        end(lease)
        lease.cancel()
    assert in_flight(pool) == {"d0": 0}
    pool.update({"g": (deployments(2), strategy_of(pool))})
    assert in_flight(pool) == {"d0": 0, "d1": 0}


def test_a_probe_of_what_is_gone_ends_as_well(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    pool.impose("d0", "breaker", 1)
    clock.advance(1)
    probe = leased(pool.lease("g", CALL))
    assert probe.probe
    pool.update({})
    probe.first_output()
    probe.cancel()
    assert pool.health() == []
    pool.impose("d0", "breaker", 1)


def test_a_deployment_may_move_to_another_group(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    held = [leased(pool.lease("g", CALL)) for _ in range(2)]
    strategy = strategy_of(pool)
    held[0].observe_headers({"x-ratelimit-limit-requests": "100"})
    for groups in ({"h": deployments(1), "g": deployments(2)[1:]}, {"g": deployments(2)}, {"h": deployments(2)}):
        pool.update({name: (members, strategy) for name, members in groups.items()})
        assert in_flight(pool) == {"d0": 1, "d1": 1}
        for name, members in groups.items():
            got = [leased(pool.lease(name, CALL)) for _ in members]
            assert {lease.deployment.id for lease in got} == {each.id for each in members}
            for lease in got:
                lease.succeed()
    for lease in held:
        lease.succeed()
    assert in_flight(pool) == {"d0": 0, "d1": 0}


def test_an_id_may_occur_once_only(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock)
    strategy = strategy_of(pool)
    with pytest.raises(ConfigurationError, match=r"deployment id 'd0' occurs twice \(in 'g' and 'h'\)"):
        pool.update({"g": (deployments(1), strategy), "h": (deployments(1), strategy)})
    assert len(pool.health()) == 1


# views


def test_health_and_repr(clock: Clock) -> None:
    pool = pool_of([deployment("a"), deployment("b", api_base="https://h", weight=2)], clock=clock)
    pool.impose("a", "breaker", 3)
    pool.impose("a", "quota", 2)
    held = leased(pool.lease("g", CALL))
    assert repr(pool).splitlines() == [
        "<Pool of 2 in 1 groups>",
        "  g/a: open, 0 in flight, open for 3.0 s, blocked for 2.0 s",
        "  g/b: closed, 1 in flight",
    ]
    assert held.deployment.id == "b"


def test_two_pools_share_nothing(clock: Clock) -> None:
    one, two = (pool_of(deployments(2), clock=clock) for _ in range(2))
    held = leased(one.lease("g", CALL))
    assert sum(in_flight(two).values()) == 0
    held.cancel()


# everything at once


class PoolMachine(RuleBasedStateMachine):
    """Leases, failures, time and membership in any order: counts and readiness stay what they must be."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.members = [
            deployment("a", max_parallel_requests=2),
            deployment("b", order=1, weight=3),
            deployment("c", weight=0),
            deployment("d", max_parallel_requests=1),
            deployment("e"),
        ]
        self.pool = pool_of(self.members, clock=self.clock, strategy="adaptive")
        self.strategy = strategy_of(self.pool)
        self.held: list[Lease] = []

    @rule(avoid=st.sets(st.sampled_from("abcde")), retry=st.booleans(), narrow=st.booleans(), ordered=st.booleans())
    def lease(self, avoid: set[str], retry: bool, narrow: bool, ordered: bool) -> None:
        among = self.members[::2] if narrow else None
        got = self.pool.lease("g", CALL, avoid=avoid, retry=retry, among=among, ordered=ordered)
        if isinstance(got, Lease):
            assert got.deployment.id not in avoid
            assert among is None or got.deployment in among
            assert not (got.probe and got.open and self.pool._members[got.deployment.id].ready)
            self.held.append(got)
        else:
            self._is_justified(got, avoid)

    def _is_justified(self, shortage: Shortage, avoid: set[str]) -> None:
        health = {each.id: each for each in self.pool.health()}
        usable = any(each.ready is not None for each in self.pool._members.values())
        for name, why in shortage.reasons:
            cap = self.pool._members[name].cap
            reasons = {
                "rate limit": health[name].blocked_for > 0,
                "tried": name in avoid,
                f"{cap} of {cap}": health[name].in_flight >= cap,
                "cooling": health[name].state == "open" and usable,
                "being tested": health[name].state == "half-open" and usable,
            }
            assert any(why.startswith(start) and holds for start, holds in reasons.items()), (name, why)

    @rule(data=st.data(), error=st.sampled_from([None, DOWN, AuthenticationError("x"), RateLimitError("x")]))
    def end(self, data: st.DataObject, error: APIError | None) -> None:
        if self.held:
            lease = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
            lease.fail(error) if error else lease.succeed()

    @rule()
    def drop(self) -> None:
        if self.held:
            self.held.pop()

    @rule(seconds=st.sampled_from([0.1, 1.0, 7.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(gone=st.sets(st.sampled_from("abcde"), max_size=2))
    def swap(self, gone: set[str]) -> None:
        kept = [each for each in self.members if each.id not in gone]
        self.held = [lease for lease in self.held if lease.deployment.id not in gone]
        self.pool.update({"g": (kept, self.strategy)})
        self.pool.update({"g": (self.members, self.strategy)})

    @invariant()
    def counts_are_the_live_leases(self) -> None:
        for name, count in in_flight(self.pool).items():
            assert count == sum(lease.deployment.id == name for lease in self.held)

    @invariant()
    def only_those_that_may_are_ready(self) -> None:
        group = self.pool._groups["g"]
        group.advance(self.clock.now)
        health = {each.id: each for each in self.pool.health()}
        for each in group.members.values():
            known = health[each.id]
            may = known.state in {"closed", "ramping"} and known.blocked_for == 0 and each.in_flight < each.cap
            assert (each.ready is not None) == may, known
            assert each.in_flight <= each.cap
            assert (each in group.tiers[each.tier]) == may


class TestPool(PoolMachine.TestCase):  # type: ignore[misc, valid-type]  # made by hypothesis
    settings = settings(max_examples=60, stateful_step_count=50)
