"""What nobody changed reaches the client byte for byte: whole answers and events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from routers import entry
from wire import CHUNKED, END, Play, piece, says, serve

from router import Router
from router.proxy.app import Proxy

ODD = (
    b'{ "output" : [],\r\n\t"id":"resp_1" , "object": "response","status":"completed", "new": null}',
    b'{"id":"resp_1","object":"response","a":1.0,"b":1,"c":1e2,"d":1E+2,"e":-0.0,"f":0.10,"g":12345678901234567890123}',
    b'{"id":"resp_1","object":"response","x":"\\u00e9\\u000a\\/\\"\xc3\xa9\\ud83d\\ude00","y":"\xf0\x9f\x98\x80"}',
    b'{"z":1,"object":"response","a":2,"id":"resp_1","m":{"z":{},"a":[[ ]]},"usage":{"input_tokens":1.0}}',
    b'{"id":"resp_1","object":"response","half":"\\ud800","huge":1e999}\n',
    b'{"id":"resp_1","object":"response","a":1,"a":2}',
)
"""Answers as nobody would write them who encodes them anew."""
SIGNED: dict[str, Any] = {
    "optional_pre_call_checks": ["responses_api_deployment_check"],
    "affinity": "signed-id",
    "affinity_key": "a key of some length, as it must be",
}


async def ask(app: Proxy, method: str = "POST", path: str = "/v1/responses", **body: Any) -> tuple[int, list[bytes]]:
    """The status, and each piece of the body as it was written."""
    content = json.dumps({"model": "gpt", "input": "hi", **body}).encode()
    asked = asyncio.Event()
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if asked.is_set():
            await asyncio.Event().wait()  # the client stays
        asked.set()
        return {"type": "http.request", "body": content if method == "POST" else b"", "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b"model=gpt", "headers": []}
    await app(scope if method == "GET" else {**scope, "query_string": b""}, receive, send)
    return told[0]["status"], [message["body"] for message in told[1:] if message["body"]]


def whole(content: bytes) -> Play:
    """Answers every request with a body."""
    return says(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content), content
    )


def streamed(*frames: bytes) -> Play:
    """Answers every request with a stream, all at once."""
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-type: text/event-stream\r\n\r\n")
    return says(head, piece(b"".join(frames)), END)


@pytest.mark.parametrize("number", range(len(ODD)))
async def test_whole_answers(number: int) -> None:
    async with serve(whole(ODD[number])) as server, Router([entry(server.url)]) as router:
        app = Proxy(router)
        assert await ask(app) == (200, [ODD[number]])
        assert await ask(app, "GET", "/v1/responses/resp_1") == (200, [ODD[number]])


async def test_events_each_in_one_write() -> None:
    frames = [
        *(b'event: response.created\ndata: {"type": "response.created", "response": %s}\n\n' % odd.strip()
          for odd in (ODD[3], ODD[5])),
        b'event: response.new_one\ndata: {"b": 1.0,  "type":"response.new_one","a":1e2, "x":"\\u00e9"}\n\n',
        b'event: response.output_text.delta\ndata: {"delta":"\\u0041\\/", "type":"response.output_text.delta"}\n\n',
        b'event: response.completed\ndata: {"response":%s , "type":"response.completed"}\n\n' % ODD[1],
    ]  # fmt: skip
    async with serve(streamed(*frames)) as server, Router([entry(server.url)]) as router:
        status, told = await ask(Proxy(router), stream=True)
    assert status == 200
    assert told == [*frames, b"data: [DONE]\n\n"]


async def test_an_event_is_named_by_its_type_however_it_came() -> None:
    end = b'{"type":"response.completed", "response":{"id":"resp_1"}}'
    frames = [
        b'data: {"type":"response.created", "response":{"id":"resp_1"}}\n\n',
        b'id: 7\nevent: other\ndata: {"type":"response.odd",\ndata: "a" : 1.0}\n\n',
        b': a comment\n\ndata: {"type":"new\\nline\\ud800", "a":1}\n\n',
        b'data: {"no type":1.0}\r\n\r\n',
        b"event: response.completed\ndata:%s \n\n" % end,
    ]
    async with serve(streamed(*frames)) as server, Router([entry(server.url)]) as router:
        _, told = await ask(Proxy(router), stream=True)
    assert told == [
        b'event: response.created\ndata: {"type":"response.created", "response":{"id":"resp_1"}}\n\n',
        b'event: response.odd\ndata: {"type":"response.odd",\ndata: "a" : 1.0}\n\n',
        b'event: new line?\ndata: {"type":"new\\nline\\ud800", "a":1}\n\n',
        b'data: {"no type":1.0}\n\n',
        b"event: response.completed\ndata: %s\n\n" % end,
        b"data: [DONE]\n\n",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
async def test_what_is_no_json_to_others_is_made_json(encoding: str) -> None:
    content = '{"id":"resp_1","object":"response", "a":NaN,"b":1.0}' if encoding == "utf-8" else '{"id":"é", "b":1.0}'
    async with serve(whole(content.encode(encoding))) as server, Router([entry(server.url)]) as router:
        _, (told,) = await ask(Proxy(router))
    made = {"id": "resp_1", "object": "response", "a": None, "b": 1.0} if encoding == "utf-8" else {"id": "é", "b": 1.0}
    assert json.loads(told.decode()) == made
    assert b": " not in told


async def test_only_what_shows_an_id_is_written_anew_where_ids_are_signed() -> None:
    answer = b'{"id": "resp_1","object": "response","status":"completed","a":1.50}'
    async with serve(whole(answer)) as server, Router([entry(server.url)], **SIGNED) as router:
        _, (told,) = await ask(Proxy(router))
    signed = json.loads(told)
    assert signed.pop("id").startswith("resp_")
    assert b'"resp_1"' not in told
    assert signed == {"object": "response", "status": "completed", "a": 1.5}
    delta = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta" ,"delta":"x","a":1.50}\n\n'
    created = b'data: {"type":"response.created", "response":{"id":"resp_1","object":"response"}}\n\n'
    ended = b'data: {"type":"response.completed", "response":{"id":"resp_1","object":"response"}}\n\n'
    async with serve(streamed(created, delta, ended)) as server, Router([entry(server.url)], **SIGNED) as router:
        _, events = await ask(Proxy(router), stream=True)
    assert events[1] == delta
    assert [b'"resp_1"' in event for event in events] == [False] * 4
    shown = json.loads(events[0].partition(b"\ndata: ")[2])
    assert json.loads(events[2].partition(b"\ndata: ")[2])["response"]["id"] == shown["response"]["id"]
