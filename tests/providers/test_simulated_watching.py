"""What tests can see of a simulated deployment, in the loop and from another thread."""

import asyncio
import socket
from typing import Any

import httpx
import pytest

from providers.errors import ConfigurationError
from providers.simulated import Behaviour, SimulatedUpstream
from providers.types import Verb


async def test_requests_are_recorded_as_they_arrive() -> None:
    async with SimulatedUpstream("east") as upstream, httpx.AsyncClient(base_url=upstream.url) as client:
        body = {"model": "gpt", "input": "x"}
        reply = await client.post("/openai/responses?api-version=2025", json=body, headers={"API-Key": "secret"})
        made = reply.json()["id"]
        await client.get(f"/v1/responses/{made}/input_items", params={"order": "asc"})
        await client.get("/nowhere")
        await client.post("/v1/responses", content=b"{")
        created, listed, lost, broken = upstream.requests
        assert (created.verb, created.method, created.path) == (Verb.CREATE, "POST", "/openai/responses")
        assert created.query == {"api-version": "2025"}
        assert created.body == body
        assert created.headers["api-key"] == "secret"
        assert "secret" not in repr(created)
        assert (listed.verb, listed.response_id, listed.query) == (Verb.INPUT_ITEMS, made, {"order": "asc"})
        assert listed.body is None
        assert (lost.verb, lost.path) == (None, "/nowhere")
        assert (broken.verb, broken.body) == (Verb.CREATE, None)
        assert upstream.calls == 4
        assert upstream.ids == (made,)


async def test_connections_and_requests_are_counted() -> None:
    async with SimulatedUpstream("east", behaviour=Behaviour(fault="hang")) as upstream:
        assert (upstream.active_requests, upstream.open_connections) == (0, 0)
        async with httpx.AsyncClient(base_url=upstream.url, timeout=20) as client:
            calls = [asyncio.create_task(client.post("/responses", json={"input": "x"})) for _ in range(5)]
            await upstream.until(lambda: upstream.active_requests == upstream.open_connections == 5)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            await upstream.until(lambda: upstream.active_requests == upstream.open_connections == 0)
            upstream.behaviour = Behaviour()
            await client.post("/responses", json={"input": "x"})
            assert (upstream.active_requests, upstream.open_connections) == (0, 1)
        await upstream.until(lambda: upstream.open_connections == 0)


async def test_stopping_ends_what_hangs_and_restarting_keeps_port_and_memory() -> None:
    async with SimulatedUpstream("east") as upstream, httpx.AsyncClient(base_url=upstream.url, timeout=20) as client:
        first = (await client.post("/responses", json={"input": "plums"})).json()
        upstream.behaviour = Behaviour(fault="hang")
        hanging = asyncio.create_task(client.post("/responses", json={"input": "x"}))
        await upstream.until(lambda: upstream.active_requests == 1)
        url = upstream.url
        await upstream.restart()
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await hanging
        assert (upstream.active_requests, upstream.open_connections) == (0, 0)
        upstream.behaviour = Behaviour()
        assert upstream.url == url
        reply = await client.post("/responses", json={"input": "x", "previous_response_id": first["id"]})
        assert "You began: 'plums'" in reply.text
        await upstream.stop()
        await upstream.stop()
        with pytest.raises(httpx.ConnectError):
            await client.post("/responses", json={"input": "x"})


async def test_a_large_body_is_read_whole() -> None:
    async with SimulatedUpstream("east") as upstream, httpx.AsyncClient(base_url=upstream.url) as client:
        reply = await client.post("/responses", json={"input": "x" * 5_000_000})
        assert reply.status_code == 200


async def test_it_starts_once_and_on_a_free_port_only() -> None:
    async with SimulatedUpstream("east") as upstream:
        with pytest.raises(RuntimeError, match="runs already"):
            await upstream.start()
        with pytest.raises(OSError, match="in use"):
            await SimulatedUpstream("west", port=upstream.port).start()


