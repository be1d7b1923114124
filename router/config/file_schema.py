"""A proxy's file as JSON Schema, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic.json_schema import models_json_schema

from providers.types import Json, JsonObject
from router.config.file import ROUTING
from router.config.foreign import GENERAL_IGNORED, LITELLM_IGNORED
from router.config.general import GeneralSettings
from router.config.keys import ConfiguredKey
from router.config.proxy_file import BUILT_IN, CALLBACKS, GENERAL_ROUTING
from router.config.schema import REF, complete, json_schema


def file_schema() -> JsonObject:
    """JSON Schema (2020-12) of a proxy's whole file."""
    schema = json_schema()
    definitions = cast("dict[str, JsonObject]", schema["$defs"])
    settings = cast("JsonObject", definitions["RouterSettings"]["properties"])
    _, own = models_json_schema([(GeneralSettings, "validation")], ref_template=REF)
    ours = cast("dict[str, JsonObject]", own["$defs"])
    general = complete(ours["GeneralSettings"], GeneralSettings)
    definitions["ConfiguredKey"] = complete(ours["ConfiguredKey"], ConfiguredKey)
    known = cast("JsonObject", general["properties"]) | _moved(GENERAL_ROUTING, settings) | _ignored(GENERAL_IGNORED)
    names: JsonObject = {"examples": cast("Json", sorted(BUILT_IN)), "type": "string"}
    several: JsonObject = {"anyOf": [names, {"type": "array", "items": names}, {"type": "null"}]}
    callbacks: JsonObject = dict.fromkeys(CALLBACKS, several)
    litellm = _moved(ROUTING, settings) | callbacks | _ignored(LITELLM_IGNORED)
    general["properties"] = known
    sections: JsonObject = {
        "general_settings": general,
        "litellm_settings": {"type": "object", "properties": litellm, "additionalProperties": False},
        "environment_variables": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
        "include": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    }
    schema["properties"] = cast("JsonObject", schema["properties"]) | sections
    return schema


def _moved(names: Mapping[str, str], settings: JsonObject) -> JsonObject:
    """Settings of the Router's that another section may hold."""
    return {written: settings[setting] for written, setting in names.items()}


def _ignored(names: Mapping[str, str]) -> JsonObject:
    return {name: {"deprecated": True, "description": f"Has no effect: {why}."} for name, why in names.items()}
