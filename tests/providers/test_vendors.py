"""The table of vendors: where each is, and what it needs to be told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr

from providers.catalog import VENDORS
from providers.types import Call, Deployment

every_vendor = pytest.mark.parametrize("name", VENDORS)


@every_vendor
def test_each_stands_under_its_name(name: str) -> None:
    vendor = VENDORS[name]
    assert vendor.name == name
    assert name in repr(vendor.provider)
    assert all(env.isupper() for env in (*vendor.key_env, *vendor.base_env, *vendor.version_env))
    assert vendor.key_env
    assert vendor.base_env


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai", "https://api.openai.com/v1/responses"),
        ("openrouter", "https://openrouter.ai/api/v1/responses"),
        ("xai", "https://api.x.ai/v1/responses"),
        ("fireworks_ai", "https://api.fireworks.ai/inference/v1/responses"),
    ],
)
def test_those_with_an_address_of_their_own(name: str, expected: str) -> None:
    vendor = VENDORS[name]
    deployment = Deployment("a", "g", name, "m", api_key=SecretStr("k"))
    assert not vendor.base_required
    request = vendor.provider.encode(Call("g"), deployment, None)
    assert (request.url, request.headers["authorization"]) == (expected, "Bearer k")
    moved = replace(deployment, api_base="https://gate/v1")
    assert vendor.provider.encode(Call("g"), moved, None).url == "https://gate/v1/responses"


def test_those_that_must_be_told_where() -> None:
    assert {name for name, vendor in VENDORS.items() if vendor.base_required} == {
        "azure",
        "azure_ai",
        "hosted_vllm",
        "litellm_proxy",
    }


def test_only_a_server_of_one_s_own_needs_no_key() -> None:
    assert [name for name, vendor in VENDORS.items() if not vendor.key_required] == ["hosted_vllm"]


def test_names_of_keys() -> None:
    keys = {name: vendor.key_env for name, vendor in VENDORS.items()}
    assert keys["openai"] == ("OPENAI_API_KEY",)
    assert keys["azure"] == ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY")
    assert keys["fireworks_ai"] == ("FIREWORKS_AI_API_KEY", "FIREWORKS_API_KEY")
    assert keys["xai"] == ("XAI_API_KEY",)
