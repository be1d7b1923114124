"""Whose turn it is to be checked: spread out, never a burst, and nobody is forgotten."""

import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from fakes import Clock
from hypothesis import given
from hypothesis import strategies as st
from pools import CALL, deployments, leased, pool_of

from providers.errors import InternalServerError, RateLimitError
from providers.types import Deployment
from router.pool import Evidence, HealthCheck, HealthSettings, Pool
from router.pool.inspections import HEAD_START
from router.probing.rota import Rota

DOWN = InternalServerError("down")
ROOM = 8


def everyone(deployment: Deployment) -> bool:
    return True


def rota_of(pool: Pool, clock: Clock, interval: float = 60.0, seed: int = 0) -> Rota:
    pool.watch(everyone)
    return Rota(pool, everyone, interval, clock, random.Random(seed))


def turns(rota: Rota, clock: Clock, late: random.Random | None = None) -> Iterator[tuple[float, list[str]]]:
    """Who is to be checked, whenever somebody is, for ever. `late`: how much later than due it is looked."""
    while True:
        found = rota.due(ROOM)
        if found:
            yield clock.now, [each.id for each in found]
        wait = rota.wait(full=False)
        clock.advance(wait + (0.0 if late is None else late.uniform(0.0, wait)))


def passed(pool: Pool, name: str) -> HealthCheck:
    return concluded(pool, name, Evidence.ANSWERED)


def concluded(pool: Pool, name: str, result: Evidence | InternalServerError | RateLimitError) -> HealthCheck:
    inspection = pool.inspect(name)
    assert inspection is not None
    ok = isinstance(result, (Evidence, RateLimitError))
    found = HealthCheck(name, "g", "models", ok, 0.0)
    pool.conclude(inspection, found, result)
    return found


@given(st.integers(1, 40), st.floats(0.5, 3_600), st.integers(0, 1_000), st.booleans())
def test_checks_are_spread_out_evenly_and_everybody_has_a_turn(n: int, interval: float, seed: int, late: bool) -> None:
    clock = Clock()
    pool = pool_of(deployments(n), clock=clock)
    rota = rota_of(pool, clock, interval, seed)
    seen: dict[str, float] = {}
    times = [clock.now]
    lateness = random.Random(seed) if late else None
    slack = 1e-6 * interval
    for (now, found), _ in zip(turns(rota, clock, lateness), range(3 * n + 2), strict=False):
        assert len(found) == 1, "never two at once"
        (name,) = found
        if not late and name in seen:
            assert now - seen[name] <= 1.2 * interval + slack
        seen[name] = now
        rota.checked(passed(pool, name))
        times.append(now)
    assert len(seen) == n
    gap = interval / n
    first, *rest = [after - before for before, after in pairwise(times)]
    assert first <= gap * (2 if late else 1) + slack
    assert all(gap * 0.8 - slack <= each for each in rest)
    if not late:
        assert all(each <= gap * 1.2 + slack for each in rest)


def test_two_routers_do_not_begin_together(clock: Clock) -> None:
    waits = set()
    for seed in range(5):
        rota = rota_of(pool_of(deployments(3), clock=clock), clock, seed=seed)
        assert rota.due(ROOM) == []
        waits.add(rota.wait(full=False))
    assert len(waits) == 5


