"""What vendors tell of usage, as it is read: classes of tokens, and what a stream has told before it ends."""

from __future__ import annotations

import json
import pickle
from typing import Any

import claude_calls
import converse_calls
import gemini_talk
import pytest
from amazon_frames import event
from chat_talk import asking, place, vendor
from toy_dialect import DEPLOYMENT, toy, toy_call

from providers.chat_completions.finishing import usage_in
from providers.generate_content.ending import usage as google_usage
from providers.sse import SseDecoder
from providers.types import JsonObject
from providers.usage import Bill, Cost, TokenUsage, read_usage


def sse(*frames: Any) -> bytes:
    return b"".join(b"data: %s\n\n" % json.dumps(frame).encode() for frame in frames)


def test_claude_s_usage_is_known_from_the_start_of_the_stream() -> None:
    decoder = claude_calls.CLAUDE.events(claude_calls.asking("Hi", stream=True), claude_calls.claude())
    assert decoder.usage() is None
    told = {"input_tokens": 5, "cache_creation_input_tokens": 20, "cache_creation": {"ephemeral_1h_input_tokens": 8}}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "claude-opus-5", "content": []}
    start = {"type": "message_start", "message": {**message, "usage": {**told, "output_tokens": 1}}}
    decoder.feed(sse(start))
    assert read_usage({"usage": decoder.usage()}) == TokenUsage(25, 1, 0, 20, 8)
    decoder.feed(sse({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 30}}))
    assert read_usage({"usage": decoder.usage()}) == TokenUsage(25, 30, 0, 20, 8)


def test_bedrock_s_usage_is_known_when_it_is_told_and_says_what_is_kept_for_an_hour() -> None:
    call = converse_calls.asking("Hi", stream=True)
    decoder = converse_calls.BEDROCK.events(call, converse_calls.bedrock())
    decoder.feed(event("messageStart", {"role": "assistant"}))
    assert decoder.usage() is None
    details = [{"ttl": "5m", "inputTokens": 15}, {"ttl": "1h", "inputTokens": 5}]
    usage = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 132, "cacheReadInputTokens": 100}
    usage |= {"cacheWriteInputTokens": 20, "cacheDetails": details}  # type: ignore[dict-item]  # a list among numbers
    decoder.feed(event("metadata", {"usage": usage}))
    assert read_usage({"usage": decoder.usage()}) == TokenUsage(125, 7, 100, 20, 5)


def test_bedrock_s_usage_of_another_shape_is_not_known() -> None:
    call = converse_calls.asking("Hi", stream=True)
    decoder = converse_calls.BEDROCK.events(call, converse_calls.bedrock())
    decoder.feed(event("messageStart", {"role": "assistant"}))
    decoder.feed(event("metadata", {"usage": {"inputTokens": "many"}}))
    assert decoder.usage() is None


def test_google_s_usage_is_that_of_the_last_chunk() -> None:
    decoder = gemini_talk.STUDIO.events(gemini_talk.call(stream=True), gemini_talk.AT_STUDIO)
    assert decoder.usage() is None
    for said in (1, 4):
        text = {"content": {"parts": [{"text": "Hi"}], "role": "model"}, "index": 0}
        usage = {"promptTokenCount": 9, "candidatesTokenCount": said, "totalTokenCount": 9 + said}
        decoder.feed(sse({"candidates": [text], "usageMetadata": usage}))
        assert read_usage({"usage": decoder.usage()}) == TokenUsage(9, said)


