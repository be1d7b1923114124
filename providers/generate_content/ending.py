"""How replies of Google's end: every finish reason, and the arithmetic of tokens.

Sources: google-genai 3.4, `types.FinishReason`, `types.BlockedReason`, `types.GenerateContentResponseUsageMetadata`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from providers.errors import APIError, InternalServerError, PermissionDeniedError
from providers.translation.narrator import Narrator, Reason, usage_of
from providers.types import Json, JsonObject

INCOMPLETE: Final[Mapping[str, Reason | None]] = {
    "STOP": None,
    "MAX_TOKENS": "max_output_tokens",
    "CONTINUATION": "max_output_tokens",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "OTHER": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "ESCALATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "IMAGE_OTHER": "content_filter",
}
"""What a response is for want of, by why the model stopped; None: nothing."""

FAILURES: Final[Mapping[str, tuple[type[APIError], str]]] = {
    "MALFORMED_FUNCTION_CALL": (InternalServerError, "the model wrote a function call that can't be read"),
    "MALFORMED_RESPONSE": (InternalServerError, "the model wrote what can't be read"),
    "UNEXPECTED_TOOL_CALL": (InternalServerError, "the model called a tool that it was not given"),
    "TOO_MANY_TOOL_CALLS": (InternalServerError, "the model called tools without end"),
    "MISSING_THOUGHT_SIGNATURE": (InternalServerError, "a signature of the model's was missing from the request"),
    "NO_IMAGE": (InternalServerError, "the model made no image"),
    "PUP_LIMITED_DISABLED": (PermissionDeniedError, "the account was limited or disabled"),
}


def conclude(narrator: Narrator, reason: str, message: str | None, usage: JsonObject | None) -> None:
    """Finish the response, or fail it, for a finish reason: one that nobody knows yet is a failure that names it."""
    if reason in INCOMPLETE:
        narrator.finish(INCOMPLETE[reason], usage)
        return
    kind, what = FAILURES.get(reason, (InternalServerError, "the model stopped for a reason that is not known"))
    said = f"{what}: {message}" if message else what
    narrator.fail(kind(f"{said} ({reason})", code=reason), usage)


def usage(metadata: Mapping[str, Json], *, searched: bool) -> JsonObject:
    """`usage` from `usageMetadata`.

    The prompt includes what was cached. Thoughts are counted beside the candidates, unless the total says that they
    are among them. What tools returned is input, except what a search did, which Google does not charge for.
    """
    prompt, output = _count(metadata, "promptTokenCount"), _count(metadata, "candidatesTokenCount")
    thoughts, tools = _count(metadata, "thoughtsTokenCount"), _count(metadata, "toolUsePromptTokenCount")
    if prompt + output + tools != _count(metadata, "totalTokenCount"):
        output += thoughts
    cached = _count(metadata, "cachedContentTokenCount")
    audio = _of_kind(metadata, "promptTokensDetails", "AUDIO")
    return usage_of(
        prompt + (0 if searched else tools),
        output,
        cached=cached,
        reasoning=thoughts,
        audio=audio,
        cached_audio=min(audio, _of_kind(metadata, "cacheTokensDetails", "AUDIO")),
        spoken=_of_kind(metadata, "candidatesTokensDetails", "AUDIO"),
        drawn=_of_kind(metadata, "candidatesTokensDetails", "IMAGE"),
    )


_TRAFFIC: Final[Mapping[str, str]] = {
    "ON_DEMAND": "default",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
    "standard": "default",
    "flex": "flex",
    "priority": "priority",
}


def tier(metadata: Mapping[str, Json]) -> str | None:
    """The service tier that served, if it is told."""
    told = metadata.get("serviceTier") or metadata.get("trafficType")
    return _TRAFFIC.get(told) if isinstance(told, str) else None


def _count(metadata: Mapping[str, Json], name: str) -> int:
    value = metadata.get(name)
    return value if type(value) is int and value > 0 else 0


def _of_kind(metadata: Mapping[str, Json], name: str, modality: str) -> int:
    """Of the tokens that are told by their modality, those of one."""
    details = metadata.get(name)
    kinds = [each for each in details if isinstance(each, dict)] if isinstance(details, list) else []
    return sum(_count(each, "tokenCount") for each in kinds if each.get("modality") == modality)
