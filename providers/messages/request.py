"""The body of a request to the Messages API. Source: Messages API reference; anthropic-python 2.12, its types."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final, cast

from providers.messages.formats import TOOL, form, form_tool
from providers.messages.generations import Generation, generation
from providers.messages.thinking import Thinking, rules_out_force, thinking, without
from providers.messages.tools import NAMING, declarations, selection
from providers.messages.turns import Turns
from providers.translation.asked import Asked, wrong
from providers.translation.conversation import conversation, instructions
from providers.translation.tools import Choice, Tool, choice_of, functions, tools_of
from providers.types import Json, JsonObject

LENIENT: Final = "2023-06-01"
"""The version that still takes `temperature`."""
_PERSONAL: Final = re.compile(r"[^@\s]+@[^@\s]+|\+?[\d\s().-]{7,}")
"""An e-mail address, or what could be a telephone's number: the API refuses both."""
_LONGEST_USER: Final = 256
_TIERS: Final[Mapping[Json, str]] = {
    "auto": "auto",
    "priority": "auto",
    "fast": "auto",
    "default": "standard_only",
    "standard_only": "standard_only",
}
_LIVES: Final[Mapping[Json, str | None]] = {None: None, "30m": "1h", "12h": "1h", "24h": "1h", "in_memory": None}


def write(asked: Asked, version: str, *, binding: bool) -> JsonObject:
    """The body, in the words of this version of the API. Raises `BadRequestError` for what can't be said.

    `binding`: whether the server can be told to leave out thinking that is bound to another conversation.
    """
    model = generation(asked.deployment, asked.model)
    tools = tools_of(asked, NAMING)
    turns = Turns(asked, {tool.name: tool.wire for tool in functions(tools)})
    text = instructions(asked)
    if text is not None and text.strip():
        turns.system.append({"type": "text", "text": text})
    turns.add(conversation(asked))
    thought = thinking(asked, model)
    if thought.config is not None and thought.config.get("type") == "enabled" and turns.begun_unthinking:
        thought = without(asked, thought, "the turn goes on after calls of tools that were made without thinking")
    if binding and model.bound and turns.signed:
        thought = _unbound(thought)
    body: JsonObject = {
        "model": asked.model,
        "max_tokens": thought.max_tokens,
        "messages": cast("Json", turns.messages),
    }
    _say_tools(asked, body, tools, turns, thought, model)
    _say_form(asked, body, turns, thought, model)
    if turns.system:
        body["system"] = turns.system
    if thought.config is not None and "thinking" not in asked.extra:
        body["thinking"] = thought.config
    if thought.effort is not None:
        _config(body)["effort"] = thought.effort
    _say_sampling(asked, body, model, thought, version)
    _say_rest(asked, body)
    return body


