"""Which error a failure is: decided by status and vendor code, never by the words of a message."""

from __future__ import annotations

from collections.abc import Mapping

from providers import jsonio
from providers.errors import (
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    CallerError,
    ConflictError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InsufficientQuotaError,
    InternalServerError,
    MalformedReplyError,
    ModelNotFoundError,
    PermissionDeniedError,
    PreviousResponseNotFoundError,
    RateLimitError,
    RequestTooLargeError,
    ResponseNotFoundError,
    ServiceUnavailableError,
    UnprocessableEntityError,
)
from providers.headers import asked_wait, retry_after
from providers.types import Call, HttpReply, Json, JsonObject
from providers.usage import read_spent

_BY_CODE: Mapping[str, type[APIError]] = {
    "context_length_exceeded": ContextWindowExceededError,
    "context_window_exceeded": ContextWindowExceededError,
    "content_filter": ContentPolicyViolationError,
    "content_policy_violation": ContentPolicyViolationError,
    "ResponsibleAIPolicyViolation": ContentPolicyViolationError,
    "misalignment_policy_violation": ContentPolicyViolationError,
    "bio_policy": ContentPolicyViolationError,
    "previous_response_not_found": PreviousResponseNotFoundError,
    "model_not_found": ModelNotFoundError,
    "DeploymentNotFound": ModelNotFoundError,
    "unknown_model": ModelNotFoundError,
    "OperationNotSupported": ModelNotFoundError,
    "insufficient_quota": InsufficientQuotaError,
    "credit_balance_exhausted": InsufficientQuotaError,
    "billing_hard_limit_reached": InsufficientQuotaError,
    "billing_not_active": InsufficientQuotaError,
    "rate_limit_exceeded": RateLimitError,
    "too_many_requests": RateLimitError,
    "RateLimitReached": RateLimitError,
    "server_is_overloaded": ServiceUnavailableError,
    "service_unavailable_error": ServiceUnavailableError,
    "overloaded_error": ServiceUnavailableError,
    "server_error": InternalServerError,
    "vector_store_timeout": InternalServerError,
    "invalid_api_key": AuthenticationError,
}
"""Codes that say more than the status does."""

_BY_TYPE: Mapping[str, type[APIError]] = {
    "insufficient_quota": InsufficientQuotaError,
    "requests": RateLimitError,
    "tokens": RateLimitError,
    "rate_limit_error": RateLimitError,
    "too_many_requests": RateLimitError,
    "service_unavailable_error": ServiceUnavailableError,
    "overloaded_error": ServiceUnavailableError,
    "server_error": InternalServerError,
    "authentication_error": AuthenticationError,
    "permission_error": PermissionDeniedError,
    "invalid_request_error": BadRequestError,
}
"""Types, for errors inside a stream, which come without a status."""

_BY_STATUS: Mapping[int, type[APIError]] = {
    401: AuthenticationError,
    402: InsufficientQuotaError,
    403: PermissionDeniedError,
    408: APITimeoutError,
    409: ConflictError,
    413: RequestTooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
    503: ServiceUnavailableError,
    529: ServiceUnavailableError,
}

_WAITS = frozenset({408, 409, 503, 529})
"""Statuses of failures whose `retry-after` counts. Not a reset of rate limits: they have nothing to do with it."""


def error_in_reply(reply: HttpReply, call: Call) -> APIError:
    """The error that a reply with a status outside 2xx stands for."""
    body = _json(reply.content)
    detail = _detail(body)
    return _error(
        _kind(reply.status, detail, call),
        detail,
        body,
        status=reply.status,
        wait=_wait(reply),
        request_id=request_id(reply.headers),
    )


def error_in_event(body: JsonObject, call: Call | None = None) -> APIError:
    """The error that an error frame of a stream, or a 200 that holds an error, stands for. Never raises."""
    detail = _detail(body)
    status = _status(detail) or _status(body)
    inner = detail.get("headers")
    headers = {str(k).lower(): str(v) for k, v in inner.items()} if isinstance(inner, dict) else {}
    cls = _by_code(detail, status) or _by_type(detail) if status is None else _kind(status, detail, call)
    return _error(cls or InternalServerError, detail, body, status=status, wait=retry_after(headers, 0.0))


