"""Says a call as the body of a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from providers.chat_completions.idioms import Idiom
from providers.chat_completions.messages import messages
from providers.translation.asked import Asked, wrong
from providers.translation.tools import (
    Choice,
    Function,
    Hosted,
    Naming,
    Tool,
    choice_of,
    functions,
    tools_of,
    wire_name,
)
from providers.types import Json, JsonObject

_AS_THEY_ARE: Final = (
    "temperature",
    "top_p",
    "prompt_cache_key",
    "prompt_cache_retention",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
)
_LOGPROBS: Final = "message.output_text.logprobs"
_SEARCH: Final = ("web_search", "web_search_preview")


def written(asked: Asked, idiom: Idiom, naming: Naming) -> JsonObject:
    """The body. Raises `BadRequestError` for what the vendor has no word for."""
    tools = tools_of(asked, naming)
    body: JsonObject = {"model": asked.model, "messages": messages(asked, idiom, _wires(naming, tools))}
    limit = asked.get("max_output_tokens")
    if limit is not None:
        body[idiom.limit] = limit
    for name in _AS_THEY_ARE:
        value = asked.get(name)
        if value is not None:
            body[name] = value
    _end_user(asked, idiom, body)
    _tier(asked, idiom, body)
    _logprobs(asked, body)
    _tools(asked, idiom, tools, body)
    _reasoning(asked, idiom, body)
    _text(asked, idiom, body)
    if asked.stream:
        body["stream"] = True
        if idiom.usage:
            body["stream_options"] = {"include_usage": True}
    return body


def _wires(naming: Naming, tools: Sequence[Tool]) -> Callable[[str], str]:
    """Names of functions on the wire, by the caller's; also of those that only the conversation knows."""
    known = {each.name: each.wire for each in functions(tools)}
    taken = {wire: name for name, wire in known.items()}

    def wire(name: str) -> str:
        if name not in known:
            known[name] = wire_name(name, naming, taken)
        return known[name]

    return wire


def _end_user(asked: Asked, idiom: Idiom, body: JsonObject) -> None:
    user, safety = asked.get("user"), asked.get("safety_identifier")
    if user is not None:
        body["user"] = user
    if safety is not None:
        body.setdefault("safety_identifier" if idiom.safety else "user", safety)


def _tier(asked: Asked, idiom: Idiom, body: JsonObject) -> None:
    tier = asked.get("service_tier")
    if isinstance(tier, str):
        body["service_tier"] = idiom.tiers.get(tier, tier)


def _logprobs(asked: Asked, body: JsonObject) -> None:
    count, include = asked.get("top_logprobs"), asked.get("include")
    if count:
        body["logprobs"], body["top_logprobs"] = True, count
    elif isinstance(include, list) and _LOGPROBS in include:
        body["logprobs"] = True


# tools


def _tools(asked: Asked, idiom: Idiom, tools: Sequence[Tool], body: JsonObject) -> None:
    choice = choice_of(asked, tools)
    for tool in tools:
        if isinstance(tool, Hosted):
            _hosted(asked, idiom, tool, body)
    offered = functions(tools)
    if choice is not None and choice.names and not _can_be_named(choice, idiom):
        offered = [tool for tool in offered if tool.name in choice.names]
    if choice is not None and choice.mode == "none" and not idiom.chooses:
        offered = []
    if not offered:
        return
    body["tools"] = [_function(tool) for tool in offered]
    if choice is not None:
        _choose(asked, idiom, choice, {tool.name: tool.wire for tool in offered}, body)
    parallel = asked.get("parallel_tool_calls")
    if parallel is not None:
        body["parallel_tool_calls"] = parallel


def _function(tool: Function) -> JsonObject:
    function: JsonObject = {"name": tool.wire, "parameters": tool.parameters}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _can_be_named(choice: Choice, idiom: Idiom) -> bool:
    """Whether `tool_choice` itself can say which tools it is limited to."""
    if choice.mode == "required" and len(choice.names) == 1:
        return idiom.chooses and idiom.names_tools
    return idiom.allows_tools


def _choose(asked: Asked, idiom: Idiom, choice: Choice, wires: dict[str, str], body: JsonObject) -> None:
    if not idiom.chooses:
        if choice.mode == "required":
            asked.refuse("tool_choice", "a call can't be required of the model")
        return
    named: list[Json] = [{"type": "function", "function": {"name": wires[name]}} for name in choice.names]
    if not named or not _can_be_named(choice, idiom):
        body["tool_choice"] = choice.mode
    elif choice.mode == "required" and len(named) == 1:
        body["tool_choice"] = named[0]
    else:
        body["tool_choice"] = {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}


def _hosted(asked: Asked, idiom: Idiom, tool: Hosted, body: JsonObject) -> None:
    if not idiom.searches or not tool.kind.startswith(_SEARCH):
        asked.refuse(tool.where, f"it runs no {tool.kind[:80]!r} tools")
        return
    options = {name: tool.json[name] for name in ("search_context_size", "user_location") if tool.json.get(name)}
    if options:
        body["web_search_options"] = options
    filters = tool.json.get("filters")
    if isinstance(filters, dict) and filters.get("allowed_domains"):
        body["search_domain_filter"] = filters["allowed_domains"]


# reasoning and form


def _reasoning(asked: Asked, idiom: Idiom, body: JsonObject) -> None:
    reasoning = asked.mapping("reasoning")
    for name, usual in (("context", "auto"), ("mode", "standard")):
        if reasoning.get(name) not in (None, usual):
            asked.refuse(f"reasoning.{name}", f"reasoning is always {usual!r}")
    effort = reasoning.get("effort")
    if effort is None:
        return
    if not isinstance(effort, str):
        raise wrong("reasoning.effort", "must be a string")
    if effort == "none" and idiom.thinks_not is not None:
        body.update(idiom.thinks_not)
        return
    said = idiom.efforts.get(effort, effort)
    if said != effort:
        asked.note("reasoning.effort", f"{asked.provider} does not know {effort!r}, so {said!r} was sent")
    body |= {"reasoning_effort": said, **idiom.thinks}


def _text(asked: Asked, idiom: Idiom, body: JsonObject) -> None:
    text = asked.mapping("text")
    verbosity = text.get("verbosity")
    if verbosity is not None and idiom.verbosity:
        body["verbosity"] = verbosity
    elif verbosity not in (None, "medium"):
        asked.refuse("text.verbosity", "it can't be told how much to say")
    form = text.get("format")
    if form is None:
        return
    if not isinstance(form, dict):
        raise wrong("text.format", "must be an object")
    kind = form.get("type")
    if kind == "json_schema":
        body["response_format"] = _schema(asked, idiom, form)
    elif kind == "json_object":
        body["response_format"] = {"type": "json_object"}
    elif kind != "text":
        raise wrong("text.format.type", "must be text, json_schema or json_object")


def _schema(asked: Asked, idiom: Idiom, form: JsonObject) -> JsonObject:
    inner = form.get("json_schema")
    schema = {name: value for name, value in (inner if isinstance(inner, dict) else form).items() if name != "type"}
    if not idiom.schemas:
        asked.refuse("text.format", "answers can be bound to JSON, but to no schema")
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {name: value for name, value in schema.items() if value is not None}}
