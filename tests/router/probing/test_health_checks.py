"""Health checks over real sockets: what a dead deployment meets, what callers don't, and what is left behind."""

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes import Clock
from redis_servers import Server
from routers import KEY, closed, create, entry, group, in_flight, misbehave, served, serving
from timelines import Timeline, until

from providers.errors import APIError
from providers.simulated import Behaviour, SimulatedUpstream
from providers.types import Connection, HttpRequest
from router import ConfigurationError, DeploymentHealth, HealthCheck, Router, RouterError, UnknownModelError
from router.transport.aiohttp_transport import AiohttpTransport
from router.transport.base import OpenReply

THREAD = "homing-router-sync"
INTERVAL = 10.0


def health(router: Router, name: str = "u0") -> DeploymentHealth:
    return next(each for each in router.health() if each.id == name)


def asked(upstream: SimulatedUpstream) -> list[str]:
    """What has arrived: `GET /models`, …"""
    return [f"{record.method} {record.path}" for record in upstream.requests]


def calls(upstream: SimulatedUpstream) -> int:
    """Requests of callers."""
    return sum(record.method == "POST" for record in upstream.requests)


def threads() -> int:
    return sum(thread.name == THREAD for thread in threading.enumerate())


def checks_of(router: Router, name: str) -> HealthCheck:
    found = health(router, name).last_check
    assert found is not None
    return found


async def later(router: Router, timeline: Timeline, seconds: float) -> None:
    """Let time pass, and checks that are due then be made."""
    timeline.advance(seconds)
    await until(lambda: timeline.waiting and not router._prober._running)


async def passing(router: Router, timeline: Timeline, condition: Callable[[], object], step: float = 0.25) -> None:
    """Let time pass in steps until `condition()` holds."""
    while not condition():
        await later(router, timeline, step)


async def hanging(router: Router, timeline: Timeline, count: int = 1) -> None:
    """Let time pass until so many checks are in flight, which don't end."""
    running = router._prober._running
    while len(running) < count:
        timeline.advance(0.25)
        await until(lambda: timeline.waiting)


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


@asynccontextmanager
async def checked(
    upstreams: list[SimulatedUpstream], timeline: Timeline, checks: Any = "models", **settings: Any
) -> AsyncIterator[Router]:
    """A Router that checks these each ten seconds."""
    router = Router(
        group(upstreams),
        health_checks=checks,
        health_check_interval=INTERVAL,
        clock=timeline,
        sleep=timeline.sleep,
        **settings,
    )
    try:
        yield router
        assert in_flight(router) == {}
    finally:
        await router.aclose()  # checks in flight, too
        await closed(router, upstreams)
        assert threads() == 0


# in turn


@pytest.mark.parametrize("fault", ["refuse", "500", "503", "401", "403", "reset"])
async def test_a_dead_deployment_is_out_before_any_caller_meets_it(timeline: Timeline, fault: str) -> None:
    async with serving(3) as upstreams:
        misbehave(upstreams[0], fault, retry_after=None)
        async with checked(upstreams, timeline) as router:
            await passing(router, timeline, lambda: health(router).state == "open")
            found = checks_of(router, "u0")
            assert (found.ok, found.kind, found.group) == (False, "models", "gpt")
            assert found.error
            assert found.latency is not None
            for _ in range(20):
                assert served(await create(router, stream=False)) != "u0"
            assert (health(router).calls, health(router).failures) == (0, 0)
            assert calls(upstreams[0]) == 0


async def test_a_deployment_that_healed_is_back_and_no_caller_was_its_guinea_pig(timeline: Timeline) -> None:
    async with serving(2) as upstreams, checked(upstreams, timeline) as router:
        await create(router, stream=False)
        misbehave(upstreams[0], "500")
        await passing(router, timeline, lambda: health(router).state == "open")
        await passing(router, timeline, lambda: asked(upstreams[0]).count("GET /models") > 3)
        await later(router, timeline, 0)
        before = calls(upstreams[0])
        misbehave(upstreams[0])

        async def call() -> None:
            assert served(await create(router, stream=False)) == "u1"

        while health(router).state in ("open", "half-open"):
            await call()
            await later(router, timeline, 0.1)
        assert health(router).state == "ramping"
        assert calls(upstreams[0]) == before
        assert checks_of(router, "u0").ok is True
        timeline.advance(6)
        while served(await create(router, stream=False)) != "u0":
            pass


