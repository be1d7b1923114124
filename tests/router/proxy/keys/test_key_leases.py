"""Whatever becomes of a call, what its key took of its limits is given back: cancelled anywhere, failed, left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from cancelling import cancelled
from redis_servers import Server, eventually
from routers import AFFINITY, entry, misbehave, quiet, serving
from virtual_keys import configured, keyed, secret

from providers.simulated import Behaviour
from router import Router
from router.proxy.app import Proxy
from router.proxy.exchange import Message, Scope, Send
from router.proxy.keys.limits import MemoryLimiter
from router.proxy.keys.redis_limits import RedisLimiter

KEY = configured("one", max_parallel_requests=1, tpm_limit=1_000_000)
ID = "config:one"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.kill()


def request(stream: bool, model: str = "gpt") -> tuple[Scope, bytes]:
    body = json.dumps({"model": model, "input": "Hello", "stream": stream}).encode()
    headers = [(b"authorization", f"Bearer {secret('one')}".encode())]
    return {"type": "http", "method": "POST", "path": "/v1/responses", "headers": headers}, body


async def exchange(proxy: Proxy, scope: Scope, body: bytes, send: Send) -> None:
    """Ask it without a server between."""
    told: list[Message] = [{"type": "http.request", "body": body}]

    async def receive() -> Message:
        if told:
            return told.pop()
        await eventually(lambda: False, "the client stays")
        raise AssertionError

    await proxy(scope, receive, send)


async def ask(proxy: Proxy, stream: bool, model: str = "gpt") -> int:
    """The status that it answers with."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await exchange(proxy, *request(stream, model), send)
    return cast("int", sent[0]["status"])


async def free(proxy: Proxy, redis: Any) -> None:
    """Wait until nothing is in flight, as others see it."""
    limiter = proxy.keys._limiter
    if isinstance(limiter, RedisLimiter):
        await eventually(lambda: not limiter._link._background._mine(), "what runs in the background")
        assert not redis.exists(limiter._keys(ID)[1])
        assert not limiter._held
    else:
        assert isinstance(limiter, MemoryLimiter)
        assert limiter.in_flight(ID) == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_a_call_that_is_cancelled_anywhere_gives_back_what_it_took(
    server: Server, kind: str, stream: bool
) -> None:
    more: dict[str, Any] = {}
    if kind == "redis":
        more = {"redis_url": f"redis://127.0.0.1:{server.port}", "redis_timeout": 20.0}
        more["redis_key_prefix"] = f"leases-{stream}"
    async with serving(1, Behaviour(tokens=3, token_delay=0.001)) as upstreams:
        router = Router([entry(upstreams[0])], optional_pre_call_checks=AFFINITY, disable_cooldowns=True, **more)
        proxy = Proxy(router, keyed(KEY))
        with server.client() as redis:
            place = 0
            while await cancelled(ask(proxy, stream), place, late=place % 2 == 1):
                await free(proxy, redis)
                place += 1
            assert place >= 3
            await free(proxy, redis)
            assert await ask(proxy, stream) == 200
            assert await ask(proxy, stream, "none") == 400
            await free(proxy, redis)
        await quiet(upstreams)
        await router.aclose()


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
@pytest.mark.parametrize("fault", [None, "stall_after_output"])
async def test_what_a_stream_takes_is_given_back_before_its_end_is_told(path: str, fault: str | None) -> None:
    async with serving(1) as upstreams:
        misbehave(upstreams[0], fault)
        router = Router([entry(upstreams[0])], optional_pre_call_checks=AFFINITY, num_retries=0, idle_timeout=0.05)
        proxy = Proxy(router, keyed(KEY))
        limiter = proxy.keys._limiter
        assert isinstance(limiter, MemoryLimiter)
        asked = {"model": "gpt", "stream": True, "messages": [{"role": "user", "content": "hi"}], "input": "hi"}
        asked.pop("input" if "chat" in path else "messages")
        held: list[int] = []

        async def send(message: Message) -> None:
            frame = message.get("body", b"")
            if any(word in frame for word in (b"response.completed", b'"finish_reason":"stop"', b'"error":{')):
                held.append(limiter.in_flight(ID))

        await exchange(proxy, {**request(True)[0], "path": path}, json.dumps(asked).encode(), send)
        assert held
        assert set(held) == {0}
        await router.aclose()
