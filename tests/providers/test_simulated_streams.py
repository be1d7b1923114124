"""Streams of a simulated deployment: right order, right numbers, one write per frame."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from responses_protocol import check_stream, parse_sse

from providers.simulated import Behaviour, SimulatedUpstream

TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {"city": {"const": "X"}}}}
NO_ARGUMENTS = {"type": "function", "name": "weather"}


@pytest.fixture
async def upstream() -> AsyncIterator[SimulatedUpstream]:
    async with SimulatedUpstream("east", seed=2) as upstream:
        yield upstream


@pytest.fixture
async def session(upstream: SimulatedUpstream) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(upstream.url) as session:
        yield session


async def stream(session: aiohttp.ClientSession, **body: Any) -> list[dict[str, Any]]:
    async with session.post("/v1/responses", json={"model": "gpt", "stream": True, **body}) as reply:
        assert reply.status == 200
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        events: list[dict[str, Any]] = parse_sse(await reply.read())
    return events


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ({}, ["message"]),
        ({"store": False}, ["message"]),
        ({"background": True}, ["message"]),
        ({"tools": [TOOL], "tool_choice": "required"}, ["function_call"]),
        ({"tools": [NO_ARGUMENTS], "tool_choice": "required"}, ["function_call"]),
        ({"reasoning": {"effort": "low"}}, ["reasoning", "message"]),
        ({"reasoning": {"effort": "none", "summary": "auto"}}, ["message"]),
        (
            {"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]},
            ["reasoning", "message"],
        ),
        (
            {"reasoning": {"summary": "auto"}, "tools": [TOOL], "tool_choice": "required"},
            ["reasoning", "function_call"],
        ),
        ({"text": {"format": {"type": "json_schema", "schema": {"type": "boolean"}}}}, ["message"]),
    ],
)
@pytest.mark.parametrize("tokens", [1, 5, 30])
async def test_every_stream_is_in_order(
    session: aiohttp.ClientSession, upstream: SimulatedUpstream, body: dict[str, Any], kinds: list[str], tokens: int
) -> None:
    upstream.behaviour = Behaviour(tokens=tokens)
    final = check_stream(await stream(session, input="x", **body))
    assert [item["type"] for item in final["output"]] == kinds
    async with session.get(f"/v1/responses/{final['id']}") as reply:
        if body.get("store") is False:
            assert reply.status == 404
        else:
            assert await reply.json() == final


async def test_the_order_is_that_of_openai(session: aiohttp.ClientSession, upstream: SimulatedUpstream) -> None:
    upstream.behaviour = Behaviour(tokens=2)
    events = await stream(session, input="x", background=True, reasoning={"summary": "auto"})
    assert types(events) == [
        "created",
        "queued",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["response"]["status"] for event in events[:3]] == ["queued", "queued", "in_progress"]


async def test_a_stream_says_what_a_reply_says(session: aiohttp.ClientSession) -> None:
    first = check_stream(await stream(session, input="Plums are blue"))
    second = check_stream(await stream(session, input="on", previous_response_id=first["id"]))
    assert second["output"][0]["content"][0]["text"].startswith("Turn 2 at east. You began: 'Plums are blue'.")
    deltas = [event["delta"] for event in await stream(session, input="x") if "delta" in event]
    assert len(deltas) == Behaviour().tokens


async def test_a_long_stream_ends_incomplete(session: aiohttp.ClientSession, upstream: SimulatedUpstream) -> None:
    upstream.behaviour = Behaviour(tokens=40)
    events = await stream(session, input="x", max_output_tokens=20)
    final = check_stream(events)
    assert events[-1]["type"] == "response.incomplete"
    async with session.get(f"/v1/responses/{final['id']}") as reply:
        assert (await reply.json())["status"] == "incomplete"


async def test_encrypted_content_differs_each_time_it_is_sent(session: aiohttp.ClientSession) -> None:
    events = await stream(session, input="x", reasoning={"effort": "low"}, include=["reasoning.encrypted_content"])
    added = next(event for event in events if event["type"] == "response.output_item.added")
    done = next(event for event in events if event["type"] == "response.output_item.done")
    assert added["item"]["encrypted_content"] != done["item"]["encrypted_content"]


async def test_deltas_are_padded_unless_declined(session: aiohttp.ClientSession, upstream: SimulatedUpstream) -> None:
    upstream.behaviour = Behaviour(obfuscation=True)
    events = await stream(session, input="x")
    check_stream(events)
    assert all(("obfuscation" in event) == ("delta" in event) for event in events)
    declined = await stream(session, input="x", stream_options={"include_obfuscation": False})
    assert not any("obfuscation" in event for event in declined)
    accepted = await stream(session, input="x", stream_options={})
    assert any("obfuscation" in event for event in accepted)


async def test_a_done_marker_is_sent_if_asked_for(session: aiohttp.ClientSession, upstream: SimulatedUpstream) -> None:
    upstream.behaviour = Behaviour(done_marker=True)
    async with session.post("/v1/responses", json={"input": "x", "stream": True}) as reply:
        check_stream(parse_sse(await reply.read(), done_marker=True))


async def test_each_frame_is_one_write(session: aiohttp.ClientSession) -> None:
    async with session.post("/v1/responses", json={"input": "x", "stream": True}) as reply:
        chunks: list[bytes] = []
        chunk = b""
        async for data, ended in reply.content.iter_chunks():  # HTTP chunks: one for each write
            chunk += data
            if ended:
                chunks.append(chunk)
                chunk = b""
    frames = [chunk for chunk in chunks if chunk]
    assert all(frame.startswith(b"event: ") and frame.endswith(b"\n\n") for frame in frames)
    assert [frame.count(b"\n\n") for frame in frames] == [1] * len(frames)
    check_stream(parse_sse(b"".join(frames)))


async def test_a_background_stream_is_resumed(session: aiohttp.ClientSession, upstream: SimulatedUpstream) -> None:
    upstream.behaviour = Behaviour(obfuscation=True)
    events = await stream(session, input="x", background=True)
    path = f"/v1/responses/{events[0]['response']['id']}"
    plain = [{name: value for name, value in event.items() if name != "obfuscation"} for event in events]
    for after, query in ((5, "&starting_after=5"), (-1, "")):
        async with session.get(f"{path}?stream=true&include_obfuscation=false{query}") as reply:
            assert parse_sse(await reply.read()) == plain[after + 1 :]
    async with session.get(f"{path}?stream=true&starting_after=x") as reply:
        assert reply.status == 400


async def test_resuming_finishes_what_runs_in_the_background(session: aiohttp.ClientSession) -> None:
    async with session.post("/v1/responses", json={"input": "x", "background": True}) as reply:
        queued = await reply.json()
    async with session.get(f"/v1/responses/{queued['id']}?stream=true") as reply:
        final = check_stream(parse_sse(await reply.read()))
    async with session.get(f"/v1/responses/{queued['id']}") as reply:
        assert await reply.json() == final


async def test_only_background_responses_are_streamed_again(session: aiohttp.ClientSession) -> None:
    final = check_stream(await stream(session, input="x"))
    async with session.get(f"/v1/responses/{final['id']}?stream=true") as reply:
        assert reply.status == 400
        assert (await reply.json())["error"]["param"] == "stream"


class Gate:
    """A sleep that ends when the test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.opened = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await self.opened.wait()


