"""Replies and streams of Claude become responses and events, and agree, however the bytes are cut."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from claude_calls import CLAUDE, LATEST, OLDEST, asking, claude, decoded, heard, told, written
from fake_anthropic import FIXTURES, fixture, message, streamed
from hypothesis import given
from hypothesis import strategies as st
from jsons import VALUES
from responses_protocol import check_stream

from providers import jsonio
from providers.errors import (
    APIError,
    InternalServerError,
    MalformedReplyError,
    RateLimitError,
    ServiceUnavailableError,
    StreamInterruptedError,
)
from providers.translation.sealed import unseal

WHOLE = sorted(path.stem for path in FIXTURES.glob("*.json"))
STREAMS = sorted(path.stem for path in FIXTURES.glob("*.sse"))
FORM = {
    "input": "Who?",
    "text": {"format": {"type": "json_schema", "name": "p", "schema": {"type": "object", "properties": {"name": {}}}}},
}


def whole(*args: Any) -> Any:
    """A whole reply's response as JSON."""
    return decoded(*args).to_dict()


def kinds(response: Any) -> list[str]:
    return [item["type"] for item in response["output"]]


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "max_tokens_tool"])
def test_a_reply_and_its_stream_are_the_same_response(name: str) -> None:
    reply, stream = whole(name), told(name)
    for response in (reply, stream):
        for item in response["output"]:
            item.pop("encrypted_content", None)
            if "arguments" in item:  # white space differs
                item["arguments"] = json.loads(item["arguments"])
    assert reply == stream


@pytest.mark.parametrize("name", WHOLE)
def test_every_fixture_says_what_it_was_written_to_say(name: str) -> None:
    assert streamed(message(name)).count(b"event:") > 3
    assert json.loads(fixture(f"{name}.json"))["type"] == "message"


@given(st.sampled_from(STREAMS), st.integers(1, 200))
def test_any_chunking_gives_the_same_events(name: str, size: int) -> None:
    try:
        expected = [event.to_dict() for event in heard(name)]
    except ServiceUnavailableError:
        with pytest.raises(ServiceUnavailableError):
            heard(name, size=size)
        return
    assert [event.to_dict() for event in heard(name, size=size)] == expected


def test_text() -> None:
    response = decoded("text")
    assert response.output_text == "Hello! How can I help you today?"
    assert response.status == "completed"
    assert response.model == "claude-opus-5"
    assert response.usage == {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 11,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 23,
    }
    assert response.service_tier == "default"
    assert response.id == "resp_0123456789abcdef0123456789abcdef"


def test_tokens_of_caches_are_input_too() -> None:
    usage = decoded("cached").usage
    assert usage is not None
    assert usage["input_tokens"] == 125
    assert usage["input_tokens_details"] == {"cached_tokens": 100, "cache_write_tokens": 20, "cache_write_1h_tokens": 5}
    assert usage["total_tokens"] == 132


def test_thinking_is_a_reasoning_item_and_keeps_its_signature() -> None:
    response = told("thinking")
    assert kinds(response) == ["reasoning", "message"]
    reasoning: Any = response["output"][0]
    block = message("thinking")["content"][0]
    assert reasoning["summary"] == [{"type": "summary_text", "text": block["thinking"]}]
    assert unseal("claude", reasoning["encrypted_content"]) == [block]
    assert response["usage"]["output_tokens_details"] == {"reasoning_tokens": 71}


@pytest.mark.parametrize("name", ["thinking_omitted", "redacted", "interleaved", "parallel_tools"])
def test_signed_blocks_are_sealed_as_they_came_in_order(name: str) -> None:
    for response in (whole(name), told(name)):
        sealed = [item.get("encrypted_content") for item in response["output"] if item["type"] == "reasoning"]
        blocks = [block for text in sealed for block in unseal("claude", text) or ()]
        expected = message(name)["content"]
        assert blocks == [block for block in expected if block["type"].endswith("thinking")]


def test_items_keep_the_vendors_order() -> None:
    assert kinds(told("interleaved")) == ["reasoning", "message", "reasoning", "function_call"]
    assert kinds(told("redacted")) == ["reasoning", "reasoning", "message"]
    assert kinds(told("thinking_omitted")) == ["reasoning", "message"]
    assert kinds(told("parallel_tools")) == ["reasoning", "function_call", "function_call"]


