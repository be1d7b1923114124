"""A deployment's own `rpm` and `tpm` hold in every minute, whatever the calls and whoever replaces it."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace
from typing import Any

import pytest
from fakes import Clock
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from checks import Failed, Finished, RateLimit, Started, tokens
from checks.rate_limit import WINDOW
from providers.errors import RateLimitError
from providers.types import Call, Deployment, Verb
from providers.views import Response

FAILED = Failed(RateLimitError("no"))


def deployment(rpm: int | None = None, tpm: int | None = None, name: str = "east") -> Deployment:
    return Deployment(name, "gpt", "openai", "m", rpm=rpm, tpm=tpm)


def call(size: int = 0) -> Call:
    """A call that claims `size` tokens."""
    return Call("gpt", body={"max_output_tokens": size})


def finished(total: Any) -> Finished:
    return Finished(Response({"usage": {"total_tokens": total}}))


@pytest.fixture
def check(clock: Clock) -> RateLimit:
    return RateLimit(clock=clock)


def test_a_minute_takes_as_many_calls_as_allowed(check: RateLimit, clock: Clock) -> None:
    east = deployment(rpm=2)
    assert check.reserve(call(), east, 0.0) == 0.0
    clock.advance(10.0)
    assert check.reserve(call(), east, 0.0) == 0.0
    clock.advance(10.0)
    assert check.reserve(call(), east, 0.0) == 40.0
    clock.advance(40.0)
    assert check.reserve(call(), east, 0.0) == 0.0
    assert check.reserve(call(), east, 0.0) == 10.0


@given(
    st.integers(1, 5),
    st.lists(st.floats(0, 40, allow_nan=False) | st.sampled_from([0.0, 1e-9, 20.0, 60.0]), max_size=60),
)
def test_no_minute_ever_has_more_and_none_is_refused_without_need(rpm: int, pauses: list[float]) -> None:
    clock, east = Clock(0.0), deployment(rpm=rpm)
    check = RateLimit(clock=clock)
    admitted: list[float] = []
    calls = []  # a call lives as long as it is under way
    for pause in pauses:
        clock.advance(pause)
        calls.append(call())
        wait = check.reserve(calls[-1], east, clock.now)
        recent = [at for at in admitted if at + WINDOW - clock.now > 0]
        assert (wait == 0.0) == (len(recent) < rpm)
        if wait == 0.0:
            admitted.append(clock.now)
        else:
            assert wait == recent[-rpm] + WINDOW - clock.now
    for index, at in enumerate(admitted):
        later = admitted[index + rpm : index + rpm + 1]
        assert not later or at + WINDOW - later[0] <= 0


def test_tokens_are_claimed_before_they_are_used(check: RateLimit, clock: Clock) -> None:
    east = deployment(tpm=100)
    assert check.reserve(call(60), east, 0.0) == 0.0
    clock.advance(10.0)
    assert check.reserve(call(41), east, 0.0) == 50.0
    assert check.reserve(call(40), east, 0.0) == 0.0
    assert check.reserve(call(1), east, 0.0) == 50.0
    assert check.reserve(call(61), east, 0.0) == 60.0, "both must be over"
    clock.advance(50.0)
    assert check.reserve(call(60), east, 0.0) == 0.0


def test_the_input_counts_a_token_for_every_four_bytes(check: RateLimit) -> None:
    east = deployment(tpm=100)
    assert check.reserve(Call("gpt", body={"input": "x" * 400}), east, 0.0) == 0.0
    assert check.reserve(call(1), east, 0.0) == 60.0
    assert check.reserve(Call("gpt", body={"max_output_tokens": "many"}), east, 0.0) == 0.0


def test_verbs_by_id_cost_a_request_but_no_tokens(check: RateLimit) -> None:
    east = deployment(rpm=2, tpm=100)
    for _ in range(2):
        fetch = Call("gpt", Verb.GET, {"max_output_tokens": 1_000}, response_id="resp_1")
        assert check.reserve(fetch, east, 0.0) == 0.0
    assert check.reserve(fetch, east, 0.0) == 60.0


def test_the_later_of_two_limits_says_when(check: RateLimit, clock: Clock) -> None:
    east = deployment(rpm=2, tpm=100)
    check.reserve(call(10), east, 0.0)
    clock.advance(20.0)
    check.reserve(call(90), east, 0.0)
    assert check.reserve(call(0), east, 0.0) == 40.0
    assert check.reserve(call(50), east, 0.0) == 60.0
    stricter = deployment(rpm=1, tpm=100)
    assert check.reserve(call(1), stricter, 0.0) == 60.0


def test_a_call_larger_than_a_minute_goes_alone(check: RateLimit, clock: Clock) -> None:
    east = deployment(tpm=100)
    check.reserve(call(1), east, 0.0)
    assert check.reserve(call(5_000), east, 0.0) == 60.0
    clock.advance(60.0)
    assert check.reserve(call(5_000), east, 0.0) == 0.0
    assert check.reserve(call(1), east, 0.0) == 60.0


async def test_usage_takes_the_place_of_the_claim(check: RateLimit) -> None:
    east, first = deployment(tpm=100), call(90)
    check.reserve(first, east, 0.0)
    await check.observe(first, east, Started("resp_1"))
    assert check.reserve(call(50), east, 0.0) == 60.0
    await check.observe(first, east, finished(50))
    assert check.reserve(call(51), east, 0.0) == 60.0
    assert check.reserve(call(50), east, 0.0) == 0.0
    await check.observe(first, east, finished(0))
    assert check.reserve(call(1), east, 0.0) == 60.0, "settled twice"


async def test_more_than_was_claimed_counts_too(check: RateLimit) -> None:
    east, first = deployment(tpm=100), call(10)
    check.reserve(first, east, 0.0)
    await check.observe(first, east, finished(150))
    assert check.reserve(call(1), east, 0.0) == 60.0


@pytest.mark.parametrize(
    "outcome",
    [Finished(None), Finished(Response({})), Finished(Response({"usage": None})), finished(None), finished("many")],
)
async def test_a_claim_stands_where_no_usage_is_told(check: RateLimit, outcome: Finished) -> None:
    east, first = deployment(tpm=100), call(90)
    check.reserve(first, east, 0.0)
    await check.observe(first, east, outcome)
    assert check.reserve(call(11), east, 0.0) == 60.0
    assert check.reserve(call(10), east, 0.0) == 0.0


async def test_a_failure_gives_its_tokens_back_but_was_a_request(check: RateLimit) -> None:
    east, first = deployment(rpm=2, tpm=100), call(90)
    check.reserve(first, east, 0.0)
    await check.observe(first, east, FAILED)
    assert check.reserve(call(100), east, 0.0) == 0.0
    assert check.reserve(call(0), east, 0.0) == 60.0


def test_what_was_never_sent_counts_for_nothing(check: RateLimit, clock: Clock) -> None:
    east = deployment(rpm=2, tpm=100)
    older, newer = call(50), call(50)
    check.reserve(older, east, 0.0)
    clock.advance(1.0)
    check.reserve(newer, east, 0.0)
    check.release(older, east)
    check.release(older, east)
    assert check.reserve(call(51), east, 0.0) == 60.0
    assert check.reserve(older, east, 0.0) == 0.0
    check.release(newer, east)
    check.release(older, east)
    check.release(call(), east)
    assert check.reserve(call(100), east, 0.0) == 0.0


@pytest.mark.parametrize("settle", ["usage", "failure", "release"])
@pytest.mark.parametrize("busy", [False, True])
async def test_a_call_that_ends_after_its_minute_changes_nothing(
    check: RateLimit, clock: Clock, settle: str, busy: bool
) -> None:
    east, slow, other = deployment(rpm=3, tpm=100), call(40), call(40)
    check.reserve(slow, east, 0.0)
    clock.advance(60.0)
    assert check.reserve(other, east, 0.0) == 0.0
    if not busy:
        check.release(other, east)
    if settle == "release":
        check.release(slow, east)
    else:
        await check.observe(slow, east, finished(500) if settle == "usage" else FAILED)
    room = 60 if busy else 100
    assert check.reserve(call(room + 1), east, 0.0) == (60.0 if busy else 0.0)
    if busy:
        assert check.reserve(call(room), east, 0.0) == 0.0


async def test_a_call_tried_on_two_deployments_counts_on_each_for_itself(check: RateLimit) -> None:
    east, west, asked = deployment(tpm=100), deployment(tpm=100, name="west"), call(80)
    check.reserve(asked, east, 0.0)
    await check.observe(asked, east, FAILED)
    check.reserve(asked, west, 0.0)
    await check.observe(asked, west, finished(70))
    assert check.reserve(call(100), east, 0.0) == 0.0
    assert check.reserve(call(31), west, 0.0) == 60.0
    assert check.reserve(call(30), west, 0.0) == 0.0


def test_a_minute_outlives_the_deployment_s_replacement(check: RateLimit) -> None:
    east = deployment(rpm=1)
    asked = call()
    check.reserve(asked, east, 0.0)
    replaced = replace(east, rpm=2)
    del east
    assert check.reserve(call(), replaced, 0.0) == 0.0
    assert check.reserve(call(), replaced, 0.0) == 60.0
    assert check.reserve(call(), replace(replaced, rpm=1), 0.0) == 60.0
    check.release(asked, replaced)
    assert check.reserve(call(), replaced, 0.0) == 0.0


def test_no_limit_is_no_work(check: RateLimit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "guess", None)
    assert check.reserve(call(), deployment(), 0.0) == 0.0
    assert check.reserve(call(), deployment(rpm=1), 0.0) == 0.0


def test_a_call_is_measured_once_however_many_are_full(check: RateLimit, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Call] = []

    def guess(asked: Call) -> int:
        measured.append(asked)
        return 10

    monkeypatch.setattr(tokens, "guess", guess)
    asked = call()
    for index in range(50):
        check.reserve(asked, deployment(tpm=100, name=str(index)), 0.0)
    assert measured == [asked]


def test_nothing_is_kept_of_calls_that_are_gone(check: RateLimit) -> None:
    for _ in range(10):
        check.reserve(call(5), deployment(tpm=100), 0.0)
    gc.collect()
    assert len(check._claims) == len(check._sizes) == 0


def test_the_least_used_minute_is_forgotten_first(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checks.rate_limit.MOST_DEPLOYMENTS", 2)
    check = RateLimit(clock=clock)
    one, two, three = (deployment(rpm=1, name=name) for name in "abc")
    assert [check.reserve(call(), each, 0.0) for each in (one, two, one, three)] == [0.0, 0.0, 60.0, 0.0]
    assert check.reserve(call(), one, 0.0) == 60.0
    assert check.reserve(call(), two, 0.0) == 0.0


def test_threads_share_a_minute(check: RateLimit) -> None:
    east = deployment(rpm=500, tpm=10**9)
    start, calls = threading.Barrier(4), [[call(1) for _ in range(250)] for _ in range(4)]
    admitted: list[Call] = []

    def work(mine: list[Call]) -> None:
        start.wait(10)
        admitted.extend([asked for asked in mine if check.reserve(asked, east, 0.0) == 0.0])

    threads = [threading.Thread(target=work, args=(mine,)) for mine in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(admitted) == 500


def test_nobody_else_looks_between_the_look_and_the_claim(clock: Clock) -> None:
    locked: list[bool] = []

    def watch() -> float:
        locked.append(limit._lock.locked())
        return clock.now

    limit = RateLimit(clock=watch)
    limit.reserve(call(), deployment(rpm=1), 0.0)
    assert locked == [True]
    assert not limit._lock.locked()


class MinutesAgainstModel(RuleBasedStateMachine):
    """The model is a list of every claim ever made, read anew each time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(0.0)
        self.check = RateLimit(clock=self.clock)
        self.open: list[tuple[Call, list[Any]]] = []
        self.claims: list[list[Any]] = []
        """[when, tokens] of each."""

    def recent(self) -> list[list[Any]]:
        return [claim for claim in self.claims if claim[0] > self.clock.now - WINDOW]

    @rule(size=st.integers(0, 120), limits=st.sampled_from([(4, 100), (4, None), (None, 100)]))
    def ask(self, size: int, limits: tuple[int | None, int | None]) -> None:
        rpm, tpm = limits
        asked = call(size)
        wait = self.check.reserve(asked, deployment(rpm, tpm), self.clock.now)
        recent = self.recent()
        fits = rpm is None or len(recent) < rpm
        if tpm is not None:
            fits = fits and sum(tokens for _, tokens in recent) + min(size, tpm) <= tpm
        assert (wait == 0.0) == fits
        assert 0 <= wait <= WINDOW
        if fits:
            claim = [self.clock.now, size if tpm is not None else 0]
            self.claims.append(claim)
            self.open.append((asked, claim))

    @rule(which=st.integers(0, 99), used=st.integers(0, 200) | st.none())
    def finish(self, which: int, used: int | None) -> None:
        if self.open:
            asked, claim = self.open.pop(which % len(self.open))
            outcome = FAILED if used is None else finished(used)
            coroutine = self.check.observe(asked, deployment(), outcome)
            with pytest.raises(StopIteration):
                coroutine.send(None)
            claim[1] = used or 0

    @rule(which=st.integers(0, 99))
    def withdraw(self, which: int) -> None:
        if self.open:
            asked, claim = self.open.pop(which % len(self.open))
            self.check.release(asked, deployment())
            self.claims = [each for each in self.claims if each is not claim]

    @rule(seconds=st.integers(0, 50))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @invariant()
    def never_more_than_allowed(self) -> None:
        assert len(self.check._claims) <= len(self.open)


TestMinutesAgainstModel = MinutesAgainstModel.TestCase
