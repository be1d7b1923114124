"""Why an attempt went where it went, as its caller, its record and its error tell it."""

from __future__ import annotations

import asyncio
import pickle
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from fakes import Clock
from routers import AFFINITY, closed, create, entry, group, misbehave, serving, tick

from checks import Home, PreCallCheck, Preferred
from providers.decisions import MOST_CONSIDERED, Considered, RouteDecision
from providers.errors import Attempt
from providers.simulated import SimulatedUpstream
from providers.types import Call, Connection, Deployment, HttpRequest
from router import (
    APIError,
    APITimeoutError,
    BadRequestError,
    ConfigurationError,
    InternalServerError,
    NoDeploymentError,
    RateLimitError,
    Response,
    Router,
    UnsupportedParamsError,
)
from router.telemetry.record import CallRecord


class Narrowing(PreCallCheck):
    """Leaves those that `leave` says."""

    def __init__(self, leave: Callable[[Sequence[Deployment]], Sequence[Deployment]]) -> None:
        self._leave = leave

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        return self._leave(deployments)


class Other(Narrowing):
    """Another class of the same, to be told apart."""


@asynccontextmanager
async def deciding(
    model_list: Sequence[Mapping[str, Any]], upstreams: Sequence[SimulatedUpstream] = (), **settings: Any
) -> AsyncIterator[Router]:
    """A Router that records decisions."""
    router = Router(model_list, record_decisions=True, **{"sleep": tick, **settings})
    yield router
    await closed(router, upstreams)


def decisions(attempts: Sequence[Attempt]) -> list[RouteDecision]:
    """Of each attempt, which all have one."""
    found = [each.decision for each in attempts if each.decision is not None]
    assert len(found) == len(attempts)
    return found


def last(answer: Response) -> RouteDecision:
    """Of the attempt that served."""
    return decisions(answer.routing.attempts)[-1]


def found_nobody(error: APIError) -> RouteDecision:
    """The choice that an error ended with."""
    assert error.decision is not None
    return error.decision


def reasons(decision: RouteDecision) -> dict[str, tuple[str | None, str]]:
    """Cause and words of those left out."""
    return {each.deployment_id: (each.cause, each.words) for each in decision.considered if each.score is None}


@pytest.mark.parametrize("stream", [False, True])
async def test_each_attempt_says_who_was_there_and_what_was_against_the_others(clock: Clock, stream: bool) -> None:
    async with serving(4) as upstreams:
        spare = entry(upstreams[3], order=1)
        records: list[CallRecord] = []
        model_list = [*group(upstreams[:3]), spare]
        settings: dict[str, Any] = {"seed": 7, "callbacks": [records.append], "disable_cooldowns": True}
        async with deciding(model_list, upstreams, clock=clock, **settings) as router:
            for upstream in upstreams[:2]:
                misbehave(upstream, "500")
            for _ in range(100):
                await create(router, stream)
                assert await router.aflush()
                if len(records[-1].attempts) == 3:
                    break
            attempts = records[-1].attempts
            first, second, third = (each.decision for each in attempts)
            assert first is not None
            assert second is not None
            assert third is not None
            assert (first.group, first.strategy, first.seed, first.snapshot) == ("gpt", "Adaptive", 7, 1)
            assert (first.pin, first.pinned, first.probe, first.forced, first.omitted) == (None, (), False, False, 0)
            assert [each.chosen for each in (first, second, third)] == [each.deployment_id for each in attempts]
            later = ("order", "its order is 1, and one of order 0 can serve")
            assert reasons(first) == {"u3": later}
            assert [each.score is not None for each in first.considered] == [True, True, True, False]
            tried = ("tried", "tried already")
            assert reasons(second) == {attempts[0].deployment_id: tried, "u3": later}
            assert reasons(third) == {attempts[0].deployment_id: tried, attempts[1].deployment_id: tried, "u3": later}
            for decision in (first, second, third):
                assert decision.considered[0].deployment_id == decision.chosen
                assert len(decision.considered) == 4


