"""Tools, and the choice among them, in Anthropic's words. Source: Messages API reference, `ToolUnion`, `ToolChoice`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from providers.messages.generations import Generation
from providers.messages.schemas import closed
from providers.translation.asked import Asked, wrong
from providers.translation.tools import Choice, Function, Hosted, Naming, Tool
from providers.types import Json, JsonObject

NAMING: Final = Naming(re.compile(r"[^a-zA-Z0-9_-]"), 128)
_SEARCH: Final = "web_search_20250305"
"""The one that every model has, wherever it is hosted."""
_OPENAI_SEARCH: Final = re.compile(r"web_search(?:_preview)?(?:_20\d\d_\d\d_\d\d)?")
_OWN: Final = re.compile(r"[a-z_]+_20\d{6}")
"""Anthropic's own tools, which carry a date: `bash_20250124`, `code_execution_20260521`."""
_PLACE: Final = ("city", "country", "region", "timezone")


def declarations(asked: Asked, tools: Sequence[Tool], choice: Choice | None, model: Generation) -> list[Json]:
    """`tools`: those that the choice allows, without those that are refused."""
    limited = choice is not None and bool(choice.names or choice.hosted)
    said: list[Json] = []
    for tool in tools:
        if isinstance(tool, Function):
            if not limited or (choice is not None and tool.name in choice.names):
                said.append(_function(asked, tool, model))
        elif not limited or (choice is not None and tool.kind in choice.hosted):
            hosted = _hosted(asked, tool)
            if hosted is not None:
                said.append(hosted)
    return said


def _function(asked: Asked, tool: Function, model: Generation) -> JsonObject:
    said: JsonObject = {"name": tool.wire, "input_schema": tool.parameters}
    if tool.description:
        said["description"] = tool.description
    if tool.strict and model.structured:
        said |= {"strict": True, "input_schema": closed(tool.parameters)}
    elif tool.strict:
        asked.note(f"{tool.where}.strict", f"{asked.model} does not keep to schemas strictly")
    if tool.cache is not None:
        said["cache_control"] = tool.cache
    return said


def _hosted(asked: Asked, tool: Hosted) -> JsonObject | None:
    if _OWN.fullmatch(tool.kind):
        return tool.json
    if not _OPENAI_SEARCH.fullmatch(tool.kind):
        asked.refuse(f"{tool.where}.type", f"Anthropic runs no {tool.kind[:80]!r} tool")
        return None
    said: JsonObject = {"type": _SEARCH, "name": "web_search"}
    filters, place = tool.json.get("filters"), tool.json.get("user_location")
    for name in ("allowed_domains", "blocked_domains"):
        domains = filters.get(name) if isinstance(filters, dict) else None
        if domains:
            said[name] = domains
    if isinstance(place, dict):
        known = {name: place[name] for name in _PLACE if place.get(name) is not None}
        if known:
            said["user_location"] = {"type": "approximate", **known}
    most = asked.get("max_tool_calls")
    if most is not None:
        said["max_uses"] = most
    if tool.json.get("external_web_access") is False:
        asked.refuse(f"{tool.where}.external_web_access", "searches are always live")
    if tool.json.get("search_context_size") not in (None, "medium"):
        asked.note(f"{tool.where}.search_context_size", "there is no such setting")
    return said


def selection(asked: Asked, choice: Choice | None, wires: Mapping[str, str], unforced: str | None) -> JsonObject | None:
    """`tool_choice`, or None where the default will do. `unforced`: why no tool can be forced."""
    said: JsonObject = {"type": "auto"}
    if choice is not None and choice.mode == "none":
        return {"type": "none"}
    if choice is not None and choice.mode == "required":
        if unforced is not None:
            asked.note("tool_choice", unforced)
        else:
            said = _forced(choice, wires)
    parallel = asked.get("parallel_tool_calls")
    if parallel is False:
        said["disable_parallel_tool_use"] = True
    elif parallel not in (None, True):
        raise wrong("parallel_tool_calls", "must be a boolean")
    return None if said == {"type": "auto"} else said


def _forced(choice: Choice, wires: Mapping[str, str]) -> JsonObject:
    if len(choice.names) == 1 and not choice.hosted:
        return {"type": "tool", "name": wires[choice.names[0]]}
    if len(choice.hosted) == 1 and not choice.names:
        kind = choice.hosted[0]
        name = "web_search" if _OPENAI_SEARCH.fullmatch(kind) else re.sub(r"_20\d{6}$", "", kind)
        return {"type": "tool", "name": name}
    return {"type": "any"}
