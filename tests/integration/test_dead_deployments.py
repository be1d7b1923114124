"""One of two deployments dead in each way there is: nobody notices. All dead: one error that says everything."""

import asyncio
from collections import Counter
from itertools import product
from typing import Any

import pytest
from fakes import Clock
from routers import AFFINITY, closed, create, entry, group, misbehave, read, read_until_error, served, serving, tick

from providers.simulated import FAULTS, Fault, SimulatedUpstream
from router import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    DeploymentHealth,
    InsufficientQuotaError,
    InternalServerError,
    MalformedReplyError,
    ModelNotFoundError,
    RateLimitError,
    Response,
    Router,
    ServiceUnavailableError,
    StreamInterruptedError,
)

WHOLE: dict[Fault, type[APIError]] = {
    "refuse": APIConnectionError,
    "reset": APIConnectionError,
    "hang": APITimeoutError,
    "500": InternalServerError,
    "503": ServiceUnavailableError,
    "401": AuthenticationError,
    "403": ModelNotFoundError,  # says the code, and that wins
    "404": ModelNotFoundError,
    "429": RateLimitError,
    "insufficient_quota": InsufficientQuotaError,
    "garbage": MalformedReplyError,
    "cut_before_output": StreamInterruptedError,
    "cut_after_output": StreamInterruptedError,
    "stall_before_output": APITimeoutError,
    "stall_after_output": APITimeoutError,
    "error_event": InternalServerError,
    "error_event_flat": InternalServerError,
    "error_event_after_output": InternalServerError,
    "failed_event": InternalServerError,
    "rate_limit_event": RateLimitError,
    "content_policy": ContentPolicyViolationError,
    "context_window": ContextWindowExceededError,
}
"""What each fault is, if not streamed."""
STREAMED: dict[Fault, type[APIError]] = {**WHOLE, "garbage": StreamInterruptedError}
AFTER_OUTPUT: tuple[Fault, ...] = ("cut_after_output", "stall_after_output", "error_event_after_output")
CALLERS: tuple[Fault, ...] = ("content_policy", "context_window")
WAITS: tuple[Fault, ...] = ("429", "503", "rate_limit_event")
CERTAIN: tuple[Fault, ...] = ("401", "403", "404", "insufficient_quota")
SLOW: tuple[Fault, ...] = ("hang", "stall_before_output", "stall_after_output")
WAYS = [
    (fault, stream)
    for fault, stream in product(WHOLE, (False, True))
    if fault not in CALLERS and not (stream and fault in AFTER_OUTPUT)
]
PATIENCE = 0.1
"""Seconds an attempt may take where it hangs. Only those that do wait that long."""


def patience(fault: Fault) -> float:
    return PATIENCE if fault in SLOW else 20.0


def health(router: Router, name: str = "u0") -> DeploymentHealth:
    return next(each for each in router.health() if each.id == name)


def test_no_fault_is_forgotten() -> None:
    assert {*WHOLE, "not_found_lag"} == set(FAULTS)


@pytest.mark.parametrize(("fault", "stream"), WAYS)
async def test_nobody_notices_that_one_of_two_is_dead(fault: Fault, stream: bool, clock: Clock) -> None:
    async with serving(2) as upstreams:
        router = Router(
            [entry(upstreams[0], timeout=patience(fault)), entry(upstreams[1])],
            optional_pre_call_checks=AFFINITY,
            routing_strategy="round-robin",  # the default would look away after the first failure
            clock=clock,
            sleep=tick,
        )
        dead = upstreams[0]
        misbehave(dead, fault)
        calls = 0
        while health(router).state == "closed" and not health(router).blocked_for:
            assert served(await create(router, stream)) == "u1"
            calls += 1
            assert calls < 20, "it is never taken out"
        before = health(router).calls
        assert before <= 2, "two failures in a row take it out, or one that is certain"
        await asyncio.gather(*(create(router, stream) for _ in range(40)))
        assert health(router).calls == before, "nothing reaches it while its breaker is open, or its limit lasts"
        if fault not in WAITS:
            for probes in (1, 2, 3):
                clock.advance(health(router).open_for)
                await asyncio.gather(*(create(router, stream) for _ in range(20)))
                assert health(router).calls == before + probes, "one probe, then it is out again"
                assert health(router).state == "open"
        misbehave(dead)
        router.upsert_deployment(entry(dead))  # without the short limit, for a busy machine
        clock.advance(health(router).open_for + health(router).blocked_for)
        await create(router, stream)
        clock.advance(10)
        answers = await asyncio.gather(*(create(router, stream) for _ in range(40)))
        assert Counter(served(answer) for answer in answers)["u0"] >= 10, "and takes its share again"
        assert health(router).state == "closed"
        await closed(router, upstreams)