def test_who_has_served_a_call_is_not_checked(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    rota = rota_of(pool, clock, 60)
    checked = set()
    leased(pool.lease("g", CALL, among=pool.deployments()[:1])).succeed()
    for now, found in turns(rota, clock):
        checked |= set(found)
        leased(pool.lease("g", CALL, among=pool.deployments()[:1])).succeed()
        if now > 1_400:
            break
    assert checked == {"d1"}


def test_a_breaker_that_may_be_tested_is_tested_at_that_moment(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock, settings=HealthSettings(cooldown_time=7.5))
    rota = rota_of(pool, clock, 100_000)
    rota.due(ROOM)
    for _ in range(2):
        concluded(pool, "d1", DOWN)
    opened = clock.now
    for round_ in range(1, 4):
        assert rota.wait(full=False) == pytest.approx(7.5)
        clock.advance(rota.wait(full=False))
        (due,) = rota.due(ROOM)
        assert due.id == "d1"
        assert clock.now - opened == pytest.approx(7.5 * round_)
        rota.checked(concluded(pool, "d1", DOWN))
        assert rota.due(ROOM) == [], "and no more often"
    clock.advance(7.5)
    rota.checked(concluded(pool, rota.due(ROOM)[0].id, Evidence.ANSWERED))
    assert rota.due(ROOM) == []
    assert rota.wait(full=False) > 7.5


def test_no_open_breaker_is_tested_in_its_turn(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock, settings=HealthSettings(cooldown_time=1_000))
    rota = rota_of(pool, clock, 60)
    for _ in range(2):
        concluded(pool, "d0", DOWN)
    for _ in range(20):
        clock.advance(min(40.0, rota.wait(full=False)))
        assert (rota.due(ROOM) != []) == (clock.now >= 2_000)
        if clock.now >= 2_000:
            break


def test_a_failed_check_is_repeated_soon_and_only_as_often_as_it_may_decide(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock, settings=HealthSettings(consecutive=3))
    rota = rota_of(pool, clock, 10_000)
    rota.due(ROOM)
    rota.checked(concluded(pool, "d0", DOWN))
    for _ in range(2):
        wait = rota.wait(full=False)
        assert 1.6 <= wait <= 2.4
        clock.advance(wait)
        (due,) = rota.due(ROOM)
        assert due.id == "d0"
        rota.checked(concluded(pool, "d0", DOWN))
    assert pool.health()[0].state == "open"
    assert rota.wait(full=False) == pytest.approx(pool.health()[0].open_for)


@pytest.mark.parametrize("result", [Evidence.ANSWERED, RateLimitError("x", retry_after=1)])
def test_one_failure_that_was_not_confirmed_is_forgotten(clock: Clock, result: Evidence | RateLimitError) -> None:
    pool = pool_of(deployments(2), clock=clock)
    rota = rota_of(pool, clock, 10_000)
    rota.due(ROOM)
    rota.checked(concluded(pool, "d0", DOWN))
    clock.advance(rota.wait(full=False))
    rota.checked(concluded(pool, rota.due(ROOM)[0].id, result))
    assert rota.wait(full=False) > 100


def test_a_suspect_whose_breaker_a_call_opened_is_left_to_its_breaker(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    rota = rota_of(pool, clock, 10_000)
    rota.due(ROOM)
    rota.checked(concluded(pool, "d0", DOWN))
    leased(pool.lease("g", CALL, among=pool.deployments()[:1])).fail(DOWN)
    assert pool.health()[0].open_for > 3
    clock.advance(3)
    assert rota.due(ROOM) == []


def test_there_are_no_more_checks_at_once_than_there_is_room_for(clock: Clock) -> None:
    pool = pool_of(deployments(6), clock=clock, settings=HealthSettings(cooldown_time=5))
    rota = rota_of(pool, clock, 10_000)
    rota.due(ROOM)
    for name in ("d0", "d1", "d2", "d3"):
        rota.checked(concluded(pool, name, DOWN))
    for name in ("d0", "d1"):
        concluded(pool, name, DOWN)
    clock.advance(5)
    assert [each.id for each in rota.due(1)] == ["d0"]
    assert rota.due(0) == []
    assert rota.wait(full=False) == 0
    assert rota.wait(full=True) > 0
    concluded(pool, "d0", DOWN)
    assert [each.id for each in rota.due(2)] == ["d1", "d2"]
    concluded(pool, "d1", DOWN)
    assert [each.id for each in rota.due(2)] == ["d3"]


def test_a_test_that_nobody_makes_is_left_to_a_call(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock, settings=HealthSettings(cooldown_time=5))
    rota = rota_of(pool, clock, 10_000)
    for _ in range(2):
        concluded(pool, "d0", DOWN)
    clock.advance(5 + HEAD_START)
    lease = leased(pool.lease("g", CALL))
    assert lease.deployment.id == "d0"
    assert rota.due(ROOM) == []
    lease.cancel()


def test_the_list_may_change_at_any_time(clock: Clock) -> None:
    pool = pool_of([], clock=clock)
    rota = rota_of(pool, clock, 60)
    strategy = pool._groups["g"].strategy
    assert rota.due(ROOM) == []
    assert rota.wait(full=False) == 60
    pool.update({"g": (deployments(1), strategy)})
    rota.due(ROOM)
    assert rota.wait(full=False) <= 60
    clock.advance(60)
    (first,) = rota.due(ROOM)
    rota.checked(concluded(pool, first.id, DOWN))
    pool.update({"g": (deployments(12)[1:], strategy)})  # and the suspect is gone
    assert rota.due(ROOM) == []
    assert rota.wait(full=False) <= 1.2 * 60 / 11, "more of them have their turns closer together"
    seen = [found[0] for (_, found), _ in zip(turns(rota, clock), range(11), strict=False)]
    assert sorted(seen) == sorted(each.id for each in deployments(12)[1:])
    pool.update({"g": (deployments(12)[1:4], strategy)})
    seen = [found[0] for (_, found), _ in zip(turns(rota, clock), range(6), strict=False)]
    assert seen[:3] == seen[3:]
    pool.update({})
    assert rota.due(ROOM) == []
    assert rota.wait(full=False) == 60


def test_who_is_no_longer_to_be_checked_is_not_suspected(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    wanted = {"d0", "d1"}
    pool.watch(everyone)
    rota = Rota(pool, lambda deployment: deployment.id in wanted, 10_000, clock, random.Random(0))
    rota.due(ROOM)
    wanted.clear()
    rota.due(ROOM)
    rota.checked(concluded(pool, "d0", DOWN))
    clock.advance(5)
    assert rota.due(ROOM) == []
