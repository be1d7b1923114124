"""The breaker, seen through the pool: when it opens, for how long, how it is tested, how it comes back."""

from collections.abc import Callable

import pytest
from fakes import Clock
from pools import CALL, deployment, deployments, leased, pool_of, refused

from providers.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InsufficientQuotaError,
    InternalServerError,
    MalformedReplyError,
    ModelNotFoundError,
    NoDeploymentError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTooLargeError,
    ServiceUnavailableError,
    StreamInterruptedError,
    UnprocessableEntityError,
)
from router.pool import DeploymentHealth, HealthSettings, Lease, Pool

DOWN = InternalServerError("down")


def health(pool: Pool, name: str = "d0") -> DeploymentHealth:
    return next(each for each in pool.health() if each.id == name)


def on(pool: Pool, name: str = "d0", *, retry: bool = False) -> Lease:
    """A lease on one deployment, whatever its state."""
    member = pool._members[name]
    return leased(pool.lease("g", CALL, among=[member.deployment], retry=retry))


def fail(pool: Pool, times: int, name: str = "d0", error: APIError = DOWN) -> None:
    for _ in range(times):
        on(pool, name).fail(error)


def succeed(pool: Pool, times: int, name: str) -> None:
    for _ in range(times):
        on(pool, name).succeed()


@pytest.fixture
def pool(clock: Clock) -> Pool:
    return pool_of(deployments(3), clock=clock)


def half_open(pool: Pool, clock: Clock, name: str = "d0") -> None:
    """Open a breaker, and let its time pass."""
    fail(pool, 2, name)
    clock.advance(health(pool, name).open_for)
    assert health(pool, name).state == "half-open"


def recover(pool: Pool, clock: Clock, name: str = "d0") -> None:
    half_open(pool, clock, name)
    on(pool, name).succeed()


# opening


