"""The configuration as JSON Schema, for editors."""

from __future__ import annotations

import re
from typing import cast

from pydantic.json_schema import models_json_schema

from providers.types import Json, JsonObject
from router.config.entry import Entry, Info, Params
from router.config.plain import REFERENCE
from router.config.settings import RouterSettings
from router.config.strict import Strict
from router.config.targets import RetryPolicy

REF = "#/$defs/{model}"
_REFERENCE: JsonObject = {"type": "string", "pattern": f"^{re.escape(REFERENCE)}"}
"""A reference to an environment variable may stand for any scalar."""

_SCALARS: tuple[Json, ...] = ("integer", "number", "boolean")


def json_schema() -> JsonObject:
    """JSON Schema (2020-12) of `{"model_list": […], "router_settings": {…}}`."""
    _, both = models_json_schema([(Entry, "validation"), (RouterSettings, "validation")], ref_template=REF)
    definitions = cast("dict[str, JsonObject]", both["$defs"])
    for model in (Entry, Params, Info, RetryPolicy, RouterSettings):
        definitions[model.__name__] = complete(definitions[model.__name__], model)
    definitions["Info"]["additionalProperties"] = True
    definitions["DefaultParams"] = _without_model(definitions["Params"])
    settings = cast("dict[str, Json]", definitions["RouterSettings"]["properties"])
    plain = cast("JsonObject", settings["default_litellm_params"])
    default_params: JsonObject = {"$ref": REF.format(model="DefaultParams"), "description": plain["description"]}
    settings |= {"default_litellm_params": default_params, "default_params": default_params}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of Homing Router",
        "type": "object",
        "properties": {
            "model_list": {"type": "array", "items": {"$ref": REF.format(model="Entry")}},
            "router_settings": {"$ref": REF.format(model="RouterSettings")},
        },
        "additionalProperties": False,
        "$defs": cast("Json", definitions),
    }


def complete(schema: JsonObject, model: type[Strict]) -> JsonObject:
    """Add what the models' own schema can't say: synonyms, and references to the environment."""
    properties = {
        name: _referable(cast("JsonObject", it)) for name, it in cast("JsonObject", schema["properties"]).items()
    }
    properties |= {written: properties[name] for written, name in model.synonyms.items()}
    schema = schema | {"properties": cast("Json", properties)}
    if model is Entry:  # `params` will do for `litellm_params`
        required: list[Json] = [{"required": [name]} for name in ("litellm_params", "params")]
        schema = schema | {"required": ["model_name"], "oneOf": required}
    return schema


def _referable(schema: JsonObject) -> JsonObject:
    choices = schema.get("anyOf")
    options = cast("list[JsonObject]", choices) if isinstance(choices, list) else [schema]
    if not any(option.get("type") in _SCALARS for option in options):
        return schema
    outer = {name: value for name, value in schema.items() if name in ("title", "description", "default")}
    inner: list[Json] = [{name: value for name, value in option.items() if name not in outer} for option in options]
    return {**outer, "anyOf": [*inner, _REFERENCE]}


def _without_model(schema: JsonObject) -> JsonObject:
    properties = cast("JsonObject", schema["properties"])
    kept: JsonObject = {name: value for name, value in properties.items() if name != "model"}
    bare: JsonObject = {name: value for name, value in schema.items() if name != "required"}
    bare["properties"] = kept
    return bare
