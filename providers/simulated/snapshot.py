"""The response object, with the full key set of a real one, explicit nulls included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from providers.simulated.state import Output
from providers.types import Json, JsonObject

_NOT_ECHOED = frozenset({"input", "stream", "stream_options", "include", "context_management", "conversation"})
_COMPUTED = frozenset(
    {
        "id",
        "object",
        "created_at",
        "status",
        "completed_at",
        "error",
        "incomplete_details",
        "output",
        "usage",
        "billing",
    }
)


_NO_IMAGES: JsonObject = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "total_tokens": 0,
}


def blank(response_id: str, model: str, created_at: int) -> JsonObject:
    """A response that has just begun, every parameter at its default."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": created_at,
        "status": "in_progress",
        "background": False,
        "billing": {"payer": "developer"},
        "completed_at": None,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "model": model,
        "moderation": None,
        "output": [],
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "prompt_cache_retention": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tool_usage": {"image_gen": _NO_IMAGES, "web_search": {"num_requests": 0}},
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def started(body: JsonObject, response_id: str, model: str, created_at: int, azure: bool) -> JsonObject:
    """The response as it begins: parameters echoed as sent, unknown ones too."""
    response = blank(response_id, model, created_at)
    for name, value in body.items():
        if name in _NOT_ECHOED or name in _COMPUTED:
            continue
        default = response.get(name)
        if isinstance(default, dict) and isinstance(value, dict):
            value = {**default, **value}
        if value is not None or name not in response:
            response[name] = value
    response["model"] = model
    if response["service_tier"] in ("auto", None):
        response["service_tier"] = "default"
    elif response["service_tier"] == "fast":
        response["service_tier"] = "priority"
    if azure:
        response["content_filters"] = cast("list[Json]", [_CONTENT_FILTER])
    if response["background"]:
        response["status"] = "queued"
    return response


_CONTENT_FILTER: JsonObject = {
    "blocked": False,
    "source_type": "prompt",
    "content_filter_results": {
        "hate": {"filtered": False, "severity": "safe"},
        "self_harm": {"filtered": False, "severity": "safe"},
        "sexual": {"filtered": False, "severity": "safe"},
        "violence": {"filtered": False, "severity": "safe"},
    },
}


def completed(begun: JsonObject, outputs: Sequence[Output], usage: JsonObject, completed_at: int) -> JsonObject:
    """The response as it ends; incomplete if one of its items is."""
    output: list[Json] = [item.final for item in outputs]
    cut = any(item.final.get("status") == "incomplete" for item in outputs)
    return {
        **begun,
        "status": "incomplete" if cut else "completed",
        "completed_at": None if cut else completed_at,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": output,
        "usage": usage,
    }


def failed(begun: JsonObject, code: str, message: str) -> JsonObject:
    """The response as it ends when the model fails."""
    return {**begun, "status": "failed", "error": {"code": code, "message": message}}


def usage_of(input_tokens: int, cached_tokens: int, outputs: Sequence[Output]) -> JsonObject:
    """Token counts: one token a delta."""
    reasoning = sum(max(1, len(item.deltas)) for item in outputs if item.final["type"] == "reasoning")
    written = sum(len(item.deltas) for item in outputs if item.final["type"] != "reasoning")
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {
            "cached_tokens": cached_tokens,
            "cache_write_tokens": 0,
            "cache_write_tokens_details": {"ttl_30m_tokens": 0, "ttl_12h_tokens": 0},
        },
        "output_tokens": reasoning + written,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": input_tokens + reasoning + written,
    }