def _unbound(thought: Thinking) -> Thinking:
    """The same, where what was changed of the conversation since costs the thinking before, and not the call."""
    config = thought.config or {"type": "adaptive"}  # which is what these models do anyway
    if config.get("type") == "adaptive":
        thought.config = {**config, "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
    return thought


def _config(body: JsonObject) -> JsonObject:
    return cast("JsonObject", body.setdefault("output_config", {}))


def _say_tools(
    asked: Asked, body: JsonObject, tools: list[Tool], turns: Turns, thought: Thinking, model: Generation
) -> None:
    choice = choice_of(asked, tools)
    said = declarations(asked, tools, choice, model)
    if said:
        body["tools"] = said
        selected = selection(asked, choice, turns.wires, rules_out_force(thought, model))
        if selected is not None:
            body["tool_choice"] = selected
    elif turns.called:  # past calls are refused where there are no tools
        body["tools"] = [{"name": wire, "input_schema": {"type": "object"}} for wire in turns.called]
        body["tool_choice"] = {"type": "none"}
    elif choice is not None and choice.mode == "required":
        raise wrong("tool_choice", "requires a tool, and there are none")


def _say_form(asked: Asked, body: JsonObject, turns: Turns, thought: Thinking, model: Generation) -> None:
    wanted = form(asked)
    if wanted is None:
        return
    if wanted.schema is None:
        turns.system.append({"type": "text", "text": "Answer with one JSON object and nothing else."})
    elif model.structured:
        _config(body)["format"] = {"type": "json_schema", "schema": wanted.schema}
    else:
        _say_form_tool(asked, body, form_tool(wanted), rules_out_force(thought, model))


def _say_form_tool(asked: Asked, body: JsonObject, tool: JsonObject, unforced: str | None) -> None:
    """Before Claude 4.5, what keeps to a schema are the arguments of a tool that must be called."""
    others = cast("list[Json]", body.get("tools") or [])
    silent = body.get("tool_choice") == {"type": "none"}
    body["tools"] = [*others, tool]
    alone = not others or silent
    selected: JsonObject | None = {"type": "tool", "name": TOOL} if alone else {"type": "any"}
    if unforced is not None:
        selected = selection(asked, Choice("required"), {}, unforced)
    body.pop("tool_choice", None)
    if selected is not None:
        body["tool_choice"] = selected


def _say_sampling(asked: Asked, body: JsonObject, model: Generation, thought: Thinking, version: str) -> None:
    for name in ("temperature", "top_p"):
        value = asked.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise wrong(name, "must be a number")
        why = _unsampled(asked, name, value, model, thought, version)
        if why is None and name in ("temperature", "top_p") and "temperature" in body and not model.both:
            why = f"{asked.model} takes no top_p together with temperature"
        if why is None:
            body[name] = value
        elif value != 1:  # which is what is done anyway
            asked.refuse(name, why)


def _unsampled(asked: Asked, name: str, value: float, model: Generation, thought: Thinking, version: str) -> str | None:
    """Why a parameter of sampling can't be said, if it can't."""
    if version != LENIENT:
        return f"version {version} of the API has none"
    if not model.sampling:
        return f"{asked.model} takes none"
    if thought.on and value < (1 if name == "temperature" else 0.95):
        return "while it thinks, Claude takes no other than " + ("1" if name == "temperature" else "0.95 to 1")
    return f"must be at most 1, and is {value:g}" if value > 1 else None


def _say_rest(asked: Asked, body: JsonObject) -> None:
    if asked.stream:
        body["stream"] = True
    stop = asked.get("stop")
    if stop is not None:
        body["stop_sequences"] = stop if isinstance(stop, list) else [stop]
    user = asked.get("safety_identifier") or asked.get("user")
    if user is not None:
        body["metadata"] = {"user_id": _opaque(str(user))}
    tier = asked.get("service_tier")
    if tier is not None and not isinstance(tier, (dict, list)) and tier in _TIERS:
        body["service_tier"] = _TIERS[tier]
    elif tier is not None:
        asked.refuse("service_tier", f"there is no tier {str(tier)[:80]!r}")
    _say_caching(asked, body)


def _opaque(user: str) -> str:
    if _PERSONAL.fullmatch(user) or len(user) > _LONGEST_USER:
        return f"user_{hashlib.sha256(user.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return user


def _say_caching(asked: Asked, body: JsonObject) -> None:
    """A mark at the end of the request, which is what OpenAI's implicit breakpoint is."""
    options, retention = asked.mapping("prompt_cache_options"), asked.get("prompt_cache_retention")
    for name in ("prewarm", "comparison_response_id"):
        if options.get(name):
            asked.refuse(f"prompt_cache_options.{name}", "there is no such thing")
    if (not options and retention is None) or options.get("mode") == "explicit":
        return
    lives = options.get("ttl") or retention
    if isinstance(lives, (dict, list)) or lives not in _LIVES:
        raise wrong("prompt_cache_options.ttl", f"must be 30m or 12h, not {str(lives)[:80]!r}")
    if lives in ("12h", "24h"):
        asked.note("prompt_cache_options.ttl", "Anthropic keeps caches for an hour at most")
    ttl = _LIVES[lives]
    body["cache_control"] = {"type": "ephemeral", "ttl": ttl} if ttl else {"type": "ephemeral"}
