"""Tools, and which of them may or must be called, in the words of the Responses API."""

from __future__ import annotations

from providers.types import Json, JsonObject
from router.proxy.chat.asking import ChatCall, list_at, object_at, text_at, wrong

_NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}}


def tools_of(call: ChatCall, asked: JsonObject) -> None:
    """Translate `tools`, `functions`, `tool_choice`, `function_call` and `web_search_options` of `asked`."""
    tools: list[Json] = []
    given = asked.get("tools")
    for place, tool in enumerate([] if given is None else list_at(given, "tools")):
        tools.append(_tool(object_at(tool, f"tools[{place}]"), f"tools[{place}]"))
    functions = asked.get("functions")
    for place, function in enumerate([] if functions is None else list_at(functions, "functions")):
        where = f"functions[{place}]"
        call.names[f"tools[{len(tools)}]"] = where
        call.legacy = not given
        tools.append(_function({}, object_at(function, where), where))
    search = asked.get("web_search_options")
    if search is not None:
        call.names[f"tools[{len(tools)}]"] = "web_search_options"
        tools.append(_search(object_at(search, "web_search_options")))
    if tools or given is not None:
        call.body["tools"] = tools
    _choice(call, asked)


def _tool(tool: JsonObject, where: str) -> JsonObject:
    """One tool; of a kind that chat completions don't know, it is as it is, for it may be one of the Responses API."""
    kind = tool.get("type")
    if kind == "function" and "name" not in tool:
        rest = {name: value for name, value in tool.items() if name != "function"}
        return _function(rest, object_at(tool.get("function"), f"{where}.function"), f"{where}.function")
    if kind == "custom" and "name" not in tool:
        rest = {name: value for name, value in tool.items() if name != "custom"}
        custom = object_at(tool.get("custom"), f"{where}.custom")
        made: JsonObject = {**rest, **custom, "type": "custom", "name": text_at(custom, "name", f"{where}.custom")}
        form = custom.get("format")
        if isinstance(form, dict) and isinstance(form.get("grammar"), dict):
            made["format"] = _grammar(form)
        return made
    return tool


def _grammar(form: JsonObject) -> JsonObject:
    return {"type": "grammar", **object_at(form["grammar"], "grammar")}


def _function(rest: JsonObject, function: JsonObject, where: str) -> JsonObject:
    """Where nothing is said, chat completions are not strict and take no parameters; responses are, and need them."""
    made: JsonObject = {**rest, **function, "type": "function", "name": text_at(function, "name", where)}
    if made.get("parameters") is None:
        made["parameters"] = _NO_PARAMETERS
    if made.get("strict") is None:
        made["strict"] = False
    return made


def _search(options: JsonObject) -> JsonObject:
    made: JsonObject = {"type": "web_search", **options}
    place = options.get("user_location")
    if isinstance(place, dict) and isinstance(place.get("approximate"), dict):
        made["user_location"] = _flat(place, "approximate")
    return made


def _flat(json: JsonObject, name: str) -> JsonObject:
    """`json` with what it holds by this name beside all else."""
    inner = json[name]
    rest = {key: value for key, value in json.items() if key != name}
    return {**rest, **inner} if isinstance(inner, dict) else json


def _choice(call: ChatCall, asked: JsonObject) -> None:
    choice, function = asked.get("tool_choice"), asked.get("function_call")
    if choice is None and function is not None:
        call.names["tool_choice"] = "function_call"
        if isinstance(function, dict):
            named: JsonObject = {"type": "function", "name": text_at(function, "name", "function_call")}
            function = named
        choice = function
    if choice is None:
        return
    if not isinstance(choice, (str, dict)):
        raise wrong("tool_choice", "must be a text or an object")
    call.body["tool_choice"] = _named(choice) if isinstance(choice, dict) else choice


def _named(choice: JsonObject) -> JsonObject:
    kind = choice.get("type")
    if kind == "allowed_tools" and isinstance(choice.get("allowed_tools"), dict):
        made = _flat(choice, "allowed_tools")
        tools = list_at(made.get("tools"), "tool_choice.allowed_tools.tools")
        return {**made, "tools": [_named(each) if isinstance(each, dict) else each for each in tools]}
    return _flat(choice, str(kind)) if kind in ("function", "custom") and str(kind) in choice else choice
