"""The JSON Schema says the same as the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from providers.errors import ConfigurationError
from router.config import json_schema, load
from router.config.entry import Body

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of the schema."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(child)


def fits(schema: Any, value: Any, root: dict[str, Any]) -> bool:
    """Validation by the keywords that the schema uses."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")] | {
            k: v for k, v in schema.items() if k != "$ref"
        }
    kinds = schema.get("type", [])
    return (
        (not kinds or any(_is(kind, value) for kind in ([kinds] if isinstance(kinds, str) else kinds)))
        and ("anyOf" not in schema or any(fits(each, value, root) for each in schema["anyOf"]))
        and ("oneOf" not in schema or sum(fits(each, value, root) for each in schema["oneOf"]) == 1)
        and ("enum" not in schema or value in schema["enum"])
        and (not isinstance(value, dict) or _fits_object(schema, value, root))
        and (not isinstance(value, list) or all(fits(schema.get("items", {}), each, root) for each in value))
        and (not isinstance(value, list) or len(value) >= schema.get("minItems", 0))
        and (not isinstance(value, str) or _fits_text(schema, value))
        and (not isinstance(value, int | float) or isinstance(value, bool) or _fits_number(schema, value))
    )


def _is(kind: str, value: Any) -> bool:
    if kind in ("integer", "number"):
        return isinstance(value, int if kind == "integer" else int | float) and not isinstance(value, bool)
    return isinstance(value, TYPES[kind])


def _fits_object(schema: dict[str, Any], value: dict[str, Any], root: dict[str, Any]) -> bool:
    known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    return all(name in value for name in schema.get("required", ())) and all(
        fits(known[name], each, root) if name in known else rest is True or (rest and fits(rest, each, root))
        for name, each in value.items()
    )


def _fits_text(schema: dict[str, Any], value: str) -> bool:
    long_enough = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    return long_enough and bool(re.search(schema.get("pattern", ""), value))


def _fits_number(schema: dict[str, Any], value: float) -> bool:
    low, above, high = (schema.get(name) for name in ("minimum", "exclusiveMinimum", "maximum"))
    return (low is None or value >= low) and (above is None or value > above) and (high is None or value <= high)


AZURE = {
    "model_name": "azure-gpt4-turbo",
    "litellm_params": {
        "model": "azure/gpt-4-turbo",
        "api_key": "…",
        "api_version": "2024-06-01",
        "api_base": "https://endpoint1.openai.azure.com",
    },
}
PARAMS: dict[str, Any] = {"model": "gpt-4o", "api_key": "k"}


def test_it_is_a_schema() -> None:
    schema = json_schema()
    json.dumps(schema, allow_nan=False)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    definitions: Any = schema["$defs"]
    for node in walk(schema):
        if isinstance(node.get("$ref"), str):
            assert node["$ref"].removeprefix("#/$defs/") in definitions
        assert not {"ge", "gt", "le"} & node.keys()  # what pydantic writes where it can't express a bound


def test_each_call_gives_a_new_one() -> None:
    json_schema()["properties"] = None
    assert json_schema()["properties"]


@pytest.mark.parametrize("model", ["RouterSettings", "Params", "Info"])
def test_every_field_is_explained(model: str) -> None:
    definitions: Any = json_schema()["$defs"]
    unexplained = {name for name, node in definitions[model]["properties"].items() if "description" not in node}
    assert unexplained <= Body.model_fields.keys()  # the protocol explains those


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"model_list": [AZURE], "router_settings": {"optional_pre_call_checks": ["responses_api_deployment_check"]}},
    {"model_list": [{"model_name": "g", "params": PARAMS | {"base_url": "http://x", "max_retries": 1, "tags": ["a"]}}]},
    {"model_list": [{"model_name": "g", "params": PARAMS | {"rpm": "os.environ/RPM", "tools": [{}], "store": True}}]},
    {"model_list": [{"model_name": "g", "params": PARAMS, "model_info": {"id": "x", "mode": "responses", "rpm": 4}}]},
    {"model_list": [{"model_name": "g", "params": PARAMS | {"ssl_verify": False, "weight": 0.5, "api_key": None}}]},
    {"router_settings": {"fallbacks": [{"a": ["b", {"model": "c", "temperature": 1}]}], "timeout": 5.5}},
    {"router_settings": {"fallbacks": {"a": ["b"]}, "on_all_down": "wait", "num_retries": "os.environ/N"}},
    {"router_settings": {"model_group_alias": {"a": "b", "c": {"model": "b", "hidden": True}}}},
    {"router_settings": {"retry_policy": {"TimeoutErrorRetries": 1}, "default_params": {"timeout": 4}}},
    {"router_settings": {"routing_groups": [{"models": ["a"], "routing_strategy": "latency"}], "redis_port": 6379}},
    {"model_list": [{"model_name": "g", "params": PARAMS | {"health_check": "call"}}]},
    {"router_settings": {"health_checks": "models"}},
    {"router_settings": {"background_health_checks": True}},
]
REFUSED: list[dict[str, Any]] = [
    {"models": []},
    {"model_list": [{"model_name": "g"}]},
    {"model_list": [{"model_name": "g", "params": {}}]},
    {"model_list": [{"model_name": "", "params": PARAMS}]},
    {"model_list": [{"model_name": "g", "params": PARAMS, "litellm_params": PARAMS}]},
    {"model_list": [{"model_name": "g", "params": PARAMS | {"api_bse": "x"}}]},
    {"model_list": [{"model_name": "g", "params": PARAMS | {"rpm": 0}}]},
    {"model_list": [{"model_name": "g", "params": PARAMS | {"timeout": 0}}]},
    {"model_list": [{"model_name": "g", "params": PARAMS, "model_info": {"rpm": 0}}]},
    {"router_settings": {"num_retires": 1}},
    {"router_settings": {"num_retries": -1}},
    {"router_settings": {"on_all_down": "panic"}},
    {"router_settings": {"fallbacks": [{"a": "b"}]}},
    {"router_settings": {"model_group_alias": {"a": {"modl": "b"}}}},
    {"router_settings": {"retry_policy": {"DefaultRetries": 1}}},
    {"router_settings": {"routing_groups": [{"models": [], "routing_strategy": "x"}]}},
    {"router_settings": {"default_litellm_params": {"model": "x"}}},
    {"router_settings": {"redis_port": 70_000}},
    {"router_settings": {"health_checks": "on"}},
]


@pytest.mark.parametrize("config", ACCEPTED)
def test_schema_and_code_accept(config: dict[str, Any]) -> None:
    schema = json_schema()
    assert fits(schema, config, schema)
    load(config.get("model_list", []), _connected(config), environ={"RPM": "1", "N": "2", "OPENAI_API_KEY": "k"})


@pytest.mark.parametrize("config", REFUSED)
def test_schema_and_code_refuse(config: dict[str, Any]) -> None:
    schema = json_schema()
    assert not fits(schema, config, schema)
    if config.keys() <= {"model_list", "router_settings"}:
        with pytest.raises(ConfigurationError):
            load(config.get("model_list", []), _connected(config), environ={})


def _connected(config: dict[str, Any]) -> dict[str, Any]:
    """A port means nothing without a host."""
    settings: dict[str, Any] = config.get("router_settings", {})
    return settings | ({"redis_host": "h"} if "redis_port" in settings else {})