def test_a_chat_s_usage_is_known_when_it_is_told() -> None:
    decoder = vendor().events(asking(stream=True), place())
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    decoder.feed(sse({**chunk, "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]}))
    assert decoder.usage() is None
    decoder.feed(sse({**chunk, "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}))
    assert read_usage({"usage": decoder.usage()}) == TokenUsage(9, 4)


def test_a_native_stream_tells_its_usage_in_its_events_alone() -> None:
    decoder = SseDecoder()
    decoder.feed(sse({"type": "response.created", "response": {"usage": {"input_tokens": 1}}}))
    assert decoder.usage() is None


def test_a_dialect_that_tells_none_has_none() -> None:
    assert toy().events(toy_call(True), DEPLOYMENT).usage() is None


def test_sound_in_chats() -> None:
    given = {"cached_tokens": 2, "audio_tokens": 5}
    told = {"reasoning_tokens": 1, "audio_tokens": 3}
    usage: JsonObject = {"prompt_tokens": 9, "completion_tokens": 4}
    usage |= {"prompt_tokens_details": given, "completion_tokens_details": told}  # type: ignore[dict-item]  # JSON
    found = read_usage({"usage": usage_in({"usage": usage})})
    assert found == TokenUsage(9, 4, 2, reasoning_tokens=1, input_audio_tokens=5, output_audio_tokens=3)


def test_sound_and_images_of_google() -> None:
    metadata: Any = {
        "promptTokenCount": 100,
        "candidatesTokenCount": 50,
        "totalTokenCount": 150,
        "cachedContentTokenCount": 60,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 20},
            {"modality": "AUDIO", "tokenCount": 70},
            {"modality": "AUDIO", "tokenCount": 10},
            "odd",
        ],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 55}, {"modality": "AUDIO"}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}, {"modality": "IMAGE", "tokenCount": 40}],
    }
    found = read_usage({"usage": google_usage(metadata, searched=False)})
    assert found == TokenUsage(
        100,
        50,
        60,
        input_audio_tokens=80,
        output_audio_tokens=5,
        cache_read_audio_tokens=55,
        output_image_tokens=40,
    )


def test_what_is_not_told_is_not_in_the_response() -> None:
    usage = google_usage({"promptTokenCount": 1, "totalTokenCount": 1, "promptTokensDetails": "odd"}, searched=False)
    assert usage["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 0}
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}


def call_of(kind: str, **more: Any) -> Any:
    return {"type": kind, **more}


@pytest.mark.parametrize(
    ("output", "web", "files"),
    [
        ([], 0, 0),
        (None, 0, 0),
        ("odd", 0, 0),
        ([call_of("web_search_call"), "odd", call_of("message")], 1, 0),
        ([call_of("web_search_call", status="completed", action={"type": "search"})], 1, 0),
        ([call_of("web_search_call", status="failed", action={"type": "search"})], 0, 0),
        ([call_of("web_search_call", action={"type": "open_page"})], 0, 0),
        ([call_of("web_search_call", action={})] * 2 + [call_of("file_search_call")], 2, 1),
    ],
)
def test_searches_are_counted(output: Any, web: int, files: int) -> None:
    found = read_usage({"output": output, "usage": {"input_tokens": 1}})
    assert found == TokenUsage(1, web_searches=web, file_searches=files)


@pytest.mark.parametrize("usage", [None, "odd", []])
def test_no_usage_is_none(usage: Any) -> None:
    assert read_usage({"usage": usage}) is None


@pytest.mark.parametrize("odd", ["many", -3, True, 1.5, 10**400, None])
def test_odd_counts_count_nothing_and_without_any_other_there_is_no_usage(odd: Any) -> None:
    usage: Any = {"input_tokens": odd, "output_tokens": odd, "input_tokens_details": [], "output_tokens_details": 1}
    assert read_usage({"usage": usage}) is None
    assert read_usage({"usage": {**usage, "input_tokens": 0}}) == TokenUsage()
    assert read_usage({"usage": {**usage, "output_tokens": 5}}) == TokenUsage(0, 5)


def test_the_total() -> None:
    assert TokenUsage(3, 4).total_tokens == 7


def test_a_bill_is_worked_out_once_when_it_is_asked_for() -> None:
    asked = []

    def work() -> Cost:
        asked.append(1)
        return Cost(1.5)

    bill = Bill(work)
    assert not bill.ready
    assert asked == []
    assert bill.cost is bill.cost
    assert bill.ready
    assert asked == [1]
    assert pickle.loads(pickle.dumps(bill)).cost == Cost(1.5)
    assert Bill(Cost(2.0)).ready