@pytest.mark.parametrize("fault", ["500", "reset", "cut_before_output", "garbage", "401"])
async def test_a_burst_on_a_deployment_that_dies(fault: Fault) -> None:
    """On the real clock, with the default settings: 400 calls at once, half of them into the dead one."""
    async with serving(2) as upstreams:
        router = Router(group(upstreams), optional_pre_call_checks=AFFINITY)
        misbehave(upstreams[0], fault)
        answers = await asyncio.gather(*(create(router, number % 2 == 0) for number in range(400)))
        assert {served(answer) for answer in answers} == {"u1"}
        await closed(router, upstreams)


@pytest.mark.parametrize("fault", ["500", "cut_before_output", "401", "hang"])
async def test_follow_ups_of_those_at_home_elsewhere_are_not_touched(fault: Fault, clock: Clock) -> None:
    async with serving(2) as upstreams:
        router = Router(group(upstreams, timeout=patience(fault)), optional_pre_call_checks=AFFINITY, clock=clock)
        response = await router.aresponses("u1", "hi")
        misbehave(upstreams[0], fault)
        for _ in range(5):
            response = await router.aresponses("gpt", "more", previous_response_id=response.id)
            assert served(response) == "u1"
        assert upstreams[0].calls == 0
        await closed(router, upstreams)


@pytest.mark.parametrize(("fault", "stream"), WAYS)
async def test_the_error_of_a_total_outage(fault: Fault, stream: bool, clock: Clock) -> None:
    async with serving(2) as upstreams:
        now = {} if fault in WAITS else {"clock": clock}  # a limit is waited out by the real clock
        router = Router(group(upstreams, timeout=patience(fault)), sleep=tick, **now)  # type: ignore[arg-type]
        for upstream in upstreams:
            misbehave(upstream, fault, retry_after=0.01)
        with pytest.raises(APIError) as raised:
            await create(router, stream)
        error = raised.value
        expected = (STREAMED if stream else WHOLE)[fault]
        assert type(error) is expected
        assert [type(each.error) for each in error.attempts] == [expected] * len(error.attempts)
        assert {each.deployment_id for each in error.attempts} == {"u0", "u1"}
        assert {each.model_group for each in error.attempts} == {"gpt"}
        # the deployments that are certain to answer the same are asked once, others twice more than once in all
        assert len(error.attempts) == (2 if fault in CERTAIN else 4 if expected is RateLimitError else 3)
        assert sum(each.calls for each in router.health()) == len(error.attempts)
        assert error.deployment_id == error.attempts[-1].deployment_id
        assert error.status_code == {"403": 403}.get(fault, error.status_code)
        assert error.status_code == 502 or expected is not MalformedReplyError
        assert error.status_code >= 400
        if fault in WAITS:
            assert error.retry_after == 0.01
        if fault.isdecimal():
            assert error.status_code == int(fault)
            assert error.request_id is not None
        await closed(router, upstreams)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", CALLERS)
async def test_the_callers_fault_is_raised_at_once_and_counts_against_nobody(fault: Fault, stream: bool) -> None:
    async with serving(2) as upstreams:
        router = Router(group(upstreams))
        for upstream in upstreams:
            misbehave(upstream, fault)
        for number in range(1, 6):
            with pytest.raises(WHOLE[fault]) as raised:
                await create(router, stream)
            assert len(raised.value.attempts) == 1
            assert sum(upstream.calls for upstream in upstreams) == number
        assert {each.state for each in router.health()} == {"closed"}
        assert {each.failures for each in router.health()} == {0}
        await closed(router, upstreams)


@pytest.mark.parametrize("fault", AFTER_OUTPUT)
async def test_after_output_the_error_is_the_callers_to_see(fault: Fault) -> None:
    async with serving(2) as upstreams:
        router = Router(group(upstreams), idle_timeout=PATIENCE)
        for upstream in upstreams:
            misbehave(upstream, fault, cut_after=3)
        stream = await router.aresponses("gpt", "hi", stream=True)
        events, error = await read_until_error(stream)
        assert type(error) is WHOLE[fault]
        text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
        assert error.received is not None
        assert Response(error.received).output_text == text != ""
        assert error.received["id"] == events[0]["response"]["id"]
        assert sum(upstream.calls for upstream in upstreams) == 1, "and nobody else was asked"
        failing = next(each for each in router.health() if each.failures)
        assert failing.id == error.deployment_id
        await closed(router, upstreams)