def error_in_response(response: JsonObject) -> APIError | None:
    """The failure that a failed response reports; None if failing is its answer to the request.

    Without a code it is the server's failure. Codes that we don't know, and those of content filters, answer the
    request: the response says so, and no other deployment would say anything else.
    """
    detail = response.get("error")
    if isinstance(detail, dict):
        status = _status(detail)
        cls = _by_code(detail, None) if status is None else _kind(status, detail, None)
        if cls is None and detail.get("code") is None:
            cls = _by_type(detail) or InternalServerError
        if cls is None or issubclass(cls, ContentPolicyViolationError):
            return None
        error = _error(cls, detail, response, status=status)
    else:
        error = InternalServerError("the response failed and gave no reason", body=response)
    error.spent = read_spent(response)
    return error


_REQUEST_IDS = ("x-request-id", "apim-request-id", "request-id", "x-amzn-requestid")


def request_id(headers: Mapping[str, str]) -> str | None:
    """The id under which the vendor can find the request."""
    return next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)


def malformed(what: str, content: bytes = b"") -> MalformedReplyError:
    """The error for a reply that is not what the protocol promises, with the beginning of what came instead."""
    shown = content[:200].decode("utf-8", "replace")
    return MalformedReplyError(f"{what}: {shown!r}" if shown else what)


def _wait(reply: HttpReply) -> float | None:
    if reply.status == 429:
        return retry_after(reply.headers, reply.received)
    return asked_wait(reply.headers, reply.received) if reply.status in _WAITS else None


def _kind(status: int, detail: JsonObject, call: Call | None) -> type[APIError]:
    cls = _by_code(detail, status)
    if cls is not None:
        return cls
    if status == 404:
        return _not_found(detail, call)
    if status == 429 and detail.get("type") == "insufficient_quota":
        return InsufficientQuotaError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 400 <= status < 500:
        return BadRequestError
    return InternalServerError if status >= 500 else MalformedReplyError


def _by_code(detail: JsonObject, status: int | None) -> type[APIError] | None:
    """What the vendor's codes say. Not that a 5xx is the caller's fault."""
    inner = detail.get("innererror") or detail.get("inner_error")
    codes = [inner.get("code") if isinstance(inner, dict) else None, detail.get("code")]
    for code in codes:
        cls = _BY_CODE.get(code) if isinstance(code, str) else None
        if cls is not None and not (status is not None and status >= 500 and issubclass(cls, CallerError)):
            return cls
    return None


def _by_type(detail: JsonObject) -> type[APIError] | None:
    kind = detail.get("type")
    return _BY_TYPE.get(kind) if isinstance(kind, str) else None


def _not_found(detail: JsonObject, call: Call | None) -> type[APIError]:
    """A 404 on an id, or on an item or conversation in the body, is the id's; any other is the model's."""
    if call is not None and (call.verb.by_id or call.verb.of_conversations):
        return ResponseNotFoundError
    if detail.get("param") == "previous_response_id":
        return PreviousResponseNotFoundError
    return ResponseNotFoundError if detail.get("param") in ("input", "conversation") else ModelNotFoundError


def _status(detail: JsonObject) -> int | None:
    """vLLM and others give the HTTP status as `code`, `status` or `status_code` inside a 200."""
    for name in ("status_code", "status", "code"):
        value = detail.get(name)
        if isinstance(value, str) and len(value) == 3 and value.isdecimal():
            value = int(value)
        if type(value) is int and 400 <= value < 600:
            return value
    return None


def _error(
    cls: type[APIError],
    detail: JsonObject,
    body: Json,
    *,
    status: int | None = None,
    wait: float | None = None,
    request_id: str | None = None,
) -> APIError:
    """An error of the class, with what the vendor says of it."""

    def text(name: str) -> str | None:
        value = detail.get(name)
        return None if value is None else str(value)

    said = text("message") or text("detail")  # FastAPI, and so vLLM, says `detail`
    return cls(
        said or (f"HTTP {status}" if status else "an error without a message"),
        status_code=status,
        code=text("code"),
        param=text("param"),
        type=text("type"),
        request_id=request_id,
        retry_after=wait,
        body=body,
    )


def _json(content: bytes) -> Json:
    try:
        return jsonio.loads(content)
    except ValueError:
        return content[:2000].decode("utf-8", "replace") if content else None


def _detail(body: Json) -> JsonObject:
    """The object with message, type, code and param, wherever it stands."""
    if isinstance(body, list) and body:  # Google's gateways wrap errors in a list
        body = body[0]
    if not isinstance(body, dict):
        return {"message": body[:500]} if isinstance(body, str) else {}
    inner = body.get("error")
    if isinstance(inner, str):
        return {"message": inner, **{k: v for k, v in body.items() if k != "error"}}
    return inner if isinstance(inner, dict) else body
