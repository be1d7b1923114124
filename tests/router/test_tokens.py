"""Bearer tokens that are fetched: once for all who need them, again when they may be stale, never for long."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fakes import Clock
from redis_servers import eventually
from routers import AFFINITY, closed, entry, group, misbehave, serving

from providers.simulated import SimulatedUpstream
from router import APITimeoutError, AuthenticationError, Router
from router import tokens as tokens_module


class Source:
    """Counts how often it is asked."""

    def __init__(self, *answers: Any) -> None:
        self.asked = 0
        self._answers = answers

    def __call__(self) -> Any:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def later(self) -> Any:
        await asyncio.sleep(0)
        return self()


def azure(upstream: SimulatedUpstream, source: Callable[[], Any], **params: Any) -> dict[str, Any]:
    made = entry(
        upstream, model="azure/gpt", azure_ad_token_provider=source, api_version="2025-04-01-preview", **params
    )
    del made["litellm_params"]["api_key"]
    return made


def used(upstream: SimulatedUpstream) -> list[str]:
    """The tokens that came with the requests."""
    return [record.headers["authorization"].removeprefix("Bearer ") for record in upstream.requests]


@pytest.mark.parametrize("kind", ["sync", "coroutine function", "returns a coroutine"])
async def test_a_token_is_fetched_and_kept_for_a_minute(kind: str, clock: Clock) -> None:
    async with serving(1) as (upstream,):
        source = Source("t1", "t2")
        ask: Any = {"sync": source, "coroutine function": source.later, "returns a coroutine": lambda: source.later()}
        router = Router([azure(upstream, ask[kind])], clock=clock)
        for _ in range(3):
            await router.aresponses("gpt", "hi")
        clock.advance(59)
        await router.aresponses("gpt", "hi")
        assert used(upstream) == ["t1"] * 4
        clock.advance(1)
        await router.aresponses("gpt", "hi")
        assert used(upstream)[-1] == "t2"
        assert source.asked == 2
        await closed(router, [upstream])


async def test_those_who_need_one_at_the_same_time_ask_once() -> None:
    async with serving(1) as (upstream,):
        asked = 0
        go_on = asyncio.Event()

        async def source() -> str:
            nonlocal asked
            asked += 1
            await go_on.wait()
            return f"t{asked}"

        router = Router([azure(upstream, source)])
        calls = [asyncio.create_task(router.aresponses("gpt", "hi")) for _ in range(20)]
        await eventually(lambda: asked, "somebody asks")
        calls[0].cancel()
        await asyncio.wait(calls[:1])
        go_on.set()
        await asyncio.gather(*calls[1:])
        assert used(upstream) == ["t1"] * 19
        await closed(router, [upstream])


async def test_a_question_that_nobody_waits_for_is_given_up() -> None:
    async with serving(1) as (upstream,):
        given_up = asyncio.Event()
        asked = 0

        async def source() -> str:
            nonlocal asked
            asked += 1
            if asked > 1:
                return "t2"
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()
            return "never"

        router = Router([azure(upstream, source)])
        call = asyncio.create_task(router.aresponses("gpt", "hi"))
        await eventually(lambda: asked, "somebody asks")
        call.cancel()
        await asyncio.wait([call])  # and in the same moment another one asks anew
        await router.aresponses("gpt", "hi")
        await asyncio.wait_for(given_up.wait(), 20)
        assert used(upstream) == ["t2"]
        await closed(router, [upstream])


async def test_a_token_that_was_refused_is_fetched_again(clock: Clock) -> None:
    async with SimulatedUpstream("u0", api_keys=["new"]) as upstream:
        source = Source("old", "new")
        router = Router([azure(upstream, source)], clock=clock)
        with pytest.raises(AuthenticationError):
            await router.aresponses("gpt", "hi")
        await router.aresponses("gpt", "hi")
        assert used(upstream) == ["old", "new"]
        await closed(router, [upstream])


@pytest.mark.parametrize("answer", [OSError("no metadata service"), None, "", b"bytes"])
async def test_a_source_that_fails_is_the_credentials_fault(answer: Any, clock: Clock) -> None:
    async with serving(2) as upstreams:
        source = Source(answer)
        router = Router([azure(upstreams[0], source), entry(upstreams[1])], routing_strategy="round-robin", clock=clock)
        for _ in range(4):
            assert (await router.aresponses("gpt", "hi")).routing.deployment_id == "u1"
        assert source.asked == 1, "its deployment is out"
        assert upstreams[0].calls == 0
        with pytest.raises(AuthenticationError, match="the token source failed"):
            await router.aresponses("u0", "hi")
        await closed(router, upstreams)


@pytest.mark.parametrize("params", [{"timeout": 0.05}, {"deadline": 0.05}])
async def test_a_source_that_hangs_keeps_nobody_longer_than_agreed(params: dict[str, Any]) -> None:
    async with serving(1) as (upstream,):

        async def source() -> str:
            await asyncio.Event().wait()
            return "never"

        router = Router([azure(upstream, source)], num_retries=0)
        with pytest.raises(APITimeoutError, match=r"the token source gave no token within 0\.0\d+ s"):
            await router.aresponses("gpt", "hi", **params)
        await closed(router, [upstream])


async def test_a_source_has_ten_seconds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tokens_module.PATIENCE == 10
    monkeypatch.setattr(tokens_module, "PATIENCE", 0.05)
    release = threading.Event()
    async with serving(2) as upstreams:

        def source() -> str:
            release.wait(20)
            return "late"

        router = Router([azure(upstreams[0], source, order=0), entry(upstreams[1], order=1)])
        try:
            answer = await router.aresponses("gpt", "hi")
        finally:
            release.set()
        assert answer.routing.deployment_id == "u1"
        assert isinstance(answer.routing.attempts[0].error, APITimeoutError)
        await closed(router, upstreams)


async def test_the_time_for_the_token_is_taken_from_the_attempts(clock: Clock) -> None:
    async with serving(1) as (upstream,):
        misbehave(upstream, "hang")

        async def source() -> str:
            clock.advance(29.95)
            return "slow"

        router = Router([azure(upstream, source)], clock=clock, num_retries=0)
        with pytest.raises(APITimeoutError, match=r"did not answer within 0\.05"):
            await router.aresponses("gpt", "hi", timeout=30)
        await closed(router, [upstream])


async def test_a_search_for_a_home_says_who_asks() -> None:
    async with serving(2) as upstreams:
        source = Source("t1")
        router = Router([azure(each, source) for each in upstreams], optional_pre_call_checks=AFFINITY)
        stranger = Router([azure(upstreams[1], source)])
        response = await stranger.aresponses("gpt", "hi")
        await stranger.aclose()
        follow_up = await router.aresponses("gpt", "more", previous_response_id=response.id)
        assert follow_up.routing.deployment_id == "u1"
        assert {token for each in upstreams for token in used(each)} == {"t1"}
        assert any(record.method == "GET" for record in upstreams[1].requests)
        await closed(router, upstreams)


async def test_a_fixed_token_is_sent_as_it_is() -> None:
    async with serving(1) as (upstream,):
        made = entry(upstream, model="azure/gpt", azure_ad_token="fixed", api_version="2025-04-01-preview")
        del made["litellm_params"]["api_key"]
        router = Router([made, *group([])])
        await router.aresponses("gpt", "hi")
        assert used(upstream) == ["fixed"]
        await closed(router, [upstream])
