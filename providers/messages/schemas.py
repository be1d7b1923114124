"""JSON Schemas as Claude keeps to them strictly: every object closed, what it can't enforce said in words.

As Anthropic's own client does it (anthropic-python 2.12, lib/_parse/_transform.py), so that the same schema works here.
"""

from __future__ import annotations

from typing import Final

from providers import jsonio
from providers.types import Json, JsonObject

_KEPT: Final = frozenset(
    {"type", "properties", "required", "items", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "definitions"}
    | {"description", "title", "$schema", "$id"}
)
_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_NAMED: Final = frozenset({"properties", "$defs", "definitions"})
_LISTS: Final = frozenset({"anyOf", "allOf"})


def closed(schema: JsonObject) -> JsonObject:
    """A copy of `schema` that is taken where strictness is asked for."""
    said: JsonObject = {}
    rest: JsonObject = {}
    for name, value in schema.items():
        name = "anyOf" if name == "oneOf" and "anyOf" not in schema else name
        if name == "type" and ("enum" in schema or "const" in schema):
            continue  # the values tell it, null among them
        if name in _KEPT or _allowed(name, value, schema):
            said[name] = _inner(name, value)
        elif name != "additionalProperties":
            rest[name] = value
    if schema.get("type") == "object" or "properties" in schema:
        said["additionalProperties"] = False
    if rest and "$ref" not in schema:
        words = ", ".join(f"{name}: {jsonio.dumps(value).decode()}" for name, value in rest.items())
        before = said.get("description")
        said["description"] = f"{before}\n\n{{{words}}}" if before else f"{{{words}}}"
    return said


def _allowed(name: str, value: Json, schema: JsonObject) -> bool:
    if name == "format":
        return schema.get("type") == "string" and value in _FORMATS
    return name == "minItems" and value in (0, 1)


def _inner(name: str, value: Json) -> Json:
    if name in _NAMED and isinstance(value, dict):
        return {key: closed(each) if isinstance(each, dict) else each for key, each in value.items()}
    if name in _LISTS and isinstance(value, list):
        return [closed(each) if isinstance(each, dict) else each for each in value]
    return closed(value) if name == "items" and isinstance(value, dict) else value
