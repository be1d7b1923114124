"""A response as it begins: what the call asked for, echoed as OpenAI echoes it."""

from __future__ import annotations

from collections.abc import Iterable

from providers.translation.asked import merged, plain
from providers.types import Call, Deployment, Json, JsonObject


def _defaults() -> JsonObject:
    """What OpenAI says where the caller said nothing. Made anew, for whoever is given a response may change it."""
    return {
        "background": False,
        "frequency_penalty": 0.0,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "moderation": None,
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
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }


def begun(call: Call, deployment: Deployment, response_id: str, model: str, created_at: int) -> JsonObject:
    """The response object before any output, with every field that OpenAI's has."""
    given = merged(call, deployment)
    told = (*given.items(), *deployment.extra_body.items(), *call.extra_body.items())
    return echoed(told, response_id, model, created_at)


def echoed(given: Iterable[tuple[str, object]], response_id: str, model: str, created_at: int) -> JsonObject:
    """The same, of what was `given`: later values go before earlier ones of the same name."""
    defaults = _defaults()
    response: JsonObject = {
        "id": response_id,
        "object": "response",
        "created_at": created_at,
        "status": "in_progress",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "usage": None,
        **defaults,
    }
    for name, value in given:
        if name in defaults and value is not None:
            response[name] = _merged(defaults[name], plain(value))
    if response["service_tier"] == "auto":
        response["service_tier"] = "default"
    return response


def _merged(default: Json, value: Json) -> Json:
    return {**default, **value} if isinstance(default, dict) and isinstance(value, dict) else value