async def test_attempts_of_a_response_and_of_an_error_have_them(clock: Clock) -> None:
    async with serving(2) as upstreams, deciding(group(upstreams), upstreams, clock=clock, allowed_fails=0) as router:
        misbehave(upstreams[0], "500")
        misbehave(upstreams[1], "500")
        with pytest.raises(InternalServerError) as raised:
            await router.aresponses("gpt", "hi")
        made = decisions(raised.value.attempts)
        assert [each.chosen for each in made] == [each.deployment_id for each in raised.value.attempts]
        assert made[-1].forced
        assert {each.cause for each in made[-1].considered} == {"breaker"}
        misbehave(upstreams[0])
        assert last(await router.aresponses("u0", "hi")).considered[0].deployment_id == "u0"
        again = pickle.loads(pickle.dumps(raised.value))
        assert decisions(again.attempts) == made


async def test_what_is_not_recorded_is_not_there() -> None:
    async with serving(2) as upstreams:
        router = Router(group(upstreams), optional_pre_call_checks=[Narrowing(lambda all_: ())], num_retries=0)
        with pytest.raises(NoDeploymentError) as raised:
            await router.aresponses("gpt", "hi")
        assert raised.value.decision is None
        await closed(router, upstreams)
        router = Router(group(upstreams))
        response = await router.aresponses("gpt", "hi")
        assert [each.decision for each in response.routing.attempts] == [None]
        await closed(router, upstreams)


async def test_breakers_rate_limits_and_full_ones_are_told(clock: Clock) -> None:
    async with serving(4) as upstreams:
        model_list = [*group(upstreams[:3]), entry(upstreams[3], max_parallel_requests=1)]
        async with deciding(model_list, upstreams, clock=clock, cooldown_time=30) as router:
            misbehave(upstreams[0], "401")
            misbehave(upstreams[1], "429", retry_after=9)
            misbehave(upstreams[3], "stall_after_output", cut_after=1)
            held = await router.aresponses("u3", "hi", stream=True)
            for name in ("u0", "u1"):
                with pytest.raises(APIError):
                    await router.aresponses(name, "hi", num_retries=0)
            clock.advance(2)
            decision = last(await router.aresponses("gpt", "hi"))
            assert decision.chosen == "u2"
            assert reasons(decision) == {
                "u0": ("breaker", "its breaker is open for 28.0 s: AuthenticationError 401"),
                "u1": ("quota", "its rate limit is reached for 7.0 s"),
                "u3": ("capacity", "1 of 1 parallel requests are in flight"),
            }
            waits = {each.deployment_id: each.wait for each in decision.considered}
            assert waits == {"u2": None, "u0": 28.0, "u1": 7.0, "u3": None}
            clock.advance(28)
            misbehave(upstreams[0])
            probe = last(await router.aresponses("gpt", "hi"))
            assert (probe.chosen, probe.probe, probe.forced) == ("u0", True, False)
            assert probe.considered[0].words == "its breaker is half-open: AuthenticationError 401"
            assert probe.considered[0].score is not None
            await held.aclose()


async def test_a_deployment_of_weight_0_stands_by() -> None:
    async with serving(2) as upstreams:
        model_list = [entry(upstreams[0], weight=1), entry(upstreams[1], weight=0)]
        async with deciding(model_list, upstreams) as router:
            decision = last(await router.aresponses("gpt", "hi"))
            assert reasons(decision) == {"u1": ("order", "its weight is 0, and one that has a weight can serve")}


async def test_each_check_is_named_with_those_that_it_left_out(clock: Clock) -> None:
    async with serving(4) as upstreams:
        model_list = [*group(upstreams[:3]), entry(upstreams[3], rpm=1)]
        checks = [Narrowing(lambda given: given[1:]), Other(lambda given: given[1:]), "rate_limit"]
        async with deciding(model_list, upstreams, optional_pre_call_checks=checks, clock=clock) as router:
            left_out = {"u0": ("check", "left out by Narrowing"), "u1": ("check", "left out by Other")}
            both = last(await router.aresponses("gpt", "hi"))
            assert reasons(both) == left_out
            assert both.strategy == "Adaptive"
            told = [last(await router.aresponses("gpt", "hi")) for _ in range(20)]
            full = ("room", "no room within its limits for 60.0 s")
            assert {**left_out, "u3": full} in [reasons(each) for each in told], "once it was picked and had no room"


