"""A loopback server that speaks OpenAI's Chat Completions as its many vendors do.

It judges what it is sent (`chat_rules`) and answers what it was told to, as JSON or as a stream. Its wire is that of
openai-python 3.54, whose own client runs against it in the tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web
from chat_rules import VARIANTS, Judge, Refused, need
from chat_talk import recorded

Json = dict[str, Any]
KEY = "sk-test"
TOKEN = "test-bearer-token"
_ENDS = ("/chat/completions", ":rawPredict", ":streamRawPredict")


@dataclass(frozen=True)
class Received:
    """One request that was accepted or refused."""

    path: str
    headers: Mapping[str, str]
    body: Json
    query: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What the next request is answered with, once it is found good."""

    content: bytes
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    """Whether the connection breaks after `content`, in the middle of the body."""


class FakeChat:
    """What it has been told, and what it has seen. `url` is where it listens."""

    def __init__(self, variant: str = "openai") -> None:
        self.url = ""
        self.variant = VARIANTS[variant]
        self.received: list[Received] = []
        self.refused: list[str] = []
        """Messages of the requests it refused by itself."""
        self._answers: deque[Answer | str] = deque()

    @property
    def body(self) -> Json:
        """The body of the last request."""
        return self.received[-1].body

    def play(self, name: str) -> None:
        """Answer the next request with the fixture of this name: its JSON, or its stream."""
        self._answers.append(name)

    def say(self, text: str = "Hello!", **message: Any) -> None:
        """Answer the next request with a message, streamed if the request asks for it."""
        self._answers.append(json.dumps({"role": "assistant", "content": text, **message}))

    def refuse(self, status: int, body: Json | bytes, **headers: str) -> None:
        """Answer the next request with an error."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._answers.append(Answer(content, status, headers=named))

    def send(self, content: bytes, *, cut: bool = False) -> None:
        """Answer the next request with these bytes as a stream."""
        self._answers.append(Answer(content, kind="text/event-stream", cut=cut))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            body = json.loads(raw)
        except ValueError:
            body = {}
        self.received.append(Received(request.path, headers, body, dict(request.query)))
        try:
            self._admit(request, headers, body)
        except Refused as refusal:
            self.refused.append(refusal.message)
            return await self._reply(request, _error(refusal))
        if request.method == "GET":
            return await self._reply(request, Answer(b'{"object": "list", "data": [{"id": "m", "object": "model"}]}'))
        if not self._answers:
            raise AssertionError(f"nobody said how to answer {request.path}")
        return await self._reply(request, _rendered(self._answers.popleft(), body))

    def _admit(self, request: web.Request, headers: Mapping[str, str], body: Json) -> None:
        listing = request.method == "GET" and request.path.endswith("/models")
        need(listing or request.method == "POST", "Not allowed to this method", status=405)
        need(listing or request.path.endswith(_ENDS), f"Invalid URL (POST {request.path})", status=404)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        known = (scheme == "Bearer" and token in (KEY, TOKEN)) or headers.get("api-key") == KEY
        need(known, "Incorrect API key provided", status=401)
        if listing:
            return
        need(headers.get("content-type", "").startswith("application/json"), "expected JSON")
        need(isinstance(body, dict) and body, "We could not parse the JSON body of your request.")
        Judge(body, self.variant).check()

    async def _reply(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        headers = {"content-type": answer.kind, "x-request-id": "req_chat_1", **answer.headers}
        if not answer.cut:
            return web.Response(body=answer.content, status=answer.status, headers=headers)
        reply = web.StreamResponse(status=answer.status, headers=headers)
        await reply.prepare(request)
        await reply.write(answer.content)
        transport = request.transport
        assert transport is not None
        transport.close()
        await asyncio.Event().wait()  # the loss of the connection cancels this
        return reply


def _error(refusal: Refused) -> Answer:
    inner = {"message": refusal.message, "type": "invalid_request_error", "param": refusal.param, "code": None}
    return Answer(json.dumps({"error": inner}).encode(), refusal.status)


def _rendered(answer: Answer | str, body: Json) -> Answer:
    if isinstance(answer, Answer):
        return answer
    stream = bool(body.get("stream"))
    if answer.startswith("{"):
        content = _streamed(answer, body) if stream else _whole(json.loads(answer), body)
    else:
        content = recorded(f"{answer}.{'sse' if stream else 'json'}")
    return Answer(content, kind="text/event-stream; charset=utf-8" if stream else "application/json")


_USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def _whole(message: Json, body: Json) -> bytes:
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(message)}
    reply = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_790_000_000, "model": body["model"]}
    return json.dumps({**reply, "choices": [choice], "usage": _USAGE}).encode()


def _streamed(message: str, body: Json) -> bytes:
    whole: Json = json.loads(message)
    text = whole.pop("content")
    for place, call in enumerate(whole.get("tool_calls") or ()):
        call["index"] = place
    deltas: list[Json] = [{**whole, "content": ""}, *({"content": word} for word in _words(text)), {}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": body["model"]}
    frames: list[Json] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    frames[-1]["choices"][0]["finish_reason"] = _finish(whole)
    if body.get("stream_options", {}).get("include_usage"):
        frames.append({**head, "choices": [], "usage": _USAGE})
    return b"".join(b"data: %b\n\n" % json.dumps(frame).encode() for frame in frames) + b"data: [DONE]\n\n"


def _finish(message: Json) -> str:
    return "tool_calls" if message.get("tool_calls") else "stop"


def _words(text: str | None) -> list[str]:
    return [text[at : at + 3] for at in range(0, len(text), 3)] if text else []


@contextlib.asynccontextmanager
async def fake_chat(variant: str = "openai") -> AsyncIterator[FakeChat]:
    """Listen on a free port of loopback, as this vendor."""
    fake = FakeChat(variant)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", fake.serve)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = cast("tuple[str, int]", runner.addresses[0])
        fake.url = f"http://{host}:{port}"
        yield fake
    finally:
        await runner.cleanup()
