"""A loopback server that speaks Anthropic's Messages API, also as Vertex AI and Microsoft Foundry host it.

It judges what it is sent (`anthropic_rules`) and answers what it was told to, as JSON or as a stream. Its wire is
that of anthropic-python 2.12, whose own client runs against it in the tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from anthropic_rules import MODELS, VERSIONS, Judge, Refused, need

Json = dict[str, Any]
FIXTURES = Path(__file__).parent / "fixtures" / "messages"

KEY = "sk-ant-test-key"
TOKEN = "test-bearer-token"
_HOSTED = re.compile(
    r"/v1/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/publishers/anthropic/models/"
    r"(?P<model>[^/:]+):(?P<verb>rawPredict|streamRawPredict)"
)


def fixture(name: str) -> bytes:
    """A recorded-shape body: `text.json`, `text.sse`, …"""
    return (FIXTURES / name).read_bytes()


def message(name: str) -> Json:
    """A recorded-shape reply as JSON."""
    reply: Json = json.loads(fixture(f"{name}.json"))
    return reply


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


def error(status: int, kind: str, text: str, **details: object) -> Json:
    """An error body as the API writes it."""
    inner: Json = {"type": kind, "message": text}
    if details:
        inner["details"] = details
    return {"type": "error", "error": inner, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}


class FakeAnthropic:
    """What it has been told, and what it has seen. `url` is where it listens."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[Received] = []
        self.refused: list[str] = []
        """Messages of the requests it refused by itself."""
        self._answers: deque[Answer | Json] = deque()
        self._signed: list[Json] = []
        self._bound: dict[str, str] = {}
        self.unbound: list[Json] = []
        """Thinking that was given back in another conversation than it was made in."""

    @property
    def body(self) -> Json:
        """The body of the last request."""
        return self.received[-1].body

    def answer(self, reply: Json) -> None:
        """Answer the next request with this message, streamed if the request asks for it."""
        self._answers.append(reply)

    def play(self, name: str) -> None:
        """Answer the next request with the fixture of this name: its JSON, or its stream."""
        self._answers.append({"fixture": name})

    def refuse(self, status: int, body: Json | bytes, **headers: str) -> None:
        """Answer the next request with an error."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._answers.append(Answer(content, status, headers=named))

    def send(self, content: bytes, *, cut: bool = False) -> None:
        """Answer the next request with these bytes as a stream."""
        self._answers.append(Answer(content, kind="text/event-stream; charset=utf-8", cut=cut))

    def sign(self, *blocks: Json) -> None:
        """Take these thinking blocks for ones that the service has made."""
        self._signed += blocks

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
            if request.method == "GET" and request.path == "/v1/models":
                need_key(headers, False)
                need(headers.get("anthropic-version") in VERSIONS, "anthropic-version: not a valid version")
                listed = {"data": [{"type": "model", "id": name} for name in MODELS], "has_more": False}
                return await self._reply(request, Answer(json.dumps(listed).encode()))
            if request.method != "POST":
                raise Refused("Method Not Allowed", "invalid_request_error", 405)
            need(
                headers.get("content-type", "").startswith("application/json"), "content-type must be application/json"
            )
            need(isinstance(body, dict) and body, "The request body is not valid JSON")
            body, model = self._admit(request.path, headers, body)
        except Refused as refusal:
            self.refused.append(refusal.message)
            answer = Answer(json.dumps(error(refusal.status, refusal.kind, refusal.message)).encode(), refusal.status)
            return await self._reply(request, answer)
        if not self._answers:
            raise AssertionError(f"nobody said how to answer {request.path}")
        return await self._reply(request, self._rendered(self._answers.popleft(), body, model))

    def _admit(self, path: str, headers: Mapping[str, str], body: Json) -> tuple[Json, str]:
        """The body with its model, once route, credentials and content are found good."""
        hosted = _HOSTED.fullmatch(path)
        if hosted:
            need_token(headers)
            version = body.get("anthropic_version")
            need(version in ("vertex-2023-10-16", "2026-10-21"), f"anthropic_version: unexpected value {version!r}")
            need("model" not in body, "model: Extra inputs are not permitted")
            streams = hosted["verb"] == "streamRawPredict"
            need(bool(body.get("stream")) is streams, f"stream: {hosted['verb']} was called")
            body = {**body, "model": hosted["model"]}
            del body["anthropic_version"]
            version = "2026-10-21" if version == "2026-10-21" else "2023-06-01"
        else:
            foundry = path == "/anthropic/v1/messages"
            if path != "/v1/messages" and not foundry:
                raise Refused(f"Not found: {path}", "not_found_error", 404)
            need_key(headers, foundry)
            version = headers.get("anthropic-version", "")
            need(version in VERSIONS, f"anthropic-version: {version!r} is not a valid version")
        for flag in headers.get("anthropic-beta", "x").split(","):
            need(
                re.fullmatch(r"[a-z0-9-]+", flag.strip()),
                f"Unexpected value(s) `{flag}` for the `anthropic-beta` header",
            )
        model = MODELS.get(body.get("model", ""))
        if model is None:
            raise Refused(f"model: {body.get('model')}", "not_found_error", 404)
        Judge(body, model, version, lambda block: block in self._signed, headers.get("anthropic-beta", "")).check()
        if model.bound:
            self._check_binding(body)
        return body, body["model"]

    def _check_binding(self, body: Json) -> None:
        """Thinking that is given back is bound to all that stood before it."""
        binding = (body.get("thinking") or {}).get("block_binding") or {}
        for place, turn in enumerate(body["messages"]):
            for block in turn["content"]:
                before = self._bound.get(_text(block))
                if before in (None, _before(body, place)):
                    continue
                self.unbound.append(block)
                lenient = binding.get("prefix_mismatch_behavior") == "drop_block"
                need(
                    lenient, "Invalid `signature` in `thinking` block. The block is bound to a different conversation."
                )

    def _rendered(self, answer: Answer | Json, body: Json, model: str) -> Answer:
        if isinstance(answer, Answer):
            return answer
        stream = bool(body.get("stream"))
        if set(answer) == {"fixture"}:
            whole = message(answer["fixture"])
            self._remember(whole, body)
            content = fixture(f"{answer['fixture']}.{'sse' if stream else 'json'}")
        else:
            whole = {**answer, "model": model}
            self._remember(whole, body)
            content = streamed(whole) if stream else json.dumps(whole).encode()
        return Answer(content, kind="text/event-stream; charset=utf-8" if stream else "application/json")

    def _remember(self, reply: Json, body: Json) -> None:
        """What it has signed, it will know again."""
        signed = [block for block in reply["content"] if block["type"] in ("thinking", "redacted_thinking")]
        self._signed += signed
        self._bound |= {_text(block): _before(body, len(body["messages"])) for block in signed}

    async def _reply(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        headers = {
            "content-type": answer.kind,
            "request-id": "req_011CSHoEeqs5C35K2UUqR7Fy",
            "anthropic-organization-id": "5a2e7b1c-fake",
            **answer.headers,
        }
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


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _before(body: Json, place: int) -> str:
    return _text([body.get("system"), body.get("tools"), body["messages"][:place]])


def need_key(headers: Mapping[str, str], foundry: bool) -> None:
    """An API key in `x-api-key`, which wins, or a bearer token."""
    key = headers.get("x-api-key") or (headers.get("api-key") if foundry else None)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if key is None and scheme == "" and not foundry:
        raise Refused("x-api-key header is required", "authentication_error", 401)
    good = key == KEY if key is not None else scheme == "Bearer" and token in (KEY, TOKEN)
    if not good:
        raise Refused("invalid x-api-key", "authentication_error", 401)


def need_token(headers: Mapping[str, str]) -> None:
    """A bearer token, and no API key."""
    if headers.get("authorization") != f"Bearer {TOKEN}" or "x-api-key" in headers:
        raise Refused("Request had invalid authentication credentials.", "authentication_error", 401)


def streamed(reply: Json, size: int = 7) -> bytes:
    """A message as the API streams it: text and arguments in pieces of `size` characters."""
    usage = {**reply["usage"], "output_tokens": 1}
    start = {**reply, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    frames: list[Json] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(reply["content"]):
        opened, deltas = _pieces(block, size)
        frames.append({"type": "content_block_start", "index": index, "content_block": opened})
        frames += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        frames.append({"type": "content_block_stop", "index": index})
    delta: Json = {name: reply.get(name) for name in ("stop_reason", "stop_sequence", "stop_details") if name in reply}
    frames.append({"type": "message_delta", "delta": delta, "usage": reply["usage"]})
    frames.append({"type": "message_stop"})
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (str(each["type"]).encode(), json.dumps(each).encode()) for each in frames
    )


def _cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _pieces(block: Json, size: int) -> tuple[Json, list[Json]]:
    """A block as it opens, and the deltas that fill it."""
    match block["type"]:
        case "text":
            cited = [{"type": "citations_delta", "citation": each} for each in block.get("citations") or ()]
            texts = [{"type": "text_delta", "text": text} for text in _cut(block["text"], size)]
            return {**block, "text": "", **({"citations": []} if cited else {})}, texts + cited
        case "thinking":
            thoughts = [{"type": "thinking_delta", "thinking": text} for text in _cut(block["thinking"], size)]
            signature = {"type": "signature_delta", "signature": block["signature"]}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*thoughts, signature]
        case "tool_use" | "server_tool_use":
            text = json.dumps(block["input"]) if block["input"] else ""
            parts = [{"type": "input_json_delta", "partial_json": part} for part in ["", *_cut(text, size)]]
            return {**block, "input": {}}, parts
        case _:
            return block, []


@contextlib.asynccontextmanager
async def fake_anthropic(prepare: Callable[[FakeAnthropic], None] | None = None) -> AsyncIterator[FakeAnthropic]:
    """Listen on a free port of loopback."""
    fake = FakeAnthropic()
    if prepare is not None:
        prepare(fake)
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