async def test_a_check_that_leaves_nobody_or_refuses() -> None:
    async with serving(2) as upstreams:
        records: list[CallRecord] = []
        for check, reason in (
            (Narrowing(lambda given: ()), "left out by Narrowing"),
            ("tags", "refused by Tags"),
        ):
            settings: dict[str, Any] = {"optional_pre_call_checks": [check], "callbacks": [records.append]}
            async with deciding(group(upstreams), upstreams, **settings) as router:
                with pytest.raises((NoDeploymentError, BadRequestError)) as raised:
                    await router.aresponses("gpt", "hi", litellm_metadata={"tags": ["x"]})
                decision = found_nobody(raised.value)
                assert (decision.chosen, decision.strategy, decision.omitted) == (None, None, 0)
                assert reasons(decision) == dict.fromkeys(("u0", "u1"), ("check", reason))
            assert records[-1].decision == decision
            assert records[-1].attempts == ()


async def test_a_check_that_waits_too_long(clock: Clock) -> None:
    class Endless(PreCallCheck):
        async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
            await asyncio.Event().wait()
            return deployments

    async with serving(2) as upstreams:
        checks = [Narrowing(lambda given: given[1:]), Endless()]
        async with deciding(group(upstreams), upstreams, optional_pre_call_checks=checks, clock=clock) as router:
            with pytest.raises(APITimeoutError) as raised:
                await router.aresponses("gpt", "hi", deadline=0.01)
            assert reasons(found_nobody(raised.value)) == {
                "u0": ("check", "left out by Narrowing"),
                "u1": ("deadline", "the call's time was over before it could be chosen"),
            }


async def test_a_deployment_that_goes_while_the_checks_look() -> None:
    def removing(given: Sequence[Deployment]) -> Sequence[Deployment]:
        router.delete_deployment("u1")
        return given[:2]

    async with serving(3) as upstreams:
        checks = [Narrowing(removing)]
        async with deciding(group(upstreams), upstreams, optional_pre_call_checks=checks) as router:
            decision = last(await router.aresponses("gpt", "hi"))
            assert reasons(decision) == {
                "u1": ("gone", "it has just been removed"),
                "u2": ("check", "left out by Narrowing"),
            }
            assert decision.snapshot == 1, "as of the model list that the call came to"
            assert last(await router.aresponses("gpt", "hi")).snapshot == 2


async def test_a_deployment_that_comes_while_the_checks_look() -> None:
    def adding(given: Sequence[Deployment]) -> Sequence[Deployment]:
        router.upsert_deployment(entry(upstreams[2]))
        return given

    async with serving(3) as upstreams:
        checks = [Narrowing(adding)]
        async with deciding(group(upstreams[:2]), upstreams, optional_pre_call_checks=checks) as router:
            decision = last(await router.aresponses("gpt", "hi"))
            assert {each.deployment_id for each in decision.considered} == {"u0", "u1", "u2"}
            assert decision.omitted == 0


async def test_a_preferred_one_without_room_is_passed_over(clock: Clock) -> None:
    async with serving(2) as upstreams:
        model_list = [entry(upstreams[0], rpm=1), entry(upstreams[1])]
        checks = [*AFFINITY, "rate_limit"]
        async with deciding(model_list, upstreams, optional_pre_call_checks=checks, clock=clock) as router:
            await router.aresponses("u0", "hi", prompt_cache_key="k")
            decision = last(await router.aresponses("gpt", "more", prompt_cache_key="k"))
            assert (decision.chosen, decision.pin, decision.pinned) == ("u1", "leaning", ("u0",))
            assert reasons(decision) == {"u0": ("room", "no room within its limits for 60.0 s")}


async def test_an_order_that_binds_is_named_in_place_of_the_strategy() -> None:
    async with serving(2) as upstreams:
        checks = [Narrowing(lambda given: Preferred(reversed(given)))]
        async with deciding(group(upstreams), upstreams, optional_pre_call_checks=checks) as router:
            decision = last(await router.aresponses("gpt", "hi"))
            assert (decision.strategy, decision.chosen) == ("Narrowing", "u1")
            assert reasons(decision) == {}


