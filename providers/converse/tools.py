"""Tools, and the choice among them, in Converse's words.

Source: botocore 1.44.5, bedrock-runtime/2023-09-30, ToolConfiguration; Bedrock's user guide, tool-use. What Converse
has no word for and Claude has goes in additionalModelRequestFields; there, `tool_choice` names its type only where
toolConfig.toolChoice does not, for Bedrock refuses both (LiteLLM #34347, #36536).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from providers.converse.caching import caching
from providers.converse.families import Family
from providers.messages.generations import Generation
from providers.messages.schemas import closed
from providers.translation.asked import Asked, wrong
from providers.translation.tools import Choice, Function, Hosted, Naming, Tool, wire_name
from providers.types import Json, JsonObject

NAMING: Final = Naming(re.compile(r"[^a-zA-Z0-9_-]"), 64)
SEARCH: Final = "nova_grounding"
"""Amazon's web search, a system tool of Nova's."""
_WEB_SEARCH: Final = re.compile(r"web_search(?:_preview)?(?:_20\d\d_\d\d_\d\d)?")


@dataclass(slots=True)
class ToolWords:
    """What a request says of tools."""

    config: JsonObject | None = None
    """toolConfig."""
    choice: JsonObject = field(default_factory=dict)
    """Claude's own `tool_choice`."""


def declared(
    asked: Asked, tools: Sequence[Tool], kind: Family, claude: Generation, choice: Choice | None
) -> list[Json]:
    """toolConfig.tools: those that the choice allows, without those that are refused."""
    limited = choice is not None and bool(choice.names or choice.hosted)
    said: list[Json] = []
    for tool in tools:
        if isinstance(tool, Function):
            if not limited or (choice is not None and tool.name in choice.names):
                said.append(_spec(asked, tool, kind, claude))
                said.extend(caching(kind, claude).point(tool.cache))
        elif not limited or (choice is not None and tool.kind in choice.hosted):
            said.extend(_hosted(asked, tool, kind))
    return said


def called(names: Iterable[str]) -> list[Json]:
    """Declarations of tools that were called before and are not offered any more: Bedrock demands some."""
    return [{"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}} for name in sorted(set(names))]


def words(
    asked: Asked,
    said: list[Json],
    before: Iterable[str],
    kind: Family,
    choice: Choice | None,
    wires: Mapping[str, str],
    *,
    unforced: str | None,
) -> ToolWords:
    """toolConfig and what goes with it. `before`: names on the wire of the tools that were called so far; `unforced`:
    why none can be forced.

    Raises `BadRequestError` for what can't be said.
    """
    names = list(before)
    never = choice is not None and choice.mode == "none"
    if never and not names:
        return ToolWords()
    said, never = _offered(asked, said, names, kind, never=never)
    if not said:
        return ToolWords()
    found = ToolWords({"tools": said})
    if never:
        found.choice = {"type": "none"} if kind is Family.CLAUDE else {}
        return found
    chosen = _forced(asked, choice, wires, unforced)
    if chosen is not None and found.config is not None:
        found.config["toolChoice"] = chosen
    if _single(asked, kind):
        found.choice = {"disable_parallel_tool_use": True}
        if chosen is None:
            found.choice["type"] = "auto"
    return found


def _offered(asked: Asked, said: list[Json], names: list[str], kind: Family, *, never: bool) -> tuple[list[Json], bool]:
    """The tools to declare, and whether none of them may be called: where some were called, some must be declared."""
    if not said and names:
        if kind is not Family.CLAUDE:
            asked.note("tools", "those called before are declared again, as Bedrock demands: the model may call them")
        return called(names), True
    if never and kind is not Family.CLAUDE:
        asked.refuse("tool_choice", "it can't be none once tools were called")
    return said, never


def wire(name: str, wires: Mapping[str, str]) -> str:
    """The name on the wire of a function that may not be offered any more."""
    return wires.get(name) or wire_name(name, NAMING, {})


def _spec(asked: Asked, tool: Function, kind: Family, claude: Generation) -> JsonObject:
    spec: JsonObject = {"name": tool.wire, "inputSchema": {"json": tool.parameters}}
    if tool.description:
        spec["description"] = tool.description
    if tool.strict and kind is Family.CLAUDE and not claude.structured:
        asked.note(f"{tool.where}.strict", f"{asked.model} does not keep to schemas strictly")
    elif tool.strict:
        spec["strict"] = True
        if kind is Family.CLAUDE:
            spec["inputSchema"] = {"json": closed(tool.parameters)}
    return {"toolSpec": spec}


def _hosted(asked: Asked, tool: Hosted, kind: Family) -> list[Json]:
    if not _WEB_SEARCH.fullmatch(tool.kind) or kind not in (Family.NOVA, Family.NOVA_2):
        asked.refuse(f"{tool.where}.type", f"at Bedrock, {asked.model} has no {tool.kind[:80]!r} tool")
        return []
    for name, harmless in _SETTINGS.items():
        if tool.json.get(name) not in harmless:
            asked.refuse(f"{tool.where}.{name}", f"{SEARCH} has no such setting")
    return [{"systemTool": {"name": SEARCH}}]


_SETTINGS: Final[Mapping[str, tuple[Json, ...]]] = {
    "filters": (None, {}),
    "user_location": (None,),
    "search_context_size": (None, "medium"),
    "external_web_access": (None, True),
}
"""Settings of OpenAI's web search, with the values that ask for nothing."""


def _forced(asked: Asked, choice: Choice | None, wires: Mapping[str, str], unforced: str | None) -> JsonObject | None:
    """toolConfig.toolChoice; None where the model decides."""
    if choice is None or choice.mode != "required":
        return None
    if unforced is not None:
        asked.note("tool_choice", unforced)
        return None
    if len(choice.names) == 1 and not choice.hosted:
        return {"tool": {"name": wires[choice.names[0]]}}
    return {"any": {}}


def _single(asked: Asked, kind: Family) -> bool:
    """Whether at most one tool is to be called in a turn."""
    given = asked.get("parallel_tool_calls")
    if given not in (None, True, False):
        raise wrong("parallel_tool_calls", "must be a boolean")
    if given is False and kind is not Family.CLAUDE:
        asked.refuse("parallel_tool_calls", f"{asked.model} can't be told to call one tool at a time")
        return False
    return given is False
