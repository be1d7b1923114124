"""One stage per provider: its fake on a real socket, how a Router finds it, and what it can be told to answer.

What a stage is told is the same everywhere (`says`, `fails`): a text, a call, two calls at once, a signed thought, …
Each says it in its vendor's own words.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import fake_anthropic
import fake_bedrock
import fake_chat
import fake_gemini
import wire
from aiohttp import web
from fake_google_tokens import FakeTokens, service_account
from toy_dialect import DEPLOYMENT, toy, toy_call

from providers.types import Dialect

Json = dict[str, Any]

HELLO = "Hello there."
THOUGHT = "Let me think."
CITY = {"city": "Paris"}
TOOL = "get_weather"
NO = "I can't help with that."


class Stage(ABC):
    """A provider on a stage."""

    name: str
    """As in `litellm_params.model`."""
    model: str
    dialect: Dialect
    thinker: str = ""
    """A model that reasons; empty: the same."""

    @property
    def title(self) -> str:
        """How a table calls it."""
        return self.name

    @abstractmethod
    def play(self) -> Any:
        """Opens the fake: an asynchronous context."""

    @abstractmethod
    def params(self) -> Json:
        """`litellm_params` but for the model."""

    @abstractmethod
    def says(self, what: str, *, stream: bool) -> None:
        """Answer the next request with: text, call, calls, thought, refusal, length, filter, cut."""

    @abstractmethod
    def fails(self, what: str) -> None:
        """Answer the next request with an error: key, rate, overload, context, model."""

    @abstractmethod
    def bodies(self) -> list[Json]:
        """What it was sent, and let in."""

    @abstractmethod
    def complaints(self) -> list[str]:
        """Why it let in nothing else."""

    @abstractmethod
    def forget(self) -> None:
        """What was to be answered and nobody asked for."""

    def entry(self, *, thinks: bool = False, **params: Any) -> Json:
        """An entry of a `model_list`."""
        model = self.thinker if thinks and self.thinker else self.model
        wanted = {"model": f"{self.name}/{model}", **self.params(), **params}
        return {"model_name": "group", "litellm_params": wanted, "model_info": {"id": self.title}}


# native ones

_NATIVE_ACTS: Mapping[str, list[Json]] = {
    "text": [{"act": "text", "of": [HELLO]}],
    "call": [{"act": "call", "of": ["call_1", TOOL]}, {"act": "arguments", "of": [json.dumps(CITY)]}],
    "calls": [
        {"act": "call", "of": ["call_1", TOOL]},
        {"act": "arguments", "of": [json.dumps(CITY)]},
        {"act": "call", "of": ["call_2", TOOL]},
        {"act": "arguments", "of": [json.dumps(CITY)]},
    ],
    "thought": [
        {"act": "think", "of": [THOUGHT]},
        {"act": "seal", "of": ["gAAAAsigned"]},
        {"act": "text", "of": [HELLO]},
    ],
    "refusal": [{"act": "refusal", "of": [NO]}],
    "length": [{"act": "text", "of": [HELLO]}],
    "filter": [{"act": "text", "of": [HELLO]}],
}
_ENDS: Mapping[str, str] = {"length": "max_output_tokens", "filter": "content_filter"}
_USAGE: Json = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 13,
}
_OPENAI_ERRORS: Mapping[str, tuple[int, Json]] = {
    "key": (401, {"message": "Incorrect API key provided", "type": "invalid_request_error", "code": "invalid_api_key"}),
    "rate": (429, {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}),
    "overload": (503, {"message": "The engine is overloaded", "type": "server_error", "code": None}),
    "context": (
        400,
        {"message": "too long", "type": "invalid_request_error", "param": "input", "code": "context_length_exceeded"},
    ),
    "model": (404, {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}),
}


class Native(Stage):
    """A provider that speaks the Responses API: what it is sent is what was asked."""

    model = "gpt-5"
    dialect = Dialect.RESPONSES

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self._path = path
        self._url = ""
        self._received: list[Json] = []
        self._answers: list[tuple[int, str, bytes]] = []
        self._stored: dict[str, Json] = {}

    @asynccontextmanager
    async def play(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._url = f"http://127.0.0.1:{runner.addresses[0][1]}{self._path}"
        try:
            yield
        finally:
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        stored = next((name for name in self._stored if name in request.path), "")
        if request.method != "POST":
            if not stored:
                return web.json_response({"error": {"message": "not found", "code": None}}, status=404)
            if request.method == "DELETE":
                del self._stored[stored]
                return web.json_response({"id": stored, "object": "response", "deleted": True})
            if request.path.endswith("/input_items"):
                items = [{"id": "msg_1", "type": "message", "role": "user", "content": []}]
                return web.json_response({"object": "list", "data": items, "has_more": False})
            return web.json_response(self._stored[stored])
        self._received.append(await request.json())
        status, kind, content = self._answers.pop(0)
        return web.Response(status=status, body=content, content_type=kind)

    def params(self) -> Json:
        return {"api_key": "sk-native", "api_base": self._url}

    def says(self, what: str, *, stream: bool) -> None:
        acts: list[Json] = [{"act": "start"}, *_NATIVE_ACTS.get(what, _NATIVE_ACTS["text"])]
        if what != "cut":
            acts.append({"act": "finish", "of": [_ENDS.get(what), _USAGE]})
        decoder = toy().events(toy_call(True), DEPLOYMENT)
        events = [event for act in acts for event in decoder.feed(b"data: %s\n\n" % json.dumps(act).encode())]
        last = events[-1].to_dict()
        if what != "cut":
            self._stored["resp_0123456789abcdef0123456789abcdef"] = last["response"]  # type: ignore[assignment]  # JSON
        if stream:
            frames = [f"event: {event.type}\ndata: {event.to_json()}\n\n" for event in events]
            self._answers.append((200, "text/event-stream", "".join(frames).encode()))
        else:
            self._answers.append((200, "application/json", json.dumps(last.get("response")).encode()))

    def fails(self, what: str) -> None:
        status, error = _OPENAI_ERRORS[what]
        content = json.dumps({"error": {"param": None, **error}}).encode()
        self._answers.append((status, "application/json", content))

    def bodies(self) -> list[Json]:
        return self._received

    def complaints(self) -> list[str]:
        return []

    def forget(self) -> None:
        self._answers.clear()


# chat completions


class Chat(Stage):
    """A vendor of chat completions, strict about what that vendor takes."""

    dialect = Dialect.CHAT_COMPLETIONS

    def __init__(self, name: str, model: str, echo: str | None = None) -> None:
        self.name = name
        self.model = model
        self._echo = echo
        self._fake = fake_chat.FakeChat()

    @asynccontextmanager
    async def play(self) -> AsyncIterator[None]:
        async with fake_chat.fake_chat(self.name) as fake:
            self._fake = fake
            yield

    def params(self) -> Json:
        return {"api_key": fake_chat.KEY, "api_base": f"{self._fake.url}/v1"}

    def says(self, what: str, *, stream: bool) -> None:
        message: Json = {"role": "assistant", "content": HELLO}
        ids = ["abcdefgh1", "abcdefgh2"]
        calls = [
            {"id": each, "type": "function", "function": {"name": TOOL, "arguments": json.dumps(CITY)}} for each in ids
        ]
        if what in ("call", "calls"):
            message |= {"content": None, "tool_calls": calls if what == "calls" else calls[:1]}
        elif what == "thought":
            message |= {self._echo or "reasoning_content": THOUGHT}
        elif what == "refusal":
            message |= {"content": None, "refusal": NO}
        finish = {"length": "length", "filter": "content_filter", "call": "tool_calls", "calls": "tool_calls"}
        self._answer(message, finish.get(what, "stop"), stream, cut=what == "cut")

    def _answer(self, message: Json, finish: str, stream: bool, *, cut: bool) -> None:
        usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
        head = {"id": "chatcmpl-1", "created": 1_790_000_000, "model": self.model}
        if not stream:
            choice = {"index": 0, "message": message, "finish_reason": finish}
            reply = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
            self._fake.refuse(200, reply)
            return
        delta = {**message}
        if "tool_calls" in delta:
            delta["tool_calls"] = [{"index": place, **call} for place, call in enumerate(delta["tool_calls"])]
        chunk = {**head, "object": "chat.completion.chunk"}
        frames: list[Json] = [{**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}]
        if not cut:
            frames.append({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": usage})
        content = b"".join(b"data: %s\n\n" % json.dumps(frame).encode() for frame in frames)
        self._fake.send(content if cut else content + b"data: [DONE]\n\n", cut=cut)

    def fails(self, what: str) -> None:
        status, error = _OPENAI_ERRORS[what]
        self._fake.refuse(status, {"error": {"param": None, **error}})

    def bodies(self) -> list[Json]:
        return [received.body for received in self._fake.received]

    def complaints(self) -> list[str]:
        return self._fake.refused

    def forget(self) -> None:
        self._fake._answers.clear()


# Anthropic


class Claude(Stage):
    """Claude, by its own API."""

    name = "anthropic"
    dialect = Dialect.MESSAGES
    model = "claude-sonnet-4-5"
    thinker = "claude-opus-5"

    def __init__(self) -> None:
        self._fake = fake_anthropic.FakeAnthropic()

    @asynccontextmanager
    async def play(self) -> AsyncIterator[None]:
        async with fake_anthropic.fake_anthropic() as fake:
            self._fake = fake
            yield

    def params(self) -> Json:
        return {"api_key": fake_anthropic.KEY, "api_base": self._fake.url}

    def says(self, what: str, *, stream: bool) -> None:
        text = {"type": "text", "text": HELLO}
        calls = [{"type": "tool_use", "id": f"toolu_{place}", "name": TOOL, "input": CITY} for place in "12"]
        thought = {"type": "thinking", "thinking": THOUGHT, "signature": "c2lnbmVk"}
        content = {"call": calls[:1], "calls": calls, "thought": [thought, text]}.get(what, [text])
        stop = {"call": "tool_use", "calls": "tool_use", "length": "max_tokens"}
        reply: Json = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "content": content,
            "stop_reason": "refusal" if what in ("refusal", "filter") else stop.get(what, "end_turn"),
            "stop_sequence": None,
            "usage": {"input_tokens": 9, "output_tokens": 4},
        }
        if what == "cut":
            whole = fake_anthropic.streamed(reply)
            self._fake.send(whole[: whole.rindex(b"event: content_block_stop")], cut=True)
        else:
            self._fake.answer(reply)

    def fails(self, what: str) -> None:
        status, kind, text = {
            "key": (401, "authentication_error", "invalid x-api-key"),
            "rate": (429, "rate_limit_error", "This request would exceed your rate limit"),
            "overload": (529, "overloaded_error", "Overloaded"),
            "context": (400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"),
            "model": (404, "not_found_error", "model: claude-x"),
        }[what]
        self._fake.refuse(status, fake_anthropic.error(status, kind, text))

    def bodies(self) -> list[Json]:
        return [received.body for received in self._fake.received]

    def complaints(self) -> list[str]:
        return self._fake.refused

    def forget(self) -> None:
        self._fake._answers.clear()


class Foundry(Claude):
    """Claude, at Microsoft Foundry."""

    name = "azure_ai"

    @property
    def title(self) -> str:
        return "azure_ai/claude"

    def params(self) -> Json:
        return {"api_key": fake_anthropic.KEY, "api_base": f"{self._fake.url}/anthropic"}


class VertexClaude(Claude):
    """Claude, at Vertex AI."""

    name = "vertex_ai"
    model = "claude-haiku-4-5@20251001"

    def __init__(self) -> None:
        super().__init__()
        self._account: Json = {}

    @property
    def title(self) -> str:
        return "vertex_ai/claude"

    @asynccontextmanager
    async def play(self) -> AsyncIterator[None]:
        async with wire.serve(_Tokens()) as tokens, super().play():
            self._account = service_account(tokens.url)
            yield

    def params(self) -> Json:
        place = {"vertex_project": "acme", "vertex_location": "us-east5"}
        return {**place, "vertex_credentials": self._account, "api_base": self._fake.url}


class _Tokens(FakeTokens):
    """Issues the token that the fake takes."""

    def answer(self, request: bytes) -> tuple[int, Json]:
        return 200, {"access_token": fake_anthropic.TOKEN, "expires_in": 3600, "token_type": "Bearer"}


# Amazon


class Bedrock(Stage):
    """Claude on Bedrock."""

    name = "bedrock"
    dialect = Dialect.CONVERSE
    model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"

    def __init__(self) -> None:
        self._fake = fake_bedrock.FakeBedrock()

    @asynccontextmanager
    async def play(self) -> AsyncIterator[None]:
        async with fake_bedrock.FakeBedrock() as fake:
            self._fake = fake
            yield

    def params(self) -> Json:
        return {
            "aws_access_key_id": fake_bedrock.ACCESS_KEY,
            "aws_secret_access_key": fake_bedrock.SECRET_KEY,
            "aws_region_name": fake_bedrock.REGION,
            "api_base": self._fake.url,
        }

    def says(self, what: str, *, stream: bool) -> None:
        text = {"text": HELLO}
        calls = [{"toolUse": {"toolUseId": f"tooluse_{place}", "name": TOOL, "input": CITY}} for place in "12"]
        thought = {"reasoningContent": {"reasoningText": {"text": THOUGHT, "signature": "c2lnbmVk"}}}
        contents: dict[str, list[Json]] = {"call": [calls[0]], "calls": [*calls], "thought": [thought, text]}
        content = contents.get(what, [text])
        ends = {"call": "tool_use", "calls": "tool_use", "length": "max_tokens", "filter": "content_filtered"}
        stop = ends.get(what, "refusal" if what == "refusal" else "end_turn")
        usage = {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}
        if not stream:
            self._fake.answer(fake_bedrock.whole(*content, stop=stop, usage=usage))
            return
        events: list[Json] = [{"messageStart": {"role": "assistant"}}]
        for index, block in enumerate(content):
            events += _bedrock_block(index, block)
        events += [{"messageStop": {"stopReason": stop}}, {"metadata": {"usage": usage, "metrics": {"latencyMs": 5}}}]
        self._fake.answer(fake_bedrock.stream(*(events[:2] if what == "cut" else events)))

    def fails(self, what: str) -> None:
        status, kind, text = {
            "key": (403, "UnrecognizedClientException", "The security token included in the request is invalid."),
            "rate": (429, "ThrottlingException", "Too many requests, please wait before trying again."),
            "overload": (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
            "context": (400, "ValidationException", "Input is too long for requested model."),
            "model": (404, "ResourceNotFoundException", "Could not resolve the foundation model"),
        }[what]
        self._fake.answer(fake_bedrock.refused(status, kind, text))

    def bodies(self) -> list[Json]:
        return [received.body for received in self._fake.received]

    def complaints(self) -> list[str]:
        return self._fake.turned_away

    def forget(self) -> None:
        self._fake._script.clear()


def _bedrock_block(index: int, block: Json) -> list[Json]:
    """A block as it is streamed."""
    events: list[Json] = []
    if "toolUse" in block:
        start = {name: block["toolUse"][name] for name in ("toolUseId", "name")}
        events.append({"contentBlockStart": {"contentBlockIndex": index, "start": {"toolUse": start}}})
        deltas: list[Json] = [{"toolUse": {"input": json.dumps(block["toolUse"]["input"])}}]
    elif "reasoningContent" in block:
        thought = block["reasoningContent"]["reasoningText"]
        deltas = [{"reasoningContent": {name: thought[name]}} for name in ("text", "signature")]
    else:
        deltas = [block]
    events += [{"contentBlockDelta": {"contentBlockIndex": index, "delta": delta}} for delta in deltas]
    return [*events, {"contentBlockStop": {"contentBlockIndex": index}}]


# Google


class Gemini(Stage):
    """Gemini, by Google AI Studio."""

    name = "gemini"
    dialect = Dialect.GENERATE_CONTENT
    model = "gemini-2.5-flash"
    thinker = "gemini-3-pro"

    def __init__(self) -> None:
        self._fake = fake_gemini.FakeGemini()
        self._url = ""

    @asynccontextmanager
    async def play(self) -> AsyncIterator[None]:
        self._fake = fake_gemini.FakeGemini()
        async with wire.serve(self._fake) as server:
            self._url = server.url
            yield

    def params(self) -> Json:
        return {"api_key": fake_gemini.KEY, "api_base": f"{self._url}/v1beta"}

    def says(self, what: str, *, stream: bool) -> None:
        text: Json = {"text": HELLO}
        call: Json = {"functionCall": {"name": TOOL, "args": CITY}, "thoughtSignature": "c2lnbmVk"}
        second: Json = {"functionCall": {"name": TOOL, "args": CITY}}
        thoughts: list[Json] = [{"text": THOUGHT, "thought": True}, {**text, "thoughtSignature": "c2lnbmVk"}]
        parts = {"call": [call], "calls": [call, second], "thought": thoughts, "refusal": []}.get(what, [text])
        stop = {"length": "MAX_TOKENS", "filter": "SAFETY", "refusal": "PROHIBITED_CONTENT"}.get(what, "STOP")
        usage = {"promptTokenCount": 9, "candidatesTokenCount": 4}
        cut = what == "cut"
        self._fake.says(fake_gemini.frame(*parts, stop=None if cut else stop, usage=None if cut else usage))

    def fails(self, what: str) -> None:
        status, name, text, reason = {
            "key": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", "API_KEY_INVALID"),
            "rate": (429, "RESOURCE_EXHAUSTED", "You exceeded your current rate.", ""),
            "overload": (503, "UNAVAILABLE", "The model is overloaded. Please try again later.", ""),
            "context": (
                400,
                "INVALID_ARGUMENT",
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                "",
            ),
            "model": (404, "NOT_FOUND", "models/x is not found for API version v1beta", ""),
        }[what]
        self._fake.fails(status, fake_gemini.Refused(text, status, name, reason).json)

    def bodies(self) -> list[Json]:
        return [sent.body for sent in self._fake.sent]

    def complaints(self) -> list[str]:
        return self._fake.complaints

    def forget(self) -> None:
        self._fake.script.clear()


class Vertex(Gemini):
    """Gemini, by Vertex AI."""

    name = "vertex_ai"

    def params(self) -> Json:
        return {
            "vertex_project": "acme",
            "vertex_location": "us-central1",
            "api_base": self._url,
            "api_key": fake_gemini.KEY,
        }


def stages() -> list[Stage]:
    """All of them."""
    return [
        Native("openai", "/v1"),
        Native("azure", ""),
        Claude(),
        Foundry(),
        VertexClaude(),
        Bedrock(),
        Gemini(),
        Vertex(),
        Chat("openai_compatible", "some-model", "reasoning_content"),
        Chat("groq", "openai/gpt-oss-120b", "reasoning"),
        Chat("mistral", "mistral-large-latest"),
        Chat("deepseek", "deepseek-chat", "reasoning_content"),
        Chat("ollama", "llama3.2", "reasoning"),
        Chat("together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "reasoning"),
        Chat("cerebras", "llama-3.3-70b", "reasoning"),
        Chat("perplexity", "sonar", None),
        Chat("nvidia_nim", "meta/llama-3.1-70b-instruct", "reasoning_content"),
    ]
