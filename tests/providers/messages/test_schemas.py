"""Schemas as Claude keeps to them."""

from __future__ import annotations

import json
from typing import Any

import pydantic
import pytest
from anthropic import transform_schema

from providers.messages.schemas import closed


class Address(pydantic.BaseModel):
    """Where somebody lives."""

    city: str = pydantic.Field(min_length=1, description="The town")
    kind: str = pydantic.Field(json_schema_extra={"enum": ["home", "work"]})


class Person(pydantic.BaseModel):
    """Somebody."""

    name: str
    born: str | None = pydantic.Field(default=None, json_schema_extra={"format": "date"})
    tags: list[str] = pydantic.Field(min_length=1, max_length=3)
    age: int = pydantic.Field(ge=0, lt=150)
    addresses: list[Address]


def shape(schema: Any) -> Any:
    """Without descriptions, in which the words may differ."""
    if isinstance(schema, dict):
        return {name: shape(value) for name, value in schema.items() if name != "description"}
    return [shape(item) for item in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("model", [Person, Address])
def test_as_anthropics_own_client_does_it(model: type[pydantic.BaseModel]) -> None:
    schema = model.model_json_schema()
    before = json.dumps(schema)
    assert shape(closed(schema)) == shape(transform_schema(schema))
    assert json.dumps(schema) == before, "the caller's schema was changed"


def test_what_it_cant_enforce_is_said() -> None:
    assert closed({"type": "integer", "minimum": 1, "maximum": 10, "description": "A number"}) == {
        "type": "integer",
        "description": "A number\n\n{minimum: 1, maximum: 10}",
    }
    assert closed({"type": "string", "format": "color"})["description"] == '{format: "color"}'
    assert closed({"type": "array", "minItems": 2, "items": {"type": "string"}})["description"] == "{minItems: 2}"


def test_every_object_is_closed_wherever_it_is() -> None:
    inner = {"type": "object", "properties": {}, "additionalProperties": True}
    shut = {"type": "object", "properties": {}, "additionalProperties": False}
    schema: Any = {
        "properties": {
            "a": inner,
            "b": {"oneOf": [inner, True]},
            "c": {"items": inner},
            "d": {"items": True},
            "e": True,
        },
        "$defs": {"x": inner},
        "allOf": [inner],
    }
    assert closed(schema) == {
        "properties": {"a": shut, "b": {"anyOf": [shut, True]}, "c": {"items": shut}, "d": {"items": True}, "e": True},
        "$defs": {"x": shut},
        "allOf": [shut],
        "additionalProperties": False,
    }


def test_references_stay_bare() -> None:
    assert closed({"$ref": "#/$defs/x", "default": None}) == {"$ref": "#/$defs/x"}


def test_what_is_no_schema_stays() -> None:
    assert closed({"anyOf": "odd", "properties": [], "items": [1]}) == {
        "anyOf": "odd",
        "properties": [],
        "items": [1],
        "additionalProperties": False,
    }
