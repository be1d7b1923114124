"""What goes upstream for one attempt, and what of it is not the caller's to see."""

from __future__ import annotations

from providers import jsonio
from providers.base import Provider
from providers.errors import BadRequestError
from providers.types import Call, Deployment, HttpRequest, JsonObject, Token


def in_background(call: Call, deployment: Deployment) -> bool:
    """Whether the response lives on upstream: then its events are passed on at once, output or not."""
    bodies = (call.extra_body, deployment.extra_body, call.body, deployment.defaults)
    return bool(next((body["background"] for body in bodies if "background" in body), False))


def encode(provider: Provider, call: Call, deployment: Deployment, token: Token | None) -> HttpRequest:
    """The request to send. Raises `BadRequestError` that names the argument that is no JSON."""
    try:
        return provider.encode(call, deployment, token)
    except TypeError as error:
        name = next((name for name, value in {**call.body, **call.extra_body}.items() if not _is_json(value)), None)
        raise BadRequestError(
            f"{name or 'the request'}: can't be sent as JSON: {error}", param=name, code="invalid_argument"
        ) from None


def echoing(json: JsonObject, previous: str) -> JsonObject:
    """A response, or an event that shows one, with the `previous_response_id` that its caller gave.

    For a call that was sent without it, as the conversation was told instead.
    """
    if json.get("object") == "response":
        return {**json, "previous_response_id": previous}
    response = json.get("response")
    return {**json, "response": echoing(response, previous)} if isinstance(response, dict) else json


def _is_json(value: object) -> bool:
    try:
        jsonio.dumps(value)
    except TypeError:
        return False
    return True