async def test_callers_pass_by_while_a_check_tests_a_breaker(timeline: Timeline) -> None:
    async with serving(2) as upstreams, checked(upstreams, timeline) as router:
        misbehave(upstreams[0], "500")
        await passing(router, timeline, lambda: health(router).state == "open")
        misbehave(upstreams[0], "hang")
        while health(router).state == "open":
            timeline.advance(0.25)
            await until(lambda: timeline.waiting)
        assert health(router).state == "half-open"
        await until(lambda: upstreams[0].active_requests == 1)
        for _ in range(10):
            assert served(await create(router, stream=False)) == "u1"
        misbehave(upstreams[0])
        assert in_flight(router) == {}


async def test_who_serves_calls_is_not_asked(timeline: Timeline) -> None:
    async with serving(1) as upstreams, checked(upstreams, timeline) as router:
        for _ in range(40):
            await create(router, stream=False)
            await later(router, timeline, 1)
        assert "GET /models" not in asked(upstreams[0])
        await passing(router, timeline, lambda: "GET /models" in asked(upstreams[0])[-1:])


async def test_each_is_asked_once_in_an_interval_and_never_all_at_once(timeline: Timeline) -> None:
    async with serving(5) as upstreams, checked(upstreams, timeline) as router:
        for _ in range(120):
            total = sum(each.calls for each in upstreams)
            await later(router, timeline, 0.5)
            assert sum(each.calls for each in upstreams) - total <= 1
        for each in upstreams:
            assert 4 <= each.calls <= 8, "sixty seconds, of ten each, give or take a fifth"
            assert set(asked(each)) == {"GET /models"}
        assert {health(router, each.name).state for each in upstreams} == {"closed"}


@pytest.mark.parametrize("settings", [{}, {"health_checks": "off"}, {"background_health_checks": False}])
async def test_nothing_is_asked_nor_any_thread_started_unless_it_is_wished(settings: dict[str, Any]) -> None:
    timeline = Timeline()
    async with serving(2) as upstreams:
        router = Router(group(upstreams), clock=timeline, sleep=timeline.sleep, **settings)
        for _ in range(20):
            timeline.advance(100)
            await asyncio.sleep(0)
        assert threads() == 0
        assert [each.calls for each in upstreams] == [0, 0]
        assert [each.last_check for each in router.health()] == [None, None]
        await closed(router, upstreams)


async def test_litellm_s_switch_is_understood(timeline: Timeline) -> None:
    async with serving(1) as upstreams:
        router = Router(
            group(upstreams),
            background_health_checks=True,  # type: ignore[call-arg]  # a synonym, as files may have it
            health_check_interval=INTERVAL,
            clock=timeline,
            sleep=timeline.sleep,
        )
        await passing(router, timeline, lambda: asked(upstreams[0]) == ["GET /models"])
        await closed(router, upstreams)


async def test_a_deployment_may_be_asked_otherwise_than_the_rest(timeline: Timeline) -> None:
    async with serving(3) as upstreams:
        router = Router(
            [
                entry(upstreams[0], health_check="off"),
                entry(upstreams[1], health_check="call"),
                {**entry(upstreams[2]), "model_info": {"id": "u2", "health_check": "models"}},
            ],
            health_checks="off",
            health_check_interval=INTERVAL,
            clock=timeline,
            sleep=timeline.sleep,
        )
        await passing(router, timeline, lambda: upstreams[1].calls > 1 and upstreams[2].calls > 1)
        assert (upstreams[0].calls, set(asked(upstreams[1])), set(asked(upstreams[2]))) == (
            0,
            {"POST /responses"},
            {"GET /models"},
        )
        body: Any = upstreams[1].requests[-1].body
        assert (body["input"], body["max_output_tokens"], body["store"]) == ("ping", 16, False)
        assert health(router, "u1").calls == 0, "it is no call of anybody's"
        await closed(router, upstreams)