def test_text_around_a_call_stays_apart() -> None:
    response: Any = told("text_tool_text")
    assert kinds(response) == ["message", "function_call", "message"]
    assert [item["content"][0]["text"] for item in response["output"] if item["type"] == "message"] == ["Hi", "after"]
    call = response["output"][1]
    assert call["call_id"] == "toolu_01Middle"
    assert json.loads(call["arguments"]) == {"q": 'x "quoted" ünï 🌍'}
    assert call["status"] == "completed"


def test_a_call_without_input_has_an_empty_object() -> None:
    for response in (whole("tool_only_empty"), told("tool_only_empty")):
        assert response["output"][0]["arguments"] == "{}"


def test_arguments_are_passed_on_as_they_come() -> None:
    deltas = [event.delta for event in heard("tool_use") if event.type == "response.function_call_arguments.delta"]
    frames = [line for line in fixture("tool_use.sse").split(b"\n") if b"partial_json" in line]
    pieces = [json.loads(line.removeprefix(b"data: "))["delta"]["partial_json"] for line in frames]
    assert deltas == [piece for piece in pieces if piece]


def test_names_and_custom_tools_are_the_callers() -> None:
    tools = [{"type": "custom", "name": "get weather!"}]
    encoded = json.loads(CLAUDE.encode(asking({"input": "x", "tools": tools}), claude()).content)
    wire = encoded["tools"][0]["name"]
    reply = {
        **message("tool_use"),
        "content": [{"type": "tool_use", "id": "t1", "name": wire, "input": {"input": "SF"}}],
    }
    for response in (
        whole(json.dumps(reply).encode(), {"input": "x", "tools": tools}),
        told(streamed(reply), {"input": "x", "tools": tools}),
    ):
        item: Any = response["output"][0]
        assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "get weather!", "SF")


def test_citations_of_documents_and_pages() -> None:
    response: Any = told("citations")
    (item,) = response["output"]
    (part,) = item["content"]
    assert part["text"] == "According to the document, the grass is green and the sky is blue."
    first, second, third = part["annotations"]
    assert first == {
        "type": "file_citation",
        "file_id": "",
        "filename": "My Document",
        "index": part["text"].index(" and the sky"),
        "cited_text": "The grass is green.",
        "document_index": 0,
        "document_title": "My Document",
        "start_char_index": 0,
        "end_char_index": 20,
    }
    assert (second["filename"], second["file_id"]) == ("Sky.pdf", "file_011CNha8iCJcU1wXNR6q4V8w")
    assert (third["filename"], third["start_block_index"]) == ("", 0)


def test_searches_are_items_and_their_citations_name_urls() -> None:
    response: Any = told("web_search")
    assert kinds(response) == ["message", "web_search_call", "message"]
    search = response["output"][1]
    assert search["status"] == "completed"
    assert search["action"]["query"] == "claude shannon birth date"
    assert search["action"]["sources"][0]["url"] == "https://en.wikipedia.org/wiki/Claude_Shannon"
    (part,) = response["output"][2]["content"]
    (note,) = part["annotations"]
    assert note["type"] == "url_citation"
    assert part["text"][note["start_index"] : note["end_index"]].startswith("Claude Shannon was born")
    stages = [event.type for event in heard("web_search") if event.type.startswith("response.web_search_call")]
    assert [stage.rpartition(".")[2] for stage in stages] == ["in_progress", "searching", "completed"]


def test_a_search_that_failed_says_so() -> None:
    assert told("web_search_error")["output"][0]["status"] == "failed"


