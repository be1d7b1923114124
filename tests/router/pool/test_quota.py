"""Rate limits: what 429s and headers say, how long they block, how they shift the load."""

import math

import pytest
from fakes import Clock
from hypothesis import example, given
from hypothesis import strategies as st
from pools import CALL, deployment, deployments, leased, pool_of, refused

from providers.errors import BadRequestError, RateLimitError, ServiceUnavailableError
from router.pool import DeploymentHealth, Pool
from router.pool.quota import Allowance, Quota, amount, read, seconds


def health(pool: Pool, name: str = "d0") -> DeploymentHealth:
    return next(each for each in pool.health() if each.id == name)


def headers(**values: object) -> dict[str, str]:
    return {f"x-ratelimit-{name.replace('_', '-')}": str(value) for name, value in values.items()}


# reading


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("120ms", 0.12), ("6m0s", 360), ("50.529s", 50.529), ("1h2m3.5s", 3723.5), ("2d", 86_400), ("17", 17),
        ("1.5", 1.5), (" 1s ", 1), ("0", 0), ("5us", 5e-6), ("7µs", 7e-6), ("1ns", 1e-9), ("9" * 30, 86_400),
        ("-1", None), ("", None), ("soon", None), ("1s2", None), ("s", None), ("1e9", None), ("nan", None),
        ("inf", None), ("1" * 40, None), ("٣s", None), ("1m ago", None),
    ],
)  # fmt: skip
def test_resets(text: str, value: float | None) -> None:
    assert seconds(text) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [("10", 10), ("0", 0), (" 5 ", 5), ("1.5", 1.5), ("-1", None), ("", None), (None, None), ("x", None),
     ("1,000", None), ("1" * 40, None), ("nan", None)],
)  # fmt: skip
def test_counts(text: str | None, value: float | None) -> None:
    assert amount(text) == value


junk = st.one_of(st.text(), st.from_regex(r"-?\d{0,40}(\.\d*)?(ms|s|m|h)?", fullmatch=True))


@given(st.dictionaries(st.sampled_from(sorted(headers(limit_requests=1, remaining_requests=1, reset_requests=1,
       limit_tokens=1, remaining_tokens=1, reset_tokens=1))), junk), st.floats(0, 1e9))  # fmt: skip
@example({"x-ratelimit-limit-requests": "0.0", "x-ratelimit-remaining-requests": "0"}, 0.0)
def test_no_header_is_ever_a_problem(given: dict[str, str], now: float) -> None:
    quota = Quota()
    readings = read(given)
    wait = quota.observe(readings, now) if readings else 0.0
    assert 0 <= wait <= 86_400
    for later in (now, now + 1, now + 1e6):
        assert 0 <= quota.left(later) <= 1
        assert 0 < quota.headroom(later) <= 1


@given(st.one_of(st.none(), st.floats()), st.integers(0, 30), st.floats(0, 1e6))
def test_no_retry_after_is_ever_a_problem(retry_after: float | None, times: int, now: float) -> None:
    quota = Quota()
    for _ in range(times + 1):
        assert 0 <= quota.refused(retry_after, now, now) <= 300


def test_anthropic_tells_the_same_in_other_words() -> None:
    said = {
        "date": "Tue, 01 Sep 2026 12:00:00 GMT",
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-09-01T12:00:01Z",
        "anthropic-ratelimit-tokens-limit": "30000",
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2026-09-01T12:01:00Z",
    }
    assert read(said) == ((50.0, 49.0, 1.0), (30_000.0, 0.0, 60.0))
    del said["date"], said["anthropic-ratelimit-requests-limit"], said["anthropic-ratelimit-requests-remaining"]
    assert read(said) == ((None, None, None), (30_000.0, 0.0, None))
    far = {**said, "date": "Tue, 01 Sep 2020 12:00:00 GMT"}
    assert (read(far) or ((), ()))[1] == (30_000.0, 0.0, 86_400.0)


def test_replies_without_such_headers_cost_nothing() -> None:
    assert read({"content-type": "application/json"}) is None


# refusals


