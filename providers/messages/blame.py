"""Which error a failure is, by the type and the code that Anthropic gives it.

Sources: platform.claude.com/docs, api/errors; anthropic-python 2.12, types/shared (`ErrorType`, `error_code`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from providers import jsonio
from providers.errors import (
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    CallerError,
    ConflictError,
    ContextWindowExceededError,
    InsufficientQuotaError,
    InternalServerError,
    ModelNotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTooLargeError,
    ServiceUnavailableError,
)
from providers.faults import error_in_event, error_in_reply, request_id
from providers.headers import asked_wait, retry_after
from providers.types import Call, HttpReply, Json, JsonObject

_BY_TYPE: Final[Mapping[Json, type[APIError]]] = {
    "invalid_request_error": BadRequestError,
    "authentication_error": AuthenticationError,
    "billing_error": InsufficientQuotaError,
    "permission_error": PermissionDeniedError,
    "not_found_error": ModelNotFoundError,
    "conflict_error": ConflictError,
    "request_too_large": RequestTooLargeError,
    "rate_limit_error": RateLimitError,
    "timeout_error": APITimeoutError,
    "api_error": InternalServerError,
    "overloaded_error": ServiceUnavailableError,
}
_BY_CODE: Final[Mapping[Json, type[APIError]]] = {
    "contract_spend_limit_reached": InsufficientQuotaError,
    "enforced_spend_limit_reached": InsufficientQuotaError,
    "linked_organization_billing_unavailable": InsufficientQuotaError,
    "linked_organization_spend_limit_reached": InsufficientQuotaError,
    "organization_on_hold": PermissionDeniedError,
    "ramp_limit_exceeded": RateLimitError,
    "request_body_too_large_after_decoding": RequestTooLargeError,
    "request_body_timeout": APITimeoutError,
    "cmek_key_disabled": PermissionDeniedError,
    "cmek_key_unreachable": ServiceUnavailableError,
}
"""Codes that say more than the type."""
_BY_STATUS: Final[Mapping[int, type[APIError]]] = {
    402: InsufficientQuotaError,
    408: APITimeoutError,
    413: RequestTooLargeError,
    429: RateLimitError,
    503: ServiceUnavailableError,
    504: APITimeoutError,
    529: ServiceUnavailableError,
}
"""Statuses that say more than `invalid_request_error` and `api_error`, which stand for all that have no name."""
_STATUSES: Final[Mapping[type[APIError], int]] = {
    InsufficientQuotaError: 402,
    ServiceUnavailableError: 529,
    APITimeoutError: 504,
}
"""Of errors in a stream, where they are not those of their class."""
_TOO_LONG: Final = ("prompt is too long", "input length and `max_tokens` exceed context limit")
"""How messages begin that say the input does not fit. They are all that says it: there is no code for it."""
_WAITS: Final = frozenset({408, 409, 503, 504, 529})


def error_of_reply(reply: HttpReply, call: Call) -> APIError:
    """The error that a reply with a status outside 2xx stands for; Google's and Azure's own among them."""
    body = _json(reply.content)
    detail = _detail(body)
    if detail is None:
        return error_in_reply(reply, call)
    error = _error(detail, body, reply.status)
    error.request_id = request_id(reply.headers) or error.request_id
    if reply.status == 429:
        error.retry_after = retry_after(reply.headers, reply.received)
    elif reply.status in _WAITS:
        error.retry_after = asked_wait(reply.headers, reply.received)
    return error


def error_of_frame(frame: JsonObject) -> APIError:
    """The error that a frame of a stream, or a 200, reports. Never raises."""
    detail = _detail(frame)
    return error_in_event(frame) if detail is None else _error(detail, frame, None)


def _error(detail: JsonObject, body: Json, status: int | None) -> APIError:
    details = detail.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    kind, message = detail.get("type"), detail.get("message")
    text = message if isinstance(message, str) else f"{kind}"
    cls = _class(kind, code if isinstance(code, str) else None, text, status)
    request = body.get("request_id") if isinstance(body, dict) else None
    return cls(
        text,
        status_code=status or _STATUSES.get(cls),
        code=str(code or kind),
        type=str(kind),
        request_id=request if isinstance(request, str) else None,
        body=body,
    )


def _class(kind: Json, code: str | None, text: str, status: int | None) -> type[APIError]:
    cls = _BY_CODE.get(code) or _BY_TYPE.get(kind)
    if cls is BadRequestError and text.startswith(_TOO_LONG):
        return ContextWindowExceededError
    if status is None:
        return cls or InternalServerError
    if cls in (None, BadRequestError, InternalServerError) and status in _BY_STATUS:
        return _BY_STATUS[status]
    if cls is None or (status >= 500 and issubclass(cls, CallerError)):  # no 5xx is the caller's fault
        return InternalServerError if status >= 500 else BadRequestError
    return cls


def _json(content: bytes) -> Json:
    try:
        return jsonio.loads(content)
    except ValueError:
        return None


def _detail(body: Json) -> JsonObject | None:
    """The object with type and message, if the body is one of Anthropic's."""
    inner = body.get("error") if isinstance(body, dict) else None
    return inner if isinstance(inner, dict) and isinstance(inner.get("type"), str) else None