def test_other_tools_of_the_vendor_are_seen() -> None:
    blocks = [
        {"type": "server_tool_use", "id": "s1", "name": "web_fetch", "input": {"url": "https://x.example"}},
        {
            "type": "web_fetch_tool_result",
            "tool_use_id": "s1",
            "content": {"type": "web_fetch_result", "url": "https://x.example"},
        },
        {"type": "server_tool_use", "id": "s2", "name": "code_execution", "input": {"code": "1+1"}},
        {
            "type": "code_execution_tool_result",
            "tool_use_id": "s2",
            "content": {"type": "code_execution_result", "stdout": "2"},
        },
        {"type": "container_upload", "id": "b1", "file_id": "file_1"},
        {"type": "web_search_tool_result", "tool_use_id": "unknown", "content": []},
    ]
    reply = {**message("text"), "content": blocks}
    for response in (whole(json.dumps(reply).encode()), told(streamed(reply))):
        items: Any = response["output"]
        assert items[0]["action"] == {"type": "open_page", "url": "https://x.example"}
        assert items[1]["type"] == "anthropic:code_execution_call"
        assert items[1]["input"] == {"code": "1+1"}
        assert items[1]["result"]["stdout"] == "2"
        assert items[2]["block"]["file_id"] == "file_1"
        assert items[3]["type"] == "anthropic:web_search_tool_result"
        again = [{"role": "user", "content": "x"}, *items, {"role": "user", "content": "y"}]
        assert len(written({"input": again})["messages"]) == 1
        assert len({item["id"] for item in items}) == 4


def test_searches_whose_question_is_cut_or_empty() -> None:
    frames = (
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
        b'{"type":"server_tool_use","id":"s1","name":"web_search","input":{}}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
        b'{"type":"input_json_delta","partial_json":"{\\"query\\": \\"a"}}\n\n'
    )
    raw = fixture("max_tokens.sse")
    head, _, rest = raw.partition(b"event: content_block_start")
    tail = rest[rest.index(b"event: content_block_stop") :]
    response: Any = told(head + frames + tail)
    assert response["output"][0]["action"] == {"type": "search", "query": None, "queries": [], "sources": []}
    assert response["output"][0]["status"] == "incomplete"


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("text", "completed", None),
        ("tool_use", "completed", None),
        ("stop_sequence", "completed", None),
        ("empty", "completed", None),
        ("max_tokens", "incomplete", "max_output_tokens"),
        ("max_tokens_thinking", "incomplete", "max_output_tokens"),
        ("context_window", "incomplete", "max_output_tokens"),
        ("pause_turn", "incomplete", "max_output_tokens"),
        ("refusal", "incomplete", "content_filter"),
        ("refusal_midway", "incomplete", "content_filter"),
    ],
)
def test_every_reason_to_stop(name: str, status: str, reason: str | None) -> None:
    for response in (whole(name), told(name)):
        assert response["status"] == status
        assert response["incomplete_details"] == (None if reason is None else {"reason": reason})
        stopped = message(name)["stop_reason"]
        plain = stopped in ("end_turn", "tool_use", "max_tokens")
        assert response.get("stop_reason") == (None if plain else stopped)


def test_reasons_nobody_knows_are_seen() -> None:
    reply = {**message("text"), "stop_reason": "tired"}
    response = told(streamed(reply))
    assert (response["status"], response["stop_reason"]) == ("completed", "tired")


@pytest.mark.parametrize(
    ("details", "words"),
    [
        (None, "The model declined to answer."),
        ({"type": "refusal", "category": "cyber", "explanation": None}, "The model declined to answer (cyber)."),
        ({"type": "refusal", "category": None, "explanation": None}, "The model declined to answer."),
        ({"type": "refusal", "category": "bio", "explanation": "No."}, "No."),
    ],
)
def test_a_refusal_is_a_part_that_says_why(details: Any, words: str) -> None:
    reply = {**message("refusal_midway"), "stop_details": details}
    for response in (whole(json.dumps(reply).encode()), told(streamed(reply))):
        (item,) = response["output"]
        assert [part["type"] for part in item["content"]] == ["output_text", "refusal"]
        assert item["content"][1]["refusal"] == words


def test_a_call_that_is_cut_off_is_incomplete() -> None:
    item: Any = told("max_tokens_tool")["output"][0]
    assert item["status"] == "incomplete"
    assert item["arguments"] == '{"path": "a.tx'


def test_a_pause_keeps_what_the_vendor_wants_back() -> None:
    for response in (whole("pause_turn"), told("pause_turn")):
        assert kinds(response) == ["message", "web_search_call", "reasoning"]
        blocks = message("pause_turn")["content"][1:]
        assert unseal("claude", response["output"][2]["encrypted_content"]) == blocks
    assert kinds(whole("web_search")) == ["message", "web_search_call", "message"]


