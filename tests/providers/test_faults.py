"""Which error a failure is: the bodies that real servers send, and that nothing a server sends is a crash."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsons import OBJECTS

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
from providers.faults import error_in_event, error_in_reply, error_in_response, malformed, request_id
from providers.types import Call, HttpReply, Verb

CREATE = Call("gpt")
FETCH = Call("gpt", Verb.GET, response_id="resp_1")


def failed(status: int, body: object, call: Call = CREATE, **headers: str) -> APIError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_in_reply(HttpReply(status, names, content, 1_788_263_999.0), call)


def openai(kind: str | None, param: str | None, code: str | None, message: str = "no") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


INVALID = "invalid_request_error"


@pytest.mark.parametrize(
    ("status", "kind", "param", "code", "call", "expected"),
    [
        (400, INVALID, "previous_response_id", "previous_response_not_found", CREATE, PreviousResponseNotFoundError),
        (404, INVALID, "previous_response_id", None, CREATE, PreviousResponseNotFoundError),
        (404, INVALID, None, None, FETCH, ResponseNotFoundError),
        (404, INVALID, "input", None, CREATE, ResponseNotFoundError),
        (404, INVALID, "conversation", None, CREATE, ResponseNotFoundError),
        (404, INVALID, None, None, CREATE, ModelNotFoundError),
        (400, INVALID, None, "invalid_encrypted_content", CREATE, BadRequestError),
        (400, INVALID, "input", None, CREATE, BadRequestError),
        (400, INVALID, "model", "model_not_found", CREATE, ModelNotFoundError),
        (403, INVALID, None, "model_not_found", CREATE, ModelNotFoundError),
        (400, INVALID, "temperature", "decimal_below_min_value", CREATE, BadRequestError),
        (400, INVALID, "input", "context_length_exceeded", CREATE, ContextWindowExceededError),
        (429, "requests", None, "rate_limit_exceeded", CREATE, RateLimitError),
        (429, "tokens", None, "rate_limit_exceeded", CREATE, RateLimitError),
        (429, "tokens", None, None, CREATE, RateLimitError),
        (429, "insufficient_quota", None, "credit_balance_exhausted", CREATE, InsufficientQuotaError),
        (429, "insufficient_quota", None, "insufficient_quota", CREATE, InsufficientQuotaError),
        (429, "insufficient_quota", None, None, CREATE, InsufficientQuotaError),
        (429, "server_error", None, None, CREATE, RateLimitError),
        (401, INVALID, None, "invalid_api_key", CREATE, AuthenticationError),
        (400, INVALID, None, "invalid_api_key", CREATE, AuthenticationError),
        (503, "service_unavailable_error", None, "server_is_overloaded", CREATE, ServiceUnavailableError),
        (500, "server_error", None, "server_error", CREATE, InternalServerError),
        (500, "server_error", None, "server_is_overloaded", CREATE, ServiceUnavailableError),
        (500, INVALID, None, "context_length_exceeded", CREATE, InternalServerError),
        (503, INVALID, None, "content_filter", CREATE, ServiceUnavailableError),
        (413, "tokens", None, "rate_limit_exceeded", CREATE, RateLimitError),
    ],
)
def test_openai_errors(
    status: int, kind: str | None, param: str | None, code: str | None, call: Call, expected: type[APIError]
) -> None:
    error = failed(status, openai(kind, param, code), call, x_request_id="req_1")
    assert type(error) is expected
    assert (error.status_code, error.type, error.param, error.code) == (status, kind, param, code)
    assert (error.message, error.request_id, error.body) == ("no", "req_1", openai(kind, param, code))


@pytest.mark.parametrize("body", [openai("odd", None, "odd"), b"", b"<html>no</html>", [], {}, "no", 7, None])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (302, MalformedReplyError),
        (400, BadRequestError),
        (401, AuthenticationError),
        (402, InsufficientQuotaError),
        (403, PermissionDeniedError),
        (404, ModelNotFoundError),
        (405, BadRequestError),
        (408, APITimeoutError),
        (409, ConflictError),
        (413, RequestTooLargeError),
        (418, BadRequestError),
        (422, UnprocessableEntityError),
        (429, RateLimitError),
        (500, InternalServerError),
        (502, InternalServerError),
        (503, ServiceUnavailableError),
        (504, InternalServerError),
        (529, ServiceUnavailableError),
        (599, InternalServerError),
    ],
)
def test_the_status_decides_where_no_code_says_more(status: int, expected: type[APIError], body: object) -> None:
    error = failed(status, body)
    assert type(error) is expected
    assert error.status_code == status


AZURE_FILTER = {
    "message": "The response was filtered",
    "type": None,
    "param": "prompt",
    "code": "content_filter",
    "status": 400,
    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"error": AZURE_FILTER}, ContentPolicyViolationError),
        (400, {"error": {**AZURE_FILTER, "code": None}}, ContentPolicyViolationError),
        (400, {"error": {"inner_error": {"code": "ResponsibleAIPolicyViolation"}}}, ContentPolicyViolationError),
        (400, {"error": {"innererror": "odd", "code": "BadRequest"}}, BadRequestError),
        (404, {"error": {"code": "DeploymentNotFound", "message": "no such deployment"}}, ModelNotFoundError),
        (404, {"error": {"code": "404", "message": "Resource not found"}}, ModelNotFoundError),
        (400, {"error": {"code": "OperationNotSupported", "message": "no"}}, ModelNotFoundError),
        (401, {"error": {"code": "401", "message": "Access denied"}}, AuthenticationError),
        (401, {"statusCode": 401, "message": "Access denied due to missing subscription key."}, AuthenticationError),
        (429, {"error": {"code": "429", "message": "Requests have exceeded the call rate limit."}}, RateLimitError),
        (429, {"error": {"code": "RateLimitReached", "message": "no"}}, RateLimitError),
        (429, {"error": {"type": "too_many_requests", "code": "too_many_requests"}}, RateLimitError),
        (400, [{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}], BadRequestError),
    ],
)
def test_errors_of_azure_and_of_gateways(status: int, body: object, expected: type[APIError]) -> None:
    assert type(failed(status, body)) is expected


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (openai(None, None, None, "too hot"), "too hot"),
        ({"error": "too hot", "code": "x"}, "too hot"),
        ([{"error": {"message": "too hot"}}], "too hot"),
        ({"message": "too hot"}, "too hot"),
        ({"detail": "too hot"}, "too hot"),
        ({"error": {"message": {"en": "too hot"}}}, "{'en': 'too hot'}"),
        (b"<html>too hot</html>", "<html>too hot</html>"),
        ("too hot", "too hot"),
        (b"\xff" + b"x" * 5_000, "\ufffd" + "x" * 499),
        (b"", "HTTP 500"),
        ([], "HTTP 500"),
        ([7], "HTTP 500"),
        ({"error": None}, "HTTP 500"),
        ({"error": {"message": ""}}, "HTTP 500"),
        (b"[" * 200_000, "[" * 500),
    ],
)
def test_the_message_is_the_server_s(body: object, message: str) -> None:
    assert failed(500, body).message == message


def test_the_body_is_kept_as_it_came() -> None:
    assert failed(500, {"error": {"x": None}}).body == {"error": {"x": None}}
    assert failed(500, b"").body is None
    assert failed(500, b"<html>").body == "<html>"
    long = failed(500, b"x" * 10_000).body
    assert isinstance(long, str)
    assert len(long) == 2_000


def test_fields_are_texts() -> None:
    error = failed(500, {"error": {"code": 7, "param": ["a"], "type": None}})
    assert (error.code, error.param, error.type) == ("7", "['a']", None)


@pytest.mark.parametrize("name", ["x-request-id", "apim-request-id", "request-id"])
def test_the_request_s_id_under_every_vendor_s_name(name: str) -> None:
    assert request_id({name: "req_1"}) == "req_1"
    assert request_id({}) is None


@pytest.mark.parametrize("status", [408, 409, 429, 503, 529])
def test_how_long_to_wait(status: int) -> None:
    assert failed(status, b"", retry_after="7").retry_after == 7.0
    assert failed(status, b"", retry_after="Tue, 01 Sep 2026 12:00:00 GMT").retry_after == 1.0
    assert failed(status, b"").retry_after is None


def test_waiting_cures_neither_a_bad_request_nor_a_crash() -> None:
    for status in (400, 401, 404, 500):
        assert failed(status, b"", retry_after="7").retry_after is None


def test_a_reset_of_the_rate_limits_says_nothing_of_an_outage() -> None:
    assert failed(429, b"", x_ratelimit_reset_requests="6m0s").retry_after == 360.0
    assert failed(503, b"", x_ratelimit_reset_requests="6m0s").retry_after is None


@pytest.mark.parametrize(
    ("body", "expected", "status"),
    [
        ({"error": {"type": "too_many_requests", "code": "too_many_requests"}}, RateLimitError, 429),
        ({"error": {"type": "tokens", "code": "rate_limit_exceeded"}}, RateLimitError, 429),
        ({"error": {"type": "insufficient_quota", "code": "credit_balance_exhausted"}}, InsufficientQuotaError, 429),
        (
            {"error": {"type": "service_unavailable_error", "code": "server_is_overloaded"}},
            ServiceUnavailableError,
            503,
        ),
        ({"error": {"type": "overloaded_error", "message": "x"}}, ServiceUnavailableError, 503),
        ({"error": {"type": "server_error", "code": "server_error"}}, InternalServerError, 500),
        ({"error": {"type": "invalid_request_error", "code": None}}, BadRequestError, 400),
        ({"error": {"type": "authentication_error"}}, AuthenticationError, 401),
        ({"error": {"type": "permission_error"}}, PermissionDeniedError, 403),
        ({"type": "error", "code": "server_error", "message": "x", "param": None}, InternalServerError, 500),
        ({"type": "error", "code": "previous_response_not_found"}, PreviousResponseNotFoundError, 400),
        ({"type": "error", "status": 400, "error": {"message": "x"}}, BadRequestError, 400),
        ({"type": "error", "status": 429, "error": {"message": "x"}}, RateLimitError, 429),
        (
            {"object": "error", "message": "x", "type": "BadRequestError", "param": None, "code": 400},
            BadRequestError,
            400,
        ),
        ({"object": "error", "message": "x", "type": "NotFoundError", "code": 404}, ModelNotFoundError, 404),
        (
            {"error": {"object": "error", "message": "x", "type": "Unavailable", "code": 503}},
            ServiceUnavailableError,
            503,
        ),
        ({"error": {"message": "x", "type": "abort", "code": 499}}, BadRequestError, 499),
        ({"error": {"code": "400", "innererror": {"code": "content_filter"}}}, ContentPolicyViolationError, 400),
        ({"error": {"status_code": 500, "code": "context_length_exceeded"}}, InternalServerError, 500),
        ({"error": "engine died"}, InternalServerError, 500),
        ({"error": {}}, InternalServerError, 500),
        ({"error": {"type": 7, "code": ["x"]}}, InternalServerError, 500),
        ({"error": {"code": True}}, InternalServerError, 500),
        ({"error": {"code": 200}}, InternalServerError, 500),
        ({"error": {"code": "9" * 5_000}}, InternalServerError, 500),
        ({}, InternalServerError, 500),
    ],
)
def test_errors_inside_a_stream_or_a_200(body: dict[str, Any], expected: type[APIError], status: int) -> None:
    error = error_in_event(body)
    assert type(error) is expected
    assert error.status_code == status
    assert error.body == body


def test_an_unknown_id_inside_a_200_is_the_id_s() -> None:
    assert (
        type(error_in_event({"object": "error", "type": "NotFoundError", "code": 404}, FETCH)) is ResponseNotFoundError
    )


def test_a_stream_s_error_brings_its_own_headers() -> None:
    assert error_in_event({"error": {"headers": {"Retry-After": 7, "x-other": None}}}).retry_after == 7.0
    assert error_in_event({"error": {"headers": "odd"}}).retry_after is None
    assert error_in_event({"error": {"headers": {"x-ratelimit-reset-tokens": "6m0s"}}}).retry_after == 360.0


def test_a_date_in_a_stream_s_error_is_not_counted_from_1970() -> None:
    date = "Tue, 01 Sep 2026 12:00:00 GMT"
    assert error_in_event({"error": {"headers": {"retry-after": date}}}).retry_after is None


def test_an_error_without_words_gets_some() -> None:
    assert error_in_event({}).message == "an error without a message"
    assert error_in_event({"error": {"code": 503}}).message == "HTTP 503"
    assert error_in_event({"error": "engine died"}).message == "engine died"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, InternalServerError),
        ("odd", InternalServerError),
        ({}, InternalServerError),
        ({"code": None, "message": "x"}, InternalServerError),
        ({"code": None, "type": "rate_limit_error"}, RateLimitError),
        ({"code": "server_error"}, InternalServerError),
        ({"code": "vector_store_timeout"}, InternalServerError),
        ({"code": "rate_limit_exceeded"}, RateLimitError),
        ({"code": "too_many_requests"}, RateLimitError),
        ({"code": "429"}, RateLimitError),
        ({"code": 503}, ServiceUnavailableError),
        ({"code": "insufficient_quota"}, InsufficientQuotaError),
        ({"code": "server_is_overloaded"}, ServiceUnavailableError),
        ({"code": "context_length_exceeded"}, ContextWindowExceededError),
        ({"code": "previous_response_not_found"}, PreviousResponseNotFoundError),
        ({"code": "invalid_prompt"}, None),
        ({"code": "data_residency_mismatch"}, None),
        ({"code": "image_too_large"}, None),
        ({"code": "bio_policy"}, None),
        ({"code": "content_filter"}, None),
        ({"code": ["odd"]}, None),
    ],
)
def test_failed_responses(error: object, expected: type[APIError] | None) -> None:
    response: dict[str, Any] = {"id": "resp_1", "status": "failed", "error": error}
    found = error_in_response(response)
    assert (type(found) if found else None) is expected
    if found:
        assert found.body == response


@given(OBJECTS, st.sampled_from([CREATE, FETCH]), st.integers(300, 599))
def test_nothing_a_server_sends_is_a_crash(body: dict[str, Any], call: Call, status: int) -> None:
    bodies: list[dict[str, Any]] = [body, {"error": body}, {"error": [body]}]
    for each in bodies:
        assert isinstance(error_in_event(each, call), APIError)
        found = error_in_response(each)
        assert found is None or isinstance(found, APIError)
        error = error_in_reply(HttpReply(status, {}, json.dumps(each).encode()), call)
        assert isinstance(error, APIError)
        assert error.status_code == status


@given(st.binary(max_size=100), st.integers(100, 999))
def test_no_bytes_are_a_crash(content: bytes, status: int) -> None:
    assert isinstance(error_in_reply(HttpReply(status, {}, content), CREATE), APIError)


@given(OBJECTS, st.integers(500, 599))
def test_a_server_s_failure_is_never_the_caller_s_fault(body: dict[str, Any], status: int) -> None:
    assert not isinstance(error_in_reply(HttpReply(status, {}, json.dumps(body).encode()), CREATE), CallerError)


def test_malformed_replies_show_their_beginning() -> None:
    assert str(malformed("not JSON", b"<html>")) == "not JSON: '<html>'"
    assert str(malformed("not JSON")) == "not JSON"
    assert len(str(malformed("not JSON", b"x" * 9_999))) < 250