async def test_a_home_and_a_preference_are_pins() -> None:
    async with serving(2) as upstreams:
        one, other = upstreams
        model_list = [entry(one), entry(one, id="twin"), entry(other)]
        async with deciding(model_list, upstreams, optional_pre_call_checks=AFFINITY) as router:
            hello = await router.aresponses("u0", "hi", prompt_cache_key="k")
            assert (last(hello).pin, last(hello).pinned) == (None, ())
            home = last(await router.aresponses("gpt", "more", previous_response_id=hello.id))
            assert (home.pin, set(home.pinned)) == ("home", {"u0", "twin"})
            assert reasons(home) == {"u1": ("home", "left out by ResponsesApiDeployment")}
            leaning = last(await router.aresponses("gpt", "more", prompt_cache_key="k"))
            assert (leaning.pin, set(leaning.pinned)) == ("leaning", {"u0", "twin"})
            assert leaning.chosen in leaning.pinned
            assert reasons(leaning) == {}, "the others could have served"
            assert {each.deployment_id for each in leaning.considered} == {"u0", "twin", "u1"}


async def test_what_can_not_be_said_is_no_ones_failure() -> None:
    async with serving(2) as upstreams:
        chat = entry(upstreams[0], dialect="chat_completions")
        moderation: dict[str, Any] = {"moderation": {"model": "m", "policy": {}}}
        async with deciding([chat, entry(upstreams[1], order=1)], upstreams) as router:
            answer = await router.aresponses("gpt", "hi", **moderation)
            assert isinstance(answer.routing.attempts[0].error, UnsupportedParamsError)
            assert reasons(last(answer)) == {"u0": ("unsaid", "it can't say what is asked")}
        async with deciding([chat], upstreams) as router:
            with pytest.raises(UnsupportedParamsError) as raised:
                await router.aresponses("gpt", "hi", **moderation)
            assert reasons(found_nobody(raised.value)) == {"u0": ("unsaid", "it can't say what is asked")}


async def test_why_it_fell_back_is_in_the_record(clock: Clock) -> None:
    async with serving(2) as upstreams:
        misbehave(upstreams[0], "429", retry_after=50)
        records: list[CallRecord] = []
        model_list = [entry(upstreams[0]), entry(upstreams[1], "spare")]
        settings: dict[str, Any] = {"fallbacks": [{"gpt": ["spare"]}], "callbacks": [records.append], "clock": clock}
        async with deciding(model_list, upstreams, **settings) as router:
            with pytest.raises(RateLimitError) as raised:
                await router.aresponses("gpt", "hi", disable_fallbacks=True, deadline=1)
            assert reasons(found_nobody(raised.value)) == {"u0": ("quota", "its rate limit is reached for 50.0 s")}
            answer = await router.aresponses("gpt", "hi")
            assert (last(answer).group, last(answer).chosen) == ("spare", "u1")
        passed_over = records[-1].decision
        assert passed_over is not None
        assert (passed_over.group, passed_over.chosen, passed_over.strategy) == ("gpt", None, "Adaptive")
        assert reasons(passed_over) == {"u0": ("quota", "its rate limit is reached for 50.0 s")}


async def test_the_wait_is_that_of_the_attempt(clock: Clock) -> None:
    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    async with serving(1) as upstreams:
        misbehave(upstreams[0], "500")
        async with deciding(group(upstreams), upstreams, clock=clock, sleep=sleep, retry_after=3) as router:
            with pytest.raises(InternalServerError) as raised:
                await router.aresponses("gpt", "hi")
            attempts = raised.value.attempts
            assert [each.waited for each in decisions(attempts)] == [each.waited for each in attempts] == [0, 3, 3]