async def test_latency_and_pauses_go_through_the_injected_sleep() -> None:
    gate = Gate()
    gate.opened.set()
    behaviour = Behaviour(latency=2.0, jitter=3.0, token_delay=0.5, tokens=3)
    async with (
        SimulatedUpstream("east", seed=3, behaviour=behaviour, sleep=gate) as upstream,
        aiohttp.ClientSession(upstream.url) as session,
    ):
        for _ in range(20):
            await stream(session, input="x")
    latencies, pauses = gate.asked[::4], [gate.asked[index] for index in range(80) if index % 4]
    assert pauses == [0.5] * 60
    assert all(0 <= latency <= 5 for latency in latencies)
    assert min(latencies) == 0.0
    assert len(set(latencies)) > 10


async def test_a_client_that_leaves_ends_the_generation() -> None:
    gate = Gate()
    behaviour = Behaviour(token_delay=1.0)
    async with (
        SimulatedUpstream("east", behaviour=behaviour, sleep=gate) as upstream,
        aiohttp.ClientSession(upstream.url) as session,
    ):
        reply = await session.post("/v1/responses", json={"input": "x", "stream": True})
        assert (await reply.content.readuntil(b"\n\n")).startswith(b"event: response.created")
        assert upstream.active_requests == 1
        reply.close()
        await upstream.until(lambda: upstream.active_requests == 0)
        await upstream.until(lambda: upstream.open_connections == 0)
        (left,) = upstream.ids
        async with session.get(f"/v1/responses/{left}") as gone:
            assert gone.status == 404


async def test_a_generation_ends_when_its_connection_closes_under_it() -> None:
    gate = Gate()
    async with (
        SimulatedUpstream("east", behaviour=Behaviour(latency=1.0), sleep=gate) as upstream,
        aiohttp.ClientSession(upstream.url) as session,
    ):
        running = asyncio.create_task(stream(session, input="x"))
        await upstream.until(lambda: upstream.calls == 1)
        gate.opened.set()  # the reply is next written to a connection that is closing
        upstream.behaviour = Behaviour(fault="refuse")
        with pytest.raises(aiohttp.ClientError):
            await running
        await upstream.until(lambda: upstream.active_requests == 0)


async def test_a_request_keeps_the_behaviour_it_began_with() -> None:
    gate = Gate()
    async with (
        SimulatedUpstream("east", behaviour=Behaviour(latency=1.0), sleep=gate) as upstream,
        aiohttp.ClientSession(upstream.url) as session,
    ):
        running = asyncio.create_task(stream(session, input="x"))
        await upstream.until(lambda: upstream.calls == 1)
        upstream.behaviour = replace(upstream.behaviour, fault="500")
        gate.opened.set()
        check_stream(await running)
        async with session.post("/v1/responses", json={"input": "x"}) as reply:
            assert reply.status == 500
