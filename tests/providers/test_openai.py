"""The native provider: where a call goes, what is sent, and what an answer means."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsons import OBJECTS
from pydantic import SecretStr

from providers.base import EventDecoder, Provider
from providers.catalog import VENDORS
from providers.errors import (
    APIError,
    BadRequestError,
    ContextWindowExceededError,
    InternalServerError,
    MalformedReplyError,
    PreviousResponseNotFoundError,
    RateLimitError,
    ResponseNotFoundError,
    ServiceUnavailableError,
)
from providers.openai import HostedVLLM, OpenAI
from providers.types import Call, Deployment, HttpReply, Verb
from providers.views import CompactedResponse, Deleted, Event, InputTokens, ItemPage, Response

OPENAI = OpenAI("openai", "https://api.openai.com/v1")
BASE = Deployment("east", "gpt", "openai", "gpt-5", api_key=SecretStr("sk-1"))
CREATE = Call("gpt", body={"model": "gpt", "input": "x"})


def url(call: Call = CREATE, provider: OpenAI = OPENAI, **fields: Any) -> str:
    return provider.encode(call, replace(BASE, **fields)).url


def sent(call: Call = CREATE, **fields: Any) -> Any:
    return json.loads(OPENAI.encode(call, replace(BASE, **fields)).content)


def test_it_is_a_provider() -> None:
    provider: Provider = OPENAI
    decoder: EventDecoder = provider.events(CREATE, BASE)
    (event,) = decoder.feed(b'data: {"type":"response.created"}\n\n')
    assert event.type == "response.created"
    assert repr(OPENAI) == "OpenAI('openai')"
    assert repr(HostedVLLM("hosted_vllm")) == "HostedVLLM('hosted_vllm')"


# where


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (None, "https://api.openai.com/v1/responses"),
        ("", "https://api.openai.com/v1/responses"),
        ("http://x:8000", "http://x:8000/responses"),
        ("http://x:8000/", "http://x:8000/responses"),
        ("https://x/v1", "https://x/v1/responses"),
        ("https://x/v1/", "https://x/v1/responses"),
        ("https://x/v1//", "https://x/v1/responses"),
        ("https://x/v1/responses", "https://x/v1/responses"),
        ("https://x/v1/responses/", "https://x/v1/responses"),
        ("https://x/openai/v1", "https://x/openai/v1/responses"),
        ("https://x/v1?a=b%20c", "https://x/v1/responses?a=b%20c"),
        ("https://x/v1/responses?a=1&b", "https://x/v1/responses?a=1&b"),
    ],
)
def test_the_address(base: str | None, expected: str) -> None:
    assert url(api_base=base) == expected
    assert url(api_base=expected) == expected


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("http://x:8000", "http://x:8000/v1/responses"),
        ("http://x:8000/", "http://x:8000/v1/responses"),
        ("http://x:8000/v1", "http://x:8000/v1/responses"),
        ("http://x:8000/v1/responses", "http://x:8000/v1/responses"),
        ("http://x:8000/responses", "http://x:8000/v1/responses"),
        ("http://x:8000/gate/v1?a=1", "http://x:8000/gate/v1/responses?a=1"),
    ],
)
def test_the_address_of_vllm_and_its_kin(base: str, expected: str) -> None:
    provider = HostedVLLM("hosted_vllm")
    assert url(provider=provider, api_base=base) == expected
    assert url(provider=provider, api_base=expected) == expected


@pytest.mark.parametrize(
    ("verb", "method", "path"),
    [
        (Verb.CREATE, "POST", ""),
        (Verb.GET, "GET", "/resp_1"),
        (Verb.DELETE, "DELETE", "/resp_1"),
        (Verb.CANCEL, "POST", "/resp_1/cancel"),
        (Verb.INPUT_ITEMS, "GET", "/resp_1/input_items"),
        (Verb.COMPACT, "POST", "/compact"),
        (Verb.INPUT_TOKENS, "POST", "/input_tokens"),
    ],
)
def test_every_verb(verb: Verb, method: str, path: str) -> None:
    call = Call("gpt", verb, {"input": "x"}, response_id="resp_1" if verb.by_id else None)
    request = OPENAI.encode(call, replace(BASE, api_base="https://x/v1?gate=1"))
    assert (request.method, request.url) == (method, f"https://x/v1/responses{path}?gate=1")
    assert bool(request.content) is not verb.by_id


@pytest.mark.parametrize(
    ("response_id", "expected"),
    [("a/b", "a%2Fb"), ("a?b#c", "a%3Fb%23c"), ("a b", "a%20b"), ("../x", "..%2Fx"), ("%2e", "%252e"), ("é", "%C3%A9")],
)
def test_ids_are_one_segment_of_the_path(response_id: str, expected: str) -> None:
    assert url(Call("gpt", Verb.GET, response_id=response_id)) == f"https://api.openai.com/v1/responses/{expected}"


@pytest.mark.parametrize("response_id", [None, "", ".", ".."])
def test_ids_that_lead_elsewhere_are_refused(response_id: str | None) -> None:
    with pytest.raises(BadRequestError, match=r"^response_id: .* can't be the id of a response$") as caught:
        url(Call("gpt", Verb.DELETE, response_id=response_id))
    assert caught.value.param == "response_id"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ""),
        ({"limit": 20, "order": "asc"}, "?limit=20&order=asc"),
        ({"stream": True, "include_obfuscation": False}, "?stream=true&include_obfuscation=false"),
        ({"include": ["a.b", "c"]}, "?include%5B%5D=a.b&include%5B%5D=c"),
        ({"include": ()}, ""),
        ({"flags": [True]}, "?flags%5B%5D=true"),
        ({"after": None}, ""),
        ({"after": "a&b=c"}, "?after=a%26b%3Dc"),
    ],
)
def test_the_query(query: dict[str, object], expected: str) -> None:
    call = Call("gpt", Verb.INPUT_ITEMS, response_id="r", query=query)
    assert url(call) == f"https://api.openai.com/v1/responses/r/input_items{expected}"
    assert url(Call("gpt", query=query)) == f"https://api.openai.com/v1/responses{expected}"


def test_the_query_of_the_call_wins_over_the_deployment_s_and_that_over_the_address_s() -> None:
    base = "https://x/v1?a=base&b=base&c=base&flag&d%20d=base"
    query = {"b": "deployment", "c": "deployment", "d d": "deployment"}
    call = Call("gpt", query={"c": "call", "e": "call"})
    assert url(api_base=base, query=query) == (
        "https://x/v1/responses?a=base&flag&b=deployment&c=deployment&d+d=deployment"
    )
    assert url(call, api_base=base, query=query) == (
        "https://x/v1/responses?a=base&flag&b=deployment&d+d=deployment&c=call&e=call"
    )


# who


def test_headers() -> None:
    headers = OPENAI.encode(CREATE, replace(BASE, organization="org-1", project="proj-1")).headers
    assert headers == {
        "accept": "application/json",
        "content-type": "application/json",
        "user-agent": "homing-router",
        "authorization": "Bearer sk-1",
        "openai-organization": "org-1",
        "openai-project": "proj-1",
    }


def test_without_a_key_nobody_is_named() -> None:
    assert "authorization" not in OPENAI.encode(CREATE, replace(BASE, api_key=None)).headers


def test_a_token_is_fresh_each_time() -> None:
    deployment = replace(BASE, api_key=None, token_source=lambda: "unused")
    for token in ("t1", "t2"):
        assert OPENAI.encode(CREATE, deployment, token).headers["authorization"] == f"Bearer {token}"
    assert "authorization" not in OPENAI.encode(CREATE, deployment).headers


def test_headers_of_the_call_win_over_the_deployment_s_and_those_over_ours() -> None:
    deployment = replace(BASE, headers={"User-Agent": "d", "Authorization": "d", "X-One": "d", "X-Two": "d"})
    call = replace(CREATE, headers={"X-TWO": "c", "x-three": "c"})
    headers = OPENAI.encode(call, deployment).headers
    assert {name: value for name, value in headers.items() if len(value) == 1} == {
        "user-agent": "d",
        "authorization": "d",
        "x-one": "d",
        "x-two": "c",
        "x-three": "c",
    }
    for token in (None, "t1"):
        source = replace(deployment, token_source=lambda: "unused")
        assert OPENAI.encode(CREATE, source, token).headers["authorization"] == "d"
        own = replace(CREATE, headers={"AUTHORIZATION": "c"})
        assert OPENAI.encode(own, source, token).headers["authorization"] == "c"
    assert OPENAI.encode(CREATE, deployment).headers["x-two"] == "d", "one call's headers stuck to the deployment"


# what


@given(OBJECTS)
def test_the_body_is_the_caller_s_but_for_the_model(body: dict[str, Any]) -> None:
    assert sent(Call("gpt", body=body)) == {**body, "model": "gpt-5"}
    assert sent(Call("gpt", body=body, stream=True)) == {**body, "model": "gpt-5", "stream": True}


BODIES = st.dictionaries(st.sampled_from(["input", "temperature", "model", "stream", "user"]), st.integers())


@given(BODIES, BODIES, BODIES, BODIES, st.booleans())
def test_who_wins_in_the_body(
    defaults: dict[str, Any], body: dict[str, Any], extra: dict[str, Any], extra_body: dict[str, Any], stream: bool
) -> None:
    before = dict(body)
    call = Call("gpt", body=body, extra_body=extra_body, stream=stream)
    ours = {"model": "gpt-5", **({"stream": True} if stream else {})}
    assert sent(call, defaults=defaults, extra_body=extra) == {**defaults, **body, **ours, **extra, **extra_body}
    assert body == before


def test_explicit_nulls_are_sent_and_win_over_defaults() -> None:
    assert sent(Call("gpt", body={"temperature": None}), defaults={"temperature": 1})["temperature"] is None


def test_what_only_chat_completions_know_is_left_out_where_it_is_refused_and_that_is_asked_for() -> None:
    asked = {"input": "x", "stop": ["END"], "seed": None, "presence_penalty": 1, "brand_new": 1}
    call = Call("gpt", body=asked)
    lenient = replace(BASE, drop_params=True, defaults={"frequency_penalty": 1})
    everything = {**asked, "model": "gpt-5"}

    def sent(call: Call, deployment: Deployment, provider: OpenAI = OPENAI) -> tuple[dict[str, Any], list[str]]:
        request = provider.encode(call, deployment)
        return json.loads(request.content), [each.partition(":")[0] for each in request.dropped]

    bare = {"input": "x", "brand_new": 1, "model": "gpt-5"}
    assert sent(call, lenient) == (bare, ["stop", "seed", "frequency_penalty", "presence_penalty"])
    assert sent(replace(call, drop_params=True), BASE) == (bare, ["stop", "seed", "presence_penalty"])
    assert sent(call, BASE) == (everything, [])
    assert sent(replace(call, drop_params=False), lenient) == ({**everything, "frequency_penalty": 1}, [])
    allowed = replace(call, allowed_openai_params=frozenset(asked))
    assert sent(allowed, lenient) == (everything, ["frequency_penalty"])
    assert sent(call, replace(BASE, drop_params=True), OpenAI("openrouter", "https://x")) == (everything, [])
    counted = replace(call, verb=Verb.INPUT_TOKENS, query={"a": "b"})
    assert sent(counted, lenient)[1] == ["stop", "seed", "frequency_penalty", "presence_penalty"]


@pytest.mark.parametrize("verb", [Verb.COMPACT, Verb.INPUT_TOKENS])
def test_the_other_verbs_with_a_body_name_the_model_too(verb: Verb) -> None:
    assert sent(Call("gpt", verb, {"input": "x"})) == {"input": "x", "model": "gpt-5"}


@pytest.mark.parametrize(
    ("model", "wildcard", "expected"),
    [
        ("gpt-5", "", "gpt-5"),
        ("*", "gpt-5-mini", "gpt-5-mini"),
        ("ft:*:acme", "gpt-5", "ft:gpt-5:acme"),
        ("gpt-5", "ignored", "gpt-5"),
        ("*", "odd*name", "odd*name"),
        ("*", "", "*"),
    ],
)
def test_the_model_of_a_wildcard(model: str, wildcard: str, expected: str) -> None:
    assert sent(Call("openai/*", wildcard=wildcard), model=model)["model"] == expected


def test_what_is_no_json_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="object is not JSON"):
        sent(Call("gpt", body={"input": object()}))


def test_the_address_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = replace(BASE)
    first = OPENAI.encode(CREATE, deployment)
    monkeypatch.setattr(OPENAI, "address", None)
    assert OPENAI.encode(CREATE, deployment).headers is first.headers


# what comes back


def reply(body: object, status: int = 200, **headers: str) -> HttpReply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpReply(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


def by(verb: Verb) -> Call:
    return Call("gpt", verb, response_id="resp_1" if verb.by_id else None)


@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        (Verb.CREATE, Response),
        (Verb.GET, Response),
        (Verb.CANCEL, Response),
        (Verb.DELETE, Deleted),
        (Verb.INPUT_ITEMS, ItemPage),
        (Verb.COMPACT, CompactedResponse),
        (Verb.INPUT_TOKENS, InputTokens),
    ],
)
@given(json=OBJECTS)
def test_each_verb_s_answer_is_a_view_of_it(verb: Verb, kind: type, json: dict[str, Any]) -> None:
    json = {"output": [], **json, "object": "response", "status": "completed"}
    view = OPENAI.decode(reply(json), by(verb), BASE)
    assert type(view) is kind
    assert view.to_dict() == json


@pytest.mark.parametrize(("status", "content"), [(204, b""), (200, b""), (200, b" \n")])
def test_an_empty_answer_to_a_delete_is_a_yes(status: int, content: bytes) -> None:
    view = OPENAI.decode(reply(content, status), by(Verb.DELETE), BASE)
    assert type(view) is Deleted
    assert view.to_dict() == {"id": "resp_1", "object": "response", "deleted": True}


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"7", b"null", b'"x"', b'{"id":', b"[" * 100_000])
def test_garbage_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedReplyError, match="the reply is not") as caught:
        OPENAI.decode(reply(content, x_request_id="req_1"), CREATE, BASE)
    assert caught.value.request_id == "req_1"


@pytest.mark.parametrize("status", [199, 300, 404, 500])
def test_other_statuses_are_errors(status: int) -> None:
    with pytest.raises(APIError) as caught:
        OPENAI.decode(reply({"id": "resp_1"}, status), CREATE, BASE)
    assert caught.value.status_code == status


def test_an_unknown_id_is_not_found() -> None:
    with pytest.raises(ResponseNotFoundError):
        OPENAI.decode(reply(b"", 404), by(Verb.GET), BASE)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "x", "code": 503}}, ServiceUnavailableError),
        ({"error": "engine died"}, InternalServerError),
        ({"object": "error", "message": "x", "type": "BadRequestError", "code": 400}, BadRequestError),
        ({"type": "error", "error": {"type": "overloaded_error"}}, ServiceUnavailableError),
        ({"object": "response", "status": "failed", "error": None}, InternalServerError),
        ({"object": "response", "status": "failed", "error": {"code": "rate_limit_exceeded"}}, RateLimitError),
        ({"object": "response", "status": "failed", "error": {"code": None}}, InternalServerError),
        ({"status": "failed", "output": [], "error": {"code": "context_length_exceeded"}}, ContextWindowExceededError),
    ],
)
def test_errors_inside_a_200(body: dict[str, Any], expected: type[APIError]) -> None:
    with pytest.raises(expected) as caught:
        OPENAI.decode(reply(body, apim_request_id="req_1", retry_after="7"), CREATE, BASE)
    assert type(caught.value) is expected
    assert (caught.value.request_id, caught.value.retry_after, caught.value.body) == ("req_1", 7.0, body)


def test_the_error_s_own_wait_goes_before_the_reply_s() -> None:
    body = {"error": {"code": 429, "headers": {"retry-after": "3"}}}
    with pytest.raises(RateLimitError) as caught:
        OPENAI.decode(reply(body, retry_after="7"), CREATE, BASE)
    assert caught.value.retry_after == 3.0


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        (Verb.CREATE, {"object": "response", "status": "failed", "error": {"code": "invalid_prompt"}}),
        (Verb.CREATE, {"output": [], "status": "failed", "error": {"code": "invalid_prompt"}}),
        (Verb.CREATE, {"object": "response", "status": "incomplete", "error": {}, "incomplete_details": {}}),
        (Verb.CREATE, {"object": "response", "status": "completed", "error": None}),
        (Verb.GET, {"object": "response", "status": "failed", "error": {"code": "server_error"}}),
        (Verb.CANCEL, {"object": "response", "status": "failed", "error": None}),
        (Verb.INPUT_TOKENS, {"object": "response.input_tokens", "input_tokens": 3, "error": None}),
    ],
)
def test_failures_that_answer_the_request(verb: Verb, body: dict[str, Any]) -> None:
    assert OPENAI.decode(reply(body), by(verb), BASE).to_dict() == body


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"type": "error", "error": {"code": "rate_limit_exceeded", "type": "tokens"}}, RateLimitError),
        ({"type": "error", "code": "previous_response_not_found"}, PreviousResponseNotFoundError),
        ({"type": "error", "code": "server_error", "message": "x", "sequence_number": 2}, InternalServerError),
        ({"type": "error", "error": None}, InternalServerError),
        ({"error": {"code": 503, "message": "x"}}, ServiceUnavailableError),
        ({"error": "engine died"}, InternalServerError),
        ({"type": "response.output_text.delta", "error": {"code": 400}}, BadRequestError),
        ({"type": "response.failed", "response": {"status": "failed", "error": None}}, InternalServerError),
        ({"type": "response.failed", "response": {"error": {"code": "server_error"}}}, InternalServerError),
        ({"type": "response.failed", "response": {"error": {"code": "too_many_requests"}}}, RateLimitError),
        ({"type": "response.failed", "response": None}, InternalServerError),
        ({"type": "response.failed", "error": {"code": "rate_limit_exceeded"}}, RateLimitError),
        ({"type": "response.failed", "response": {"error": {"code": "invalid_prompt"}}}, None),
        ({"type": "response.failed", "response": {"error": {"code": "bio_policy"}}}, None),
        ({"type": "response.created", "response": {}, "error": None}, None),
        ({"type": "response.completed", "response": {"status": "completed"}}, None),
        ({"type": "response.incomplete", "response": {"status": "incomplete", "error": {"code": "x"}}}, None),
        ({"type": "response.output_text.delta", "delta": "x"}, None),
        ({"error": None}, None),
        ({"error": {}}, None),
        ({}, None),
    ],
)
def test_what_an_event_reports(event: dict[str, Any], expected: type[APIError] | None) -> None:
    fault = OPENAI.fault(Event(event))
    assert (type(fault) if fault else None) is expected


@given(OBJECTS, st.sampled_from(["error", "response.failed", "response.created"]), OBJECTS)
def test_no_event_is_a_crash(event: dict[str, Any], kind: str, response: dict[str, Any]) -> None:
    for each in (event, {**event, "type": kind}, {**event, "type": kind, "response": response}):
        before = json.dumps(each)
        fault = OPENAI.fault(Event(each))
        assert fault is None or isinstance(fault, APIError)
        assert json.dumps(each) == before


def test_what_is_always_left_out() -> None:
    dropping = replace(
        BASE,
        additional_drop_params=frozenset({"user", "metadata", "store", "absent"}),
        defaults={"user": "default"},
        extra_body={"metadata": {}},
    )
    call = Call("gpt", body={"input": "hi", "user": "ada"}, extra_body={"store": True})
    assert json.loads(OPENAI.encode(call, dropping).content) == {"input": "hi", "model": BASE.model}


@pytest.mark.parametrize("name", VENDORS)
def test_no_secret_is_in_an_address(name: str) -> None:
    deployment = replace(BASE, api_base="https://x.services.ai.azure.com", api_key=SecretStr("sk-very-secret"))
    request = VENDORS[name].provider.encode(CREATE, deployment, None)
    assert "sk-very-secret" not in request.url + repr(request)
