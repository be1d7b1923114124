"""A call as the body of `generateContent`. Source: ai.google.dev/api/generate-content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from providers.generate_content.contents import contents
from providers.generate_content.thinking import thinking
from providers.generate_content.tools import NAMING, write_tools
from providers.translation.asked import Asked, wrong
from providers.types import Json, JsonObject

_SAMPLING: Final[Mapping[str, str]] = {
    "max_output_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_TIERS: Final[Mapping[str, str | None]] = {
    "auto": None,
    "default": None,
    "standard": None,
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
}
_LABEL: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE: Final = re.compile(r"[a-z0-9_-]{0,63}")
_MOST_LABELS: Final = 64
_LOGPROBS: Final = "message.output_text.logprobs"


def write(asked: Asked, *, labels: bool) -> JsonObject:
    """The body for a call; `labels`: whether metadata becomes some. Raises `BadRequestError` for what can't be said."""
    body: JsonObject = {}
    names = write_tools(asked, body)
    system, body["contents"] = contents(asked, NAMING, names)
    if system is not None:
        body["systemInstruction"] = system
    config = _config(asked)
    if config:
        body["generationConfig"] = config
    for name, wire in (("safety_settings", "safetySettings"), ("cached_content", "cachedContent")):
        value = asked.get(name)
        if value is not None:
            body[wire] = value
    tier = asked.get("service_tier")
    if tier is not None:
        _add_tier(asked, body, tier)
    if labels and (found := _labels(asked)):
        body["labels"] = found
    return body


def _config(asked: Asked) -> JsonObject:
    config: JsonObject = {}
    for name, wire in _SAMPLING.items():
        value = asked.get(name)
        if value is not None:
            config[wire] = value
    stop = asked.get("stop")
    if stop is not None:
        config["stopSequences"] = [stop] if isinstance(stop, str) else stop
    _add_logprobs(asked, config)
    _add_format(asked, config)
    thought = thinking(asked)
    if thought is not None:
        config["thinkingConfig"] = thought
    return config


def _add_logprobs(asked: Asked, config: JsonObject) -> None:
    count, include = asked.get("top_logprobs"), asked.get("include")
    if count or (isinstance(include, list) and _LOGPROBS in include):
        config["responseLogprobs"] = True
    if count:
        config["logprobs"] = count


def _add_format(asked: Asked, config: JsonObject) -> None:
    """`text`: Google binds the answer to a schema whether or not it is called strict."""
    text = asked.mapping("text")
    verbosity = text.get("verbosity")
    if verbosity not in (None, "medium"):
        asked.refuse("text.verbosity", "there is no such setting")
    given = text.get("format")
    if given is None:
        return
    kind = given.get("type") if isinstance(given, dict) else None
    if not isinstance(given, dict) or kind not in ("text", "json_object", "json_schema"):
        raise wrong("text.format.type", "must be text, json_object or json_schema")
    if kind == "text":
        return
    config["responseMimeType"] = "application/json"
    if kind == "json_schema":
        schema = given.get("schema")
        if not isinstance(schema, dict):
            raise wrong("text.format.schema", "must be an object")
        config["responseJsonSchema"] = schema


def _add_tier(asked: Asked, body: JsonObject, tier: Json) -> None:
    if not isinstance(tier, str) or tier not in _TIERS:
        asked.refuse("service_tier", f"there are {', '.join(_TIERS)}")
        return
    wire = _TIERS[tier]
    if wire is not None:
        body["serviceTier"] = wire


def _labels(asked: Asked) -> JsonObject:
    """The metadata that may be labels: few characters are allowed in them."""
    labels: JsonObject = {}
    for name, value in asked.mapping("metadata").items():
        fits = _LABEL.fullmatch(name) and isinstance(value, str) and _LABEL_VALUE.fullmatch(value)
        if fits and len(labels) < _MOST_LABELS:
            labels[name] = value
        else:
            asked.note(f"metadata.{name}"[:200], "can't be a label at Google; the response echoes it")
    return labels
