"""Tools that the caller runs, and which of them may or must be called, in nobody's dialect."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from providers.translation.asked import Asked, wrong
from providers.types import Json, JsonObject

INPUT: Final = "input"
"""The one parameter of the function that stands for a custom tool."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function the model may call."""

    name: str
    """The caller's name for it."""
    wire: str
    """Its name on the wire."""
    description: str
    parameters: JsonObject
    """JSON Schema; always of an object."""
    where: str
    strict: bool | None = None
    custom: bool = False
    """Whether it stands for a custom tool, whose input is free text."""
    cache: Json = None
    """The `cache_control` mark that the tool bore."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """A tool that the vendor would run."""

    kind: str
    """`web_search`, `code_interpreter`, …"""
    json: JsonObject
    where: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What `tool_choice` says."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()
    """The functions it is limited to, by the caller's names; empty: all."""
    hosted: tuple[str, ...] = ()
    """Kinds of hosted tools it is limited to."""


Tool: TypeAlias = Function | Hosted


@dataclass(frozen=True, slots=True)
class Naming:
    """What a dialect takes for the name of a function."""

    foreign: re.Pattern[str]
    """Matches a character that it does not take."""
    longest: int


def tools_of(asked: Asked, naming: Naming) -> list[Tool]:
    """The tools of a call, in order. Raises `UnsupportedParamsError` for what is none."""
    given = asked.get("tools")
    if given is None:
        return []
    if not isinstance(given, list):
        raise wrong("tools", "must be a list")
    tools: list[Tool] = []
    wires: dict[str, str] = {}
    for place, tool in enumerate(given):
        where = f"tools[{place}]"
        if not isinstance(tool, dict):
            raise wrong(where, "must be an object")
        kind = tool.get("type")
        if kind in ("function", "custom"):
            tools.append(_function(tool, where, naming, wires))
        else:
            tools.append(Hosted(str(kind), tool, where))
    return tools


def _function(tool: JsonObject, where: str, naming: Naming, wires: dict[str, str]) -> Function:
    inner = tool.get("function")
    body = inner if isinstance(inner, dict) else tool
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise wrong(f"{where}.name", "must be a string that is not empty")
    custom = tool.get("type") == "custom"
    description = body.get("description")
    text = description if isinstance(description, str) else ""
    strict, parameters = body.get("strict"), body.get("parameters")
    return Function(
        name=name,
        wire=wire_name(name, naming, wires),
        description=_with_grammar(text, tool.get("format")) if custom else text,
        parameters=_FREE_TEXT if custom else _object(parameters),
        where=where,
        strict=strict if isinstance(strict, bool) and not custom else None,
        custom=custom,
        cache=tool.get("cache_control"),
    )


_FREE_TEXT: Final[JsonObject] = {
    "type": "object",
    "properties": {INPUT: {"type": "string"}},
    "required": [INPUT],
    "additionalProperties": False,
}


def _object(schema: Json) -> JsonObject:
    """A function without parameters takes an object without properties."""
    if not isinstance(schema, dict) or not schema:
        return {"type": "object", "properties": {}}
    return schema if "type" in schema else {"type": "object", **schema}


def _with_grammar(description: str, form: Json) -> str:
    """No other vendor binds a model to a grammar, so it is told of it."""
    if not isinstance(form, dict) or not isinstance(form.get("definition"), str):
        return description
    grammar = f"The input must follow this {form.get('syntax', '')} grammar:\n{form['definition']}"
    return f"{description}\n\n{grammar}" if description else grammar


def wire_name(name: str, naming: Naming, taken: dict[str, str]) -> str:
    """`name` as the dialect takes it; the same each time for the same name, and no two names become one.

    `taken`, from names on the wire to the caller's, is added to.
    """
    stem = wire = naming.foreign.sub("_", name)
    salt = name.encode("utf-8", "surrogatepass")
    changed = wire != name or len(wire) > naming.longest
    while changed or taken.get(wire, name) != name:
        digest = hashlib.sha256(salt).hexdigest()[:8]
        wire = f"{stem[: naming.longest - 9]}_{digest}"
        changed, salt = False, salt + b"+"
    taken[wire] = name
    return wire


def functions(tools: Iterable[Tool]) -> list[Function]:
    """The functions among `tools`."""
    return [tool for tool in tools if isinstance(tool, Function)]


def choice_of(asked: Asked, tools: Iterable[Tool]) -> Choice | None:
    """What `tool_choice` says, in whichever form; None if it says nothing.

    Raises `UnsupportedParamsError` for what is no choice, and for a function that is not among `tools`.
    """
    given = asked.get("tool_choice")
    if given is None:
        return None
    if given in ("auto", "none", "required"):
        return Choice(given)  # type: ignore[arg-type]  # it has just been compared
    if given == "any":
        return Choice("required")
    if not isinstance(given, dict):
        raise wrong("tool_choice", "must be auto, none, required or an object")
    kind = given.get("type")
    if kind == "allowed_tools":
        listed, mode = given.get("tools"), given.get("mode")
        if not isinstance(listed, list) or not listed or mode not in ("auto", "required"):
            raise wrong("tool_choice", "allowed_tools needs mode (auto or required) and tools")
        return _limited("auto" if mode == "auto" else "required", listed, "tool_choice.tools", tools)
    if kind in ("any", "tool", "required") and "name" not in given:
        return Choice("required")
    if kind in ("auto", "none"):
        return Choice("auto" if kind == "auto" else "none")
    return _limited("required", [given], "tool_choice", tools)


def _limited(mode: Literal["auto", "required"], listed: list[Json], where: str, tools: Iterable[Tool]) -> Choice:
    known = {tool.name for tool in functions(tools)}
    names: list[str] = []
    hosted: list[str] = []
    for each in listed:
        if not isinstance(each, dict):
            raise wrong(where, "must name tools by objects")
        inner = each.get("function")
        name = inner.get("name") if isinstance(inner, dict) else each.get("name")
        if each.get("type") not in ("function", "custom", "tool"):
            hosted.append(str(each.get("type")))
        elif isinstance(name, str) and name in known:
            names.append(name)
        else:
            raise wrong(where, f"there is no function {name!r} in tools")
    return Choice(mode, tuple(names), tuple(hosted))
