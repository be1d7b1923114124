"""What is learnt of speed: slowness, failures, γ; the tally of recent outcomes; the retry budget."""

import random

import pytest
from fakes import Clock
from hypothesis import given
from hypothesis import strategies as st
from pools import CALL, deployments, leased, pool_of

from providers.errors import InternalServerError
from router.pool import RetryBudget
from router.pool.measure import Measure, Pace
from router.pool.tally import Share, Tally


def test_work_is_what_makes_calls_comparable() -> None:
    pace = Pace()
    short, long = Measure(pace), Measure(pace)
    short.served(0.0, 1.0, 0, 50, 1)
    long.served(0.0, 10.5, 0, 1000, 1)
    assert short.time_per_work == pytest.approx(0.01)
    assert long.time_per_work == pytest.approx(0.01)
    prompt = Measure(pace)
    prompt.served(0.0, 2.0, 10_000, 50, 1)
    assert prompt.time_per_work == pytest.approx(0.01)
    assert short.cost(0.0) == pytest.approx(1.0)


def test_slower_is_believed_sooner_than_faster_a_plunge_soonest() -> None:
    def after(took: float) -> float:
        measure = Measure(Pace())
        measure.served(0.0, 1.0, 0, 50, 1)
        measure.served(0.0, took, 0, 50, 1)
        assert measure.time_per_work is not None
        return measure.time_per_work * 100

    assert after(2.0) == pytest.approx(1.35)
    assert after(0.8) == pytest.approx(0.97)
    assert after(0.2) == pytest.approx(0.6)


def test_the_slow_cost_more_until_that_is_forgotten() -> None:
    pace = Pace()
    fast, slow = Measure(pace), Measure(pace)
    fast.served(0.0, 1.0, 0, 50, 1)
    slow.served(0.0, 3.0, 0, 50, 1)
    assert fast.cost(0.0) == pytest.approx(0.25)
    assert slow.cost(0.0) == pytest.approx(2.25)
    assert slow.cost(30.0) == pytest.approx((1 + 0.5 / 2.718281828) ** 2)
    assert slow.cost(300.0) == pytest.approx(1.0, abs=1e-3)
    assert fast.cost(300.0) == pytest.approx(0.25), "good news does not fade"


def test_extremes_are_bounded() -> None:
    pace = Pace()
    pace.gamma = 6.0
    measures = [Measure(pace) for _ in range(100)]
    for index, measure in enumerate(measures):
        measure.served(0.0, 1e-9 if index else 1e9, 0, 0, 1)
    assert measures[0].cost(0.0) == pytest.approx(20.0**6)
    assert measures[1].cost(0.0) == pytest.approx(20.0**-6)


def test_failures_cost_and_fade() -> None:
    measure = Measure(Pace())
    measure.failed(0.0)
    assert measure.failing == pytest.approx(0.2)
    assert measure.cost(0.0) == pytest.approx(2.6)
    assert measure.cost(300.0) == pytest.approx(1.0, abs=1e-3)
    measure.served(0.0, 1.0, 0, 50, 1)
    assert measure.failing == pytest.approx(0.16)


@pytest.mark.parametrize(("growth", "low", "high"), [(0.0, 5.0, 6.0), (0.25, 1.8, 2.3), (1.0, 1.0, 1.0)])
def test_gamma_is_learnt_from_how_latency_grows_with_company(growth: float, low: float, high: float) -> None:
    rng, pace = random.Random(5), Pace()
    assert pace.gamma == 2.0
    measures = [Measure(pace) for _ in range(4)]
    for index in range(3_000):
        company = rng.randint(1, 32)
        speed = 1 + index % 4
        measures[index % 4].served(0.0, company**growth / speed * rng.lognormvariate(0, 0.2), 0, 100, company)
    assert low <= pace.gamma <= high


def test_one_call_at_a_time_teaches_nothing_about_company() -> None:
    pace = Pace()
    measure = Measure(pace)
    for took in (1.0, 2.0, 0.5, 3.0) * 50:
        measure.served(0.0, took, 0, 50, 1)
    assert pace.gamma == pytest.approx(2.0)


def test_latency_falling_with_company_is_as_elastic_as_it_gets() -> None:
    rng, pace = random.Random(5), Pace()
    measure = Measure(pace)
    for _ in range(1_000):
        company = rng.randint(1, 32)
        measure.served(0.0, company**-0.5, 0, 100, company)
    assert pace.gamma == 6.0