@pytest.mark.parametrize(
    "error",
    [DOWN, APIConnectionError("x"), APITimeoutError("x"), StreamInterruptedError("x"), MalformedReplyError("x"),
     ConflictError("x"), ServiceUnavailableError("x")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_two_failures_in_a_row_open(pool: Pool, error: APIError) -> None:
    fail(pool, 1, error=error)
    assert health(pool).state == "closed"
    fail(pool, 1, error=error)
    assert health(pool).state == "open"
    assert {leased(pool.lease("g", CALL)).deployment.id for _ in range(40)} == {"d1", "d2"}


def test_a_success_in_between_starts_the_count_anew(pool: Pool) -> None:
    for _ in range(2):
        fail(pool, 1)
        succeed(pool, 1, "d0")
    assert health(pool).state == "closed"


@pytest.mark.parametrize("fails", [1, 3])
def test_the_number_of_failures_can_be_set(fails: int, clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock, settings=HealthSettings(consecutive=fails))
    fail(pool, fails - 1)
    assert health(pool).state == "closed"
    fail(pool, 1)
    assert health(pool).state == "open"


def test_half_of_five_recent_calls_failing_opens(pool: Pool) -> None:
    for _ in range(2):
        fail(pool, 1)
        succeed(pool, 1, "d0")
    assert health(pool).state == "closed", "four calls say little"
    fail(pool, 1)
    assert health(pool).state == "open"


def test_fewer_than_half_do_not(pool: Pool) -> None:
    for _ in range(10):
        succeed(pool, 2, "d0")
        fail(pool, 1)
    assert health(pool).state == "closed"


def test_old_calls_are_forgotten(pool: Pool, clock: Clock) -> None:
    for _ in range(2):
        fail(pool, 1)
        succeed(pool, 1, "d0")
    clock.advance(20)
    fail(pool, 1)
    assert health(pool).state == "closed"


@pytest.mark.parametrize(
    "error",
    [BadRequestError("x"), RequestTooLargeError("x"), UnprocessableEntityError("x"), NotFoundError("x"),
     ContentPolicyViolationError("x"), ContextWindowExceededError("x"), NoDeploymentError("x"), APIError("x")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_what_is_not_its_fault_counts_for_nothing(pool: Pool, error: APIError) -> None:
    fail(pool, 20, error=error)
    assert health(pool).state == "closed"
    assert health(pool).failures == 0
    assert health(pool).failure_rate == 0


@pytest.mark.parametrize(
    "error",
    [AuthenticationError("x"), PermissionDeniedError("x"), ModelNotFoundError("x"), InsufficientQuotaError("x")],
    ids=lambda error: type(error).__name__,
)
def test_what_only_its_owner_can_mend_opens_for_a_minute_at_once(pool: Pool, error: APIError) -> None:
    fail(pool, 1, error=error)
    assert health(pool).open_for == 60


def test_it_opens_for_a_minute_whatever_the_others_do(pool: Pool) -> None:
    for name in ("d1", "d2"):
        for _ in range(5):
            succeed(pool, 1, name)
            fail(pool, 1, name, error=DOWN)
    fail(pool, 1, error=AuthenticationError("x"))
    assert health(pool).state == "open"


def test_disabled_it_never_opens(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock, settings=HealthSettings(enabled=False))
    fail(pool, 50)
    fail(pool, 1, error=AuthenticationError("x"))
    pool.impose("d0", "breaker", 10)
    assert health(pool).state == "closed"
    assert health(pool).failures == 51


# the guard: when everybody fails it is not this one's fault


def brownout(pool: Pool, failing: int, of: int) -> None:
    """The others fail that often, never twice in a row."""
    for name in ("d1", "d2"):
        for index in range(of):
            succeed(pool, 1, name)
            if index < failing:
                fail(pool, 1, name)
                succeed(pool, 1, name)


@pytest.mark.parametrize(("failing", "needed"), [(0, 2), (1, 2), (3, 6), (8, 7)])
def test_the_more_the_others_fail_the_more_it_takes(pool: Pool, failing: int, needed: int) -> None:
    """Of n others' calls a part fails; 3 + 12 × that part failures in a row are needed, if it is above 10 %."""
    brownout(pool, failing, 10)
    for _ in range(needed - 1):
        fail(pool, 1)
        assert health(pool).state == "closed"
    fail(pool, 1)
    assert health(pool).state == "open"


def test_a_handful_of_calls_of_the_others_is_no_evidence(pool: Pool) -> None:
    fail(pool, 1, "d1")
    fail(pool, 2)
    assert health(pool).state == "open"


def test_those_that_are_out_say_nothing_about_the_rest(pool: Pool) -> None:
    """All die at once: the first to open do not keep the last from opening."""
    for name in ("d1", "d2"):
        succeed(pool, 10, name)
        fail(pool, 2, name)
    fail(pool, 2)
    assert [each.state for each in pool.health()] == ["open"] * 3


def test_one_alone_has_no_others(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock)
    fail(pool, 2)
    assert health(pool).state == "open"


# how long


def test_a_quiet_group_stays_open_ten_seconds_at_first_then_up_to_thirty(pool: Pool, clock: Clock) -> None:
    times = []
    clock.advance(60)
    fail(pool, 2)
    for _ in range(6):
        times.append(health(pool).open_for)
        clock.advance(health(pool).open_for)
        on(pool).fail(DOWN)
    for took, expected in zip(times, [10, 20, 30, 30, 30, 30], strict=True):
        assert 0.8 * expected <= took <= 1.2 * expected
    assert len(set(times)) == 6, "never the same twice: not everybody knocks at the same time"


def busy(pool: Pool, clock: Clock, rate: int, seconds: int) -> None:
    for _ in range(seconds):
        for _ in range(rate):
            leased(pool.lease("g", CALL)).succeed()
        clock.advance(1)


def test_a_busy_group_tests_again_after_a_second(clock: Clock) -> None:
    pool = pool_of(deployments(10), clock=clock)
    busy(pool, clock, 300, 30)
    fail(pool, 2)
    assert 0.8 <= health(pool).open_for <= 1.2


def test_in_between_it_is_one_call_in_a_hundred(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    busy(pool, clock, 10, 30)
    fail(pool, 2)
    assert 0.8 <= health(pool).open_for <= 1.2 * 1.1, "a tenth of 1 / (1 % of 10 a second)"
    for expected in (2, 4, 8, 10, 10):
        while health(pool).state == "open":
            succeed(pool, 10, "d1")
            clock.advance(1)
        on(pool).fail(DOWN)
        assert 0.75 * expected <= health(pool).open_for <= 1.25 * expected


@pytest.mark.parametrize("error", [DOWN, AuthenticationError("x")])
def test_the_operator_can_fix_the_time(error: APIError, clock: Clock) -> None:
    members = [deployment("d0", cooldown_time=7.0), deployment("d1")]
    pool = pool_of(members, clock=clock, settings=HealthSettings(cooldown_time=3.0, consecutive=1))
    fail(pool, 1, error=error)
    fail(pool, 1, "d1", error=error)
    assert [each.open_for for each in pool.health()] == [7.0, 3.0]


def test_a_minute_of_health_makes_the_next_opening_short_again(pool: Pool, clock: Clock) -> None:
    for _ in range(3):
        half_open(pool, clock)
        on(pool).fail(DOWN)
        clock.advance(health(pool).open_for)
        on(pool).succeed()
    clock.advance(59)
    fail(pool, 2)
    assert health(pool).open_for > 20
    clock.advance(health(pool).open_for)
    on(pool).succeed()
    clock.advance(60)
    fail(pool, 2)
    assert health(pool).open_for <= 12


def test_with_everybody_out_one_is_tested_every_second(pool: Pool, clock: Clock) -> None:
    for name in ("d0", "d1", "d2"):
        fail(pool, 2, name)
    assert health(pool, "d2").open_for <= 1.2
    clock.advance(health(pool, "d2").open_for)
    on(pool, "d2").fail(DOWN)
    assert 0.8 <= health(pool, "d2").open_for <= 1.2


def test_of_two_deadlines_the_later_counts(pool: Pool, clock: Clock) -> None:
    fail(pool, 1, error=AuthenticationError("x"))
    clock.advance(10)
    attempt = on(pool)
    assert not attempt.probe
    attempt.fail(AuthenticationError("x"))
    assert health(pool).open_for == 60
    pool.impose("d0", "breaker", 5)
    assert health(pool).open_for == 60
    pool.impose("d0", "breaker", 90)
    on(pool).fail(AuthenticationError("x"))
    assert health(pool).open_for == 90


# half-open


def test_the_first_call_after_its_time_is_the_probe(pool: Pool, clock: Clock) -> None:
    half_open(pool, clock)
    probe = leased(pool.lease("g", CALL))
    assert probe.probe
    assert probe.deployment.id == "d0"
    others = [leased(pool.lease("g", CALL)) for _ in range(30)]
    assert not any(lease.probe for lease in others)
    assert {lease.deployment.id for lease in others} == {"d1", "d2"}


def test_a_retry_is_no_probe(pool: Pool, clock: Clock) -> None:
    half_open(pool, clock)
    assert leased(pool.lease("g", CALL, retry=True)).deployment.id != "d0"
    assert leased(pool.lease("g", CALL)).deployment.id == "d0"


def test_nor_is_a_call_that_has_tried_it(pool: Pool, clock: Clock) -> None:
    half_open(pool, clock)
    assert leased(pool.lease("g", CALL, avoid={"d0"})).deployment.id != "d0"


def test_nor_one_that_may_not_go_there(pool: Pool, clock: Clock) -> None:
    half_open(pool, clock)
    others = [pool._members[name].deployment for name in ("d1", "d2")]
    assert not leased(pool.lease("g", CALL, among=others)).probe


def test_nor_one_without_room_there(pool: Pool, clock: Clock) -> None:
    half_open(pool, clock)
    got = leased(pool.lease("g", CALL, reserve=lambda each, now: 5.0 if each.id == "d0" else 0.0))
    assert got.deployment.id != "d0"
    assert leased(pool.lease("g", CALL)).probe


ENDS: list[Callable[[Lease], None]] = [Lease.succeed, Lease.first_output]


@pytest.mark.parametrize("end", ENDS)
def test_a_sign_of_life_closes(pool: Pool, clock: Clock, end: Callable[[Lease], None]) -> None:
    half_open(pool, clock)
    probe = on(pool)
    assert probe.probe
    end(probe)
    assert health(pool).state == "ramping"
    probe.cancel()
    assert health(pool).in_flight == 0


def test_a_first_output_at_a_given_time(pool: Pool, clock: Clock) -> None:
    half_open(pool, clock)
    probe = on(pool)
    probe.first_output(clock.now - 5)
    assert health(pool).state == "closed"
    probe.succeed()


def test_the_probes_failure_opens_again(pool: Pool, clock: Clock) -> None:
    half_open(pool, clock)
    on(pool).fail(DOWN)
    assert health(pool).state == "open"
    assert health(pool).open_for >= 16


@pytest.mark.parametrize("error", [BadRequestError("x"), RateLimitError("x", retry_after=1.0), None])
def test_a_probe_without_a_verdict_makes_way_for_another(pool: Pool, clock: Clock, error: APIError | None) -> None:
    half_open(pool, clock)
    probe = on(pool)
    if error is None:
        probe.cancel()
    else:
        probe.fail(error)
    clock.advance(1)
    assert leased(pool.lease("g", CALL)).probe


def test_a_probe_that_hangs_makes_way_as_well(pool: Pool, clock: Clock) -> None:
    half_open(pool, clock)
    hanging = on(pool)
    clock.advance(29)
    assert not leased(pool.lease("g", CALL)).probe
    clock.advance(1)
    second = leased(pool.lease("g", CALL))
    assert second.probe
    hanging.succeed()
    assert health(pool).state == "ramping", "late is better than never"
    second.succeed()


def test_a_probe_that_is_over_closes_nothing(pool: Pool, clock: Clock) -> None:
    half_open(pool, clock)
    probe = on(pool)
    probe.cancel()
    probe.first_output()
    assert health(pool).state == "half-open"


def test_nor_does_one_that_something_else_has_overtaken(pool: Pool, clock: Clock) -> None:
    half_open(pool, clock)
    probe = on(pool)
    pool.impose("d0", "breaker", 9)
    clock.advance(9)
    second = on(pool)
    assert second.probe
    probe.cancel()
    assert not leased(pool.lease("g", CALL)).probe, "the second one is still on its way"
    second.cancel()


def test_a_better_tier_is_not_left_for_a_probe(clock: Clock) -> None:
    members = [deployment("d0", order=1), deployment("d1", order=2)]
    pool = pool_of(members, clock=clock)
    half_open(pool, clock, "d1")
    assert leased(pool.lease("g", CALL)).deployment.id == "d0"
    half_open(pool, clock, "d0")
    got = leased(pool.lease("g", CALL))
    assert (got.deployment.id, got.probe) == ("d0", True)


def test_a_preferred_one_is_not_left_for_a_probe(pool: Pool, clock: Clock) -> None:
    half_open(pool, clock)
    first, home = pool._members["d0"].deployment, pool._members["d1"].deployment
    assert leased(pool.lease("g", CALL, among=[home, first], ordered=True)).deployment is home
    got = leased(pool.lease("g", CALL, among=[first, home], ordered=True))
    assert (got.deployment, got.probe) == (first, True)


# answers from before


def test_what_was_sent_before_it_opened_neither_closes_nor_counts(pool: Pool, clock: Clock) -> None:
    early = [on(pool) for _ in range(6)]
    fail(pool, 2)
    open_for = health(pool).open_for
    early[0].succeed()
    early[1].first_output()
    early[1].fail(DOWN)
    early[2].fail(AuthenticationError("x"))
    assert health(pool).open_for == open_for
    clock.advance(open_for)
    probe = on(pool)
    early[3].succeed()
    early[4].fail(DOWN)
    assert health(pool).state == "half-open"
    probe.succeed()
    early[5].fail(DOWN)
    assert health(pool).state == "ramping"


# coming back


def test_it_comes_back_slowly(pool: Pool, clock: Clock) -> None:
    recover(pool, clock)
    seen = []
    for _ in range(5):
        seen.append(health(pool).weight)
        clock.advance(1.25)
    assert seen == pytest.approx([0.25, 0.4375, 0.625, 0.8125, 1.0])
    assert health(pool).state == "closed"


@pytest.mark.parametrize("strategy", ["weighted", "least-busy", "simple-shuffle", "adaptive", "latency"])
def test_no_herd_on_the_one_that_came_back(strategy: str, clock: Clock) -> None:
    """It has nothing in flight, and the others are busy: it may not get everything."""
    pool = pool_of(deployments(4), clock=clock, strategy=strategy)
    recover(pool, clock)
    held = [on(pool, name) for name in ("d1", "d2", "d3") for _ in range(10)]
    got = [leased(pool.lease("g", CALL)) for _ in range(12)]
    back = sum(lease.deployment.id == "d0" for lease in got)
    assert back <= 4, "a fair share of twelve would be three"
    clock.advance(6)
    leased(pool.lease("g", CALL)).cancel()
    assert pool._members["d0"].weight == 1.0
    assert len(held) == 30


def test_for_ten_seconds_one_failure_opens_again(pool: Pool, clock: Clock) -> None:
    recover(pool, clock)
    clock.advance(9.9)
    fail(pool, 1)
    assert health(pool).state == "open"
    clock.advance(health(pool).open_for)
    on(pool).succeed()
    clock.advance(10)
    fail(pool, 1)
    assert health(pool).state == "closed"


def test_unless_the_others_fail_as_well(pool: Pool, clock: Clock) -> None:
    """In a brownout an opening would only shift the load, onto those that fail just as often."""
    recover(pool, clock)
    brownout(pool, 3, 10)
    fail(pool, 1)
    assert health(pool).state == "ramping"


def test_a_stream_cut_after_it_closed_opens_again(pool: Pool, clock: Clock) -> None:
    half_open(pool, clock)
    probe = on(pool)
    probe.first_output()
    probe.fail(StreamInterruptedError("cut"))
    assert health(pool).state == "open"


# panic


def test_the_last_one_is_never_ejected(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock)
    fail(pool, 10)
    got = leased(pool.lease("g", CALL))
    assert not got.probe
    got.succeed()
    assert health(pool).state == "ramping", "it lives"


def test_nor_the_only_one_that_may_serve(pool: Pool) -> None:
    fail(pool, 2)
    home = pool._members["d0"].deployment
    assert leased(pool.lease("g", CALL, among=[home])).deployment is home


def test_with_all_down_all_are_tried(pool: Pool) -> None:
    for name in ("d0", "d1", "d2"):
        fail(pool, 2, name)
    assert {leased(pool.lease("g", CALL)).deployment.id for _ in range(30)} == {"d0", "d1", "d2"}


def test_a_failed_attempt_in_panic_changes_nothing(pool: Pool, clock: Clock) -> None:
    for name in ("d0", "d1", "d2"):
        fail(pool, 2, name)
    before = health(pool).open_for
    fail(pool, 20)
    assert health(pool).open_for == before


def test_panic_prefers_the_better_tier_and_the_untried(clock: Clock) -> None:
    members = [deployment("d0", order=1), deployment("d1", order=1), deployment("d2", order=2)]
    pool = pool_of(members, clock=clock)
    for each in members:
        fail(pool, 2, each.id)
    assert {leased(pool.lease("g", CALL)).deployment.id for _ in range(30)} == {"d0", "d1"}
    assert leased(pool.lease("g", CALL, avoid={"d0", "d1"})).deployment.id == "d2"
    assert refused(pool.lease("g", CALL, avoid={"d0", "d1", "d2"})).only_tried


def test_in_panic_a_retry_may_be_the_probe(pool: Pool, clock: Clock) -> None:
    for name in ("d0", "d1", "d2"):
        half_open(pool, clock, name)
    got = leased(pool.lease("g", CALL, retry=True))
    assert got.probe
    assert not leased(pool.lease("g", CALL, among=[got.deployment], retry=True)).probe


@pytest.mark.parametrize("policy", ["wait", "fail"])
def test_the_operator_may_prefer_to_wait_or_fail(policy: str, clock: Clock) -> None:
    settings = HealthSettings(on_all_down=policy)  # type: ignore[arg-type]
    pool = pool_of(deployments(2), clock=clock, settings=settings)
    leased(pool.lease("g", CALL, avoid={"d1"})).fail(AuthenticationError("x"))
    clock.advance(1)
    leased(pool.lease("g", CALL)).fail(AuthenticationError("x"))
    shortage = refused(pool.lease("g", CALL, avoid={"d0"}))
    assert (shortage.kind, shortage.wait) == ("breaker", 59.0)
    assert shortage.reasons == (
        ("d0", "cooling for 59.0 s more: AuthenticationError 401"),
        ("d1", "cooling for 60.0 s more: AuthenticationError 401"),
    )
    clock.advance(59)
    probe = leased(pool.lease("g", CALL))
    assert probe.probe
    tested = refused(pool.lease("g", CALL))
    assert (tested.kind, tested.reasons[0]) == ("breaker", ("d0", "being tested: AuthenticationError 401"))
    probe.cancel()


# what other Routers find


def test_a_trip_is_told(pool: Pool) -> None:
    told: list[tuple[str, str, float]] = []
    pool.on_trip = lambda *news: told.append(news)
    fail(pool, 1)
    assert told == []
    fail(pool, 1)
    assert told == [("d0", "breaker", health(pool).open_for)]


def test_a_listener_that_fails_harms_nobody(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    def deaf(*news: object) -> None:
        raise ValueError("no")

    pool.on_trip = deaf
    fail(pool, 2)
    assert health(pool).state == "open"
    assert "on_trip failed for deployment d0" in caplog.text


def test_a_listener_may_use_the_pool(pool: Pool) -> None:
    pool.on_trip = lambda name, kind, seconds: pool.impose("d1", kind, seconds)
    fail(pool, 2)
    assert health(pool, "d1").state == "open"


def test_what_another_router_found_counts_here(pool: Pool, clock: Clock) -> None:
    told: list[object] = []
    pool.on_trip = lambda *news: told.append(news)
    early = on(pool)
    pool.impose("d0", "breaker", 5)
    assert (health(pool).state, health(pool).open_for, health(pool).failures) == ("open", 5, 0)
    pool.impose("d0", "breaker", 3)
    pool.impose("d0", "breaker", 0)
    pool.impose("unknown", "breaker", 3)
    assert health(pool).open_for == 5
    early.succeed()
    assert health(pool).state == "open"
    pool.impose("d0", "breaker", 8)
    assert health(pool).open_for == 8
    clock.advance(8)
    assert leased(pool.lease("g", CALL)).probe
    assert told == []
