"""Which error each refusal of Anthropic's is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from claude_calls import CLAUDE, asking, claude
from fake_anthropic import error

from providers import errors
from providers.messages.blame import error_of_frame
from providers.types import HttpReply


def raised(status: int, body: Any, **headers: str) -> errors.APIError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with pytest.raises(errors.APIError) as caught:
        CLAUDE.decode(HttpReply(status, named, content, 1000.0), asking(), claude())
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "cls"),
    [
        (400, "invalid_request_error", errors.BadRequestError),
        (401, "authentication_error", errors.AuthenticationError),
        (402, "billing_error", errors.InsufficientQuotaError),
        (403, "permission_error", errors.PermissionDeniedError),
        (404, "not_found_error", errors.ModelNotFoundError),
        (405, "invalid_request_error", errors.BadRequestError),
        (409, "conflict_error", errors.ConflictError),
        (413, "request_too_large", errors.RequestTooLargeError),
        (413, "invalid_request_error", errors.RequestTooLargeError),
        (429, "rate_limit_error", errors.RateLimitError),
        (429, "novel_error", errors.RateLimitError),
        (418, "novel_error", errors.BadRequestError),
        (500, "api_error", errors.InternalServerError),
        (500, "novel_error", errors.InternalServerError),
        (500, "invalid_request_error", errors.InternalServerError),
        (503, "api_error", errors.ServiceUnavailableError),
        (504, "timeout_error", errors.APITimeoutError),
        (529, "overloaded_error", errors.ServiceUnavailableError),
    ],
)
def test_by_type_and_status(status: int, kind: str, cls: type[errors.APIError]) -> None:
    found = raised(status, error(status, kind, "so it is"))
    assert type(found) is cls
    assert (found.status_code, found.code, found.type, found.message) == (status, kind, kind, "so it is")
    assert found.request_id == "req_011CSHoEeqs5C35K2UUqR7Fy"


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        ("enforced_spend_limit_reached", errors.InsufficientQuotaError),
        ("organization_on_hold", errors.PermissionDeniedError),
        ("request_body_too_large_after_decoding", errors.RequestTooLargeError),
        ("image_dimensions_too_large", errors.BadRequestError),
    ],
)
def test_by_code(code: str, cls: type[errors.APIError]) -> None:
    found = raised(400, error(400, "invalid_request_error", "x", error_code=code))
    assert type(found) is cls
    assert found.code == code


@pytest.mark.parametrize(
    "text",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length",
    ],
)
def test_the_window_is_exceeded(text: str) -> None:
    assert type(raised(400, error(400, "invalid_request_error", text))) is errors.ContextWindowExceededError
    frame = error_of_frame(error(400, "invalid_request_error", text))
    assert type(frame) is errors.ContextWindowExceededError


def test_how_long_to_wait() -> None:
    limited = error(429, "rate_limit_error", "slow down")
    assert raised(429, limited, retry_after="7").retry_after == 7
    assert raised(529, error(529, "overloaded_error", "busy"), retry_after="3").retry_after == 3
    assert raised(500, error(500, "api_error", "oops"), retry_after="3").retry_after is None
    assert raised(429, limited).retry_after is None


def test_the_request_is_named_by_the_header_first() -> None:
    assert raised(500, error(500, "api_error", "x"), request_id="req_header").request_id == "req_header"


@pytest.mark.parametrize(
    ("status", "body", "cls", "code"),
    [
        (
            429,
            {"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}},
            errors.RateLimitError,
            "429",
        ),
        (
            403,
            [{"error": {"code": 403, "message": "No", "status": "PERMISSION_DENIED"}}],
            errors.PermissionDeniedError,
            "403",
        ),
        (401, {"error": {"code": "401", "message": "Access denied"}}, errors.AuthenticationError, "401"),
        (
            404,
            {"error": {"code": "DeploymentNotFound", "message": "x"}},
            errors.ModelNotFoundError,
            "DeploymentNotFound",
        ),
        (502, b"<html>", errors.InternalServerError, None),
    ],
)
def test_errors_of_those_who_host_it(status: int, body: Any, cls: type[errors.APIError], code: str | None) -> None:
    found = raised(status, body)
    assert type(found) is cls
    assert found.code == code


@pytest.mark.parametrize(
    ("kind", "cls", "status"),
    [
        ("overloaded_error", errors.ServiceUnavailableError, 529),
        ("api_error", errors.InternalServerError, 500),
        ("rate_limit_error", errors.RateLimitError, 429),
        ("billing_error", errors.InsufficientQuotaError, 402),
        ("timeout_error", errors.APITimeoutError, 504),
        ("novel_error", errors.InternalServerError, 500),
    ],
)
def test_frames_come_without_a_status(kind: str, cls: type[errors.APIError], status: int) -> None:
    found = error_of_frame({"type": "error", "error": {"type": kind, "message": "x"}})
    assert (type(found), found.status_code, found.request_id) == (cls, status, None)


def test_frames_of_another_shape() -> None:
    assert type(error_of_frame({"type": "error"})) is errors.InternalServerError
    assert error_of_frame({"type": "error", "error": {"type": "api_error"}}).message == "api_error"
    google = error_of_frame({"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}})
    assert type(google) is errors.RateLimitError
