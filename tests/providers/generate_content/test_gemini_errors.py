"""Which of our errors each of Google's is, and what is kept of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gemini_talk import AT_STUDIO, STUDIO, call
from hypothesis import given
from jsons import OBJECTS

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
from providers.generate_content.errors import error_in
from providers.types import HttpReply

RPC = "type.googleapis.com/google.rpc."


def blamed(status: int, body: Any, **headers: str) -> APIError:
    """What a reply is raised as."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with pytest.raises(APIError) as caught:
        STUDIO.decode(HttpReply(status, names, content, 1_000.0), call(), AT_STUDIO)
    return caught.value


def body(code: int, status: str, message: str = "said", *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def info(reason: str, **metadata: str) -> dict[str, Any]:
    return {"@type": f"{RPC}ErrorInfo", "reason": reason, "metadata": metadata}


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (400, "INVALID_ARGUMENT", BadRequestError),
        (400, "OUT_OF_RANGE", BadRequestError),
        (400, "FAILED_PRECONDITION", PermissionDeniedError),
        (401, "UNAUTHENTICATED", AuthenticationError),
        (403, "PERMISSION_DENIED", PermissionDeniedError),
        (404, "NOT_FOUND", ModelNotFoundError),
        (409, "ABORTED", ConflictError),
        (409, "ALREADY_EXISTS", ConflictError),
        (429, "RESOURCE_EXHAUSTED", RateLimitError),
        (499, "CANCELLED", InternalServerError),
        (500, "INTERNAL", InternalServerError),
        (500, "UNKNOWN", InternalServerError),
        (500, "DATA_LOSS", InternalServerError),
        (501, "UNIMPLEMENTED", InternalServerError),
        (503, "UNAVAILABLE", ServiceUnavailableError),
        (504, "DEADLINE_EXCEEDED", InternalServerError),
    ],
)
def test_codes(code: int, status: str, kind: type[APIError]) -> None:
    error = blamed(code, body(code, status), x_goog_request_id="r1")
    assert type(error) is kind
    assert (error.status_code, error.code, error.type, error.message) == (code, status, status, "said")
    assert error.request_id == "r1"
    assert type(blamed(code, [body(code, status)])) is kind
    assert type(error_in(body(code, status))) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (402, BadRequestError),
        (404, ModelNotFoundError),
        (413, RequestTooLargeError),
        (429, RateLimitError),
        (502, InternalServerError),
        (503, ServiceUnavailableError),
    ],
)
def test_bodies_that_are_not_googles_go_by_the_status(status: int, kind: type[APIError]) -> None:
    for content in (b"<html>busy</html>", b"", b"[]", b'"x"', b'{"error": "x"}', b"{}"):
        error = blamed(status, content)
        assert type(error) is kind
        assert error.status_code == status
        assert error.message


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("API_KEY_INVALID", AuthenticationError),
        ("API_KEY_EXPIRED", AuthenticationError),
        ("ACCESS_TOKEN_EXPIRED", AuthenticationError),
        ("BILLING_DISABLED", InsufficientQuotaError),
        ("SOMETHING", BadRequestError),
        ("", BadRequestError),
    ],
)
def test_reasons_say_more_than_codes(reason: str, kind: type[APIError]) -> None:
    error = blamed(400, body(400, "INVALID_ARGUMENT", "said", info(reason)))
    assert type(error) is kind
    assert error.code == (reason or "INVALID_ARGUMENT")


def test_a_prompt_too_long_is_told_by_its_message() -> None:
    words = "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)."
    assert type(blamed(400, body(400, "INVALID_ARGUMENT", words))) is ContextWindowExceededError
    assert type(blamed(500, body(500, "INTERNAL", words))) is InternalServerError


def test_a_limit_says_when_it_passes() -> None:
    retry = {"@type": f"{RPC}RetryInfo", "retryDelay": "38.5s"}
    assert blamed(429, body(429, "RESOURCE_EXHAUSTED", "m", retry), retry_after="9").retry_after == 38.5
    assert blamed(429, body(429, "RESOURCE_EXHAUSTED"), retry_after="9").retry_after == 9
    assert blamed(429, body(429, "RESOURCE_EXHAUSTED")).retry_after is None
    odd = {"@type": f"{RPC}RetryInfo", "retryDelay": {"seconds": 1}}
    assert blamed(429, body(429, "RESOURCE_EXHAUSTED", "m", odd)).retry_after is None


@pytest.mark.parametrize(
    ("detail", "kind"),
    [
        (
            {
                "@type": f"{RPC}QuotaFailure",
                "violations": [{"quotaId": "X"}, {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
            },
            InsufficientQuotaError,
        ),
        (
            {"@type": f"{RPC}QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerMinutePerProject"}, "?"]},
            RateLimitError,
        ),
        ({"@type": f"{RPC}QuotaFailure", "violations": "?"}, RateLimitError),
        (info("RATE_LIMIT_EXCEEDED", quota_limit="Gemini25ProRequestsPerDay"), InsufficientQuotaError),
        ({"@type": f"{RPC}ErrorInfo", "reason": 1, "metadata": "?"}, RateLimitError),
    ],
)
def test_quotas_of_a_day_do_not_pass_by_waiting(detail: dict[str, Any], kind: type[APIError]) -> None:
    assert type(blamed(429, body(429, "RESOURCE_EXHAUSTED", "m", detail))) is kind


def test_the_field_that_is_wrong_is_named() -> None:
    detail = {"@type": f"{RPC}BadRequest", "fieldViolations": ["?", {}, {"field": "contents[0]"}]}
    assert blamed(400, body(400, "INVALID_ARGUMENT", "m", detail)).param == "contents[0]"
    for odd in ({"@type": f"{RPC}BadRequest", "fieldViolations": 1}, {"@type": f"{RPC}BadRequest"}):
        assert blamed(400, body(400, "INVALID_ARGUMENT", "m", odd)).param is None


def test_errors_without_a_status_have_one() -> None:
    assert error_in({"error": {}}).status_code == 500
    assert error_in({"error": {"details": "?"}}).message == "an error without words"
    assert error_in(None).status_code == 500


@given(OBJECTS)
def test_any_body_is_some_error(body: Any) -> None:
    assert isinstance(error_in({"error": body}), APIError)
    assert isinstance(error_in(body, 429), APIError)