async def test_requests_of_an_outage_stay_within_the_budget(clock: Clock) -> None:
    """Asking a deployment again that has failed the call is paid from the group's budget."""
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "500")
        router = Router(group(upstreams), clock=clock, sleep=tick, num_retries=5)
        for _ in range(100):
            with pytest.raises(InternalServerError):
                await router.aresponses("gpt", "hi")
        # 100 that the bucket holds, and a fifth for each call while it was not full
        retries = upstreams[0].calls - 100
        assert 100 < retries <= 120
        clock.advance(3)
        with pytest.raises(InternalServerError) as raised:
            await router.aresponses("gpt", "hi")
        assert len(raised.value.attempts) in (1 + 3, 1 + 4), "one a second comes back"
        await closed(router, upstreams)


async def test_when_all_are_down_one_is_tried_unless_told_otherwise(clock: Clock) -> None:
    async with serving(2) as upstreams:
        for mode, expected in (("try", InternalServerError), ("fail", APIError)):
            for upstream in upstreams:
                misbehave(upstream, "500")
            router = Router(group(upstreams), clock=clock, sleep=tick, on_all_down=mode, num_retries=0)  # type: ignore[arg-type]
            while any(each.state == "closed" for each in router.health()):
                with pytest.raises(APIError):
                    await router.aresponses("gpt", "hi")
            before = sum(upstream.calls for upstream in upstreams)
            with pytest.raises(expected):
                await router.aresponses("gpt", "hi")
            assert sum(upstream.calls for upstream in upstreams) - before == (mode == "try")
            await closed(router, upstreams)


async def test_disable_cooldowns_keeps_everybody_in(clock: Clock) -> None:
    async with serving(2) as upstreams:
        misbehave(upstreams[0], "500")
        router = Router(group(upstreams), clock=clock, disable_cooldowns=True, routing_strategy="round-robin")
        for _ in range(10):
            assert served(await router.aresponses("gpt", "hi")) == "u1"
        assert upstreams[0].calls >= 9, "each call asks both in turn"
        await closed(router, upstreams)


async def test_fallbacks_of_every_kind() -> None:
    async with serving(4) as upstreams:
        gpt, spare, large, lenient = upstreams
        router = Router(
            [entry(gpt), entry(spare, "spare"), entry(large, "large"), entry(lenient, "lenient")],
            fallbacks=[{"gpt": ["spare", {"model": "large", "temperature": 0.1}]}],
            context_window_fallbacks={"gpt": ["large"]},
            content_policy_fallbacks=[{"gpt": ["lenient"]}],
            num_retries=0,
            sleep=tick,
        )
        for stream in (False, True):
            for fault, expected in (
                ("500", "u1"),
                ("context_window", "u2"),
                ("content_policy", "u3"),
                ("garbage", "u1"),
                ("cut_before_output", "u1"),
            ):
                router.upsert_deployment(entry(gpt, id=f"{fault}{stream}"))
                for each in router.health():
                    if each.group == "gpt" and each.id != f"{fault}{stream}":
                        router.delete_deployment(each.id)
                misbehave(gpt, fault)
                answer = await create(router, stream, "gpt", "hi")
                assert (served(answer), answer.routing.fallbacks) == (expected, 1)
                with pytest.raises((STREAMED if stream else WHOLE)[fault]):  # type: ignore[index]
                    await create(router, stream, disable_fallbacks=True)
        await closed(router, upstreams)


async def test_fallbacks_of_one_call() -> None:
    async with serving(4) as upstreams:
        one, two, three, _ = upstreams
        for upstream in (one, two):
            misbehave(upstream, "500")
        router = Router([entry(each, each.name) for each in upstreams], num_retries=0, default_fallbacks=["u3"])
        assert served(await router.aresponses("u0", "hi")) == "u3"
        target = {"model": "u2", "temperature": 0.1, "user": "f"}
        for fallbacks in (["u1", target], [{"u0": ["u1", target]}], {"*": ["u1", target]}, ("u1", target)):
            answer = await router.aresponses("u0", "hi", fallbacks=fallbacks, temperature=0.9)
            assert (served(answer), answer.routing.fallbacks) == ("u2", 2)
            body: Any = three.requests[-1].body
            assert (body["temperature"], body["user"], body["input"]) == (0.1, "f", "hi")
        off: list[tuple[str, Any]] = [
            ("fallbacks", []),
            ("disable_fallbacks", True),
            ("max_fallbacks", 0),
            ("fallbacks", {"x": []}),
        ]
        for name, value in off:
            with pytest.raises(InternalServerError) as raised:
                await router.aresponses("u0", "hi", **{name: value})
            assert {each.model_group for each in raised.value.attempts} == {"u0"}
        with pytest.raises(InternalServerError) as raised:
            await router.aresponses("u0", "hi", fallbacks=["u1", "u2"], max_fallbacks=1)
        assert [each.model_group for each in raised.value.attempts] == ["u0", "u1"]
        misbehave(one, "context_window")
        assert served(await router.aresponses("u0", "hi", context_window_fallbacks=["u2"])) == "u2"
        misbehave(one, "content_policy")
        assert served(await router.aresponses("u0", "hi", content_policy_fallbacks=["u2"])) == "u2"
        await closed(router, upstreams)