def test_a_truncated_stream_has_failed() -> None:
    events = heard("truncated")
    response = check_stream([event.to_dict() for event in events])
    assert response["status"] == "failed"
    assert isinstance(CLAUDE.fault(events[-1]), StreamInterruptedError)
    assert response["output"][0]["status"] == "incomplete"
    assert response["usage"]["input_tokens"] == 12


def test_a_stream_of_nothing_has_failed() -> None:
    with pytest.raises(StreamInterruptedError):
        heard(b"event: ping\ndata: {}\n\n")


def test_a_stream_that_lacks_only_its_last_frame_is_whole() -> None:
    raw = fixture("text.sse")
    assert told(raw[: raw.index(b"event: message_stop")])["status"] == "completed"


def test_errors_midway_fail_the_response_with_a_typed_cause() -> None:
    events = heard("error_midway")
    response = check_stream([event.to_dict() for event in events])
    assert response["error"] == {"code": "server_error", "message": "Overloaded"}
    assert (response["usage"]["input_tokens"], response["usage"]["output_tokens"]) == (12, 1)
    cause = CLAUDE.fault(events[-1])
    assert isinstance(cause, ServiceUnavailableError)
    assert (cause.code, cause.status_code, cause.request_id) == (
        "overloaded_error",
        529,
        "req_011CSHoEeqs5C35K2UUqR7Fy",
    )
    limited = heard("error_after_start")[-1]
    assert isinstance(CLAUDE.fault(limited), RateLimitError)
    assert limited["response"]["error"]["code"] == "rate_limit_exceeded"


def test_an_error_before_the_message_is_raised() -> None:
    with pytest.raises(ServiceUnavailableError, match="Overloaded"):
        heard("error_first")


@pytest.mark.parametrize(
    "frames",
    [
        b'data: {"type":"content_block_start","content_block":{"type":"text","text":"x"}}\n\n',
        b'data: {"type":"message_start"}\n\n',
        b'data: {"type":"message_start","message":[]}\n\n',
        b'data: {"type":"message_stop"}\n\n',
        b"data: nonsense\n\n",
    ],
)
def test_streams_of_another_shape_are_malformed(frames: bytes) -> None:
    with pytest.raises(MalformedReplyError):
        heard(frames)


@pytest.mark.parametrize(
    "again", [b'{"type":"message_start","message":{}}', b'{"type":"content_block_delta","delta":7}']
)
def test_what_goes_wrong_later_fails_the_response(again: bytes) -> None:
    raw = fixture("text.sse")
    start = raw[: raw.index(b"event: content_block_stop")]
    events = heard(start + b"data: " + again + b"\n\n")
    assert isinstance(CLAUDE.fault(events[-1]), MalformedReplyError)
    check_stream([event.to_dict() for event in events])


def test_frames_nobody_knows_are_passed_over() -> None:
    odd = b'event: novelty\ndata: {"type":"novelty"}\n\ndata: {"type":"content_block_delta","delta":{"type":"new"}}\n\n'
    raw = fixture("text.sse")
    place = raw.index(b"event: content_block_stop")
    assert told(raw[:place] + odd + raw[place:])["output"] == told("text")["output"]


def test_blocks_that_are_never_closed_are_closed() -> None:
    frames = fixture("interleaved.sse").split(b"\n\n")
    raw = b"\n\n".join(frame for frame in frames if b"content_block_stop" not in frame)
    found: Any = told(raw)
    expected: Any = told("interleaved")
    for item in (*found["output"], *expected["output"]):
        item.pop("encrypted_content", None)
    assert found["output"] == expected["output"]


def test_thinking_without_a_signature_cant_be_given_back() -> None:
    reply = {**message("thinking"), "content": [{"type": "thinking", "thinking": "Hm.", "signature": ""}]}
    for response in (whole(json.dumps(reply).encode()), told(streamed(reply))):
        (item,) = response["output"]
        assert item["type"] == "reasoning"
        assert "encrypted_content" not in item


