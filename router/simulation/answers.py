"""What simulated deployments answer: responses with the usage that a trace tells, and no words of their own."""

from __future__ import annotations

import msgspec

from providers.types import Json, JsonObject
from providers.usage import TokenUsage

_encode = msgspec.json.Encoder().encode


def usage_of(usage: TokenUsage) -> JsonObject:
    """A response's `usage`."""
    given: JsonObject = {
        "cached_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "audio_tokens": usage.input_audio_tokens,
    }
    told: JsonObject = {"reasoning_tokens": usage.reasoning_tokens, "audio_tokens": usage.output_audio_tokens}
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": given,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": told,
        "total_tokens": usage.total_tokens,
    }


def response(identity: str, stem: str, model: str, tier: str | None, usage: TokenUsage) -> JsonObject:
    """A completed response. Its items' ids are those that a translator would mint for `stem`."""
    said: JsonObject = {"type": "output_text", "text": "…", "annotations": []}
    message: JsonObject = {
        "type": "message",
        "id": f"msg_{stem}0000",
        "role": "assistant",
        "status": "completed",
        "content": [said],
    }
    searches: list[Json] = [
        {"type": "web_search_call", "id": f"ws_{stem}{number:04x}", "status": "completed"}
        for number in range(1, usage.web_searches + 1)
    ]
    answer: JsonObject = {
        "id": identity,
        "object": "response",
        "status": "completed",
        "model": model,
        "output": [*searches, message],
        "usage": usage_of(usage),
    }
    return answer if tier is None else {**answer, "service_tier": tier}


def body(answer: JsonObject) -> bytes:
    """As one reply."""
    return _encode(answer)


def stream(answer: JsonObject) -> tuple[bytes, bytes]:
    """As a stream: up to the first output, and the rest. A line for each event."""
    begun: JsonObject = {**answer, "status": "in_progress", "output": [], "usage": None}
    first = _lines(
        {"type": "response.created", "response": begun},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "…"},
    )
    return first, _lines({"type": "response.completed", "response": answer})


def _lines(*events: JsonObject) -> bytes:
    return b"".join(_encode(event) + b"\n" for event in events)