async def test_a_fallback_group_that_is_gone_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(2) as upstreams:
        misbehave(upstreams[0], "500")
        router = Router([entry(upstreams[0]), entry(upstreams[1], "spare")], num_retries=0)
        assert served(await router.aresponses("gpt", "hi", fallbacks=["sprae", "spare"])) == "u1"
        assert "'sprae' is passed over" in caplog.text
        assert "did you mean 'spare'" in caplog.text
        with pytest.raises(InternalServerError) as raised:
            await router.aresponses("gpt", "hi", fallbacks=["sprae"])
        assert len(raised.value.attempts) == 1
        await closed(router, upstreams)


async def test_retries_by_class_and_deployment() -> None:
    async with serving(1) as upstreams:
        (upstream,) = upstreams

        async def sent(fault: Fault, router: Router, **params: Any) -> int:
            misbehave(upstream, fault, retry_after=None)
            before = upstream.calls
            with pytest.raises(WHOLE[fault]):
                await router.aresponses("gpt", "hi", **params)
            return upstream.calls - before

        def make(**settings: Any) -> Router:
            return Router(group(upstreams, **settings.pop("own", {})), sleep=tick, disable_cooldowns=True, **settings)

        plain, by_class = make(), make(retry_policy={"InternalServerErrorRetries": 4, "TimeoutErrorRetries": 0})
        assert [await sent("500", router) for router in (plain, by_class)] == [3, 5]
        assert await sent("500", by_class, num_retries=1) == 2
        assert await sent("500", plain, retry_policy={"InternalServerErrorRetries": 1}) == 2
        assert await sent("hang", by_class, timeout=0.03) == 1
        never = {"gpt": {"InternalServerErrorRetries": 0}}
        by_group = make(retry_policy={"InternalServerErrorRetries": 4}, model_group_retry_policy=never)
        assert await sent("500", by_group) == 1
        own = make(own={"num_retries": 1})
        assert await sent("500", own) == 2
        for router in (plain, by_class, by_group):
            await router.aclose()
        await closed(own, upstreams)


async def test_a_stream_that_moved_on_is_whole() -> None:
    """The events are those of the one that served; of the others' held ones nothing is seen."""
    from responses_protocol import check_stream

    async with serving(3) as upstreams:
        misbehave(upstreams[0], "cut_before_output")
        misbehave(upstreams[1], "error_event")
        router = Router([*group(upstreams[:2]), entry(upstreams[2], "spare")], fallbacks=[{"gpt": ["spare"]}])
        stream = await router.aresponses("gpt", "hi", stream=True)
        events = await read(stream)
        final = check_stream(events)
        assert final["id"] == upstreams[2].ids[-1]
        assert {event["response"]["id"] for event in events if "response" in event} == {final["id"]}
        assert stream.response is not None
        assert stream.response.id == final["id"]
        assert [each.deployment_id for each in stream.routing.attempts[-1:]] == ["u2"]
        await closed(router, upstreams)


async def _reads(upstream: SimulatedUpstream) -> int:
    return sum(record.method == "GET" for record in upstream.requests)


async def test_the_other_verbs_move_on_too() -> None:
    async with serving(2) as upstreams:
        misbehave(upstreams[0], "500")
        router = Router(group(upstreams), sleep=tick)
        response = await router.aresponses("u1", "hi")
        for _ in range(3):
            assert (await router.aget_responses(response.id)).id == response.id  # type: ignore[union-attr]
            assert (await router.acompact_responses("gpt", "hi")).routing.deployment_id == "u1"
            assert (await router.acount_input_tokens("gpt", "hi")).routing.deployment_id == "u1"
            assert (await router.alist_input_items(response.id)).routing.deployment_id == "u1"
        assert await _reads(upstreams[1]) == 6
        await closed(router, upstreams)
