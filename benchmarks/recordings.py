"""What vendors answer, as bytes: for each dialect one reply of about a kilobyte, and one stream of a hundred pieces.

Shaped like the recordings in the vendors' documentation. Only the standard library is imported: every contender reads
these, in an interpreter of its own.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

PIECES = 100
"""Deltas of text in a stream."""
_WORDS = "Routers keep a conversation where its memory is, and move it only if they must. "
TEXT = _WORDS * 7
_PIECES = [word + " " for word in (_WORDS * 8).split()][:PIECES]
_CREATED = 1_700_000_000

Json = Mapping[str, Any]


def _compact(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _data(frames: Iterable[Json]) -> list[bytes]:
    return [b"data: " + _compact(frame) + b"\n\n" for frame in frames]


# chat completions

_CHAT_USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 120,
    "total_tokens": 140,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}


def _chat() -> bytes:
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": "chatcmpl-9f4e", "object": "chat.completion", "created": _CREATED, "model": "gpt-4.1-mini"}
    return _compact({**head, "choices": [choice], "usage": _CHAT_USAGE, "system_fingerprint": "fp_44709d6fcb"})


def _chat_stream() -> list[bytes]:
    head = {"id": "chatcmpl-9f4e", "object": "chat.completion.chunk", "created": _CREATED, "model": "gpt-4.1-mini"}

    def chunk(delta: Json, finish: str | None = None) -> Json:
        return {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}

    frames = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": piece}) for piece in _PIECES)]
    frames += [chunk({}, "stop"), {**head, "choices": [], "usage": _CHAT_USAGE}]
    return [*_data(frames), b"data: [DONE]\n\n"]


# Anthropic's messages

_MESSAGE = {"id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5"}
_MESSAGE_USAGE = {
    "input_tokens": 20,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 1,
    "service_tier": "standard",
}


def _message() -> bytes:
    content = [{"type": "text", "text": TEXT}]
    usage = {**_MESSAGE_USAGE, "output_tokens": 120}
    return _compact({**_MESSAGE, "content": content, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})


def _message_stream() -> list[bytes]:
    opened: Json = {**_MESSAGE, "content": [], "stop_reason": None, "stop_sequence": None, "usage": _MESSAGE_USAGE}
    frames: list[Json] = [
        {"type": "message_start", "message": opened},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
    ]
    frames += [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in _PIECES
    ]
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    frames += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 120}},
        {"type": "message_stop"},
    ]
    return [b"event: %s\ndata: %s\n\n" % (frame["type"].encode(), _compact(frame)) for frame in frames]


# Google's generateContent


def _generated(text: str, **ending: str) -> Json:
    return {
        "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **ending}],
        "usageMetadata": {
            "promptTokenCount": 20,
            "candidatesTokenCount": 120,
            "totalTokenCount": 140,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 20}],
        },
        "modelVersion": "gemini-2.5-flash",
        "responseId": "m1RyaNqqHpaMjMcP",
    }


def _generated_stream() -> list[bytes]:
    return _data([*map(_generated, _PIECES), _generated("", finishReason="STOP")])


# Amazon's Converse

_CONVERSE_USAGE = {"inputTokens": 20, "outputTokens": 120, "totalTokens": 140}


def _converse() -> bytes:
    message = {"role": "assistant", "content": [{"text": TEXT}]}
    rest = {"stopReason": "end_turn", "usage": _CONVERSE_USAGE, "metrics": {"latencyMs": 551}}
    return _compact({"output": {"message": message}, **rest})


def _converse_stream() -> list[bytes]:
    frames = [_amazon("messageStart", {"role": "assistant", "p": "abcdefgh"})]
    frames += [
        _amazon("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}, "p": "abcdefgh"})
        for piece in _PIECES
    ]
    frames.append(_amazon("contentBlockStop", {"contentBlockIndex": 0, "p": "ab"}))
    frames.append(_amazon("messageStop", {"stopReason": "end_turn", "p": "abcd"}))
    frames.append(_amazon("metadata", {"usage": _CONVERSE_USAGE, "metrics": {"latencyMs": 551}, "p": "ab"}))
    return frames


def _amazon(kind: str, payload: Json) -> bytes:
    """One frame of `application/vnd.amazon.eventstream`."""
    named = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in named.items()
    )
    body = _compact(payload)
    prelude = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    frame = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + body
    return frame + struct.pack("!I", zlib.crc32(frame))


REPLIES: Mapping[str, Callable[[], bytes]] = {
    "chat_completions": _chat,
    "messages": _message,
    "generate_content": lambda: _compact(_generated(TEXT, finishReason="STOP")),
    "converse": _converse,
}
"""By dialect."""

STREAMS: Mapping[str, Callable[[], list[bytes]]] = {
    "chat_completions": _chat_stream,
    "messages": _message_stream,
    "generate_content": _generated_stream,
    "converse": _converse_stream,
}
"""By dialect, one element for each frame."""
