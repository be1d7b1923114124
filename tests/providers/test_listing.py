"""Where each vendor lists its models, and the smallest call: what health checks ask for."""

import json
from typing import Any

import pytest

from providers.catalog import provider_of
from providers.probes import capture, ping
from providers.types import Deployment
from router.config import build_deployments

_AZURE = "https://r.openai.azure.com"
_FOUNDRY = "https://r.services.ai.azure.com"
_KEY = {"api_key": "k-1234567890"}


def built(model: str, **params: Any) -> Deployment:
    entry = {"model_name": "g*" if "*" in model else "g", "litellm_params": {"model": model, **_KEY, **params}}
    return build_deployments([entry], environ={})[0]


LISTS: list[tuple[str, dict[str, Any], str]] = [
    ("openai/gpt-5", {}, "https://api.openai.com/v1/models"),
    ("openai/gpt-5", {"api_base": "http://x:8000/v1/responses"}, "http://x:8000/v1/models"),
    ("openai/gpt-5", {"api_base": "http://x:8000"}, "http://x:8000/models"),
    ("openai/gpt-5", {"extra_query": {"tenant": "a b"}}, "https://api.openai.com/v1/models?tenant=a+b"),
    ("openai/gpt-5", {"dialect": "chat_completions"}, "https://api.openai.com/v1/models"),
    ("hosted_vllm/m", {"api_base": "http://x:8000"}, "http://x:8000/v1/models"),
    ("hosted_vllm/m", {"api_base": "http://x:8000", "dialect": "chat_completions"}, "http://x:8000/v1/models"),
    ("azure/d", {"api_base": _AZURE}, f"{_AZURE}/openai/v1/models?api-version=preview"),
    ("azure/d", {"api_base": f"{_AZURE}/openai/v1"}, f"{_AZURE}/openai/v1/models"),
    (
        "azure/d",
        {"api_base": "https://gateway/azure?api-version=2025-03-01-preview"},
        "https://gateway/azure/openai/models?api-version=2025-03-01-preview",
    ),
    (
        "azure/d",
        {"api_base": _AZURE, "api_version": "2024-10-21", "dialect": "chat_completions"},
        f"{_AZURE}/openai/models?api-version=2024-10-21",
    ),
    ("azure/d", {"api_base": _AZURE, "dialect": "chat_completions"}, f"{_AZURE}/openai/v1/models"),
    ("azure_ai/m", {"api_base": _FOUNDRY}, f"{_FOUNDRY}/openai/v1/models"),
    (
        "azure_ai/m",
        {"api_base": f"{_FOUNDRY}/api/projects/p", "dialect": "responses"},
        f"{_FOUNDRY}/api/projects/p/openai/v1/models",
    ),
    (
        "azure_ai/m",
        {"api_base": f"{_FOUNDRY}/models", "api_version": "2024-05-01-preview", "dialect": "chat_completions"},
        f"{_FOUNDRY}/models/info?api-version=2024-05-01-preview",
    ),
    ("anthropic/claude-opus-5", {}, "https://api.anthropic.com/v1/models"),
    ("anthropic/claude-opus-5", {"api_base": "http://x/v1/messages?api-version=1"}, "http://x/v1/models?api-version=1"),
    ("gemini/gemini-3-pro", {}, "https://generativelanguage.googleapis.com/v1beta/models"),
    ("gemini/tunedModels/mine", {}, "https://generativelanguage.googleapis.com/v1beta/models"),
    ("gemini/gemini-*", {}, "https://generativelanguage.googleapis.com/v1beta/models"),
    ("groq/llama", {}, "https://api.groq.com/openai/v1/models"),
    ("ollama/llama", {}, "http://localhost:11434/v1/models"),
    ("mistral/m", {"extra_query": {"a": "1"}}, "https://api.mistral.ai/v1/models?a=1"),
]


@pytest.mark.parametrize(("model", "params", "url"), LISTS)
def test_models_are_listed_beside_what_is_called(model: str, params: dict[str, Any], url: str) -> None:
    deployment = built(model, **params)
    request = provider_of(deployment).listing(deployment, None)
    assert request is not None
    assert (request.method, request.url, request.content) == ("GET", url, b"")
    assert "k-1234567890" in "".join(request.headers.values())
    assert "k-1234567890" not in request.url