@pytest.mark.parametrize("error", [RateLimitError("x", retry_after=7.5), ServiceUnavailableError("x", retry_after=7.5)])
def test_a_refusal_blocks_until_its_hint_and_is_no_failure(error: RateLimitError, clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    lease = leased(pool.lease("g", CALL, avoid={"d1"}))
    lease.fail(error)
    assert (health(pool).blocked_for, health(pool).failures, health(pool).state) == (7.5, 0, "closed")
    assert {leased(pool.lease("g", CALL)).deployment.id for _ in range(20)} == {"d1"}
    clock.advance(7.5)
    assert health(pool).weight == 1.0, "back at once, at its full share"
    assert {leased(pool.lease("g", CALL)).deployment.id for _ in range(20)} == {"d0", "d1"}


def test_without_a_hint_the_block_doubles_up_to_half_a_minute() -> None:
    quota, now, blocks = Quota(), 0.0, []
    for _ in range(7):
        blocks.append(quota.refused(None, now, now))
        now += blocks[-1]
    assert blocks == [1, 2, 4, 8, 16, 30, 30]
    quota.served(now)
    assert quota.refused(None, now, now) == 1


def test_refusals_of_one_burst_count_once() -> None:
    """Ten calls were on their way when the first was refused."""
    quota = Quota()
    assert {quota.refused(None, 0.0, now) - (5 - now) for now in (5.0, 5.0, 5.0)} == {1}
    quota.served(4.0)
    assert quota.refused(None, 7.0, 7.0) == 2


@pytest.mark.parametrize(("hint", "block"), [(0.0, 0), (2.5, 2.5), (3_000, 300), (math.nan, 1), (-3, 1), (math.inf, 1)])
def test_hints(hint: float, block: float) -> None:
    assert Quota().refused(hint, 0.0, 0.0) == block


def test_a_long_hint_is_believed_if_nothing_is_left() -> None:
    quota = Quota()
    readings = read(headers(remaining_requests=0, limit_requests=10, reset_requests="1h"))
    assert readings
    assert quota.observe(readings, 0.0) == 3600
    assert quota.refused(3_500, 0.0, 0.0) == 3600
    assert Quota().refused(3_500, 0.0, 0.0) == 300


def test_a_refusal_without_a_hint_lasts_until_the_reset() -> None:
    quota = Quota()
    readings = read(headers(remaining_tokens=0, reset_tokens="20s"))
    assert readings
    quota.observe(readings, 0.0)
    assert quota.refused(None, 0.0, 5.0) == 15


def test_of_two_deadlines_the_later_counts() -> None:
    quota = Quota()
    quota.refused(20, 0.0, 0.0)
    assert quota.refused(2, 1.0, 1.0) == 19


# headers


def test_nothing_left_blocks_until_the_reset(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock)
    told: list[object] = []
    pool.on_trip = lambda *news: told.append(news)
    lease = leased(pool.lease("g", CALL))
    lease.observe_headers(headers(remaining_requests=0, limit_requests=100, reset_requests="6m0s"))
    lease.succeed()
    shortage = refused(pool.lease("g", CALL))
    assert (shortage.kind, shortage.wait) == ("quota", 360)
    assert shortage.reasons == (("d0", "rate limit reached, for 360.0 s more"),)
    assert told == [("d0", "quota", 360)]
    clock.advance(360)
    assert leased(pool.lease("g", CALL))


@pytest.mark.parametrize(
    "given",
    [
        headers(remaining_requests=-1, limit_requests=-1, reset_requests="10s"),
        headers(remaining_requests=0, limit_requests=0, reset_requests="10s"),
        headers(remaining_tokens=0, limit_tokens=100),
        headers(remaining_tokens=0, reset_tokens="0"),
        headers(limit_tokens=10),
        headers(remaining_requests=3),
        {},
    ],
)
def test_what_says_nothing_blocks_nothing(given: dict[str, str], clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock)
    leased(pool.lease("g", CALL)).observe_headers(given)
    assert health(pool).blocked_for == 0


def test_a_lease_of_a_removed_deployment_may_still_learn(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    lease = leased(pool.lease("g", CALL))
    pool.update({})
    lease.observe_headers(headers(remaining_requests=0, limit_requests=100, reset_requests="6m0s"))
    assert pool.health() == []


def test_what_is_left_grows_back_evenly() -> None:
    allowance = Allowance()
    allowance.observe((100.0, 20.0, 10.0), 0.0)
    assert [allowance.left(now) for now in (0, 5, 10, 11)] == pytest.approx([0.2, 0.6, 1, 1])
    allowance.observe((None, 50.0, None), 20.0)
    assert [allowance.left(now) for now in (20, 50, 80)] == pytest.approx([0.5, 0.75, 1])


def test_scarcity_moves_the_load_elsewhere(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock, strategy="adaptive")
    scarce, ample = pool._members["d0"], pool._members["d1"]
    lease = leased(pool.lease("g", CALL, among=[scarce.deployment]))
    lease.observe_headers(headers(limit_tokens=1000, remaining_tokens=125, reset_tokens="1m"))
    lease.cancel()
    clock.advance(0.25)
    assert scarce.load(clock.now) > 1.9 * ample.load(clock.now)
    clock.advance(60)
    assert scarce.load(clock.now) == ample.load(clock.now)


def test_known_limits_make_shares(clock: Clock) -> None:
    members = [deployment("d0", rpm=300), deployment("d1", rpm=100), deployment("d2")]
    pool = pool_of(members, clock=clock)
    assert [pool._members[name].quota for name in ("d0", "d1", "d2")] == [1.5, 0.5, 1.0]
    lease = leased(pool.lease("g", CALL, among=[members[2]]))
    lease.observe_headers(headers(limit_requests=200))
    assert [pool._members[name].quota for name in ("d0", "d1", "d2")] == [1.5, 0.5, 1.0]
    lease.observe_headers(headers(limit_requests=800))
    assert [pool._members[name].quota for name in ("d0", "d1", "d2")] == [0.75, 0.25, 2.0]


def test_token_limits_do_where_no_request_limits_are_known(clock: Clock) -> None:
    pool = pool_of([deployment("d0", tpm=300), deployment("d1", tpm=100)], clock=clock)
    assert [pool._members[name].quota for name in ("d0", "d1")] == [1.5, 0.5]


def test_weights_outrank_limits(clock: Clock) -> None:
    pool = pool_of([deployment("d0", rpm=300, weight=1), deployment("d1", rpm=100)], clock=clock)
    assert [pool._members[name].quota for name in ("d0", "d1")] == [1.0, 1.0]
    leased(pool.lease("g", CALL)).observe_headers(headers(limit_tokens=5))
    assert pool._groups["g"].tiers[0].uniform


def test_limits_learnt_while_blocked_count_later(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    member = pool._members["d0"]
    lease = leased(pool.lease("g", CALL, among=[member.deployment]))
    lease.observe_headers(headers(limit_requests=10, remaining_requests=0, reset_requests="5s"))
    lease.observe_headers(headers(limit_requests=20))
    assert member.rpm == 20
    clock.advance(5)
    leased(pool.lease("g", CALL))
    assert member in pool._groups["g"].tiers[0]


# told and learnt


def test_a_long_block_is_told_a_short_one_not(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    told: list[object] = []
    pool.on_trip = lambda *news: told.append(news)
    leased(pool.lease("g", CALL, avoid={"d1"})).fail(RateLimitError("x", retry_after=0.9))
    leased(pool.lease("g", CALL, avoid={"d0"})).fail(RateLimitError("x", retry_after=1.0))
    assert told == [("d1", "quota", 1.0)]


def test_what_another_router_found_counts_here(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    pool.on_trip = lambda *news: pytest.fail("not ours to tell")
    pool.impose("d0", "quota", 5)
    pool.impose("d0", "quota", 3)
    assert health(pool).blocked_for == 5
    assert leased(pool.lease("g", CALL)).deployment.id == "d1"


def test_panic_does_not_ignore_a_rate_limit(clock: Clock) -> None:
    pool = pool_of(deployments(2), clock=clock)
    pool.impose("d0", "quota", 5)
    pool.impose("d1", "quota", 4)
    shortage = refused(pool.lease("g", CALL))
    assert (shortage.kind, shortage.wait) == ("quota", 4)
    clock.advance(4)
    assert leased(pool.lease("g", CALL)).deployment.id == "d1"


def test_an_ordinary_error_does_not_end_a_block(clock: Clock) -> None:
    pool = pool_of(deployments(1), clock=clock)
    two = [leased(pool.lease("g", CALL)) for _ in range(2)]
    two[0].fail(RateLimitError("x", retry_after=5))
    two[1].fail(BadRequestError("x"))
    assert health(pool).blocked_for == 5