async def test_who_comes_later_is_checked_too_and_who_goes_is_not(timeline: Timeline) -> None:
    async with serving(2) as upstreams:
        router = Router([], health_checks=True, health_check_interval=INTERVAL, clock=timeline, sleep=timeline.sleep)
        assert threads() == 0, "there is nothing to check"
        router.add_deployment(entry(upstreams[0]))
        assert threads() == 1
        await passing(router, timeline, lambda: upstreams[0].calls == 1)
        router.add_deployment(entry(upstreams[1]))
        router.delete_deployment("u0")
        await until(lambda: upstreams[0].active_requests == 0)
        before = upstreams[0].calls
        await passing(router, timeline, lambda: upstreams[1].calls == 3)
        assert upstreams[0].calls == before
        await closed(router, upstreams)


async def test_checks_of_a_router_that_shares_its_cooldowns_are_told_to_others(
    timeline: Timeline, tmp_path: Path
) -> None:
    server = Server(tmp_path / "redis").start()
    try:
        async with serving(2) as upstreams:
            misbehave(upstreams[0], "500")
            url = f"redis://127.0.0.1:{server.port}"
            other = Router(group(upstreams), redis_url=url)
            async with checked(upstreams, timeline, redis_url=url) as router:
                await passing(router, timeline, lambda: health(router).state == "open")
                async with asyncio.timeout(10):
                    while health(other).state != "open":
                        assert served(await create(other, stream=False)) in ("u0", "u1")
                await other.aclose()
    finally:
        server.kill()


# endings


async def test_closing_ends_checks_in_flight_at_once(timeline: Timeline) -> None:
    async with serving(3, Behaviour(fault="hang")) as upstreams:
        router = Router(
            group(upstreams), health_checks="call", health_check_interval=INTERVAL, clock=timeline, sleep=timeline.sleep
        )
        await hanging(router, timeline, 2)
        await until(lambda: sum(each.active_requests for each in upstreams) == 2)
        await closed_now(router)
        for each in upstreams:
            await each.until(lambda each=each: each.open_connections == 0)  # type: ignore[misc]
        assert threads() == 0
        total = sum(each.calls for each in upstreams)
        timeline.advance(1_000)
        router.add_deployment(entry("http://127.0.0.1:1"))
        assert threads() == 0, "what was closed stays closed"
        assert sum(each.calls for each in upstreams) == total


async def closed_now(router: Router) -> None:
    async with asyncio.timeout(3):
        await router.aclose()


async def test_nobody_is_checked_for_a_router_that_is_closed() -> None:
    router = Router([], health_checks=True)
    await router.aclose()
    router.add_deployment(entry("http://127.0.0.1:1"))
    assert threads() == 0


def test_closing_from_synchronous_code_ends_checks_too() -> None:
    timeline = Timeline()
    with SimulatedUpstream.in_thread("u0") as upstream:
        router = Router(
            group([upstream]), health_checks=True, health_check_interval=INTERVAL, clock=timeline, sleep=timeline.sleep
        )
        assert threads() == 1
        assert [each.ok for each in router.check_health()] == [True]
        assert router.responses("gpt", "hi").routing.deployment_id == "u0"
        router.close()
        assert threads() == 0


async def test_a_router_that_nobody_closes_does_not_live_for_ever(timeline: Timeline) -> None:
    async with serving(2, Behaviour(fault="hang")) as upstreams:
        router = Router(
            group(upstreams), health_checks=True, health_check_interval=INTERVAL, clock=timeline, sleep=timeline.sleep
        )
        await hanging(router, timeline)
        await until(lambda: any(each.active_requests for each in upstreams))
        del router
        gc.collect()
        await until(lambda: threads() == 0)
        for each in upstreams:
            await each.until(lambda each=each: each.open_connections == 0)  # type: ignore[misc]


