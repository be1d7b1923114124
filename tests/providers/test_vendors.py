"""The table of vendors: where each is, and what it needs to be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from pydantic import SecretStr

from providers.catalog import ALIASES, VENDORS, provider_of
from providers.chat_completions.translator import ChatCompletions
from providers.converse.provider import Converse
from providers.generate_content.translator import GenerateContent
from providers.messages.provider import Messages
from providers.models import resolve
from providers.openai import OpenAI
from providers.types import Call, Deployment, Dialect

every_vendor = pytest.mark.parametrize("name", VENDORS)


@every_vendor
def test_each_stands_under_its_name(name: str) -> None:
    vendor = VENDORS[name]
    assert vendor.name == name
    assert all(name in repr(provider) for provider in vendor.dialects.values())
    assert all(env.isupper() for env in (*vendor.key_env, *vendor.token_env, *vendor.base_env, *vendor.version_env))
    assert vendor.key_env or vendor.login.finds_credentials
    assert vendor.base_env


@every_vendor
def test_its_usual_dialect_is_that_of_a_model_nobody_knows(name: str) -> None:
    vendor = VENDORS[name]
    usual = next(iter(vendor.dialects))
    assert vendor.provider is vendor.dialects[usual]
    base = "https://res.openai.azure.com" if name == "azure_ai" else None
    found = resolve(vendor.rule, vendor.dialects, "gemini-of-2031" if name == "vertex_ai" else "a-model-of-2031", base)
    assert found.dialect is usual


@every_vendor
def test_what_translates_is_its_dialect_s(name: str) -> None:
    vendor = VENDORS[name]
    for dialect, provider in vendor.dialects.items():
        deployment = Deployment("a", "g", name, "m", dialect)
        assert provider_of(deployment) is provider
        assert provider_of(deployment) is provider, "from memory"
        assert isinstance(provider, KINDS[dialect])


KINDS: Mapping[Dialect, type] = {
    Dialect.RESPONSES: OpenAI,
    Dialect.CHAT_COMPLETIONS: ChatCompletions,
    Dialect.CONVERSE: Converse,
    Dialect.MESSAGES: Messages,
    Dialect.GENERATE_CONTENT: GenerateContent,
}


def test_synonyms_stand_for_vendors() -> None:
    assert set(ALIASES.values()) <= VENDORS.keys()
    assert not ALIASES.keys() & VENDORS.keys()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai", "https://api.openai.com/v1/responses"),
        ("openrouter", "https://openrouter.ai/api/v1/responses"),
        ("xai", "https://api.x.ai/v1/responses"),
        ("fireworks_ai", "https://api.fireworks.ai/inference/v1/responses"),
        ("groq", "https://api.groq.com/openai/v1/chat/completions"),
        ("mistral", "https://api.mistral.ai/v1/chat/completions"),
        ("deepseek", "https://api.deepseek.com/beta/chat/completions"),
        ("together_ai", "https://api.together.ai/v1/chat/completions"),
        ("cerebras", "https://api.cerebras.ai/v1/chat/completions"),
        ("perplexity", "https://api.perplexity.ai/chat/completions"),
        ("nvidia_nim", "https://integrate.api.nvidia.com/v1/chat/completions"),
        ("ollama", "http://localhost:11434/v1/chat/completions"),
    ],
)
def test_those_with_an_address_of_their_own(name: str, expected: str) -> None:
    vendor = VENDORS[name]
    deployment = Deployment("a", "g", name, "m", api_key=SecretStr("k"))
    assert not vendor.base_required
    call = Call("g", body={"input": "hi"})
    request = vendor.provider.encode(call, deployment, None)
    assert (request.url, request.headers["authorization"]) == (expected, "Bearer k")
    tail = expected[expected.rindex("/responses" if expected.endswith("responses") else "/chat") :]
    moved = replace(deployment, api_base="https://gate/v1")
    assert vendor.provider.encode(call, moved, None).url == f"https://gate/v1{tail}"


def test_those_that_must_be_told_where() -> None:
    assert {name for name, vendor in VENDORS.items() if vendor.base_required} == {
        "azure",
        "azure_ai",
        "hosted_vllm",
        "litellm_proxy",
        "openai_compatible",
    }


def test_only_a_server_of_one_s_own_needs_no_key() -> None:
    free = {name for name, vendor in VENDORS.items() if not vendor.key_required and not vendor.login.finds_credentials}
    assert free == {"hosted_vllm", "ollama", "openai_compatible"}


def test_names_of_keys() -> None:
    keys = {name: vendor.key_env for name, vendor in VENDORS.items()}
    assert keys["openai"] == ("OPENAI_API_KEY",)
    assert keys["azure"] == ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY")
    assert keys["fireworks_ai"] == ("FIREWORKS_AI_API_KEY", "FIREWORKS_API_KEY")
    assert keys["xai"] == ("XAI_API_KEY",)
