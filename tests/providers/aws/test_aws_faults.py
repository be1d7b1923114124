"""Which error a failure at Bedrock is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.aws.faults import error_in_reply, error_in_stream, is_own
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
from providers.types import HttpReply


def _error(status: int, name: str | None, body: Any, **headers: str) -> APIError:
    head = {"x-amzn-requestid": "r1", **{key.replace("_", "-"): value for key, value in headers.items()}}
    if name is not None:
        head["x-amzn-errortype"] = name
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_in_reply(HttpReply(status, head, content))


@pytest.mark.parametrize(
    ("status", "name", "error"),
    [
        (403, "AccessDeniedException", PermissionDeniedError),
        (403, "UnrecognizedClientException", AuthenticationError),
        (403, "InvalidSignatureException", AuthenticationError),
        (403, "ExpiredTokenException", AuthenticationError),
        (403, "MissingAuthenticationTokenException", AuthenticationError),
        (400, "ValidationException", BadRequestError),
        (404, "ResourceNotFoundException", ModelNotFoundError),
        (429, "ThrottlingException", RateLimitError),
        (400, "ServiceQuotaExceededException", InsufficientQuotaError),
        (429, "ModelNotReadyException", ServiceUnavailableError),
        (408, "ModelTimeoutException", APITimeoutError),
        (424, "ModelErrorException", InternalServerError),
        (500, "InternalServerException", InternalServerError),
        (503, "ServiceUnavailableException", ServiceUnavailableError),
        (418, "TeapotException", BadRequestError),
        (502, "TeapotException", InternalServerError),
        (None, "TeapotException", InternalServerError),
    ],
)
def test_exceptions_by_their_names(status: int | None, name: str, error: type[APIError]) -> None:
    if status is None:
        found = error_in_stream(name[0].lower() + name[1:], {"message": "why"})
        assert type(found) is error
    else:
        found = _error(status, f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/", {"message": "why"})
        assert (type(found), found.status_code, found.request_id) == (error, status, "r1")
    assert (found.message, found.code, found.body) == ("why", name, {"message": "why"})


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, ModelNotFoundError),
        (413, RequestTooLargeError),
        (424, InternalServerError),
        (429, RateLimitError),
        (500, InternalServerError),
        (503, ServiceUnavailableError),
    ],
)
def test_replies_without_a_name(status: int, error: type[APIError]) -> None:
    found = _error(status, None, {"Message": "Authentication failed"})
    assert (type(found), found.code, found.message) == (error, None, "Authentication failed")


@pytest.mark.parametrize(
    "message",
    [
        "Input is too long for requested model.",
        "The model returned the following errors: prompt is too long: 227255 tokens > 200000 maximum",
        "The model returned the following errors: input length and `max_tokens` exceed context limit: 9 + 9 > 9",
        "This model's maximum context length is 202752 tokens. However, you requested 65536 output tokens",
    ],
)
def test_too_long_an_input(message: str) -> None:
    found = _error(400, "ValidationException", {"message": message})
    assert (type(found), found.code) == (ContextWindowExceededError, "ValidationException")
    assert (found.type, _error(500, None, {}).type) == ("invalid_request_error", None)


@pytest.mark.parametrize(
    "message",
    [
        "The provided model identifier is invalid.",
        "Invocation of model ID x with on-demand throughput isn’t supported. Retry your request with the ID or ARN of"
        " an inference profile that contains this model.",
    ],
)
def test_models_that_are_not_there(message: str) -> None:
    assert type(_error(400, "ValidationException", {"message": message})) is ModelNotFoundError


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequestError),
        (422, BadRequestError),
        (429, RateLimitError),
        (500, InternalServerError),
        (None, InternalServerError),
    ],
)
def test_what_the_models_own_server_said(status: int | None, error: type[APIError]) -> None:
    body = {"message": "why", "originalStatusCode": status, "resourceName": "m"}
    assert type(_error(424, "ModelErrorException", body)) is error
    assert type(error_in_stream("modelStreamErrorException", {**body})) is error


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"__type": "com.amazon.coral.service#ThrottlingException"}, "ThrottlingException", "ThrottlingException"),
        ({"originalMessage": "inner"}, None, "inner"),
        (b"<html>Bad gateway</html>", None, "<html>Bad gateway</html>"),
        (b"", None, "HTTP 500"),
        ([], None, "HTTP 500"),
    ],
)
def test_where_name_and_message_may_stand(body: Any, code: str | None, message: str) -> None:
    found = _error(500, None, body)
    assert (found.code, found.message) == (code, message)


def test_how_long_to_wait() -> None:
    assert _error(429, "ThrottlingException", {}, retry_after="7").retry_after == 7
    assert _error(429, "ThrottlingException", {}).retry_after is None


def test_whose_error_it_is() -> None:
    assert is_own(HttpReply(400, {"x-amzn-errortype": "ValidationException"}, b""))
    assert not is_own(HttpReply(400, {"x-amzn-requestid": "r1"}, b""))
