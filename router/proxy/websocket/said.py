"""What a client says over a WebSocket, and errors as its events."""

from __future__ import annotations

import re
from dataclasses import dataclass

from providers import jsonio
from providers.errors import BadRequestError
from providers.types import Json, JsonObject
from router.proxy.errors import envelope, headers_of, status_of

_LANE = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_CREATE = "response.create"
_STEER = "response.steer"


@dataclass(frozen=True, slots=True)
class Create:
    """A response that is asked for."""

    body: dict[str, Json]
    """As that of `POST /responses`."""
    lane: str | None
    """The lane it is asked for in, in which one follows the other; None: the one without a name."""
    warm_up: bool = False
    """Whether nothing is to be generated: what is said is kept for a later turn."""
    size: int = 0
    """Bytes, as it was said."""


@dataclass(frozen=True, slots=True)
class Steer:
    """Something to be said into a response that is in flight."""

    input: Json
    previous_response_id: Json


def parse(content: str | bytes) -> dict[str, Json]:
    """One message. Raises `BadRequestError`."""
    try:
        value = jsonio.loads(content)
    except ValueError as error:
        raise BadRequestError(f"the message is not valid JSON: {error}", code="invalid_json") from None
    if not isinstance(value, dict):
        said = f"a message must be a JSON object, not {type(value).__name__}"
        raise BadRequestError(said, code="invalid_json")
    return value


def lane_of(json: dict[str, Json]) -> str | None:
    """The lane that a message is for. Raises `BadRequestError`."""
    lane = json.get("stream_id")
    if lane is not None and (not isinstance(lane, str) or _LANE.fullmatch(lane) is None):
        said = "stream_id: must be 1 to 256 letters, digits, underscores, hyphens or periods"
        raise BadRequestError(said, param="stream_id", code="invalid_stream_id")
    return lane


def understood(json: dict[str, Json], lane: str | None, size: int) -> Create | Steer:
    """What a message asks for. Raises `BadRequestError`."""
    body = dict(json)
    kind = body.pop("type", None)
    if kind == _STEER:
        return Steer(body.get("input"), body.get("previous_response_id"))
    if kind != _CREATE:
        said = f"type: must be '{_CREATE}' or '{_STEER}'" + (f", not {kind[:100]!r}" if isinstance(kind, str) else "")
        raise BadRequestError(said, param="type", code="invalid_event_type")
    body.pop("stream_id", None)
    if body.pop("stream", None) is False:
        raise BadRequestError("stream: over a WebSocket all is streamed", param="stream", code="unsupported_parameter")
    if body.pop("background", None):
        said = "background: is not served over a WebSocket; ask POST /responses"
        raise BadRequestError(said, param="background", code="unsupported_parameter")
    generate = body.pop("generate", None)
    if generate not in (None, True, False):
        raise BadRequestError("generate: must be true or false", param="generate", code="invalid_argument")
    return Create(body, lane, generate is False, size)


def failure(error: Exception, lane: str | None = None, number: int | None = None) -> JsonObject:
    """The event that tells an error. `number`: its place in a response's stream, if that had begun."""
    told = envelope(error)["error"]
    assert isinstance(told, dict), "an envelope holds an error"
    headers = headers_of(error)
    if headers:
        told = {**told, "headers": {name.decode(): value.decode() for name, value in headers}}
    event: JsonObject = {"type": "error", "status": status_of(error), "error": told}
    if number is not None:
        event["sequence_number"] = number
    return within(event, lane)


def unsteered(steer: Steer) -> JsonObject:
    """The event that gives back what a response can't be steered by: over HTTP, deployments can't be told."""
    return {
        "type": "response.steer.failed",
        "sequence_number": 0,
        "error": {
            "code": "steering_not_supported",
            "message": "a response in flight can't be steered through this proxy; send it as the next turn's input",
            "type": "invalid_request_error",
        },
        "steer": {"input": steer.input, "previous_response_id": steer.previous_response_id},
    }


def within(event: JsonObject, lane: str | None) -> JsonObject:
    """`event` as it is told in a lane."""
    return event if lane is None else {**event, "stream_id": lane}