def test_a_pace_counts_its_members_only() -> None:
    one, two = Pace(), Pace()
    a, b, c = Measure(one), Measure(one), Measure(one)
    a.served(0.0, 1.0, 0, 50, 1)
    b.served(0.0, 3.0, 0, 50, 1)
    b.join(two)
    c.join(two)
    assert [one.known, one.total] == pytest.approx([1, 0.01])
    assert [two.known, two.total] == pytest.approx([1, 0.03])
    b.leave()
    assert two.known == 0
    assert b.cost(0.0) == 1.0, "alone it is average"


def test_errors_do_not_look_fast(clock: Clock) -> None:
    """A black hole answers at once: it must attract nothing."""
    pool = pool_of(deployments(2), clock=clock, strategy="latency")
    hole, good = pool._members["d0"], pool._members["d1"]
    for each in (hole, good):
        lease = leased(pool.lease("g", CALL, among=[each.deployment]))
        clock.advance(2)
        lease.succeed(output_tokens=100)
    leased(pool.lease("g", CALL, among=[hole.deployment])).fail(InternalServerError("x"))
    assert hole.measure.latency == 2
    assert hole.load(clock.now) > 2 * good.load(clock.now)


def test_a_failure_counts_at_once(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock, strategy="latency")
    member = pool._members["d0"]
    before = member.load(clock.now)
    leased(pool.lease("g", CALL, among=[member.deployment])).fail(InternalServerError("x"))
    assert member.load(clock.now) == pytest.approx(2.6 * before)


def test_company_is_counted_when_the_call_is_sent(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock)
    assert [leased(pool.lease("g", CALL)).company, leased(pool.lease("g", CALL)).company] == [1, 1]
    held = [leased(pool.lease("g", CALL)) for _ in range(3)]
    assert [lease.company for lease in held] == [1, 2, 3]


# tally


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(0, 400)), max_size=60))
def test_the_tally_is_what_a_plain_count_would_be(events: list[tuple[int, bool, int]]) -> None:
    """Against the definition: every call weighs e^(-age / 10 s); exact at whole seconds."""
    now, tally = 0.0, Tally(0.0)
    shares = [Share() for _ in range(3)]
    tally.watch(shares)
    past: list[tuple[int, bool, float]] = []
    for index, failed, later in events:
        now += later
        tally.tick(now)
        for count in (tally, shares[index]):
            count.calls += tally.unit
            count.fails += tally.unit * failed
        past.append((index, failed, now))
        weights = [(i, f, 2.718281828459045 ** (-(now - at) / 10)) for i, f, at in past]
        for which, share in enumerate(shares):
            own = sum(w for i, _, w in weights if i == which)
            assert tally.failing(share)[0] == pytest.approx(own, abs=1e-6)
            others = sum(w for i, _, w in weights if i != which)
            bad = sum(w for i, f, w in weights if f and i != which)
            calls, ratio = tally.others_failing(share)
            assert calls == pytest.approx(others, abs=1e-6)
            if others > 1e-3:
                assert ratio == pytest.approx(bad / others, abs=1e-3)


def test_the_rate_follows_the_traffic() -> None:
    tally = Tally(0.0)
    assert tally.rate(0.5) == 0
    tally.leased += 10
    assert tally.rate(0.5) == 10
    for second in range(1, 60):
        tally.leased += 20
        tally.tick(float(second))
    assert tally.rate(59.0) == pytest.approx(20, rel=0.05)
    assert tally.rate(60 * 60.0) == pytest.approx(0, abs=1e-6)


# budget


def test_a_fifth_of_the_calls_may_be_retried(clock: Clock) -> None:
    budget = RetryBudget(clock)
    assert sum(budget.withdraw() for _ in range(200)) == 100
    for _ in range(50):
        budget.deposit()
    assert sum(budget.withdraw() for _ in range(200)) == 10


def test_and_one_each_second_up_to_a_hundred(clock: Clock) -> None:
    budget = RetryBudget(clock)
    for _ in range(150):
        budget.withdraw()
    clock.advance(3)
    assert [budget.withdraw() for _ in range(4)] == [True, True, True, False]
    clock.advance(1_000)
    budget.deposit()
    assert sum(budget.withdraw() for _ in range(200)) == 100


def test_every_group_has_its_own_and_keeps_it(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock)
    budget = pool.budget("g")
    pool.update({"g": ([], pool._groups["g"].strategy), "h": ([], pool._groups["g"].strategy)})
    assert pool.budget("g") is budget
    assert pool.budget("h") is not budget
    pool.update({"h": ([], pool._groups["g"].strategy)})
    assert pool.budget("g") is not budget, "it is gone; a call on its way to it need not trip over that"