async def test_ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with SimulatedUpstream("east", host="::1") as upstream, httpx.AsyncClient() as client:
        assert upstream.url == f"http://[::1]:{upstream.port}"
        assert (await client.post(f"{upstream.url}/responses", json={"input": "x"})).status_code == 200


async def test_waiting_gives_up_and_says_what_it_saw() -> None:
    async with SimulatedUpstream("east") as upstream:
        with pytest.raises(TimeoutError, match=r"not so within 0 s: <SimulatedUpstream 'east' http.* calls=0 "):
            await upstream.until(lambda: upstream.calls == 1, timeout=0)
        await upstream.until(lambda: upstream.calls == 0, timeout=0.0)


async def test_a_condition_that_fails_fails_its_waiter_only() -> None:
    async with SimulatedUpstream("east") as upstream, httpx.AsyncClient(base_url=upstream.url) as client:

        def broken() -> bool:
            return bool(1 / (1 - upstream.calls))

        patient = asyncio.create_task(upstream.until(lambda: upstream.calls == 1))
        with pytest.raises(ZeroDivisionError):
            await asyncio.gather(
                upstream.until(lambda: upstream.calls > 0 and broken()),
                client.get("/v1/models"),
            )
        await patient


async def test_abandoned_waiters_are_forgotten() -> None:
    async with SimulatedUpstream("east") as upstream, httpx.AsyncClient(base_url=upstream.url) as client:
        asked: list[int] = []

        def never() -> bool:
            asked.append(upstream.calls)
            return False

        waiting = asyncio.create_task(upstream.until(never))
        await client.get("/v1/models")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        count = len(asked)
        assert count > 1
        await client.get("/v1/models")
        assert len(asked) == count


def test_in_a_thread_for_synchronous_code() -> None:
    with SimulatedUpstream.in_thread("east", seed=1) as upstream, httpx.Client(base_url=upstream.url) as client:
        assert client.post("/responses", json={"input": "x"}).status_code == 200
        upstream.behaviour = Behaviour(fault="refuse")
        upstream.wait_until(lambda: upstream.open_connections == 0)
        with pytest.raises(httpx.ConnectError):
            httpx.post(f"{upstream.url}/responses", json={"input": "x"})
        upstream.behaviour = Behaviour()
        assert client.post("/responses", json={"input": "x"}).status_code == 200
        upstream.wait_until(lambda: upstream.calls == 2)
        with pytest.raises(TimeoutError, match="not so within"):
            upstream.wait_until(lambda: upstream.calls == 3, timeout=0)


async def test_a_thread_is_awaited_from_another_loop() -> None:
    with SimulatedUpstream.in_thread("east") as upstream:
        async with httpx.AsyncClient(base_url=upstream.url) as client:
            waiting = asyncio.create_task(upstream.until(lambda: upstream.calls == 3))
            await asyncio.gather(*(client.post("/responses", json={"input": "x"}) for _ in range(3)))
            await waiting


def test_a_thread_that_cannot_start_leaves_nothing() -> None:
    with (
        SimulatedUpstream.in_thread("east") as upstream,
        pytest.raises(OSError, match="in use"),
        SimulatedUpstream.in_thread("west", port=upstream.port),
    ):
        raise AssertionError("the port is taken")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"latency": -1.0}, "Behaviour.latency is -1.0; it must be 0 or more"),
        ({"cut_after": -1}, "Behaviour.cut_after is -1"),
        ({"tokens": 0}, "Behaviour.tokens is 0"),
        ({"failure_rate": 1.5}, "must lie between 0 and 1"),
        ({"rpm": 0}, "Behaviour.rpm is 0"),
        ({"retry_after": 0.0}, "must be above 0, or None"),
        ({"fault": "hangs"}, "there is no fault 'hangs'; did you mean 'hang'?"),
        ({"fault": "zzz"}, "there is no fault 'zzz'; one of: refuse, reset, "),
    ],
)
def test_impossible_behaviour_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Behaviour(**wrong)
    assert words in str(caught.value)
