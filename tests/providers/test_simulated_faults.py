"""Every way in which a simulated deployment can be broken, as a client sees it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx
import pytest
from fakes import Clock
from responses_protocol import check_stream, parse_sse

from providers.simulated import FAULTS, MEANINGS, Behaviour, Fault, SimulatedUpstream


@pytest.fixture
async def upstream() -> AsyncIterator[SimulatedUpstream]:
    async with SimulatedUpstream("east", seed=4) as upstream:
        yield upstream


@pytest.fixture
async def client(upstream: SimulatedUpstream) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=upstream.url, timeout=20) as client:
        yield client


async def post(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post("/v1/responses", json={"model": "gpt", "input": "x", **body})


async def events_until_broken(upstream: SimulatedUpstream) -> list[dict[str, Any]]:
    """The events of a stream that breaks off."""
    body = b""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{upstream.url}/v1/responses", json={"input": "x", "stream": True}) as reply,
    ):
        assert reply.status == 200
        broken = False
        while not broken:
            try:
                body += await reply.content.readany()
            except aiohttp.ClientPayloadError:
                broken = True
    events: list[dict[str, Any]] = parse_sse(body)
    return events


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_every_fault_is_explained() -> None:
    assert tuple(MEANINGS) == FAULTS


@pytest.mark.parametrize(
    ("fault", "status", "kind", "code"),
    [
        ("500", 500, "server_error", "server_error"),
        ("503", 503, "service_unavailable_error", "server_is_overloaded"),
        ("401", 401, "invalid_request_error", "invalid_api_key"),
        ("403", 403, "invalid_request_error", "model_not_found"),
        ("404", 404, None, "DeploymentNotFound"),
        ("429", 429, "tokens", "rate_limit_exceeded"),
        ("insufficient_quota", 429, "insufficient_quota", "insufficient_quota"),
        ("content_policy", 400, "invalid_request_error", "content_filter"),
        ("context_window", 400, "invalid_request_error", "context_length_exceeded"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_plain_errors(
    upstream: SimulatedUpstream,
    client: httpx.AsyncClient,
    fault: Fault,
    status: int,
    kind: str | None,
    code: str,
    stream: bool,
) -> None:
    upstream.behaviour = Behaviour(fault=fault)
    reply = await post(client, stream=stream)
    error = reply.json()["error"]
    assert (reply.status_code, error.get("type"), error["code"]) == (status, kind, code)
    assert reply.headers["content-type"] == "application/json"
    if fault == "500":
        assert reply.headers["x-request-id"] in error["message"]
    assert ("retry-after" in reply.headers) == (fault in ("503", "429"))


async def test_azure_words_a_wrong_key_its_own_way(upstream: SimulatedUpstream, client: httpx.AsyncClient) -> None:
    upstream.behaviour = Behaviour(fault="401")
    reply = await client.post("/openai/v1/responses", json={"input": "x"})
    assert reply.json()["error"]["code"] == "401"


async def test_faults_of_generation_spare_what_is_stored(
    upstream: SimulatedUpstream, client: httpx.AsyncClient
) -> None:
    path = f"/v1/responses/{(await post(client)).json()['id']}"
    spared = {"404", "insufficient_quota", "content_policy", "context_window", "failed_event", "rate_limit_event"}
    for fault in FAULTS:
        if fault in spared or fault.startswith(("cut", "stall", "error")):
            upstream.behaviour = Behaviour(fault=fault)
            assert (await client.get(path)).status_code == 200
        elif fault.isdecimal():
            upstream.behaviour = Behaviour(fault=fault)
            assert (await client.get(path)).status_code == int(fault)


async def test_retry_after_is_announced_in_both_dialects(
    upstream: SimulatedUpstream, client: httpx.AsyncClient
) -> None:
    upstream.behaviour = Behaviour(fault="429", retry_after=2.5)
    reply = await post(client)
    assert (reply.headers["retry-after-ms"], reply.headers["retry-after"]) == ("2500", "3")
    assert "Please try again in 2.5s." in reply.json()["error"]["message"]
    for fault in ("429", "503"):
        upstream.behaviour = Behaviour(fault=fault, retry_after=None)
        assert "retry-after" not in (await post(client)).headers


async def test_refused_connections_and_recovery_on_the_same_port(
    upstream: SimulatedUpstream, client: httpx.AsyncClient
) -> None:
    first = (await post(client)).json()
    url = upstream.url
    upstream.behaviour = Behaviour(fault="refuse")
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError, httpx.ConnectError)):
        await post(client)  # the pooled connection is dropped too
    for _ in range(3):
        with pytest.raises(httpx.ConnectError):
            await post(client)
    assert upstream.open_connections == 0
    upstream.behaviour = Behaviour(fault="refuse", tokens=3)
    upstream.behaviour = Behaviour()
    upstream.behaviour = Behaviour(tokens=3)
    assert upstream.url == url
    assert (await post(client, previous_response_id=first["id"])).status_code == 200


async def test_refusal_from_the_start_and_within_one_step() -> None:
    upstream = SimulatedUpstream("east")
    upstream.behaviour = Behaviour(fault="refuse")
    async with upstream, httpx.AsyncClient(base_url=upstream.url) as client:
        with pytest.raises(httpx.ConnectError):
            await post(client)
        upstream.behaviour = Behaviour()
        upstream.behaviour = Behaviour(fault="refuse")
        await upstream.stop()
        await upstream.start()
        with pytest.raises(httpx.ConnectError):
            await post(client)


async def test_a_reset_is_a_reset(upstream: SimulatedUpstream) -> None:
    upstream.behaviour = Behaviour(fault="reset")
    reader, writer = await asyncio.open_connection(upstream.host, upstream.port)
    writer.write(b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    await upstream.until(lambda: upstream.open_connections == 0)


async def test_a_hang_lasts_until_the_client_leaves(upstream: SimulatedUpstream, client: httpx.AsyncClient) -> None:
    upstream.behaviour = Behaviour(fault="hang")
    calls = [asyncio.create_task(post(client)) for _ in range(3)]
    await upstream.until(lambda: upstream.active_requests == 3)
    upstream.behaviour = Behaviour()
    assert (await post(client)).status_code == 200
    assert not any(call.done() for call in calls)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await upstream.until(lambda: upstream.active_requests == 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_garbage_is_neither_json_nor_events(
    upstream: SimulatedUpstream, client: httpx.AsyncClient, stream: bool
) -> None:
    upstream.behaviour = Behaviour(fault="garbage")
    reply = await post(client, stream=stream)
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/event-stream" if stream else "application/json")
    with pytest.raises(ValueError, match=r"decode|Expecting|codec"):
        reply.json()
    assert b"data:" not in reply.content


async def test_a_stream_is_cut_before_its_output(upstream: SimulatedUpstream) -> None:
    upstream.behaviour = Behaviour(fault="cut_before_output")
    assert types(await events_until_broken(upstream)) == ["created", "in_progress"]


@pytest.mark.parametrize("count", [0, 1, 3, 99])
async def test_a_stream_is_cut_after_some_output(upstream: SimulatedUpstream, count: int) -> None:
    upstream.behaviour = Behaviour(fault="cut_after_output", cut_after=count)
    events = await events_until_broken(upstream)
    assert types(events).count("output_text.delta") == min(count, upstream.behaviour.tokens)
    assert "response.completed" not in {event["type"] for event in events}
    with pytest.raises(AssertionError, match="no terminal event"):
        check_stream(events)
    await upstream.until(lambda: upstream.active_requests == 0)
    assert upstream.ids[-1] not in upstream.state


@pytest.mark.parametrize("fault", ["cut_before_output", "cut_after_output"])
async def test_a_body_is_cut(upstream: SimulatedUpstream, client: httpx.AsyncClient, fault: Fault) -> None:
    upstream.behaviour = Behaviour(fault=fault)
    with pytest.raises(httpx.RemoteProtocolError):
        await post(client)


@pytest.mark.parametrize(
    ("fault", "stream", "head"),
    [
        ("stall_before_output", True, b"event: response.in_progress"),
        ("stall_after_output", True, b'"delta":"1 "'),
        ("stall_after_output", False, b'{"id":"resp_'),
        ("stall_before_output", False, b""),
    ],
)
async def test_a_stall_lasts_until_the_client_leaves(
    upstream: SimulatedUpstream, client: httpx.AsyncClient, fault: Fault, stream: bool, head: bytes
) -> None:
    upstream.behaviour = Behaviour(fault=fault)
    body = {"input": "x", "stream": stream}
    async with client.stream("POST", "/v1/responses", json=body) as reply:
        assert reply.status_code == 200
        chunks, seen = reply.aiter_raw(), b""
        while head not in seen:
            seen += await anext(chunks)
        assert b"response.completed" not in seen
        assert upstream.active_requests == 1
    await upstream.until(lambda: upstream.active_requests == 0)


@pytest.mark.parametrize(
    ("fault", "tail"),
    [
        ("error_event", ["created", "in_progress", "error", "failed"]),
        ("failed_event", ["created", "in_progress", "failed"]),
        ("rate_limit_event", ["created", "in_progress", "error", "failed"]),
    ],
)
async def test_errors_inside_a_stream(
    upstream: SimulatedUpstream, client: httpx.AsyncClient, fault: Fault, tail: list[str]
) -> None:
    upstream.behaviour = Behaviour(fault=fault)
    events = parse_sse((await post(client, stream=True)).content)
    final = check_stream(events)
    assert types(events) == tail
    expected = "rate_limit_exceeded" if fault == "rate_limit_event" else "server_error"
    assert final["error"]["code"] == expected
    if "error" in tail:
        nested = events[2]["error"]
        assert nested["code"] == expected
        assert ("headers" in nested) == (fault == "rate_limit_event")
    assert final["id"] not in upstream.state


async def test_a_flat_error_ends_a_stream(upstream: SimulatedUpstream, client: httpx.AsyncClient) -> None:
    upstream.behaviour = Behaviour(fault="error_event_flat")
    events = parse_sse((await post(client, stream=True)).content)
    assert types(events) == ["created", "in_progress", "error"]
    assert events[-1]["code"] == "server_error"
    assert "error" not in events[-1]


async def test_an_error_after_some_output(upstream: SimulatedUpstream, client: httpx.AsyncClient) -> None:
    upstream.behaviour = Behaviour(fault="error_event_after_output", cut_after=3)
    events = parse_sse((await post(client, stream=True)).content)
    check_stream(events)
    assert types(events)[-5:] == ["output_text.delta"] * 3 + ["error", "failed"]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("error_event", 500),
        ("error_event_flat", 500),
        ("error_event_after_output", 500),
        ("rate_limit_event", 429),
        ("failed_event", 200),
    ],
)
async def test_faults_of_streams_where_nothing_streams(
    upstream: SimulatedUpstream, client: httpx.AsyncClient, fault: Fault, status: int
) -> None:
    upstream.behaviour = Behaviour(fault=fault)
    reply = await post(client)
    assert reply.status_code == status
    if fault == "failed_event":
        assert (reply.json()["status"], reply.json()["error"]["code"]) == ("failed", "server_error")


async def test_a_store_that_lags_finds_a_response_later(upstream: SimulatedUpstream, client: httpx.AsyncClient) -> None:
    upstream.behaviour = Behaviour(fault="not_found_lag", lag_reads=3)
    first = (await post(client)).json()["id"]
    assert (await post(client, previous_response_id=first)).json()["error"]["code"] == "previous_response_not_found"
    assert (await client.get(f"/v1/responses/{first}")).status_code == 404
    assert (await post(client, previous_response_id=first)).status_code == 400
    assert (await post(client, previous_response_id=first)).status_code == 200
    assert (await client.get(f"/v1/responses/{first}")).status_code == 200


async def test_a_script_breaks_creations_one_by_one(upstream: SimulatedUpstream, client: httpx.AsyncClient) -> None:
    upstream.script("500", None, "429")
    assert (await client.get("/v1/models")).status_code == 200
    assert [(await post(client)).status_code for _ in range(5)] == [500, 200, 429, 200, 200]
    with pytest.raises(ValueError, match="refuse"):
        upstream.script("refuse")
    with pytest.raises(ValueError, match="did you mean '503'"):
        upstream.script("50")  # type: ignore[arg-type]  # what a misspelling does


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
async def test_a_share_of_requests_fails(rate: float) -> None:
    async with (
        SimulatedUpstream("east", seed=5, behaviour=Behaviour(failure_rate=rate)) as upstream,
        httpx.AsyncClient(base_url=upstream.url) as client,
    ):
        failed = [(await post(client)).status_code for _ in range(100)].count(500)
    assert abs(failed - 100 * rate) <= 10
    assert failed in (0, 100) or 0 < rate < 1


async def test_requests_beyond_the_limit_are_told_when_to_return(clock: Clock) -> None:
    async with (
        SimulatedUpstream("east", behaviour=Behaviour(rpm=6), clock=clock) as upstream,
        httpx.AsyncClient(base_url=upstream.url) as client,
    ):
        assert [(await post(client)).status_code for _ in range(8)] == [200] * 6 + [429] * 2
        clock.advance(4)
        reply = await post(client)
        assert reply.json()["error"]["type"] == "requests"
        assert reply.headers["retry-after-ms"] == "6000"
        assert reply.headers["x-ratelimit-limit-requests"] == "6"
        assert reply.headers["x-ratelimit-remaining-requests"] == "0"
        assert reply.headers["x-ratelimit-reset-requests"] == "56s"
        assert (await client.get(f"/v1/responses/{upstream.ids[0]}")).status_code == 200
        clock.advance(6)
        assert [(await post(client)).status_code for _ in range(2)] == [200, 429]
        clock.advance(3600)
        assert [(await post(client)).status_code for _ in range(7)] == [200] * 6 + [429]
        upstream.behaviour = Behaviour()
        assert (await post(client)).status_code == 200


async def test_tokens_beyond_the_limit_are_refused(clock: Clock) -> None:
    async with (
        SimulatedUpstream("east", behaviour=Behaviour(tpm=1000), clock=clock) as upstream,
        httpx.AsyncClient(base_url=upstream.url) as client,
    ):
        assert (await post(client, input="x" * 3000)).status_code == 200
        reply = await post(client, input="x" * 3000)
        assert reply.json()["error"]["type"] == "tokens"
        assert reply.status_code == 429
        clock.advance(60)
        assert (await post(client, input="x" * 9000)).status_code == 200, "more than fits waits for a full bucket only"


async def test_rate_limit_headers_on_every_reply(clock: Clock) -> None:
    behaviour = Behaviour(rate_limit_headers=True, rpm=10, tpm=60_000)
    async with (
        SimulatedUpstream("east", behaviour=behaviour, clock=clock) as upstream,
        httpx.AsyncClient(base_url=upstream.url) as client,
    ):
        for left in (9, 8):
            reply = await post(client, stream=True)
            assert reply.headers["x-ratelimit-remaining-requests"] == str(left)
        assert reply.headers["x-ratelimit-reset-requests"] == "12s"
        assert reply.headers["x-ratelimit-reset-tokens"].endswith("ms")
        for _ in range(8):
            reply = await post(client)
        assert reply.headers["x-ratelimit-reset-requests"] == "1m0s"
        upstream.behaviour = Behaviour(rate_limit_headers=True)
        reply = await post(client)
        assert reply.headers["x-ratelimit-limit-requests"] == "10000"
        assert "x-ratelimit-limit-requests" in (await client.get("/v1/models")).headers
        upstream.behaviour = Behaviour()
        assert "x-ratelimit-limit-requests" not in (await post(client)).headers
