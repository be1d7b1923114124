"""Deadlines, waits and lines: how long a call may take, and what it waits for meanwhile."""

import asyncio
import json
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any

import pytest
from fakes import Clock
from redis_servers import eventually
from routers import AFFINITY, closed, create, entry, group, in_flight, misbehave, served, serving, tick
from wire import Link, serve

from checks import PreCallCheck
from providers.simulated import Behaviour, SimulatedUpstream
from providers.types import Call, Deployment
from router import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    BadRequestError,
    InternalServerError,
    PreviousResponseNotFoundError,
    RateLimitError,
    Router,
)


class Sleeper:
    """Passes the time on its clock, and notes how long it was asked to."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def sleeper(clock: Clock) -> Sleeper:
    return Sleeper(clock)


async def test_retries_wait_with_jitter_below_a_ceiling_that_doubles(clock: Clock, sleeper: Sleeper) -> None:
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "500")
        router = Router(group(upstreams), clock=clock, sleep=sleeper, num_retries=8)
        with pytest.raises(InternalServerError) as raised:
            await router.aresponses("gpt", "hi")
        assert len(sleeper.waits) == 8
        ceilings = [min(8, 0.25 * 2**n) for n in range(8)]
        assert all(0 <= wait <= ceiling for wait, ceiling in zip(sleeper.waits, ceilings, strict=True))
        assert len(set(sleeper.waits)) == 8
        assert [attempt.started for attempt in raised.value.attempts][1:] == pytest.approx(
            [sum(sleeper.waits[:n]) for n in range(1, 9)]
        )
        await closed(router, upstreams)


async def test_retry_after_of_the_settings_is_the_least(clock: Clock, sleeper: Sleeper) -> None:
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "500")
        router = Router(group(upstreams), clock=clock, sleep=sleeper, retry_after=5)
        with pytest.raises(InternalServerError):
            await router.aresponses("gpt", "hi")
        assert sleeper.waits == [5, 5]
        await closed(router, upstreams)


async def test_an_untried_deployment_is_tried_without_a_wait(clock: Clock, sleeper: Sleeper) -> None:
    async with serving(3) as upstreams:
        for upstream in upstreams[:2]:
            misbehave(upstream, "500")
        router = Router(group(upstreams), clock=clock, sleep=sleeper)
        for _ in range(5):
            assert served(await router.aresponses("gpt", "hi")) == "u2"
        assert sleeper.waits == []
        await closed(router, upstreams)


async def test_one_deadline_spans_attempts_waits_and_fallbacks(clock: Clock, sleeper: Sleeper) -> None:
    async with serving(2) as upstreams:
        for upstream in upstreams:
            misbehave(upstream, "500")
        router = Router(
            [entry(upstreams[0]), entry(upstreams[1], "spare")],
            fallbacks=[{"gpt": ["spare"]}],
            clock=clock,
            sleep=sleeper,
            retry_after=2,
            num_retries=100,
        )
        with pytest.raises(InternalServerError) as raised:
            await router.aresponses("gpt", "hi", deadline=9)
        # two seconds each, in both groups, and no wait that would lead past the deadline
        assert sleeper.waits == [2, 2, 2, 2]
        assert {attempt.model_group for attempt in raised.value.attempts} <= {"gpt", "spare"}
        assert raised.value.attempts[-1].started == 8
        await closed(router, upstreams)


async def test_the_routers_own_deadline_and_that_of_the_call(clock: Clock, sleeper: Sleeper) -> None:
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "500")
        router = Router(group(upstreams), clock=clock, sleep=sleeper, deadline=5, retry_after=2, num_retries=99)
        calls: list[tuple[dict[str, Any], int]] = [({}, 2), ({"deadline": 7}, 3), ({"deadline": 1}, 0)]
        for params, waits in calls:
            sleeper.waits.clear()
            with pytest.raises(InternalServerError):
                await router.aresponses("gpt", "hi", **params)
            assert sleeper.waits == [2] * waits
        await closed(router, upstreams)


async def test_nobody_is_asked_once_the_deadline_is_over(clock: Clock) -> None:
    async with serving(2) as upstreams:

        async def slow(seconds: float) -> None:
            clock.advance(seconds)

        for upstream in upstreams:
            upstream.behaviour = Behaviour(fault="500")
        router = Router(group(upstreams), clock=clock, sleep=slow)
        late = SimulatedUpstream("late", behaviour=Behaviour(latency=10, fault="500"), sleep=slow)
        async with late:
            router.set_model_list([entry(late, order=0), *group(upstreams, order=1)])
            with pytest.raises(InternalServerError) as raised:
                await router.aresponses("gpt", "hi", deadline=10)
            assert [attempt.deployment_id for attempt in raised.value.attempts] == ["late"]
            await closed(router, [late, *upstreams])


@pytest.mark.parametrize("stream", [False, True])
async def test_the_time_for_the_head_is_taken_from_that_for_the_body(stream: bool, clock: Clock) -> None:
    kind = "text/event-stream" if stream else "application/json"

    async def play(link: Link) -> None:
        while await link.request():
            clock.advance(29.7)
            await link.send(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 99\r\n\r\n".encode())

    async with serve(play) as server:
        router = Router([entry(server.url, id="s")], clock=clock, num_retries=0)
        with pytest.raises(APITimeoutError, match=r"body did not arrive in time|no event for 0\.[0-3]"):
            await router.aresponses("gpt", "hi", stream=stream, timeout=30)
        await router.aclose()


async def test_the_callers_impatience_does_not_count_against_a_deployment() -> None:
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "hang")
        router = Router(group(upstreams, timeout=20), num_retries=0)
        hurries: list[dict[str, Any]] = [{"timeout": 0.03}, {"deadline": 0.03}]
        for limits in hurries:
            for _ in range(2):
                with pytest.raises(APITimeoutError):
                    await router.aresponses("gpt", "hi", **limits)
        (health,) = router.health()
        assert (health.failures, health.state) == (0, "closed")
        router.upsert_deployment(entry(upstreams[0], timeout=0.03))
        with pytest.raises(APITimeoutError):
            await router.aresponses("gpt", "hi")
        (health,) = router.health()
        assert health.failures >= 1
        await closed(router, upstreams)


# what servers ask for


def saying(*headers: str, status: int = 429) -> Callable[[Link], Any]:
    """Refuses the first request with these headers, and serves the others."""
    answered = 0

    async def play(link: Link) -> None:
        nonlocal answered
        while await link.request():
            answered += 1
            body = b'{"id": "resp_1", "object": "response", "status": "completed", "output": []}'
            lines = ["HTTP/1.1 200 OK"]
            if answered == 1:
                body, lines = b'{"error": {"message": "slow down"}}', [f"HTTP/1.1 {status} Slow", *headers]
            lines += [f"Content-Length: {len(body)}", "Content-Type: application/json", "", ""]
            await link.send("\r\n".join(lines).encode() + body)

    return play


DATE = formatdate(1_000_000_000, usegmt=True)
DIALECTS = [
    ("2.5", ("retry-after-ms: 2500",)),
    ("2.5", ("retry-after: 2.5",)),
    ("3", ("retry-after: 3",)),
    ("7", (f"date: {DATE}", f"retry-after: {formatdate(1_000_000_007, usegmt=True)}")),
    ("6", ("x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 6s")),
]


@pytest.mark.parametrize(("seconds", "headers"), DIALECTS)
async def test_a_rate_limit_lasts_as_long_as_the_server_says(
    seconds: str, headers: tuple[str, ...], clock: Clock
) -> None:
    async with serve(saying(*headers)) as server:
        router = Router([entry(server.url, id="s")], clock=clock, num_retries=0)
        with pytest.raises(RateLimitError) as raised:
            await router.aresponses("gpt", "hi")
        assert raised.value.retry_after == float(seconds)
        assert router.health()[0].blocked_for == float(seconds)
        with pytest.raises(RateLimitError) as raised:
            await router.aresponses("gpt", "hi", deadline=1)
        assert len(server.requests) == 1, "it is left alone"
        assert raised.value.retry_after == pytest.approx(float(seconds))
        assert "rate limit reached" in str(raised.value)
        clock.advance(float(seconds))
        await router.aresponses("gpt", "hi")
        await router.aclose()


async def test_a_call_waits_as_long_as_the_server_says_if_it_may() -> None:
    """On the real clock: never sooner than asked."""
    async with serve(saying("retry-after-ms: 60")) as server:
        router = Router([entry(server.url, id="s")])
        answer = await router.aresponses("gpt", "hi")
        first, second = answer.routing.attempts
        assert second.started - first.started >= 0.06
        await router.aclose()


@pytest.mark.parametrize("status", [408, 409, 503])
async def test_a_failure_may_ask_for_a_wait_too(status: int) -> None:
    async with serve(saying("retry-after-ms: 60", status=status)) as server:
        router = Router([entry(server.url, id="s")])
        answer = await router.aresponses("gpt", "hi")
        first, second = answer.routing.attempts
        assert second.started - first.started >= 0.06
        await router.aclose()


# a vendor that lags


async def test_a_home_that_lags_is_asked_again_there(clock: Clock, sleeper: Sleeper) -> None:
    async with serving(3, Behaviour(lag_reads=5)) as upstreams:
        router = Router(
            [entry(each, model="azure/gpt") for each in upstreams],
            optional_pre_call_checks=AFFINITY,
            clock=clock,
            sleep=sleeper,
            num_retries=0,
        )
        response = await router.aresponses("gpt", "hi")
        for upstream in upstreams:
            misbehave(upstream, "not_found_lag")
        follow_up = await router.aresponses("gpt", "more", previous_response_id=response.id)
        assert served(follow_up) == served(response)
        assert sleeper.waits == [0.25, 0.5, 1.0, 2.0, 4.0]
        assert sum(upstream.calls for upstream in upstreams) == 7
        await closed(router, upstreams)


async def test_a_lagging_home_is_not_waited_for_past_the_deadline(clock: Clock, sleeper: Sleeper) -> None:
    async with serving(1, Behaviour(lag_reads=99)) as upstreams:
        router = Router(
            [entry(upstreams[0], model="azure/gpt")], optional_pre_call_checks=AFFINITY, clock=clock, sleep=sleeper
        )
        response = await router.aresponses("gpt", "hi")
        misbehave(upstreams[0], "not_found_lag")
        with pytest.raises(PreviousResponseNotFoundError) as raised:
            await router.aresponses("gpt", "more", previous_response_id=response.id, deadline=2)
        assert sleeper.waits == [0.25, 0.5, 1.0], "a wait of two seconds would end too late"
        assert len(raised.value.attempts) == 4
        await closed(router, upstreams)


async def test_an_id_that_nobody_knows_is_not_waited_for(sleeper: Sleeper, clock: Clock) -> None:
    async with serving(2) as upstreams:
        router = Router(group(upstreams), optional_pre_call_checks=AFFINITY, clock=clock, sleep=sleeper)
        with pytest.raises(PreviousResponseNotFoundError):
            await router.aresponses("gpt", "more", previous_response_id="resp_unknown")
        assert sleeper.waits == []
        assert sum(record.method == "POST" for upstream in upstreams for record in upstream.requests) == 1
        await closed(router, upstreams)


# lines


async def test_calls_beyond_the_cap_wait_in_line() -> None:
    gate = asyncio.Semaphore(0)

    async def hold(seconds: float) -> None:
        await gate.acquire()

    async with serving(1, Behaviour(latency=1), hold) as (upstream,):
        router = Router(group([upstream], max_parallel_requests=2))
        order: list[int] = []

        async def call(number: int) -> None:
            await router.aresponses("gpt", f"{number}")
            order.append(number)

        calls = []
        for number in range(8):
            calls.append(asyncio.create_task(call(number)))
            await asyncio.sleep(0)
        for done in range(1, 9):
            await upstream.until(lambda done=done: upstream.calls == min(8, done + 1))  # type: ignore[misc]
            assert in_flight(router) == {"u0": min(2, 9 - done)}
            gate.release()
            await eventually(lambda done=done: len(order) == done, "one more is served")  # type: ignore[misc]
        await asyncio.gather(*calls)
        assert [record.body["input"] for record in upstream.requests] == [str(n) for n in range(8)]  # type: ignore[index, call-overload]
        await closed(router, [upstream])


class Fickle(PreCallCheck):
    """Lets a call wait, and has other ideas when it is woken."""

    def __init__(self, error: APIError) -> None:
        self.error = error
        self.asked: list[object] = []

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        self.asked.append(call.body["input"])
        if self.asked.count("fickle") > 1 and call.body["input"] == "fickle":
            raise self.error
        return deployments


@pytest.mark.parametrize(
    "error", [BadRequestError("on second thoughts, no"), RateLimitError("on second thoughts, later", retry_after=9)]
)
async def test_a_call_that_is_woken_for_nothing_lets_the_next_have_the_place(error: APIError) -> None:
    gate = asyncio.Semaphore(0)
    never = asyncio.Event()

    async def hold(seconds: float) -> None:
        await gate.acquire()

    async def asleep(seconds: float) -> None:
        await never.wait()

    async with serving(1, Behaviour(latency=1), hold) as (upstream,):
        check = Fickle(error)
        router = Router(group([upstream], max_parallel_requests=1), optional_pre_call_checks=[check], sleep=asleep)
        first = asyncio.create_task(router.aresponses("gpt", "first"))
        await upstream.until(lambda: upstream.active_requests == 1)
        line = [asyncio.create_task(router.aresponses("gpt", name)) for name in ("fickle", "last")]
        await eventually(lambda: check.asked == ["first", "fickle", "last"], "both wait")
        gate.release()
        gate.release()
        await asyncio.gather(first, line[1])
        line[0].cancel()
        await asyncio.wait(line)
        await closed(router, [upstream])


async def test_closing_ends_the_waits() -> None:
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "hang")
        router = Router(group(upstreams, max_parallel_requests=1))
        calls = [asyncio.create_task(router.aresponses("gpt", "hi"))]
        await upstreams[0].until(lambda: upstreams[0].active_requests == 1)
        calls += [asyncio.create_task(router.aresponses("gpt", "hi")) for _ in range(5)]
        for _ in range(20):
            await tick(0)
        await router.aclose()
        assert {type(end) for end in await asyncio.gather(*calls, return_exceptions=True)} == {APIConnectionError}
        await closed(router, upstreams)


async def test_a_line_is_left_for_a_fallback_at_once() -> None:
    async with serving(2) as upstreams:
        misbehave(upstreams[0], "hang")
        router = Router(
            [entry(upstreams[0], max_parallel_requests=1), entry(upstreams[1], "spare")], fallbacks=[{"gpt": ["spare"]}]
        )
        hanging = asyncio.create_task(router.aresponses("gpt", "hi"))
        await upstreams[0].until(lambda: upstreams[0].active_requests == 1)
        assert served(await router.aresponses("gpt", "hi")) == "u1"
        hanging.cancel()
        await asyncio.wait([hanging])
        await closed(router, upstreams)


async def test_a_place_in_line_ends_with_the_deadline() -> None:
    async with serving(1) as upstreams:
        misbehave(upstreams[0], "hang")
        router = Router(group(upstreams, max_parallel_requests=1))
        hanging = asyncio.create_task(router.aresponses("gpt", "hi"))
        await upstreams[0].until(lambda: upstreams[0].active_requests == 1)
        with pytest.raises(RateLimitError, match="1 of 1 parallel requests in flight"):
            await router.aresponses("gpt", "hi", deadline=0.05)
        hanging.cancel()
        await asyncio.wait([hanging])
        await closed(router, upstreams)


# limits of our own


async def test_the_rate_limit_check_waits_or_says_when(clock: Clock) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams, rpm=3), optional_pre_call_checks=["rate_limit"], clock=clock, sleep=tick)
        for _ in range(3):
            await create(router, True)
            clock.advance(10)
        with pytest.raises(RateLimitError, match="no room within its limits") as raised:
            await router.aresponses("gpt", "hi", deadline=20)
        assert raised.value.retry_after == 30
        assert upstreams[0].calls == 3
        clock.advance(30)
        await router.aresponses("gpt", "hi")
        await closed(router, upstreams)


async def test_the_rate_limit_check_turns_to_whoever_has_room(clock: Clock) -> None:
    async with serving(2) as upstreams:
        router = Router(
            [entry(upstreams[0], rpm=4), entry(upstreams[1], rpm=6)],
            optional_pre_call_checks=["rate_limit"],
            clock=clock,
        )
        await asyncio.gather(*(router.aresponses("gpt", "hi") for _ in range(10)))
        assert [upstream.calls for upstream in upstreams] == [4, 6]
        with pytest.raises(APIError):
            await router.aresponses("gpt", "hi", deadline=1)
        await closed(router, upstreams)


async def test_tokens_reserved_are_corrected_by_those_used(clock: Clock) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams, tpm=1000), optional_pre_call_checks=["rate_limit"], clock=clock)
        for stream in (False, True) * 3:
            await create(router, stream, max_output_tokens=900)
        assert upstreams[0].calls == 6, "each claims most of the minute and uses little"
        assert json.dumps(router.get_model_list())
        await closed(router, upstreams)
