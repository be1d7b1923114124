"""A value that satisfies a JSON schema, for tool arguments and structured output."""

from __future__ import annotations

from typing import cast

from providers.types import Json, JsonObject

_DEPTH = 12  # recursive schemas end here

_PLAIN: dict[str, Json] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None}


def sample(schema: Json) -> Json:
    """One plain value for `schema`: the first of alternatives, every property, one element of an array."""
    return _sample(schema, schema, 0)


def _sample(schema: Json, root: Json, depth: int) -> Json:
    if not isinstance(schema, dict) or depth > _DEPTH:
        return None
    if "const" in schema:
        return schema["const"]
    for key in ("enum", "anyOf", "oneOf", "allOf"):
        choices = schema.get(key)
        if isinstance(choices, list) and choices:
            return choices[0] if key == "enum" else _sample(choices[0], root, depth + 1)
    if isinstance(reference := schema.get("$ref"), str):
        return _sample(_resolve(reference, root), root, depth + 1)
    return _typed(schema, root, depth)


def _typed(schema: JsonObject, root: Json, depth: int) -> Json:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    properties = schema.get("properties")
    if kind == "object" or isinstance(properties, dict):
        named = cast("JsonObject", properties if isinstance(properties, dict) else {})
        return {name: _sample(child, root, depth + 1) for name, child in named.items()}
    if kind == "array":
        return [_sample(schema.get("items"), root, depth + 1)] if "items" in schema else []
    return _PLAIN.get(str(kind))


def _resolve(reference: str, root: Json) -> Json:
    found = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step) if isinstance(found, dict) else None
    return found