async def test_a_sleep_that_fails_ends_the_checks_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(seconds: float) -> None:
        raise OSError("no time")

    with caplog.at_level(logging.ERROR, "router"):
        router = Router([entry("http://127.0.0.1:1")], health_checks=True, sleep=broken)
        await until(lambda: "health checks have come to an end" in caplog.text)
        await router.aclose()


# asked for


async def test_whoever_asks_learns_how_each_is(clock: Clock) -> None:
    async with serving(4) as upstreams:
        misbehave(upstreams[1], "refuse")
        misbehave(upstreams[2], "401")
        misbehave(upstreams[3], "429", retry_after=9)
        router = Router([*group(upstreams[:3]), entry(upstreams[3], "spare", api_key="sk-another-key")], clock=clock)
        found = await router.acheck_health()
        assert [(each.deployment_id, each.ok, each.error) for each in found] == [
            ("u0", True, None),
            ("u1", False, "APIConnectionError"),
            ("u2", False, "AuthenticationError"),
            ("u3", True, "RateLimitError"),
        ]
        assert found == [each.last_check for each in router.health()]
        assert KEY not in str(found)
        assert health(router, "u2").state == "open"
        assert health(router, "u3").blocked_for == 9
        assert [each.deployment_id for each in await router.acheck_health("spare")] == ["u3"]
        assert [each.deployment_id for each in await router.acheck_health("u1")] == ["u1"]
        assert health(router, "u1").state == "open", "twice in a row"
        with pytest.raises(UnknownModelError):
            await router.acheck_health("nobody")
        with pytest.raises(ConfigurationError, match="kind: must be 'models' or 'call'; did you mean 'models'"):
            await router.acheck_health(kind="model")  # type: ignore[arg-type]
        await closed(router, upstreams)


async def test_asking_by_a_call_is_no_call_of_anybodys(clock: Clock) -> None:
    records: list[Any] = []
    async with serving(1) as upstreams:
        router = Router(group(upstreams), clock=clock, callbacks=[records.append])
        (found,) = await router.acheck_health(kind="call")
        assert (found.kind, found.ok) == ("call", True)
        assert (health(router).calls, health(router).latency, health(router).in_flight) == (0, None, 0)
        await closed(router, upstreams)
    assert records == []


async def test_a_wildcard_s_models_are_called_by_name() -> None:
    async with serving(2) as upstreams:
        named = {"id": "u1", "health_check_model": "openai/gpt-nano"}
        wild = [entry(each, "any/*", model="openai/*") for each in upstreams]
        router = Router([wild[0], {**wild[1], "model_info": named}])
        found = await router.acheck_health(kind="call")
        assert [(each.kind, each.ok) for each in found] == [("models", True), ("call", True)]
        found = await router.acheck_health("any/gpt-large", "call")
        assert [(each.kind, each.ok) for each in found] == [("call", True), ("call", True)]
        models = [[record.body["model"] for record in each.requests if record.body] for each in upstreams]  # type: ignore[call-overload, index]  # JSON
        assert models == [["gpt-large"], ["gpt-nano", "gpt-large"]]
        await closed(router, upstreams)


async def test_many_are_asked_a_few_at_a_time() -> None:
    async with serving(1, Behaviour(latency=0.05)) as upstreams:
        seen = 0

        async def sleep(seconds: float) -> None:
            nonlocal seen
            seen = max(seen, upstreams[0].active_requests)
            await asyncio.sleep(0)

        upstreams[0]._front._sleep = sleep
        router = Router([entry(upstreams[0], id=f"d{number}") for number in range(70)])
        found = await router.acheck_health()
        assert [each.deployment_id for each in found] == [f"d{number}" for number in range(70)]
        assert all(each.ok for each in found)
        assert seen <= 32
        await closed(router, upstreams)