NONE: list[tuple[str, dict[str, Any]]] = [
    ("bedrock/anthropic.claude-opus-5", {"aws_region_name": "eu-west-1"}),
    ("bedrock/openai.gpt-5", {"aws_region_name": "eu-west-1"}),
    ("vertex_ai/gemini-3-pro", {"vertex_project": "p"}),
    ("vertex_ai/claude-opus-5", {"vertex_project": "p"}),
    ("vertex_ai/meta/llama-5-maas", {"vertex_project": "p"}),
    ("vertex_ai/mistral-large", {"vertex_project": "p"}),
    ("azure_ai/claude-opus-5", {"api_base": _FOUNDRY}),
]


@pytest.mark.parametrize(("model", "params"), NONE)
def test_where_no_models_are_listed_there_is_nothing_to_ask_for(model: str, params: dict[str, Any]) -> None:
    deployment = built(model, **params)
    assert provider_of(deployment).listing(deployment, None) is None


def test_a_list_is_asked_for_as_a_call_is() -> None:
    """With the deployment's headers, the vendor's, and a token, if it has a source of them."""
    claude = built("anthropic/claude-opus-5", extra_headers={"X-Team": "blue", "anthropic-beta": "mine"})
    request = provider_of(claude).listing(claude, None)
    assert request is not None
    assert request.headers["x-team"] == "blue"
    assert request.headers["anthropic-version"]
    assert request.headers["x-api-key"] == "k-1234567890"
    azure = build_deployments(
        [
            {
                "model_name": "g",
                "litellm_params": {
                    "model": "azure/d",
                    "api_base": _AZURE,
                    "azure_ad_token_provider": lambda: "never asked here",
                },
            }
        ],
        environ={},
    )[0]
    request = provider_of(azure).listing(azure, "tok")
    assert request is not None
    assert request.headers["authorization"] == "Bearer tok"


def test_what_a_deployment_sends_with_its_calls_is_no_obstacle_to_a_list() -> None:
    deployment = built("anthropic/claude-opus-5", prompt={"id": "stored at OpenAI"}, extra_body={"x": 1})
    assert provider_of(deployment).listing(deployment, None) is not None


@pytest.mark.parametrize(
    ("model", "params", "least"),
    [
        ("openai/gpt-5", {}, 16),
        ("azure/d", {"api_base": _AZURE}, 16),
        ("openai/gpt-5", {"dialect": "chat_completions"}, 1),
        ("anthropic/claude-opus-5", {}, 1),
        ("gemini/gemini-3-pro", {}, 1),
        ("bedrock/amazon.nova-pro", {"aws_region_name": "eu-west-1"}, 1),
    ],
)
def test_the_smallest_call_asks_for_as_few_tokens_as_the_vendor_takes(
    model: str, params: dict[str, Any], least: int
) -> None:
    deployment = built(model, **params)
    call = ping(deployment)
    assert call is not None
    assert dict(call.body) == {"input": "ping", "max_output_tokens": least, "store": False}
    content = json.loads(provider_of(deployment).encode(call, deployment, None).content)
    assert least in _leaves(content)


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in _leaves(each)]
    return [leaf for each in value for leaf in _leaves(each)] if isinstance(value, list) else [value]


def test_the_smallest_call_leaves_nothing_running_in_the_background() -> None:
    deployment = built("openai/gpt-5", background=True)
    call = ping(deployment)
    assert call is not None
    body = json.loads(provider_of(deployment).encode(call, deployment, None).content)
    assert (body["background"], body["store"]) == (False, False)


def test_of_a_wildcard_s_models_one_must_be_named() -> None:
    assert ping(built("openai/*")) is None
    named = ping(built("openai/*", health_check_model="openai/gpt-5-nano"))
    assert named is not None
    assert named.wildcard == "gpt-5-nano"
    asked = ping(built("openai/gpt-*"), "5-mini")
    assert asked is not None
    assert asked.wildcard == "5-mini"


@pytest.mark.parametrize(
    ("model", "named", "expected"),
    [
        ("*", "openai/gpt-5", "gpt-5"),
        ("*", "gpt-5", "gpt-5"),
        ("gpt-*", "openai/gpt-5", "5"),
        ("gpt-*-mini", "gpt-5-mini", "5"),
        ("gpt-*", "o5", ""),
        ("*", "", ""),
    ],
)
def test_what_a_star_stands_for(model: str, named: str, expected: str) -> None:
    assert capture("openai", model, named) == expected