@pytest.mark.parametrize(("tier", "said"), [("standard", "default"), ("priority", "priority"), ("novel", "novel")])
def test_the_tier_that_served_is_told(tier: str, said: str) -> None:
    reply = {**message("text"), "usage": {**message("text")["usage"], "service_tier": tier}}
    assert whole(json.dumps(reply).encode())["service_tier"] == said
    assert told(streamed(reply))["service_tier"] == said


def test_an_error_that_says_nothing_is_one() -> None:
    raw = fixture("text.sse")
    events = heard(raw[: raw.index(b"event: content_block_stop")] + b'event: error\ndata: {"type":"error"}\n\n')
    cause = CLAUDE.fault(events[-1])
    assert isinstance(cause, InternalServerError)


def test_usage_that_never_comes_is_not_invented() -> None:
    reply = {**message("text"), "usage": {}}
    assert decoded(json.dumps(reply).encode()).usage is None
    del reply["usage"]
    assert decoded(json.dumps(reply).encode()).usage is None


@pytest.mark.parametrize(
    "content",
    [b"[]", b"{}", b'{"content":[]}', b'{"content":[{"type":"tool_use"}],"stop_reason":"end_turn"}', b"<html>"],
)
def test_replies_of_another_shape_are_malformed(content: bytes) -> None:
    with pytest.raises(MalformedReplyError):
        decoded(content)


def test_a_200_can_be_an_error() -> None:
    with pytest.raises(ServiceUnavailableError) as caught:
        decoded(b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}')
    assert caught.value.request_id == "req_1"


def test_the_tool_that_stands_for_a_form_is_text() -> None:
    for response in (whole("json_tool", FORM, OLDEST), told("json_tool", FORM, OLDEST)):
        (item,) = response["output"]
        assert json.loads(item["content"][0]["text"]) == {"name": "Ada", "age": 36}
    empty = json.loads(fixture("json_tool.json"))
    empty["content"][0]["input"] = {}
    assert told(streamed(empty), FORM, OLDEST)["output"][0]["content"][0]["text"] == "{}"
    assert decoded(json.dumps(empty).encode(), FORM, OLDEST).output_text == "{}"
    assert kinds(told("json_tool", "no form", OLDEST)) == ["function_call"]


def test_pings_and_comments_make_no_events() -> None:
    raw = fixture("text.sse")
    place = raw.index(b"event: content_block_stop")
    assert heard(raw[:place] + b": ping\n\nevent: ping\ndata: {}\n\n" + raw[place:]) == heard("text")


def test_the_model_that_answered_is_named() -> None:
    reply = {**message("text"), "model": None}
    assert decoded(json.dumps(reply).encode()).model == LATEST


FRAMES = [
    json.loads(line[6:]) for name in STREAMS for line in fixture(f"{name}.sse").split(b"\n") if line[:6] == b"data: "
]
START = next(frame for frame in FRAMES if frame["type"] == "message_start")


@st.composite
def odd_frames(draw: st.DrawFn) -> dict[str, Any]:
    """A frame of which something was changed."""
    frame = json.loads(json.dumps(draw(st.sampled_from(FRAMES))))
    spot = draw(st.sampled_from([frame, *(value for value in frame.values() if isinstance(value, dict))]))
    name = draw(st.sampled_from(sorted(spot)))
    if draw(st.booleans()):
        spot[name] = draw(VALUES)
    else:
        del spot[name]
    return dict(frame)


@given(st.lists(st.sampled_from(FRAMES) | odd_frames(), max_size=12))
def test_whatever_comes_is_told_in_order_or_is_an_error(frames: list[dict[str, Any]]) -> None:
    raw = b"".join(b"data: " + jsonio.dumps(frame) + b"\n\n" for frame in [START, *frames])
    try:
        events = heard(raw)
    except APIError:
        return
    check_stream([event.to_dict() for event in events])


@given(odd_frames(), st.lists(VALUES, max_size=4))
def test_whatever_a_reply_is_it_is_read_or_is_an_error(frame: dict[str, Any], blocks: list[Any]) -> None:
    opened = [each["content_block"] for each in FRAMES if each["type"] == "content_block_start"]
    odd = frame.get("content_block")
    reply = {**message("text"), **frame, "content": [*opened[:2], odd, *blocks] if odd else blocks}
    with suppress(APIError):
        assert decoded(jsonio.dumps(reply)).status in ("completed", "incomplete")
