"""Azure OpenAI: the address for every base and version, and the header that says who calls."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from providers.azure import Azure
from providers.types import Call, Deployment, HttpRequest, Verb

HOST = "https://res.openai.azure.com"
V1, OLD = "/openai/v1/responses", "/openai/responses"


def request(base: str, version: str | None = None, call: Call | None = None, token: str | None = None) -> HttpRequest:
    key = None if token else SecretStr("k")
    source = (lambda: "unused") if token else None
    deployment = Deployment(
        "east", "gpt", "azure", "gpt-4", api_base=base, api_version=version, api_key=key, token_source=source
    )
    return Azure("azure").encode(call or Call("gpt"), deployment, token)


@pytest.mark.parametrize(
    ("base", "version", "expected"),
    [
        (HOST, None, f"{HOST}{V1}?api-version=preview"),
        (f"{HOST}/", None, f"{HOST}{V1}?api-version=preview"),
        (HOST, "", f"{HOST}{V1}?api-version=preview"),
        (HOST, "2024-06-01", f"{HOST}{V1}?api-version=preview"),
        (HOST, "2025-03-01-preview", f"{HOST}{OLD}?api-version=2025-03-01-preview"),
        (HOST, "2025-04-01-preview", f"{HOST}{OLD}?api-version=2025-04-01-preview"),
        (HOST, "2024-12-01-preview", f"{HOST}{V1}?api-version=preview"),
        (HOST, "preview", f"{HOST}{V1}?api-version=preview"),
        (HOST, "latest", f"{HOST}{V1}?api-version=latest"),
        (HOST, "v1", f"{HOST}{V1}?api-version=v1"),
        (f"{HOST}/openai", None, f"{HOST}{V1}?api-version=preview"),
        (f"{HOST}/openai/responses", "2025-03-01-preview", f"{HOST}{OLD}?api-version=2025-03-01-preview"),
        (f"{HOST}/openai/deployments/gpt-4", "2024-06-01", f"{HOST}{V1}?api-version=preview"),
        (f"{HOST}/openai/deployments/g/", "2025-03-01-preview", f"{HOST}{OLD}?api-version=2025-03-01-preview"),
        (f"{HOST}/openai/deployments/g/chat/completions", None, f"{HOST}{V1}?api-version=preview"),
        (f"{HOST}/openai/deployments/g/responses?api-version=v1", None, f"{HOST}{V1}?api-version=v1"),
        ("https://gate/a/openai/deployments/g", "latest", "https://gate/a/openai/v1/responses?api-version=latest"),
        (f"{HOST}/openai/v1", None, f"{HOST}{V1}"),
        (f"{HOST}/openai/v1/", None, f"{HOST}{V1}"),
        (f"{HOST}/openai/v1/responses", None, f"{HOST}{V1}"),
        (f"{HOST}/openai/v1", "2025-03-01-preview", f"{HOST}{V1}"),
        (f"{HOST}/openai/v1", "preview", f"{HOST}{V1}?api-version=preview"),
        (f"{HOST}?api-version=2025-03-01-preview", "v1", f"{HOST}{OLD}?api-version=2025-03-01-preview"),
        (f"{HOST}/openai/v1?api-version=latest", "preview", f"{HOST}{V1}?api-version=latest"),
        (f"{HOST}?api-version=&x=", "v1", f"{HOST}{V1}?x=&api-version=v1"),
        ("https://gate/azure", None, "https://gate/azure/openai/v1/responses?api-version=preview"),
        ("https://gate/azure/openai/v1", None, "https://gate/azure/openai/v1/responses"),
        ("http://user@gate:8080/a?k=1", "latest", "http://user@gate:8080/a/openai/v1/responses?k=1&api-version=latest"),
    ],
)
def test_the_address(base: str, version: str | None, expected: str) -> None:
    assert request(base, version).url == expected
    assert request(expected, version).url == expected


@pytest.mark.parametrize(
    ("verb", "tail"),
    [(Verb.GET, "/resp%2F1"), (Verb.CANCEL, "/resp%2F1/cancel"), (Verb.INPUT_ITEMS, "/resp%2F1/input_items")],
)
def test_ids_stand_before_the_query(verb: Verb, tail: str) -> None:
    call = Call("gpt", verb, response_id="resp/1", query={"limit": 2})
    assert request(HOST, "2025-03-01-preview", call).url == (
        f"{HOST}{OLD}{tail}?api-version=2025-03-01-preview&limit=2"
    )


def test_a_call_may_ask_for_another_version() -> None:
    call = Call("gpt", query={"api-version": "latest"})
    assert request(HOST, None, call).url == f"{HOST}{V1}?api-version=latest"


def test_a_key_and_a_token_are_told_in_different_headers() -> None:
    by_key, by_token = request(HOST).headers, request(HOST, token="t").headers
    assert (by_key.get("api-key"), by_key.get("authorization")) == ("k", None)
    assert (by_token.get("api-key"), by_token.get("authorization")) == (None, "Bearer t")


def test_a_token_makes_a_key_needless() -> None:
    deployment = Deployment(
        "east", "gpt", "azure", "gpt-4", api_base=HOST, api_key=SecretStr("k"), token_source=lambda: "unused"
    )
    headers = Azure("azure").encode(Call("gpt"), deployment, "t").headers
    assert (headers.get("api-key"), headers.get("authorization")) == (None, "Bearer t")


def test_the_model_is_the_name_of_the_deployment() -> None:
    assert request(HOST).content == b'{"model":"gpt-4"}'