async def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    async with serving(2) as upstreams:
        misbehave(upstreams[0], "hang")
        misbehave(upstreams[1], "stall_after_output")
        router = Router(group(upstreams), health_check_timeout=0.05)
        found = await router.acheck_health(kind="call")
        assert [(each.ok, each.error) for each in found] == [(False, "APITimeoutError")] * 2
        await closed(router, upstreams)


async def test_who_gives_up_asking_leaves_nothing_behind(clock: Clock) -> None:
    async with serving(2, Behaviour(fault="hang")) as upstreams:
        router = Router(group(upstreams), clock=clock)
        asking = asyncio.create_task(router.acheck_health())
        for each in upstreams:
            await each.until(lambda each=each: each.active_requests == 1)  # type: ignore[misc]
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        for each in upstreams:
            await each.until(lambda each=each: each.open_connections == 0)  # type: ignore[misc]
        assert [each.last_check for each in router.health()] == [None, None]
        assert {each.state for each in router.health()} == {"closed"}
        await closed(router, upstreams)


def test_several_event_loops_may_ask(clock: Clock) -> None:
    with SimulatedUpstream.in_thread("u0") as upstream, Router(group([upstream]), clock=clock) as router:
        for _ in range(3):
            assert [each.ok for each in asyncio.run(router.acheck_health())] == [True]
        assert [each.ok for each in router.check_health("gpt", "call")] == [True]
        asyncio.run(router.aclose())


# what an answer shows


class Answers:
    """A transport that answers in a given way."""

    def __init__(self) -> None:
        self.sent: list[HttpRequest] = []
        self.say: Any = (200, b"{}")

    async def send(self, request: HttpRequest, connection: Connection, *, timeout: float) -> OpenReply:
        self.sent.append(request)
        if isinstance(self.say, BaseException):
            raise self.say
        return _Reply(*self.say)

    async def aclose(self) -> None: ...


class _Reply:
    def __init__(self, status: int, content: bytes) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {}
        self._content = content

    async def read(self) -> bytes:
        return self._content

    async def chunk(self) -> bytes:
        return b""

    async def aclose(self) -> None: ...

    def abort(self) -> None: ...


def answering(**params: Any) -> tuple[Router, Answers]:
    answers = Answers()
    return Router([entry("http://127.0.0.1:1", id="u0", **params)], http_client=answers, clock=Clock()), answers


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_server_without_a_list_of_models_is_there_all_the_same(status: int) -> None:
    router, answers = answering()
    answers.say = (500, b"")
    await router.acheck_health()
    answers.say = (status, b"<html>")
    for _ in range(3):
        (found,) = await router.acheck_health()
        assert (found.ok, found.error) == (True, None)
    answers.say = (500, b"")
    await router.acheck_health()
    assert health(router).state == "closed"
    await router.acheck_health()
    assert health(router).state == "open"
    answers.say = (status, b"")
    await router.acheck_health()
    assert health(router).state == "ramping"
    await router.aclose()


@pytest.mark.parametrize(
    ("say", "state"),
    [
        ((404, b""), "open"),
        ((200, b"<html>It works!</html>"), "open"),
        ((200, b' {"data": []}'), "ramping"),
        ((200, b"[]"), "ramping"),
    ],
)
async def test_that_a_key_is_good_again_is_shown_by_a_list_of_models(say: tuple[int, bytes], state: str) -> None:
    router, answers = answering()
    answers.say = (401, b"")
    await router.acheck_health()
    assert health(router).state == "open"
    answers.say = say
    (found,) = await router.acheck_health()
    assert found.ok is True
    assert health(router).state == state
    await router.aclose()


