"""What Google's errors are: by their status, their canonical code and their details.

`{"error": {"code": 429, "message": …, "status": "RESOURCE_EXHAUSTED", "details": […]}}`, in a list where a stream was
asked for. Sources: google.rpc.Code; google.rpc.error_details; ai.google.dev/gemini-api/docs/troubleshooting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from providers import jsonio
from providers.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
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
from providers.headers import asked_wait, duration
from providers.types import HttpReply, Json, JsonObject

_BY_CODE: Final[Mapping[str, type[APIError]]] = {
    "INVALID_ARGUMENT": BadRequestError,
    "OUT_OF_RANGE": BadRequestError,
    "FAILED_PRECONDITION": PermissionDeniedError,  # no billing, or not in this country: the account's matter
    "UNAUTHENTICATED": AuthenticationError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "NOT_FOUND": ModelNotFoundError,
    "ALREADY_EXISTS": ConflictError,
    "ABORTED": ConflictError,
    "RESOURCE_EXHAUSTED": RateLimitError,
    "UNAVAILABLE": ServiceUnavailableError,
    "CANCELLED": InternalServerError,
    "UNKNOWN": InternalServerError,
    "DEADLINE_EXCEEDED": InternalServerError,
    "UNIMPLEMENTED": InternalServerError,
    "INTERNAL": InternalServerError,
    "DATA_LOSS": InternalServerError,
}
"""By the canonical code."""
_BY_STATUS: Final[Mapping[int, type[APIError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: ModelNotFoundError,
    409: ConflictError,
    413: RequestTooLargeError,
    429: RateLimitError,
    503: ServiceUnavailableError,
}
"""For bodies that aren't Google's own, such as those of its front ends."""
_BY_REASON: Final[Mapping[str, type[APIError]]] = {
    "API_KEY_INVALID": AuthenticationError,  # with status 400
    "API_KEY_EXPIRED": AuthenticationError,
    "ACCESS_TOKEN_EXPIRED": AuthenticationError,
    "BILLING_DISABLED": InsufficientQuotaError,
}
"""By the reason in `ErrorInfo`, which says more than the code."""
_TOO_LONG: Final = re.compile(r"token count.{0,40}exceeds the maximum|maximum context length", re.IGNORECASE)
"""The one thing that only the words of a message tell: no code sets a prompt too long apart from a wrong argument."""
_UNTIL_TOMORROW: Final = re.compile(r"per_?day", re.IGNORECASE)


def error_in_reply(reply: HttpReply) -> APIError:
    """The error that a reply with a status outside 2xx stands for."""
    try:
        body = jsonio.loads(reply.content)
    except ValueError:
        body = reply.content[:2000].decode("utf-8", "replace")
    error = error_in(body, reply.status)
    error.request_id = reply.headers.get("x-goog-request-id") or reply.headers.get("x-request-id")
    if error.retry_after is None:
        error.retry_after = asked_wait(reply.headers, reply.received)
    return error


def error_in(body: Json, status: int | None = None) -> APIError:
    """The error in a body, or in a frame of a stream. Never raises."""
    detail = _detail(body)
    code = detail.get("code")
    if status is None:
        status = code if type(code) is int else None
    word = detail.get("status")
    name = word if isinstance(word, str) else None
    reason = _reason(detail)
    message = detail.get("message")
    said = message if isinstance(message, str) and message else f"HTTP {status}" if status else "an error without words"
    return _kind(detail, status, name, reason, said)(
        said,
        status_code=status,
        code=reason or name,
        param=_field(detail),
        type=name,
        retry_after=_wait(detail),
        body=body,
    )


def _kind(detail: JsonObject, status: int | None, name: str | None, reason: str | None, said: str) -> type[APIError]:
    if reason is not None and reason in _BY_REASON:
        return _BY_REASON[reason]
    kind = _BY_CODE.get(name or "") or _BY_STATUS.get(status or 500)
    if kind is None:
        kind = BadRequestError if 400 <= (status or 500) < 500 else InternalServerError
    if kind is BadRequestError and _TOO_LONG.search(said):
        return ContextWindowExceededError
    if kind is RateLimitError and any(_UNTIL_TOMORROW.search(limit) for limit in _limits(detail)):
        return InsufficientQuotaError
    return kind


def _detail(body: Json) -> JsonObject:
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return {"message": body[:500]} if isinstance(body, str) else {}
    inner = body.get("error")
    if isinstance(inner, str):
        return {"message": inner}
    return inner if isinstance(inner, dict) else body


def _details(detail: JsonObject, kind: str) -> Iterator[JsonObject]:
    """The details of a type of `google.rpc`."""
    listed = detail.get("details")
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict) and str(each.get("@type")).endswith(f"google.rpc.{kind}"):
            yield each


def _reason(detail: JsonObject) -> str | None:
    found = next((info.get("reason") for info in _details(detail, "ErrorInfo")), None)
    return found if isinstance(found, str) and found else None


def _wait(detail: JsonObject) -> float | None:
    """`retryDelay` is written as `38s`."""
    delay = next((info.get("retryDelay") for info in _details(detail, "RetryInfo")), None)
    return duration(delay) if isinstance(delay, str) else None


def _limits(detail: JsonObject) -> Iterator[str]:
    """The names of the limits that were exceeded."""
    for failure in _details(detail, "QuotaFailure"):
        violations = failure.get("violations")
        for violation in violations if isinstance(violations, list) else []:
            if isinstance(violation, dict):
                yield str(violation.get("quotaId"))
    for info in _details(detail, "ErrorInfo"):
        metadata = info.get("metadata")
        if isinstance(metadata, dict):
            yield str(metadata.get("quota_limit"))


def _field(detail: JsonObject) -> str | None:
    """The field of the request that is wrong."""
    for each in _details(detail, "BadRequest"):
        violations = each.get("fieldViolations")
        for violation in violations if isinstance(violations, list) else []:
            field = violation.get("field") if isinstance(violation, dict) else None
            if isinstance(field, str) and field:
                return field
    return None
