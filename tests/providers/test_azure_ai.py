"""Azure AI Foundry: one address at Azure's hosts, the given one elsewhere."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from providers.azure_ai import AzureAI
from providers.types import Call, Deployment, HttpRequest, Verb

FOUNDRY = "https://res.services.ai.azure.com"
PROJECT = f"{FOUNDRY}/api/projects/p"
KEY, BEARER = ("api-key", "k"), ("authorization", "Bearer k")


def request(base: str, call: Call | None = None, token: str | None = None) -> HttpRequest:
    key = None if token else SecretStr("k")
    source = (lambda: "unused") if token else None
    deployment = Deployment("east", "gpt", "azure_ai", "m", api_base=base, api_key=key, token_source=source)
    return AzureAI("azure_ai").encode(call or Call("gpt"), deployment, token)


@pytest.mark.parametrize(
    ("base", "expected", "who"),
    [
        (FOUNDRY, f"{FOUNDRY}/openai/v1/responses", KEY),
        (f"{FOUNDRY}/models", f"{FOUNDRY}/openai/v1/responses", KEY),
        (f"{FOUNDRY}/models/chat/completions?api-version=1", f"{FOUNDRY}/openai/v1/responses", KEY),
        (f"{FOUNDRY}/openai/v1/responses", f"{FOUNDRY}/openai/v1/responses", KEY),
        ("https://res.openai.azure.com/x", "https://res.openai.azure.com/openai/v1/responses", KEY),
        ("https://RES.OpenAI.Azure.com", "https://RES.OpenAI.Azure.com/openai/v1/responses", KEY),
        ("https://r.cognitiveservices.azure.com", "https://r.cognitiveservices.azure.com/openai/v1/responses", KEY),
        (PROJECT, f"{PROJECT}/openai/v1/responses", BEARER),
        (f"{PROJECT}/", f"{PROJECT}/openai/v1/responses", BEARER),
        (f"{PROJECT}/openai/v1/responses", f"{PROJECT}/openai/v1/responses", BEARER),
        ("https://gate/v1", "https://gate/v1/responses", BEARER),
        ("https://gate/v1/responses?a=1", "https://gate/v1/responses?a=1", BEARER),
        ("https://gate/api/projects/p", "https://gate/api/projects/p/responses", BEARER),
        ("https://services.ai.azure.com.evil.example", "https://services.ai.azure.com.evil.example/responses", BEARER),
        ("no-host", "no-host/responses", BEARER),
    ],
)
def test_the_address_and_who_calls(base: str, expected: str, who: tuple[str, str]) -> None:
    for each in (base, expected):
        found = request(each)
        assert found.url == expected
        assert [(name, value) for name, value in found.headers.items() if name in ("api-key", "authorization")] == [who]


@pytest.mark.parametrize("base", [FOUNDRY, PROJECT, "https://gate/v1"])
def test_a_token_is_a_bearer_s_everywhere(base: str) -> None:
    headers = request(base, token="t").headers
    assert headers["authorization"] == "Bearer t"
    assert "api-key" not in headers


def test_ids_and_queries() -> None:
    call = Call("gpt", Verb.GET, response_id="r", query={"stream": True})
    assert request(PROJECT, call).url == f"{PROJECT}/openai/v1/responses/r?stream=true"