async def test_a_model_that_is_gone_is_not_found_again_by_a_list() -> None:
    router, answers = answering()
    answers.say = (404, b'{"error": {"code": "model_not_found"}}')
    (found,) = await router.acheck_health(kind="call")
    assert (found.ok, found.error) == (False, "ModelNotFoundError")
    answers.say = (200, b"{}")
    await router.acheck_health(kind="models")
    assert health(router).state == "open"
    answers.say = (400, b"{}")
    (found,) = await router.acheck_health(kind="call")
    assert found.ok is True, "a token is too little for some models: the key and the name are good"
    assert health(router).state == "open"
    await router.aclose()


async def test_a_request_for_models_that_is_refused_as_such_says_nothing() -> None:
    router, answers = answering()
    answers.say = (400, b'{"error": {"message": "no"}}')
    (found,) = await router.acheck_health()
    assert (found.ok, found.error, found.note) == (None, "BadRequestError", "no")
    assert health(router).state == "closed"
    await router.aclose()


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_may_call_but_not_list_is_not_put_out(status: int) -> None:
    """As OpenAI's keys that are restricted to calls."""
    router, answers = answering()
    answers.say = (200, b'{"id": "resp_1", "object": "response", "status": "completed", "output": []}')
    await create(router, stream=False)
    answers.say = (status, b"")
    (found,) = await router.acheck_health()
    assert found.ok is None
    assert "set health_check to 'call'" in found.note
    assert health(router).state == "closed"
    (found,) = await router.acheck_health(kind="call")
    assert found.ok is False
    assert health(router).state == "open"
    await router.aclose()


async def test_a_key_that_could_list_and_no_longer_can_is_put_out() -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams))
        await create(router, stream=False)
        await router.acheck_health()
        misbehave(upstreams[0], "401")
        (found,) = await router.acheck_health()
        assert (found.ok, health(router).state) == (False, "open")
        await closed(router, upstreams)


async def test_a_call_decides_where_a_list_was_always_refused(timeline: Timeline) -> None:
    """Else a deployment whose key is good for calls would stay out for ever."""
    async with serving(2) as upstreams:
        for each in upstreams:
            misbehave(each, "401")
        async with checked(upstreams, timeline) as router:
            await passing(router, timeline, lambda: {each.state for each in router.health()} == {"open"})
            await passing(router, timeline, lambda: checks_of(router, "u0").ok is None, step=5)
            misbehave(upstreams[0])
            await until(lambda: health(router).state == "half-open")
            assert served(await create(router, stream=False)) == "u0"
            assert health(router).state == "ramping"
            misbehave(upstreams[0])


async def test_a_fault_of_our_own_says_nothing_of_a_deployment(caplog: pytest.LogCaptureFixture) -> None:
    router, answers = answering()
    for error, note in (
        (ConfigurationError("the TLS files cannot be loaded"), "the TLS files cannot be loaded"),
        (ZeroDivisionError("secret"), "the check itself failed"),
        (TimeoutError(), "the check itself failed"),
        (RouterError("x"), "x"),
    ):
        answers.say = error
        for _ in range(2):
            (found,) = await router.acheck_health()
            assert (found.ok, found.error, found.note) == (None, type(error).__name__, note)
        assert health(router).state == "closed"
        assert health(router).last_check == found
    assert "says nothing of it" in caplog.text
    await router.aclose()


async def test_what_a_server_repeats_of_a_key_is_hidden() -> None:
    router, answers = answering()
    answers.say = (401, f'{{"error": {{"message": "bad key {KEY}"}}}}'.encode())
    (found,) = await router.acheck_health()
    assert found.note == "bad key ***"
    answers.say = (500, b'{"error": {"message": "' + b"x" * 5_000 + b'"}}')
    (found,) = await router.acheck_health()
    assert len(found.note) == 500
    await router.aclose()


