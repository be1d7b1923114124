"""Replies and streams of Bedrock become responses and events, and agree, however the bytes are cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from amazon_frames import event, exception, frame
from bedrock_rules import input_shape
from converse_calls import (
    BEDROCK,
    CLAUDE,
    FIXTURES,
    GPT_OSS,
    NOVA_2,
    asking,
    bedrock,
    decoded,
    fixture,
    heard,
    stream_of,
    told,
)
from hypothesis import given
from hypothesis import strategies as st
from responses_protocol import check_stream

from providers.errors import (
    APIError,
    BadRequestError,
    ContextWindowExceededError,
    InternalServerError,
    MalformedReplyError,
    RateLimitError,
    ServiceUnavailableError,
    StreamInterruptedError,
)
from providers.translation.sealed import unseal
from providers.types import HttpReply

ALL = sorted(path.stem for path in FIXTURES.glob("*.json"))
STREAMS = [name for name in ALL if "stream" in fixture(name)]
BOTH = [name for name in STREAMS if "whole" in fixture(name)]
FAILING = {"malformed_output", "malformed_tool"}
SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds"


@pytest.mark.parametrize("name", [name for name in BOTH if name not in FAILING])
def test_a_reply_and_its_stream_are_the_same_response(name: str) -> None:
    reply: dict[str, Any] = {**decoded(name).to_dict()}
    stream = told(name)
    for response in (reply, stream):
        for item in response["output"]:
            if "arguments" in item:  # white space differs
                item["arguments"] = json.loads(item["arguments"])
    assert reply == stream


@pytest.mark.parametrize("name", STREAMS)
def test_fixtures_are_of_the_shape_that_botocore_knows(name: str) -> None:
    assert input_shape("ConverseStream") is not None
    kinds = [kind for each in fixture(name)["stream"] for kind in each]
    assert name == "unknown_parts" or kinds[0] == "messageStart"


@given(st.sampled_from(STREAMS), st.integers(1, 200))
def test_any_chunking_gives_the_same_events(name: str, size: int) -> None:
    assert [each.to_dict() for each in heard(name, size=size)] == [each.to_dict() for each in heard(name)]


def _kinds(response: dict[str, Any]) -> list[str]:
    return [item["type"] for item in response["output"]]


def test_text() -> None:
    response = decoded("text")
    assert response.output_text == "Hello! How can I help?"
    assert response.status == "completed"
    assert response.id == "resp_0123456789abcdef0123456789abcdef"
    assert response.model == CLAUDE
    assert response.usage == {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 15,
    }
    deltas = [each["delta"] for each in heard("text") if each["type"] == "response.output_text.delta"]
    assert deltas == ["Hello", "! How can", " I help?"]


def test_nothing_said_is_a_response_too() -> None:
    response = decoded("empty")
    assert (response.status, response.to_dict()["output"]) == ("completed", [])


def test_thoughts_are_reasoning_and_carry_their_signature() -> None:
    response = decoded("thinking")
    thought, message = response.output
    assert thought.type == "reasoning"
    assert thought.summary[0].text == "Let me think. 27 × 453 = 12231."
    block = {"type": "thinking", "thinking": "Let me think. 27 × 453 = 12231.", "signature": SIGNATURE}
    assert unseal("claude", thought.encrypted_content) == [block]
    assert message.content[0].text == response.output_text == "12,231"
    assert response.usage is not None
    assert response.usage.output_tokens_details.reasoning_tokens == 31


def test_thoughts_without_words_keep_their_signature() -> None:
    thought = told("thinking_omitted")["output"][0]
    assert thought["summary"] == []
    assert unseal("claude", thought["encrypted_content"]) == [
        {"type": "thinking", "thinking": "", "signature": SIGNATURE}
    ]


def test_redacted_thoughts_are_kept() -> None:
    thought = told("redacted")["output"][0]
    assert unseal("claude", thought["encrypted_content"]) == [
        {"type": "redacted_thinking", "data": "RW1RQkNnSVlBaElNMWdiY0RhOUdKd1pB"}
    ]


def test_thoughts_of_others_are_sealed_as_bedrocks() -> None:
    thought = told("thinking", model=NOVA_2)["output"][0]
    signed = {"reasoningText": {"text": "Let me think. 27 × 453 = 12231.", "signature": SIGNATURE}}
    assert unseal("bedrock", thought["encrypted_content"]) == [signed]
    redacted = told("redacted", model=NOVA_2)["output"][0]
    assert unseal("bedrock", redacted["encrypted_content"]) == [{"redactedContent": "RW1RQkNnSVlBaElNMWdiY0RhOUdKd1pB"}]


def test_thoughts_that_nobody_signed() -> None:
    thought, _ = told("unsigned_reasoning", model=GPT_OSS)["output"]
    assert "encrypted_content" not in thought
    assert thought["summary"] == [{"type": "summary_text", "text": "The user greets."}]


def test_a_tool_is_called() -> None:
    _, call = told("tool_use")["output"]
    assert (call["type"], call["call_id"], call["name"]) == (
        "function_call",
        "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q",
        "top_song",
    )
    assert call["arguments"] == '{"sign":"WZPZ"}'
    deltas = [each["delta"] for each in heard("tool_use") if each["type"].endswith("arguments.delta")]
    assert deltas == ['{"sign":', '"WZPZ"}']


def test_tools_have_the_names_that_the_caller_gave_them() -> None:
    tools = [{"type": "function", "name": "top song"}, {"type": "custom", "name": "tooluse"}]
    body = {"input": "?", "tools": tools}
    sent = json.loads(BEDROCK.encode(asking(body), bedrock()).content)
    wires = [tool["toolSpec"]["name"] for tool in sent["toolConfig"]["tools"]]
    use = {"toolUseId": "t1", "name": wires[0]}
    custom = {"toolUseId": "t2", "name": wires[1]}
    stream = [
        event("messageStart", {"role": "assistant"}),
        event("contentBlockStart", {"start": {"toolUse": use}, "contentBlockIndex": 0}),
        event("contentBlockStop", {"contentBlockIndex": 0}),
        event("contentBlockStart", {"start": {"toolUse": custom}, "contentBlockIndex": 1}),
        event("contentBlockDelta", {"delta": {"toolUse": {"input": '{"input":"ls"}'}}, "contentBlockIndex": 1}),
        event("contentBlockStop", {"contentBlockIndex": 1}),
        event("messageStop", {"stopReason": "tool_use"}),
    ]
    first, second = told(b"".join(stream), body)["output"]
    assert (first["name"], first["arguments"]) == ("top song", "{}")
    assert (second["type"], second["name"], second["input"]) == ("custom_tool_call", "tooluse", "ls")


def test_text_around_a_tool_is_text_around_it() -> None:
    response = told("text_tool_text")
    assert _kinds(response) == ["message", "function_call", "message"]


def test_tools_may_be_called_together() -> None:
    first, second = told("parallel_tools")["output"]
    assert (first["arguments"], second["arguments"]) == ('{"sign":"A"}', "{}")


def test_thoughts_between_tools() -> None:
    assert _kinds(told("interleaved")) == ["reasoning", "function_call", "reasoning", "function_call"]


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("text", "completed", None),
        ("stop_sequence", "completed", None),
        ("tool_use", "completed", None),
        ("max_tokens", "incomplete", "max_output_tokens"),
        ("context_window", "incomplete", "max_output_tokens"),
        ("guardrail", "incomplete", "content_filter"),
        ("filtered", "incomplete", "content_filter"),
        ("unknown_stop", "incomplete", "moon_phase"),
        ("max_tokens_tool", "incomplete", "max_output_tokens"),
    ],
)
def test_why_it_ended(name: str, status: str, reason: str | None) -> None:
    response = told(name)
    assert response["status"] == status
    assert response["incomplete_details"] == (None if reason is None else {"reason": reason})


def test_a_call_that_was_cut_off_keeps_what_there_is() -> None:
    (call,) = told("max_tokens_tool")["output"]
    assert (call["status"], call["arguments"]) == ("incomplete", '{"sign":"W')


@pytest.mark.parametrize(
    ("name", "reason"), [("malformed_output", "malformed_model_output"), ("malformed_tool", "malformed_tool_use")]
)
def test_malformed_output_is_a_failure(name: str, reason: str) -> None:
    with pytest.raises(InternalServerError, match=reason) as raised:
        decoded(name)
    assert (raised.value.code, raised.value.request_id) == (reason, "r1")
    events = heard(name)
    final = check_stream([each.to_dict() for each in events])
    assert (final["status"], final["error"]["code"]) == ("failed", "server_error")
    assert isinstance(BEDROCK.fault(events[-1]), InternalServerError)


def test_tokens_of_caches_are_input_too_and_the_tier_is_the_one_served() -> None:
    response = decoded("cached")
    assert response.usage == {
        "input_tokens": 125,
        "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 20},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 132,
    }
    assert response.service_tier == "flex"


def test_citations_are_annotations() -> None:
    (message,) = told("citations")["output"]
    (part,) = message["content"]
    assert part["text"] == "It says: revenue grew (news)"
    assert part["annotations"] == [
        {"type": "file_citation", "file_id": "document_0", "filename": "report.pdf", "index": 0},
        {"type": "url_citation", "url": "https://example.com/a", "title": "", "start_index": 21, "end_index": 28},
    ]


def _annotated(citation: dict[str, Any]) -> dict[str, Any]:
    parts = [{"citationsContent": {"content": [{"text": "x"}], "citations": [citation]}}]
    body = {"output": {"message": {"content": parts}}, "stopReason": "end_turn", "usage": None}
    found = BEDROCK.decode(HttpReply(200, {}, json.dumps(body).encode()), asking(), bedrock())
    annotation: dict[str, Any] = found["output"][0].content[0].annotations[0].to_dict()
    return annotation


def test_citations_of_other_kinds() -> None:
    found = _annotated({"source": "https://a.example/", "title": "A"})
    assert (found["url"], found["title"]) == ("https://a.example/", "A")
    found = _annotated({"source": "corpus", "location": {"searchResultLocation": {"searchResultIndex": 1}}})
    assert (found["file_id"], found["filename"], found["index"]) == ("corpus", "corpus", 0)
    assert _annotated({})["file_id"] == ""


def test_searches_that_amazon_runs() -> None:
    response = told("web_search", model=NOVA_2)
    search, message = response["output"]
    assert search["type"] == "web_search_call"
    assert (search["status"], search["action"]) == ("completed", {"type": "search", "query": "who won"})
    assert message["content"][0]["annotations"][0]["url"] == "https://example.com/a"
    stages = [each["type"] for each in heard("web_search") if "web_search_call" in each["type"]]
    assert stages == [f"response.web_search_call.{stage}" for stage in ("in_progress", "searching", "completed")]


@pytest.mark.parametrize(("input", "query"), [("", ""), ("[]", "[]"), ('{"query":1}', '{"query":1}')])
def test_searches_without_a_query(input: str, query: str) -> None:
    use = {"toolUseId": "g", "name": "nova_grounding", "type": "server_tool_use"}
    stream = [
        event("messageStart", {"role": "assistant"}),
        event("contentBlockStart", {"start": {"toolUse": use}, "contentBlockIndex": 0}),
        event("contentBlockDelta", {"delta": {"toolUse": {"input": input}}, "contentBlockIndex": 0}),
        event("contentBlockStop", {"contentBlockIndex": 0}),
        event("messageStop", {"stopReason": "end_turn"}),
    ]
    assert told(b"".join(stream))["output"][0]["action"]["query"] == query


def test_images_are_what_image_generation_makes() -> None:
    _, image = told("image")["output"]
    assert image["type"] == "image_generation_call"
    assert image["id"].startswith("ig_")
    assert (image["result"], image["output_format"]) == ("iVBORw0KGgo=", "png")


def test_what_is_new_is_passed_over() -> None:
    assert _kinds(told("unknown_parts")) == ["message"]


def test_a_stream_may_end_without_saying_what_it_took() -> None:
    final = heard("no_metadata")[-1].to_dict()
    assert final["type"] == "response.completed"
    assert final["response"]["usage"] is None  # type: ignore[index,call-overload]  # an object


def test_a_stream_that_breaks_off_has_failed() -> None:
    events = heard("cut_off")
    assert check_stream([each.to_dict() for each in events])["status"] == "failed"
    assert isinstance(BEDROCK.fault(events[-1]), StreamInterruptedError)


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        ("internalServerException", InternalServerError, "server_error"),
        ("modelStreamErrorException", InternalServerError, "server_error"),
        ("serviceUnavailableException", ServiceUnavailableError, "server_error"),
        ("throttlingException", RateLimitError, "rate_limit_exceeded"),
        ("validationException", BadRequestError, "server_error"),
    ],
)
def test_exceptions_in_a_stream(kind: str, error: type[APIError], code: str) -> None:
    with pytest.raises(error, match="oh no") as raised:
        heard(exception(kind, "oh no"))
    assert raised.value.code == kind[0].upper() + kind[1:]
    events = heard(stream_of("cut_off") + exception(kind, "oh no") + event("metadata", {}))
    final = check_stream([each.to_dict() for each in events])
    assert (final["status"], final["error"]) == ("failed", {"code": code, "message": "oh no"})
    assert type(BEDROCK.fault(events[-1])) is error


def test_an_input_too_long_can_be_told_by_a_stream() -> None:
    with pytest.raises(ContextWindowExceededError):
        heard(exception("validationException", "The model returned the following errors: prompt is too long: 5 > 4"))


def test_errors_of_the_framing_itself() -> None:
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "broken"}
    with pytest.raises(InternalServerError, match="broken"):
        heard(frame(headers))
    with pytest.raises(InternalServerError, match="InternalFailure"):
        heard(frame({":message-type": "error", ":error-code": "InternalFailure"}))


@pytest.mark.parametrize(
    "content",
    [
        frame({":event-type": "messageStart", ":message-type": "event"}, b"{"),
        frame({":event-type": "messageStart", ":message-type": "event"}, b"{}") + b"nonsense that is no frame",
        event("messageStart", {}) + event("contentBlockDelta", {}),
        event("messageStart", {}) + event("contentBlockDelta", {"delta": {"toolUse": {"input": "x"}}}),
        event("messageStart", {}) + event("messageStop", []),
        event("messageStart", {})
        + event("messageStop", {"stopReason": "end_turn"})
        + event("metadata", {"usage": {"x": 1}}),
    ],
)
def test_what_is_no_stream_of_bedrock(content: bytes) -> None:
    try:
        events = heard(content)
    except MalformedReplyError:
        return
    assert isinstance(BEDROCK.fault(events[-1]), MalformedReplyError)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"output":{"message":{"content":[{}]}}}', b'{"output":{"message":{"content":[]}}}']
)
def test_what_is_no_reply_of_bedrock(content: bytes) -> None:
    with pytest.raises(MalformedReplyError) as raised:
        BEDROCK.decode(HttpReply(200, {"x-amzn-requestid": "r1"}, content), asking(), bedrock())
    assert raised.value.request_id == "r1"


def test_thinking_tokens_by_pointer_or_not_at_all() -> None:
    for fields, count in (
        ({"/usage/output_tokens_details": {"thinking_tokens": 7}}, 7),
        ({"usage": {"output_tokens_details": {"thinking_tokens": "?"}}}, 0),
        ({"usage": 5}, 0),
    ):
        whole = {**fixture("text")["whole"], "additionalModelResponseFields": fields}
        found = BEDROCK.decode(HttpReply(200, {}, json.dumps(whole).encode()), asking(), bedrock())
        assert found["usage"].output_tokens_details.reasoning_tokens == count
