"""Calls to Claude and what becomes of them, without a network."""

from __future__ import annotations

import json
from typing import Any, cast

from anthropic_rules import MODELS, Judge
from fake_anthropic import KEY, fixture
from pydantic import SecretStr
from responses_protocol import check_stream

from providers.messages.provider import Messages
from providers.types import Call, Deployment, Dialect, HttpReply, HttpRequest
from providers.views import Event, Response

CLAUDE = Messages("anthropic", wall=lambda: 1_800_000_000.0, mint=lambda: "0123456789abcdef0123456789abcdef")
LATEST = "claude-opus-5"
OLD = "claude-sonnet-4-5"
OLDEST = "claude-3-5-sonnet-20241022"
PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjQK"


def claude(model: str = LATEST, **settings: Any) -> Deployment:
    """A deployment of Claude."""
    settings.setdefault("api_key", SecretStr(KEY))
    return Deployment("d1", "claude", "anthropic", model, Dialect.MESSAGES, **settings)


def asking(call: dict[str, Any] | str = "Hi", **settings: Any) -> Call:
    """A call with this body, or this input."""
    body = call if isinstance(call, dict) else {"input": call}
    return Call("claude", body=body, **settings)


def request(
    body: dict[str, Any] | str = "Hi", model: str = LATEST, *, deployment: Deployment | None = None, **call: Any
) -> HttpRequest:
    """What is sent for a call."""
    return CLAUDE.encode(asking(body, **call), deployment or claude(model))


def written(body: dict[str, Any] | str = "Hi", model: str = LATEST, **call: Any) -> dict[str, Any]:
    """The body that is sent for a call, once the API would take it."""
    found = request(body, model, **call)
    sent: dict[str, Any] = json.loads(found.content)
    Judge(sent, MODELS[model], "2023-06-01", lambda block: True, found.headers.get("anthropic-beta", "")).check()
    return sent


def dropped(body: dict[str, Any], model: str = LATEST, **call: Any) -> list[str]:
    """What the call does without, when it may."""
    call.setdefault("drop_params", True)
    found = request(body, model, **call)
    Judge(json.loads(found.content), MODELS[model], "2023-06-01", lambda block: True).check()
    return list(found.dropped)


def decoded(content: bytes | str, body: dict[str, Any] | str = "Hi", model: str = LATEST) -> Response:
    """The response that a whole reply, or the fixture of this name, is."""
    raw = fixture(f"{content}.json") if isinstance(content, str) else content
    reply = HttpReply(200, {"request-id": "req_1"}, raw)
    return cast("Response", CLAUDE.decode(reply, asking(body), claude(model)))


def heard(
    content: bytes | str, body: dict[str, Any] | str = "Hi", model: str = LATEST, size: int | None = None
) -> list[Event]:
    """The events that a stream makes, in pieces of `size` bytes."""
    raw = fixture(f"{content}.sse") if isinstance(content, str) else content
    decoder = CLAUDE.events(asking(body, stream=True), claude(model))
    events: list[Event] = []
    for start in range(0, len(raw), size or len(raw) or 1):
        events += decoder.feed(raw[start : start + (size or len(raw))])
    return events + decoder.end()


def told(content: bytes | str, body: dict[str, Any] | str = "Hi", model: str = LATEST) -> Any:
    """The response at the end of a stream, all of whose events have been judged."""
    return check_stream([event.to_dict() for event in heard(content, body, model)])


def user(*parts: Any) -> dict[str, Any]:
    """A message of the user."""
    return {"role": "user", "content": list(parts)}
