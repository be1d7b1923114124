"""Tools in Google's dialect: `functionDeclarations`, Google's own tools, and `toolConfig`.

Sources: ai.google.dev/gemini-api/docs/function-calling, docs/google-search, docs/code-execution, docs/tool-combination.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from providers.generate_content.thinking import generation
from providers.translation.asked import Asked
from providers.translation.tools import Choice, Function, Hosted, Naming, Tool, choice_of, functions, tools_of
from providers.types import Json, JsonObject

NAMING: Final = Naming(re.compile(r"^[^a-zA-Z_]|[^a-zA-Z0-9_.:-]"), 64)
"""Letters, digits, underscores, dots, colons and dashes; a letter or an underscore first."""

_SEARCHES: Final = re.compile(r"web_search(?:_preview)?(?:_\d{4}_\d{2}_\d{2})?")
_EMPTY_SCHEMA: Final = frozenset({"type", "properties", "required", "additionalProperties", "$schema", "title"})
_ONLY_FUNCTIONS: Final = "only functions can be required"


def write_tools(asked: Asked, body: JsonObject) -> dict[str, str]:
    """Add `tools` and `toolConfig` to `body`; what each function of the caller's is called on the wire.

    Raises `BadRequestError` for tools that Google has not.
    """
    given = tools_of(asked, NAMING)
    choice = choice_of(asked, given)
    declared = functions(given)
    own = _own(asked, given, choice, together=bool(declared))
    tools: list[Json] = []
    if declared:
        tools.append({"functionDeclarations": [_declaration(each) for each in declared]})
    tools += own
    if tools:
        body["tools"] = tools
    config: JsonObject = {}
    if declared:
        calling = _calling(asked, choice, declared)
        if calling is not None:
            config["functionCallingConfig"] = calling
        if own:
            config["includeServerSideToolInvocations"] = True
    elif choice is not None and choice.mode == "required":
        asked.refuse("tool_choice", _ONLY_FUNCTIONS)
    if config:
        body["toolConfig"] = config
    return {each.name: each.wire for each in declared}


def _declaration(function: Function) -> JsonObject:
    declaration: JsonObject = {"name": function.wire}
    if function.description:
        declaration["description"] = function.description
    if function.parameters.get("properties") or not function.parameters.keys() <= _EMPTY_SCHEMA:
        declaration["parametersJsonSchema"] = function.parameters
    return declaration


def _calling(asked: Asked, choice: Choice | None, declared: Sequence[Function]) -> JsonObject | None:
    """`functionCallingConfig`; None if the model may do as it likes."""
    if choice is not None and choice.names:
        wires = {each.name: each.wire for each in declared}
        mode = "ANY" if choice.mode == "required" else "VALIDATED"
        return {"mode": mode, "allowedFunctionNames": [wires[name] for name in choice.names]}
    if choice is not None and choice.hosted:
        if choice.mode == "required":
            asked.refuse("tool_choice", _ONLY_FUNCTIONS)
        return {"mode": "NONE"}
    if choice is not None and choice.mode != "auto":
        return {"mode": "NONE" if choice.mode == "none" else "ANY"}
    # what makes arguments keep to their schemas; required calls always do
    strict = any(each.strict for each in declared)
    if strict and generation(asked.model).thinks:
        return {"mode": "VALIDATED"}
    return None


def _own(asked: Asked, tools: Sequence[Tool], choice: Choice | None, *, together: bool) -> list[Json]:
    """Google's own tools that may be used. Before generation 3 they and functions exclude each other."""
    found: list[Json] = []
    version = generation(asked.model).version
    for tool in tools:
        if not isinstance(tool, Hosted) or not _allowed(tool, choice):
            continue
        if together and version is not None and version < (3, 0):
            asked.refuse(tool.where, f"{asked.model} takes no such tool beside functions")
            continue
        own = _hosted(asked, tool)
        if own is not None:
            found.append(own)
    return found


def _allowed(tool: Hosted, choice: Choice | None) -> bool:
    if choice is None or choice.mode == "none":
        return choice is None
    return tool.kind in choice.hosted or not (choice.names or choice.hosted)


def _hosted(asked: Asked, tool: Hosted) -> JsonObject | None:
    if "type" not in tool.json:
        return tool.json  # in Google's own words: {"urlContext": {}}
    if _SEARCHES.fullmatch(tool.kind):
        return _search(asked, tool)
    if tool.kind == "code_interpreter":
        container = tool.json.get("container")
        if isinstance(container, dict) and container.get("file_ids"):
            asked.refuse(f"{tool.where}.container.file_ids", "code that Google runs has no files")
        return {"codeExecution": {}}
    asked.refuse(tool.where, f"Google has no tool like {tool.kind[:80]!r}")
    return None


def _search(asked: Asked, tool: Hosted) -> JsonObject:
    filters = tool.json.get("filters")
    if filters:
        asked.refuse(f"{tool.where}.filters", "searches can't be limited to domains")
    for name in ("user_location", "search_context_size"):
        if tool.json.get(name) is not None:
            asked.note(f"{tool.where}.{name}", "Google decides by itself")
    return {"googleSearch": {}}
