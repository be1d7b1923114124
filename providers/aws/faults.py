"""Which error a failure at Bedrock is: by the exception's name, which says more than the status.

Sources: botocore 1.44.5, bedrock-runtime/2023-09-30 (the exceptions of Converse and ConverseStream);
https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html; for what a ValidationException can mean,
which has no code of its own, the messages that AWS's own agents go by (strands-agents, models/bedrock.py).
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
    ContextWindowExceededError,
    InsufficientQuotaError,
    InternalServerError,
    ModelNotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTooLargeError,
    ServiceUnavailableError,
)
from providers.faults import request_id
from providers.headers import asked_wait
from providers.types import HttpReply, Json, JsonObject

_BY_NAME: Final[Mapping[str, type[APIError]]] = {
    "AccessDeniedException": PermissionDeniedError,
    "NotAuthorized": PermissionDeniedError,
    "OptInRequired": PermissionDeniedError,
    "ExpiredToken": AuthenticationError,
    "ExpiredTokenException": AuthenticationError,
    "IncompleteSignature": AuthenticationError,
    "IncompleteSignatureException": AuthenticationError,
    "InvalidClientTokenId": AuthenticationError,
    "InvalidSignatureException": AuthenticationError,
    "MissingAuthenticationToken": AuthenticationError,
    "MissingAuthenticationTokenException": AuthenticationError,
    "RequestExpired": AuthenticationError,
    "SignatureDoesNotMatch": AuthenticationError,
    "UnrecognizedClientException": AuthenticationError,
    "ValidationException": BadRequestError,
    "ResourceNotFoundException": ModelNotFoundError,
    "ThrottlingException": RateLimitError,
    "TooManyRequestsException": RateLimitError,
    "ServiceQuotaExceededException": InsufficientQuotaError,
    "ModelNotReadyException": ServiceUnavailableError,
    "ServiceUnavailableException": ServiceUnavailableError,
    "ServiceUnavailable": ServiceUnavailableError,
    "ModelTimeoutException": APITimeoutError,
    "ModelErrorException": InternalServerError,
    "ModelStreamErrorException": InternalServerError,
    "InternalServerException": InternalServerError,
    "InternalFailure": InternalServerError,
}
_BY_STATUS: Final[Mapping[int, type[APIError]]] = {
    401: AuthenticationError,
    403: AuthenticationError,  # with a bearer key, the reply has no name: it says that authentication failed
    404: ModelNotFoundError,
    408: APITimeoutError,
    413: RequestTooLargeError,
    424: InternalServerError,
    429: RateLimitError,
    503: ServiceUnavailableError,
}
_TOO_LONG: Final = (
    "input is too long for requested model",
    "input length and `max_tokens` exceed context limit",
    "prompt is too long",
    "maximum context length is",
    "too many total text bytes",
)
_NO_MODEL: Final = (
    "the provided model identifier is invalid",
    "with on-demand throughput isn",
    "reached the end of its life",
    "model access is denied",
)
"""The deployment can't be called by its name: another one of the group may."""


def is_own(reply: HttpReply) -> bool:
    """Whether a reply says its error in Amazon's way."""
    return "x-amzn-errortype" in reply.headers


def error_in_reply(reply: HttpReply) -> APIError:
    """The error that a reply with a status outside 2xx stands for."""
    try:
        body = jsonio.loads(reply.content)
    except ValueError:
        body = reply.content[:2000].decode("utf-8", "replace") or None
    detail = body if isinstance(body, dict) else {}
    name = reply.headers.get("x-amzn-errortype") or detail.get("__type") or detail.get("code")
    error = _error(_plain(name), detail, body, reply.status)
    error.request_id = request_id(reply.headers)
    error.retry_after = asked_wait(reply.headers, reply.received)
    return error


def error_in_stream(kind: str, detail: JsonObject) -> APIError:
    """The error that an exception in the midst of a stream stands for: `throttlingException`, …"""
    return _error(kind[:1].upper() + kind[1:], detail, detail, None)


def _plain(name: Json) -> str:
    """`ThrottlingException` of `com.amazon.coral#ThrottlingException:http://…`."""
    return name.partition(":")[0].rpartition("#")[2] if isinstance(name, str) else ""


def _error(name: str, detail: JsonObject, body: Json, status: int | None) -> APIError:
    said = detail.get("message") or detail.get("Message") or detail.get("originalMessage")
    message = said if isinstance(said, str) else (body if isinstance(body, str) else "")
    cls = _kind(name, detail, message.lower(), status)
    return cls(
        message or name or f"HTTP {status}",
        status_code=status,
        code=name or None,
        type="invalid_request_error" if issubclass(cls, BadRequestError) else None,
        body=body,
    )


def _kind(name: str, detail: JsonObject, message: str, status: int | None) -> type[APIError]:
    found = _BY_NAME.get(name)
    if found is None:
        if status is None or status >= 500:
            return _BY_STATUS.get(status or 0, InternalServerError)
        found = _BY_STATUS.get(status, BadRequestError)
    if name in ("ModelErrorException", "ModelStreamErrorException"):
        found = _at_model(detail)
    if found is BadRequestError and any(phrase in message for phrase in _TOO_LONG):
        return ContextWindowExceededError
    if found is BadRequestError and any(phrase in message for phrase in _NO_MODEL):
        return ModelNotFoundError
    return found


def _at_model(detail: JsonObject) -> type[APIError]:
    """What the model's own server said, by its status."""
    status = detail.get("originalStatusCode")
    if status == 429:
        return RateLimitError
    return BadRequestError if status in (400, 413, 422) else InternalServerError
