"""Errors as OpenAI's clients know them: status, headers and envelope."""

from __future__ import annotations

import math
from collections.abc import Mapping

from providers import jsonio
from providers.errors import APIError, BudgetExceededError, ConfigurationError, RateLimitError, UnknownModelError
from providers.types import JsonObject
from router.proxy.exchange import Headers

_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
"""What kind of error a status is, where nobody upstream has said."""


class LimitedError(RateLimitError):
    """A key has used as much as it may. Nothing was sent."""

    headers: Headers = []
    """What the answer's say of its limits."""


def status_of(error: Exception) -> int:
    """The status to answer with."""
    if isinstance(error, UnknownModelError):
        return 400  # as OpenAI does on /responses
    if isinstance(error, APIError):
        return error.status_code if 400 <= error.status_code <= 599 else 500
    return 400 if isinstance(error, ConfigurationError) else 500


def envelope(error: Exception) -> JsonObject:
    """`{"error": {message, type, param, code}}`, all four as upstream said them, if it did."""
    usual = _TYPES.get(status_of(error), "server_error")
    if isinstance(error, APIError):
        return {
            "error": {
                "message": error.message,
                "type": error.type or usual,
                "param": error.param,
                "code": error.code,
            }
        }
    message = str(error) if isinstance(error, ConfigurationError) else "the proxy failed; its log says why"
    return {"error": {"message": message, "type": usual, "param": None, "code": None}}


def content_of(error: Exception) -> bytes:
    """The body to answer with."""
    return jsonio.dumps(envelope(error))


def headers_of(error: Exception) -> Headers:
    """When to come again, and that the client's own retries are in vain: the Router's are used up."""
    headers: Headers = []
    if isinstance(error, APIError):
        wait = error.retry_after
        if wait is not None:
            headers.append((b"retry-after", str(math.ceil(wait)).encode()))
            headers.append((b"retry-after-ms", str(math.ceil(wait * 1000)).encode()))
        if isinstance(error, LimitedError):
            headers += error.headers
        if error.attempts or error.code == "no_deployment_available" or isinstance(error, BudgetExceededError):
            headers.append((b"x-should-retry", b"false"))
    return headers
