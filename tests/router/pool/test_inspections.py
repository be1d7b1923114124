"""Health checks, as the pool sees them: what they bear on, and what they leave alone."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from fakes import Clock
from hypothesis import given
from hypothesis import strategies as st
from pools import CALL, deployments, leased, pool_of, refused

from providers.errors import (
    APIConnectionError,
    APIError,
    AuthenticationError,
    BadRequestError,
    InsufficientQuotaError,
    InternalServerError,
    ModelNotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServiceUnavailableError,
)
from providers.types import Deployment
from router.pool import DeploymentHealth, Evidence, HealthCheck, HealthSettings, Inspection, Pool
from router.pool.inspections import HEAD_START

DOWN = InternalServerError("down")
FOUND = HealthCheck("d0", "g", "models", None, 0.0)
Result = Evidence | APIError


def health(pool: Pool, name: str = "d0") -> DeploymentHealth:
    return next(each for each in pool.health() if each.id == name)


def begun(pool: Pool, name: str = "d0") -> Inspection:
    inspection = pool.inspect(name)
    assert inspection is not None
    return inspection


def check(pool: Pool, result: Result, name: str = "d0") -> None:
    pool.conclude(begun(pool, name), FOUND, result)


def call(pool: Pool, error: APIError | None, name: str = "d0") -> None:
    lease = leased(pool.lease("g", CALL, among=[pool._members[name].deployment]))
    if error is None:
        lease.succeed()
    else:
        lease.fail(error)


def everyone(deployment: Deployment) -> bool:
    return True


@pytest.fixture
def pool(clock: Clock) -> Pool:
    return pool_of(deployments(3), clock=clock)


def opened(pool: Pool, clock: Clock, error: APIError = DOWN, name: str = "d0") -> None:
    """Open a breaker by checks, and let its time pass."""
    while health(pool, name).state != "open":
        check(pool, error, name)
    clock.advance(health(pool, name).open_for)


# opening


@pytest.mark.parametrize("error", [DOWN, APIConnectionError("x"), ServiceUnavailableError("x")])
def test_two_failed_checks_in_a_row_open_a_breaker(pool: Pool, error: APIError) -> None:
    check(pool, error)
    assert health(pool).state == "closed"
    check(pool, error)
    assert health(pool).state == "open"


@pytest.mark.parametrize("order", [(check, call), (call, check)])
def test_a_failed_check_counts_as_a_failed_call_does(
    pool: Pool, order: tuple[Callable[[Pool, APIError], None], ...]
) -> None:
    for fail in order:
        assert health(pool).state == "closed"
        fail(pool, DOWN)
    assert health(pool).state == "open"


def test_as_many_must_fail_as_the_operator_says(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock, settings=HealthSettings(consecutive=4))
    for _ in range(3):
        check(pool, DOWN)
        assert pool.suspected("d0")
    check(pool, DOWN)
    assert health(pool).state == "open"
    assert not pool.suspected("d0")


def test_a_check_that_passes_forgets_the_failed_checks_before(pool: Pool) -> None:
    for _ in range(5):
        check(pool, DOWN)
        check(pool, Evidence.ANSWERED)
    assert health(pool).state == "closed"


def test_a_call_that_is_served_forgets_the_failed_checks_before(pool: Pool) -> None:
    for _ in range(5):
        check(pool, DOWN)
        call(pool, None)
    assert health(pool).state == "closed"


@pytest.mark.parametrize("evidence", [Evidence.ANSWERED, Evidence.ADMITTED])
def test_that_models_are_listed_does_not_excuse_calls_that_fail(pool: Pool, evidence: Evidence) -> None:
    """Else a server that lists its models and serves none would never be found out."""
    call(pool, DOWN)
    check(pool, evidence)
    call(pool, DOWN)
    assert health(pool).state == "open"


def test_that_a_call_was_served_excuses_one_that_failed(pool: Pool) -> None:
    call(pool, DOWN)
    check(pool, Evidence.SERVED)
    call(pool, DOWN)
    assert health(pool).state == "closed"


@pytest.mark.parametrize(
    "error",
    [AuthenticationError("x"), PermissionDeniedError("x"), ModelNotFoundError("x"), InsufficientQuotaError("x")],
)
def test_a_key_a_model_or_a_bill_at_fault_opens_it_for_a_minute(pool: Pool, error: APIError) -> None:
    check(pool, error)
    assert health(pool).state == "open"
    assert health(pool).open_for == 60


def test_a_rate_limit_is_learnt_and_no_failure(pool: Pool) -> None:
    told: list[tuple[str, str, float]] = []
    pool.on_trip = lambda *news: told.append(news)
    for _ in range(3):
        check(pool, RateLimitError("x", retry_after=7))
    assert health(pool).state == "closed"
    assert health(pool).blocked_for == 7
    assert told[0] == ("d0", "quota", 7)
    assert not pool.wants_check("d0", 0.0)


def test_what_the_headers_of_a_call_s_reply_say_is_learnt(pool: Pool, clock: Clock) -> None:
    headers = {"x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "1"}
    pool.conclude(begun(pool), FOUND, Evidence.SERVED, headers)
    assert health(pool).headroom == pytest.approx(0.1)
    pool.conclude(begun(pool), FOUND, Evidence.SERVED, {"x-ratelimit-remaining-requests": "0"})
    pool.conclude(begun(pool), FOUND, Evidence.SERVED, {"x-ratelimit-remaining-requests": "0",
                                                        "x-ratelimit-reset-requests": "30s"})  # fmt: skip
    assert health(pool).blocked_for == 30
    pool.conclude(begun(pool), FOUND, Evidence.SERVED, {})
    assert health(pool).blocked_for == 30


def test_a_request_that_is_at_fault_says_nothing(pool: Pool) -> None:
    for _ in range(5):
        check(pool, BadRequestError("x"))
    assert health(pool).state == "closed"


def test_where_cooldowns_are_off_checks_open_nothing(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock, settings=HealthSettings(enabled=False))
    for error in (DOWN, DOWN, DOWN, AuthenticationError("x")):
        check(pool, error)
    assert health(pool).state == "closed"


def test_other_routers_hear_of_a_breaker_that_a_check_opened(pool: Pool) -> None:
    told: list[tuple[str, str]] = []
    stirred: list[None] = []
    pool.on_trip = lambda name, kind, seconds: told.append((name, kind))
    pool.on_open = lambda: stirred.append(None)
    check(pool, DOWN)
    check(pool, DOWN)
    assert told == [("d0", "breaker")]
    assert len(stirred) == 1
    pool.impose("d1", "breaker", 5)
    assert len(stirred) == 2, "what another Router found is to be tested here as well"
    pool.impose("d1", "breaker", 1)
    assert len(stirred) == 2
    assert told == [("d0", "breaker")], "and not to be told on"


# closing


def test_a_check_closes_a_breaker_whose_time_has_come_and_it_starts_slowly(pool: Pool, clock: Clock) -> None:
    opened(pool, clock)
    check(pool, Evidence.ANSWERED)
    assert health(pool).state == "ramping"
    assert health(pool).weight == 0.25
    check(pool, DOWN)
    assert health(pool).state == "open", "it was on probation"


def test_a_check_that_was_asked_for_closes_a_breaker_before_its_time(pool: Pool) -> None:
    for _ in range(2):
        check(pool, DOWN)
    assert health(pool).open_for > 0
    check(pool, Evidence.ADMITTED)
    assert health(pool).state == "ramping"


def test_a_failed_probe_opens_for_longer(pool: Pool, clock: Clock) -> None:
    opened(pool, clock)
    first = health(pool).open_for
    check(pool, DOWN)
    assert health(pool).state == "open"
    assert health(pool).open_for > first


@pytest.mark.parametrize(
    ("error", "least"),
    [
        (DOWN, Evidence.ANSWERED),
        (AuthenticationError("x"), Evidence.ADMITTED),
        (PermissionDeniedError("x"), Evidence.ADMITTED),
        (ModelNotFoundError("x"), Evidence.SERVED),
        (InsufficientQuotaError("x"), Evidence.SERVED),
    ],
)
@pytest.mark.parametrize("evidence", list(Evidence))
def test_it_closes_for_what_shows_that_its_trouble_is_over(
    pool: Pool, clock: Clock, error: APIError, least: Evidence, evidence: Evidence
) -> None:
    opened(pool, clock, error)
    check(pool, evidence)
    assert health(pool).state == ("ramping" if evidence >= least else "half-open")
    if evidence < least:  # so it is a call that tests it
        assert leased(pool.lease("g", CALL)).deployment.id == "d0"


def test_a_check_that_began_before_it_opened_says_nothing_any_more(pool: Pool) -> None:
    for result in (Evidence.SERVED, DOWN, AuthenticationError("x")):
        early = begun(pool)
        call(pool, AuthenticationError("x"))
        until = health(pool).open_for
        pool.conclude(early, FOUND, result)
        assert health(pool).state == "open"
        assert health(pool).open_for == until
        check(pool, Evidence.SERVED)


def test_a_check_that_was_given_up_lets_another_probe_go(pool: Pool, clock: Clock) -> None:
    opened(pool, clock)
    inspection = begun(pool)
    assert inspection.probe
    assert leased(pool.lease("g", CALL)).deployment.id != "d0"
    pool.forgo(inspection)
    assert health(pool).last_check is FOUND
    assert leased(pool.lease("g", CALL)).deployment.id == "d0"
    pool.forgo(begun(pool, "d1"), replace(FOUND, note="x"))
    last = health(pool, "d1").last_check
    assert last is not None
    assert last.note == "x"


# who tests first


def test_the_first_probe_is_a_check_s_where_checks_are_made(pool: Pool, clock: Clock) -> None:
    pool.watch(lambda deployment: deployment.id == "d0")
    for name in ("d0", "d1"):
        call(pool, DOWN, name)
        call(pool, DOWN, name)
    assert [(each.id, at > clock.now) for at, each in pool.reserved()] == [("d0", True)]
    clock.advance(max(health(pool, name).open_for for name in ("d0", "d1")))
    calls = [leased(pool.lease("g", CALL)) for _ in range(2)]
    assert [each.deployment.id for each in calls] == ["d1", "d2"], "nobody checks d1"
    assert pool.wants_check("d0", 0.0)
    inspection = begun(pool)
    assert inspection.probe
    assert pool.reserved() == []
    assert leased(pool.lease("g", CALL)).deployment.id == "d2"
    pool.conclude(inspection, FOUND, Evidence.ANSWERED)
    assert health(pool).state == "ramping"


def test_a_check_that_does_not_come_is_not_waited_for(pool: Pool, clock: Clock) -> None:
    pool.watch(everyone)
    call(pool, DOWN)
    call(pool, DOWN)
    clock.advance(health(pool).open_for + HEAD_START - 0.001)
    assert leased(pool.lease("g", CALL)).deployment.id != "d0"
    clock.advance(0.001)
    assert leased(pool.lease("g", CALL)).deployment.id == "d0"
    assert pool.reserved() == []


def test_who_stops_checking_leaves_probes_to_calls(pool: Pool, clock: Clock) -> None:
    pool.watch(everyone)
    pool.watch(None)
    call(pool, DOWN)
    call(pool, DOWN)
    clock.advance(health(pool).open_for)
    assert leased(pool.lease("g", CALL)).deployment.id == "d0"


def test_the_last_one_is_used_all_the_same(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock)
    pool.watch(everyone)
    call(pool, DOWN)
    call(pool, DOWN)
    lease = leased(pool.lease("g", CALL))
    lease.succeed()
    assert health(pool).state == "ramping"
    assert pool.reserved() == []


def test_who_waits_is_served_when_a_check_has_closed_the_breaker(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock, settings=HealthSettings(on_all_down="wait"))
    opened(pool, clock)
    inspection = begun(pool)
    shortage = refused(pool.lease("g", CALL))
    before = pool._groups["g"].queue.events
    assert shortage.seen == before
    pool.conclude(inspection, FOUND, Evidence.ANSWERED)
    assert pool._groups["g"].queue.events > before
    leased(pool.lease("g", CALL))


def test_a_rate_limit_goes_before_a_probe(pool: Pool, clock: Clock) -> None:
    pool.watch(everyone)
    call(pool, DOWN)
    call(pool, DOWN)
    pool.impose("d0", "quota", 120)
    ((at, deployment),) = pool.reserved()
    assert (at, deployment.id) == (clock.now + 120, "d0")


# what need not be checked


def test_a_check_is_wanted_until_a_call_was_served(pool: Pool, clock: Clock) -> None:
    assert pool.wants_check("d0", clock.now - 60)
    call(pool, None)
    assert not pool.wants_check("d0", clock.now - 60)
    clock.advance(61)
    assert pool.wants_check("d0", clock.now - 60)
    call(pool, None)
    call(pool, DOWN)
    assert pool.wants_check("d0", clock.now - 60), "the last one failed"
    call(pool, DOWN)
    assert not pool.wants_check("d0", clock.now - 60), "its breaker is open"
    clock.advance(health(pool).open_for)
    assert pool.wants_check("d0", clock.now - 60)
    begun(pool)
    assert not pool.wants_check("d0", clock.now - 60), "it is being tested"


def test_what_is_not_there_is_not_checked(pool: Pool) -> None:
    inspection = begun(pool)
    lasting = begun(pool, "d1")
    pool.update({"g": (deployments(3)[1:], pool._groups["g"].strategy)})
    assert pool.inspect("d0") is None
    assert not pool.wants_check("d0", 0.0)
    assert not pool.suspected("d0")
    pool.conclude(inspection, FOUND, DOWN, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9s"})
    pool.forgo(inspection)
    pool.conclude(lasting, FOUND, DOWN)
    assert [each.id for each in pool.deployments()] == ["d1", "d2"]
    assert pool.suspected("d1")


# what checks leave alone


def untouched(pool: Pool) -> object:
    """All that strategies, and those who count calls, look at."""
    group = pool._groups["g"]
    return (
        [replace(each, last_check=None, state="closed", open_for=0.0, weight=0.0, reason="") for each in pool.health()],
        [
            (member.measure.at, member.measure.latency, member.measure.failing, member.measure.time_per_work,
             member.measure.cost(pool._clock()))
            for member in group.members.values()
        ],
        (group.pace.known, group.pace.total, group.pace.gamma),
        (group.tally.leased, group.tally.calls, group.tally.fails),
        group.budget._tokens,
    )  # fmt: skip


@pytest.mark.parametrize(
    "result", [*Evidence, DOWN, APIConnectionError("x"), AuthenticationError("x"), BadRequestError("x")]
)
def test_a_check_is_no_call(pool: Pool, clock: Clock, result: Result) -> None:
    """In flight, latency, failure rates, pace, traffic, retries: none of it is touched, nor set to nothing
    (vllm-router #197: health checks that reset the calls in flight)."""
    held = [leased(pool.lease("g", CALL)) for _ in range(5)]
    call(pool, None, "d1")
    clock.advance(1)
    before = untouched(pool)
    flying = [each.in_flight for each in pool.health()]
    assert sum(flying) == 5
    inspection = begun(pool)
    assert untouched(pool) == before
    pool.conclude(inspection, FOUND, result)
    pool.forgo(begun(pool))
    assert untouched(pool) == before
    for lease in held:
        lease.cancel()
    assert [each.in_flight for each in pool.health()] == [0, 0, 0]


STEPS = st.lists(st.tuples(st.sampled_from(["lease", "end", "fail", "wait"]), st.booleans()), max_size=60)


@given(STEPS, st.sampled_from(["adaptive", "least-busy", "round-robin"]), st.integers(0, 99))
def test_checks_that_pass_change_no_choice(steps: list[tuple[str, bool]], strategy: str, seed: int) -> None:
    """Two pools with the same calls and the same chances, one of them checked now and then: their choices agree."""
    picks: list[list[str]] = []
    for checked in (False, True):
        clock, rng = Clock(), random.Random(seed)
        pool = pool_of(deployments(4), clock=clock, strategy=strategy, seed=seed)
        held, seen = [], []
        for step, now in steps:
            if checked and now:
                check(pool, Evidence.ADMITTED, f"d{rng.randrange(4)}")
            if step == "lease":
                held.append(leased(pool.lease("g", CALL)))
                seen.append(held[-1].deployment.id)
            elif held and step == "end":
                held.pop(0).succeed(output_tokens=10)
            elif held and step == "fail":
                held.pop(0).fail(RateLimitError("x", retry_after=0))
            clock.advance(0.3)
        for lease in held:
            lease.cancel()
        picks.append(seen)
    assert picks[0] == picks[1]
