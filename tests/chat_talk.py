"""Short names for what tests of chat completions do: encode a call, hear a stream, sum a response up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from responses_protocol import check_stream

from providers.chat_completions.translator import ChatCompletions
from providers.types import Call, Deployment, Dialect, HttpReply, HttpRequest
from providers.views import Event

FIXTURES = Path(__file__).parent / "fixtures" / "chat_completions"
BASE = "https://vendor.example/v1"
USER = {"role": "user", "content": "Hi"}
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
TIME: dict[str, Any] = {"type": "function", "name": "get_time", "parameters": {"type": "object", "properties": {}}}


def recorded(name: str) -> bytes:
    """A recorded-shape body: `openai_text.json`, `openai_text.sse`."""
    return (FIXTURES / name).read_bytes()


def names(suffix: str) -> list[str]:
    """All fixtures with this suffix."""
    return sorted(file.name for file in FIXTURES.glob(f"*{suffix}"))


def place(**fields: Any) -> Deployment:
    """A deployment that speaks chat completions."""
    usual: dict[str, Any] = {
        "id": "d1",
        "group": "chat",
        "provider": "openai_compatible",
        "model": "m-1",
        "dialect": Dialect.CHAT_COMPLETIONS,
        "api_base": BASE,
        "api_key": SecretStr("sk-test"),
    }
    return Deployment(**{**usual, **fields})


def asking(body: dict[str, Any] | None = None, /, **fields: Any) -> Call:
    """A call for a response; `body` has its parameters."""
    return Call("chat", body={"input": "Hi", **(body or {})}, **fields)


def vendor(name: str = "openai_compatible") -> ChatCompletions:
    """What translates for a vendor, with ids and times that never change."""
    return ChatCompletions(name, BASE, wall=lambda: 1_790_000_000.0, mint=lambda: "0123456789abcdef" * 2)


def sent(request: HttpRequest) -> dict[str, Any]:
    """The body of a request."""
    body: dict[str, Any] = json.loads(request.content)
    return body


def written(name: str, body: dict[str, Any] | None = None, /, **fields: Any) -> dict[str, Any]:
    """What a vendor is sent for a call with these parameters."""
    place_fields = fields.pop("deployment", {})
    request = vendor(name).encode(asking(body, **fields), place(provider=name, **place_fields))
    return sent(request)


def pieces(content: bytes, cuts: Iterable[int]) -> list[bytes]:
    """`content`, cut at these places."""
    places = [0, *sorted({cut % (len(content) + 1) for cut in cuts}), len(content)]
    return [content[start:end] for start, end in pairwise(places)]


def hear(chunks: Iterable[bytes], name: str, call: Call | None = None) -> list[Event]:
    """The events of a stream that came in these chunks."""
    translator = vendor(name)
    decoder = translator.events(call or asking(stream=True), place(provider=name))
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*events, *decoder.end()]


def dicts(events: Iterable[Event]) -> list[dict[str, Any]]:
    """The events as plain data."""
    return [json.loads(event.to_json()) for event in events]


def streamed(content: bytes, name: str, call: Call | None = None) -> dict[str, Any]:
    """The response at the end of a stream, which is checked."""
    return check_stream(dicts(hear([content], name, call)))


def whole(content: bytes, name: str, call: Call | None = None) -> dict[str, Any]:
    """The response that a whole reply tells."""
    translator = vendor(name)
    view = translator.decode(HttpReply(200, {}, content), call or asking(), place(provider=name))
    response: dict[str, Any] = json.loads(view.to_json())
    return response


def summed_up(response: dict[str, Any]) -> list[tuple[str, ...]]:
    """The items of a response: what each is, and what it says."""
    return [line for item in response["output"] for line in _lines(item)]


def _lines(item: dict[str, Any]) -> Sequence[tuple[str, ...]]:
    if item["type"] == "message":
        return [(part["type"], part.get("text", part.get("refusal"))) for part in item["content"]]
    if item["type"] == "reasoning":
        return [("reasoning", "|".join(part["text"] for part in item["summary"]))]
    return [("call", item["call_id"], item["name"], item["arguments"])]
