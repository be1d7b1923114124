"""Why a model stopped, and what it cost: the vendors' words for it.

Sources: OpenAI (stop, length, tool_calls, content_filter, function_call), Mistral (model_length, error), DeepSeek
(insufficient_system_resource), vLLM (abort), OpenRouter (error), Together (eos), Zhipu (sensitive, network_error),
Gemini by way of OpenAI's form (MAX_TOKENS, SAFETY, …).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from providers.errors import APIError, InternalServerError, ServiceUnavailableError
from providers.translation.narrator import Reason, usage_of
from providers.types import Json, JsonObject

_WELL: Final = frozenset(
    {"stop", "tool_calls", "function_call", "tool_use", "end_turn", "stop_sequence", "eos", "eos_token", "complete"}
)
_CUT: Final[Mapping[str, Reason]] = {
    "length": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "model_length": "max_output_tokens",
    "context_length": "max_output_tokens",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "refusal": "content_filter",
}
_FAILED: Final[Mapping[str, type[APIError]]] = {
    "error": InternalServerError,
    "abort": InternalServerError,
    "aborted": InternalServerError,
    "network_error": InternalServerError,
    "malformed_function_call": InternalServerError,
    "insufficient_system_resource": ServiceUnavailableError,
}


def reason_of(word: str) -> Reason | None:
    """Why the answer is not whole; None if it is. A word that nobody knows is itself the reason.

    Raises the `APIError` that it stands for.
    """
    lower = word.lower()
    if lower in _WELL:
        return None
    failure = _FAILED.get(lower)
    if failure is not None:
        raise failure(f"the model stopped with finish_reason {word!r}", code=word)
    # what is not known is shown, for it may matter; `reason` is a string to OpenAI's clients
    return _CUT.get(lower, cast("Reason", word))


def usage_in(json: JsonObject) -> JsonObject | None:
    """The usage that a reply or a chunk tells, as OpenAI's Responses API counts; None if it tells none."""
    usage = json.get("usage")
    if not isinstance(usage, dict):
        groq = json.get("x_groq")
        usage = groq.get("usage") if isinstance(groq, dict) else None
    if not isinstance(usage, dict) or not isinstance(usage.get("prompt_tokens"), int):
        return None
    given, told = _object(usage.get("prompt_tokens_details")), _object(usage.get("completion_tokens_details"))
    prompt, output = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    reasoning = _count(told, "reasoning_tokens") or _count(usage, "reasoning_tokens")
    if reasoning and _count(usage, "total_tokens") == prompt + output + reasoning:
        output += reasoning  # xAI and its like count it apart
    return usage_of(
        prompt,
        output,
        cached=_count(given, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens"),
        written=_count(given, "cache_write_tokens"),
        reasoning=reasoning,
        audio=_count(given, "audio_tokens"),
        spoken=_count(told, "audio_tokens"),
    )


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _count(json: JsonObject, name: str) -> int:
    value = json.get(name)
    return value if isinstance(value, int) and value > 0 else 0
