"""What tests of Google's dialect say and hear: calls written and checked, replies and streams read and judged."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from fake_gemini import KEY, check, merged
from pydantic import SecretStr
from responses_protocol import check_stream

from providers.generate_content.translator import GenerateContent, VertexGenerateContent
from providers.types import Call, Deployment, Dialect, Fetched, HttpReply, HttpRequest

STEM = "0123456789abcdef0123456789abcdef"
NOW = 1_700_000_000.0

STUDIO = GenerateContent("gemini", wall=lambda: NOW, mint=lambda: STEM)
CLOUD = VertexGenerateContent("vertex_ai", wall=lambda: NOW, mint=lambda: STEM)
AT_STUDIO = Deployment(
    "studio", "google", "gemini", "gemini-3-flash", dialect=Dialect.GENERATE_CONTENT, api_key=SecretStr(KEY)
)
AT_CLOUD = Deployment(
    "cloud",
    "google",
    "vertex_ai",
    "gemini-3-flash",
    dialect=Dialect.GENERATE_CONTENT,
    project="acme",
    token_source=lambda: "t",
)


def call(input: Any = "Hi", *, stream: bool = False, fetched: dict[str, Fetched] | None = None, **body: Any) -> Call:
    """A call to a group of Google's."""
    return Call("google", body={"input": input, **body}, stream=stream, fetched=fetched or {})


def encoded(asked: Call, *, vertex: bool = False, **fields: Any) -> HttpRequest:
    """The request for a call, whose body Google would take."""
    where = replace(AT_CLOUD if vertex else AT_STUDIO, **fields)
    request = (CLOUD if vertex else STUDIO).encode(asked, where, "t" if vertex else None)
    check(json.loads(request.content), where.model)
    return request


def written(input: Any = "Hi", *, vertex: bool = False, model: str = "gemini-3-flash", **body: Any) -> dict[str, Any]:
    """The body for a call that nothing had to be left out of."""
    fetched = body.pop("fetched", None)
    request = encoded(call(input, fetched=fetched, **body), vertex=vertex, model=model)
    assert request.dropped == ()
    found: dict[str, Any] = json.loads(request.content)
    return found


def noted(input: Any = "Hi", *, vertex: bool = False, model: str = "gemini-3-flash", **body: Any) -> Any:
    """The body for a call, and what was left out of it or changed."""
    request = encoded(call(input, **body), vertex=vertex, model=model)
    return json.loads(request.content), request.dropped


def sse(frames: Sequence[Any]) -> bytes:
    """Frames as Google streams them."""
    return b"".join(b"data: %s\r\n\r\n" % json.dumps(frame).encode() for frame in frames)


def told(body: bytes, *cuts: int, asked: Call | None = None, vertex: bool = False) -> list[dict[str, Any]]:
    """The events of a streamed body, cut at these places."""
    provider, where = (CLOUD, AT_CLOUD) if vertex else (STUDIO, AT_STUDIO)
    decoder = provider.events(asked or call(stream=True), where)
    edges = [0, *sorted(cuts), len(body)]
    events = [event for start, end in pairwise(edges) for event in decoder.feed(body[start:end])]
    return [event.to_dict() for event in (*events, *decoder.end())]


def streamed(*frames: Any, asked: Call | None = None) -> dict[str, Any]:
    """The response at the end of a stream, which is judged."""
    return check_stream(told(sse(frames), asked=asked))


def whole(*frames: Any, asked: Call | None = None) -> dict[str, Any]:
    """The response in a whole reply that says what the frames say."""
    reply = HttpReply(200, {}, json.dumps(merged(frames)).encode())
    return STUDIO.decode(reply, asked or call(), AT_STUDIO).to_dict()


def heard(*frames: Any, asked: Call | None = None) -> dict[str, Any]:
    """The response that frames make, streamed and whole: they must agree, but for where signed texts are cut."""
    response, other = streamed(*frames, asked=asked), whole(*frames, asked=asked)
    assert _unsealed(other) == _unsealed(response)
    return response


def _unsealed(json: Any) -> Any:
    if isinstance(json, list):
        return [_unsealed(each) for each in json]
    if isinstance(json, dict):
        return {k: _unsealed(v) for k, v in json.items() if k not in ("call_id", "encrypted_content")}
    return json