async def test_a_large_group_is_told_of_in_part() -> None:
    async with serving(1) as upstreams:
        many = [entry(upstreams[0], id=f"d{index}") for index in range(50)]
        async with deciding(many, upstreams) as router:
            decision = last(await router.aresponses("gpt", "hi"))
            assert (len(decision.considered), decision.omitted) == (MOST_CONSIDERED, 50 - MOST_CONSIDERED)
        some = [Narrowing(lambda given: given[:5])]
        async with deciding(many, upstreams, optional_pre_call_checks=some) as router:
            decision = last(await router.aresponses("gpt", "hi"))
            assert (len(decision.considered), decision.omitted) == (MOST_CONSIDERED, 50 - MOST_CONSIDERED)
            assert len(reasons(decision)) == MOST_CONSIDERED - 5
        homes = [Narrowing(lambda given: Home(given[:30]))]
        async with deciding(many, upstreams, optional_pre_call_checks=homes) as router:
            decision = last(await router.aresponses("gpt", "hi"))
            assert len(decision.pinned) == MOST_CONSIDERED


async def test_a_decision_survives_json() -> None:
    async with serving(2) as upstreams, deciding(group(upstreams), upstreams) as router:
        decision = last(await router.aresponses("gpt", "hi"))
        assert msgspec.json.decode(msgspec.json.encode(decision), type=RouteDecision) == decision


def test_a_reason_says_its_time() -> None:
    assert Considered("d").words == "ready"
    assert Considered("d", "tried already", cause="tried").words == "tried already"
    assert Considered("d", "its breaker is open: x", cause="breaker", wait=3.21).words == (
        "its breaker is open for 3.2 s: x"
    )


# randomness


async def _history(seed: int | None, rng: random.Random | None = None, **settings: Any) -> list[RouteDecision]:
    """Decisions of calls of which every third fails at first, one after the other, on a clock that ticks evenly."""
    clock = Clock()
    names = [f"u{index}" for index in range(20)]

    class Ticking:
        """A transport in memory: an answer, or every third time none, half a second later."""

        sent = 0

        async def send(self, request: HttpRequest, connection: Connection, *, timeout: float) -> Any:
            self.sent += 1
            clock.advance(0.5)
            return await Replying(500 if self.sent % 3 == 0 else 200).open()

        async def aclose(self) -> None:
            pass

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    model_list = [entry(f"http://{name}.test", id=name) for name in names]
    router = Router(
        model_list,
        http_client=Ticking(),
        record_decisions=True,
        clock=clock,
        sleep=sleep,
        seed=seed,
        rng=rng,
        **settings,
    )
    made: list[RouteDecision] = []
    for _ in range(40):
        answer = await router.aresponses("gpt", "hi")
        made += decisions(answer.routing.attempts)
    await router.aclose()
    return made


class Replying:
    """A reply in memory."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": "application/json"}

    async def open(self) -> Replying:
        """It has arrived."""
        return self

    async def read(self) -> bytes:
        """A response, or an error."""
        if self.status == 200:
            return b'{"id":"resp_1","object":"response","status":"completed","output":[]}'
        return b'{"error":{"message":"down","type":"server_error"}}'

    async def chunk(self) -> bytes:
        """Nothing is streamed."""
        return b""

    async def aclose(self) -> None:
        """Nothing is held."""

    def abort(self) -> None:
        """Nothing is held."""


async def test_the_same_seed_and_the_same_calls_make_the_same_decisions() -> None:
    one, same, other = await _history(11), await _history(11), await _history(12)
    assert one == same
    assert [each.chosen for each in one] != [each.chosen for each in other]
    assert {each.seed for each in one} == {11}


async def test_a_seed_that_was_drawn_can_be_used_again() -> None:
    first = await _history(None)
    assert first[0].seed is not None
    assert await _history(first[0].seed) == first
    assert (await _history(None))[0].seed != first[0].seed


async def test_a_generator_that_was_given_has_no_seed() -> None:
    made = await _history(None, random.Random(3))
    assert {each.seed for each in made} == {None}
    assert made == await _history(None, random.Random(3))


def test_a_seed_and_a_generator_are_one_too_many() -> None:
    with pytest.raises(ConfigurationError, match="seed: the generator given as rng has its own"):
        Router(seed=1, rng=random.Random(1))
    with pytest.raises(ConfigurationError, match="seed"):
        Router(seed=-1)