async def test_a_token_is_fetched_and_one_that_was_refused_is_fetched_anew() -> None:
    tokens: Iterator[int] = iter(range(10))
    router, answers = answering(
        model="azure/d", api_base="https://r.openai.azure.com", api_key=None,
        azure_ad_token_provider=lambda: f"token-{next(tokens)}",
    )  # fmt: skip
    for kind in ("models", "call"):
        answers.say = (200, b'{"object": "response", "output": []}')
        await router.acheck_health(kind=kind)
    answers.say = (401, b"")
    await router.acheck_health()
    answers.say = (200, b"{}")
    await router.acheck_health()
    sent = [(each.method, each.headers["authorization"]) for each in answers.sent]
    assert sent == [
        ("GET", "Bearer token-0"),
        ("POST", "Bearer token-0"),
        ("GET", "Bearer token-0"),
        ("GET", "Bearer token-1"),
    ]
    await router.aclose()


async def test_a_source_of_tokens_that_fails_is_a_fault_of_the_credentials() -> None:
    def refuse() -> str:
        raise OSError("no network")

    router, answers = answering(
        model="azure/d", api_base="https://r.openai.azure.com", api_key=None, azure_ad_token_provider=refuse
    )
    (found,) = await router.acheck_health()
    assert (found.ok, found.error, answers.sent) == (False, "AuthenticationError", [])
    assert health(router).state == "open"
    await router.aclose()


async def test_who_is_removed_while_being_checked_is_simply_gone() -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams))
        deployment = router._registry.by_id["u0"]
        router.delete_deployment("u0")
        (found,) = await router._prober.check([deployment])
        assert (found.ok, found.note) == (None, "the deployment was removed")
        assert upstreams[0].calls == 0
        await closed(router, upstreams)


# where it can't be


@pytest.mark.parametrize("client", [httpx.AsyncClient, httpx.AsyncHTTPTransport])
async def test_a_client_of_one_loop_can_t_be_used_by_checks_of_another(client: Any) -> None:
    http_client = client()
    with pytest.raises(ConfigurationError, match="health_checks: an http_client of httpx belongs to one event loop"):
        Router([entry("http://127.0.0.1:1")], health_checks=True, http_client=http_client)
    router = Router([entry("http://127.0.0.1:1")], http_client=http_client)
    with pytest.raises(ConfigurationError, match="health_checks"):
        router.add_deployment(entry("http://127.0.0.1:2", health_check="models"))
    assert len(router.get_model_list()) == 1
    assert [each.ok for each in await router.acheck_health()] == [False]
    assert threads() == 0
    await http_client.aclose()
    await router.aclose()


async def test_a_client_without_a_loop_may_be_used_anywhere(timeline: Timeline) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url.path}")
        return httpx.Response(200, json={"data": []})

    router = Router(
        [entry("http://127.0.0.1:1")], health_checks=True, http_client=httpx.MockTransport(answer),
        health_check_interval=INTERVAL, clock=timeline, sleep=timeline.sleep,
    )  # fmt: skip
    await passing(router, timeline, lambda: seen)
    assert seen[0] == "GET /models"
    await router.aclose()


async def test_a_check_that_breaks_off_is_logged_and_the_next_is_made(
    timeline: Timeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(1) as upstreams, checked(upstreams, timeline) as router:
        monkeypatch.setattr(router._prober._probe, "_wall", lambda: 1 / 0)
        while "a health check broke off" not in caplog.text:
            await later(router, timeline, 0.25)
        monkeypatch.undo()
        await passing(router, timeline, lambda: health(router).last_check)


async def test_errors_of_checks_are_those_of_calls() -> None:
    """One class for one thing: what a dashboard shows of a check is what a caller would have caught."""
    async with serving(1) as upstreams:
        for fault in ("500", "503", "401", "403", "429"):
            misbehave(upstreams[0], fault, retry_after=None)
            router = Router(group(upstreams), num_retries=0)
            (found,) = await router.acheck_health(kind="call")
            with pytest.raises(APIError) as caught:
                await create(router, stream=False, deadline=0.2)
            assert found.error == type(caught.value).__name__
            await closed(router, upstreams)


def test_the_transport_serves_any_loop() -> None:
    assert not getattr(AiohttpTransport(), "one_loop", False)
