"""Applies faults: errors instead of an answer, streams that go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from itertools import takewhile

from providers.simulated import refusals, snapshot
from providers.simulated.asked import Asked
from providers.simulated.behaviour import Behaviour
from providers.simulated.events import opening
from providers.simulated.limits import Limits, retry_headers
from providers.simulated.refusals import WireError, envelope, invalid
from providers.types import JsonObject, Verb


class Break(Enum):
    """How a stream leaves its proper course."""

    CUT = "cut"
    """The connection closes."""
    STALL = "stall"
    """Nothing more is sent."""


_GENERATES = frozenset({Verb.CREATE, Verb.COMPACT, Verb.INPUT_TOKENS})
_EVENT_FAULTS = frozenset({"error_event", "error_event_flat", "error_event_after_output"})


def refusal(asked: Asked, limits: Limits) -> WireError | None:
    """The error that the behaviour's fault gives to a request, or None."""
    behaviour, verb = asked.behaviour, asked.verb
    fault, wait = behaviour.fault, behaviour.retry_after
    whole = verb is Verb.CREATE and not asked.stream
    if fault == "500" or (fault in _EVENT_FAULTS and whole):
        return WireError(500, refusals.server_error(asked.request_id))
    if fault == "503":
        return WireError(503, _OVERLOADED, retry_headers(wait) if wait else None)
    if fault == "401":
        return refusals.wrong_key(asked.route.azure)
    if fault == "403":
        return invalid(f"Project does not have access to model `{asked.model}`.", code="model_not_found", status=403)
    if fault == "429" or (fault == "rate_limit_event" and whole):
        return limits.exceeded(behaviour, asked.model, "tokens", 0, 1, wait)
    if verb not in _GENERATES:
        return None
    if fault == "404":
        return WireError(404, _NO_DEPLOYMENT)
    if fault == "insufficient_quota":
        return WireError(429, _NO_QUOTA)
    if fault == "content_policy":
        return WireError(400, _FILTERED)
    if fault == "context_window":
        return invalid(_TOO_LONG, param="input", code="context_length_exceeded")
    return None


def spoiled(
    events: Iterator[JsonObject], begun: JsonObject, behaviour: Behaviour, request_id: str, limits: Limits
) -> Iterator[JsonObject | Break]:
    """`events` as the behaviour's fault lets them pass, then what it does to the stream."""
    fault = behaviour.fault
    if fault in _AFTER_OUTPUT:
        yield from _deltas(events, behaviour.cut_after)
    elif fault in _BEFORE_OUTPUT:
        yield from opening(begun)
    else:
        yield from events
        return
    message = refusals.SERVER_ERROR.format(request_id)
    if fault in ("cut_before_output", "cut_after_output"):
        yield Break.CUT
    elif fault in ("stall_before_output", "stall_after_output"):
        yield Break.STALL
    elif fault == "error_event_flat":
        yield {"type": "error", "code": "server_error", "message": message, "param": None}
    elif fault == "rate_limit_event":
        yield _rate_limit(begun, behaviour, limits)
        yield _failed(begun, "rate_limit_exceeded", "Rate limit reached.")
    else:
        if fault != "failed_event":
            yield {"type": "error", "error": _nested("server_error", "server_error", message)}
        yield _failed(begun, "server_error", message)


_AFTER_OUTPUT = frozenset({"cut_after_output", "stall_after_output", "error_event_after_output"})
_BEFORE_OUTPUT = frozenset(
    {"cut_before_output", "stall_before_output", "error_event", "error_event_flat", "failed_event", "rate_limit_event"}
)


def _deltas(events: Iterator[JsonObject], count: int) -> Iterator[JsonObject]:
    """Events up to and including the `count`-th delta; without the terminal event if there are fewer."""
    for event in takewhile(lambda event: event["type"] not in _TERMINAL, events):
        if "delta" in event:
            if count == 0:
                return
            count -= 1
        yield event
        if count == 0 and "delta" in event:
            return


_TERMINAL = frozenset({"response.completed", "response.incomplete"})


def _failed(begun: JsonObject, code: str, message: str) -> JsonObject:
    return {"type": "response.failed", "response": snapshot.failed(begun, code, message)}


def _nested(kind: str, code: str, message: str) -> JsonObject:
    return {"type": kind, "code": code, "message": message, "param": None}


def _rate_limit(begun: JsonObject, behaviour: Behaviour, limits: Limits) -> JsonObject:
    refusal = limits.exceeded(behaviour, str(begun["model"]), "tokens", 0, 1, behaviour.retry_after)
    error = refusal.body["error"]
    return {"type": "error", "error": {**error, "headers": {**refusal.headers}} if isinstance(error, dict) else error}


_OVERLOADED = envelope(
    "The server is currently overloaded with other requests. Please try again later.",
    "service_unavailable_error",
    None,
    "server_is_overloaded",
)
_NO_DEPLOYMENT: JsonObject = {
    "error": {
        "code": "DeploymentNotFound",
        "message": "The API deployment for this resource does not exist. If you created the deployment within the "
        "last 5 minutes, please wait a moment and try again.",
    }
}
_NO_QUOTA = envelope(
    "You exceeded your current quota, please check your plan and billing details.",
    "insufficient_quota",
    None,
    "insufficient_quota",
)
_FILTERED: JsonObject = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. "
        "Please modify your prompt and retry.",
        "type": "invalid_request_error",
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
        },
    }
}
_TOO_LONG = "Your input exceeds the context window of this model. Please adjust your input and try again."


def failed_reply(begun: JsonObject, request_id: str) -> JsonObject:
    """The 200 whose response has failed."""
    return snapshot.failed(begun, "server_error", refusals.SERVER_ERROR.format(request_id))
