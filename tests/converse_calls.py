"""Calls to models of Bedrock and what becomes of them, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from amazon_frames import event
from bedrock_rules import complaint
from pydantic import SecretStr
from responses_protocol import check_stream

from providers.converse import Converse
from providers.types import Call, Deployment, Dialect, HttpReply, HttpRequest
from providers.views import Event, Response

BEDROCK = Converse("bedrock", wall=lambda: 1_800_000_000.0, mint=lambda: "0123456789abcdef0123456789abcdef")
FIXTURES = Path(__file__).parent / "fixtures" / "converse"
CLAUDE = "us.anthropic.claude-opus-4-7-v1:0"
OLD_CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
OLDEST_CLAUDE = "anthropic.claude-3-5-sonnet-20240620-v1:0"
NOVA = "amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
GPT_OSS = "openai.gpt-oss-120b-1:0"
LLAMA = "meta.llama4-maverick-17b-instruct-v1:0"


def bedrock(model: str = CLAUDE, **settings: Any) -> Deployment:
    """A deployment at Bedrock."""
    settings.setdefault("api_key", SecretStr("a-bearer-key"))
    return Deployment("d1", "g", "bedrock", model, Dialect.CONVERSE, **settings)


def asking(body: dict[str, Any] | str = "Hi", **settings: Any) -> Call:
    """A call with this body, or this input."""
    return Call("g", body=body if isinstance(body, dict) else {"input": body}, **settings)


def request(body: dict[str, Any] | str = "Hi", model: str = CLAUDE, **settings: Any) -> HttpRequest:
    """What is sent for a call, once Bedrock would take it."""
    found = BEDROCK.encode(asking(body, **settings), bedrock(model))
    assert complaint({**json.loads(found.content), "modelId": model}) == ""
    return found


def written(body: dict[str, Any] | str = "Hi", model: str = CLAUDE, **settings: Any) -> dict[str, Any]:
    """The body that is sent for a call; nothing may be left out of it."""
    found = request(body, model, **settings)
    assert found.dropped == ()
    sent: dict[str, Any] = json.loads(found.content)
    return sent


def dropped(body: dict[str, Any], model: str = CLAUDE, **settings: Any) -> tuple[dict[str, Any], list[str]]:
    """The body that is sent for a call, and what it does without."""
    settings.setdefault("drop_params", True)
    found = request(body, model, **settings)
    return json.loads(found.content), list(found.dropped)


def fixture(name: str) -> dict[str, Any]:
    """A reply as it comes, `whole` and as the events of a `stream`."""
    found: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return found


def stream_of(name: str) -> bytes:
    """The body of a stream."""
    return b"".join(event(kind, payload) for each in fixture(name)["stream"] for kind, payload in each.items())


def decoded(name: str, body: dict[str, Any] | str = "Hi", model: str = CLAUDE) -> Response:
    """The response that a whole reply is."""
    reply = HttpReply(200, {"x-amzn-requestid": "r1"}, json.dumps(fixture(name)["whole"]).encode())
    found = BEDROCK.decode(reply, asking(body), bedrock(model))
    assert isinstance(found, Response)
    return found


def heard(name: str | bytes, body: dict[str, Any] | str = "Hi", model: str = CLAUDE, size: int = 0) -> list[Event]:
    """The events that a stream is, cut into chunks of `size` bytes."""
    content = stream_of(name) if isinstance(name, str) else name
    decoder = BEDROCK.events(asking(body, stream=True), bedrock(model))
    size = size or len(content)
    events = [found for at in range(0, len(content), size) for found in decoder.feed(content[at : at + size])]
    return events + decoder.end()


def told(name: str | bytes, body: dict[str, Any] | str = "Hi", model: str = CLAUDE) -> dict[str, Any]:
    """The last response of a stream, all of whose events are well-formed."""
    return check_stream([found.to_dict() for found in heard(name, body, model)])
