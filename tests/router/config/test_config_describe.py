"""A deployment is shown as it was configured, without its secrets."""

from __future__ import annotations

import json
from typing import Any

from router.config import build_deployments, describe

PARAMS: dict[str, Any] = {
    "model": "azure/gpt-4o",
    "api_key": "sesame",
    "api_base": "https://h",
    "api_version": "preview",
    "extra_headers": {"X-Key": "sesame"},
    "extra_query": {"code": "sesame"},
    "extra_body": {"a": [1, {"b": None}]},
    "proxy": "http://u:sesame@proxy:1",
    "order": 2,
    "tags": ["b", "a"],
    "holds": ["vs_1", "file-1"],
    "rpm": 7,
    "temperature": 0.5,
    "reasoning": {"effort": "low"},
}


def shown(**changed: object) -> dict[str, Any]:
    raw = {
        "model_name": "g",
        "params": PARAMS | changed,
        "model_info": {"id": "x", "mode": "responses", "n": {"a": [1]}},
    }
    return describe(build_deployments([raw], environ={})[0])


def test_what_is_shown() -> None:
    assert shown() == {
        "model_name": "g",
        "litellm_params": {
            "model": "azure/gpt-4o",
            "dialect": "responses",
            "api_base": "https://h",
            "api_version": "preview",
            "rpm": 7,
            "order": 2,
            "tags": ["a", "b"],
            "holds": ["file-1", "vs_1"],
            "api_key": "***",
            "extra_headers": {"X-Key": "***"},
            "extra_query": {"code": "***"},
            "extra_body": {"a": [1, {"b": None}]},
            "temperature": 0.5,
            "reasoning": {"effort": "low"},
        },
        "model_info": {"id": "x", "mode": "responses", "n": {"a": [1]}},
    }
    assert "sesame" not in json.dumps(shown(api_key=None, azure_ad_token="sesame"))


def test_a_token_is_marked() -> None:
    params = shown(api_key=None, azure_ad_token="sesame")["litellm_params"]
    assert "api_key" not in params
    assert params["azure_ad_token_provider"] == "***"


def test_little_is_shown_of_little() -> None:
    raw = {"model_name": "g", "params": {"model": "gpt-4o", "api_base": "http://h"}}
    found = describe(build_deployments([raw], environ={})[0])
    assert found["litellm_params"] == {"model": "openai/gpt-4o", "dialect": "responses", "api_base": "http://h"}


def test_what_is_shown_can_be_changed_without_harm() -> None:
    raw = {"model_name": "g", "params": PARAMS, "model_info": {"n": {"a": [1]}}}
    (deployment,) = build_deployments([raw], environ={})
    first: Any = describe(deployment)
    first["litellm_params"]["extra_body"]["a"].append(1)
    first["litellm_params"]["reasoning"]["effort"] = "high"
    first["model_info"]["n"]["a"].append(2)
    assert describe(deployment)["model_info"] == {"id": deployment.id, "n": {"a": [1]}}
    assert deployment.extra_body == PARAMS["extra_body"]
    assert deployment.defaults["reasoning"] == {"effort": "low"}
