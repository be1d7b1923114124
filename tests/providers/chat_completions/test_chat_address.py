"""Where chat completions are asked for, and who is said to ask."""

from __future__ import annotations

from typing import Any

import pytest
from chat_rules import VARIANTS, Judge
from chat_talk import asking, place, sent, vendor
from pydantic import SecretStr

from providers.chat_completions.translator import AzureAIChat, AzureChat, ChatCompletions, VertexChat
from providers.errors import (
    AuthenticationError,
    BadRequestError,
    ContextWindowExceededError,
    ServiceUnavailableError,
)
from providers.types import AwsKeys, Call, HttpReply, HttpRequest, Verb

END = "/chat/completions"


def request(translator: ChatCompletions, call: Call | None = None, token: Any = None, **fields: Any) -> HttpRequest:
    return translator.encode(call or asking(), place(**fields), token)


@pytest.mark.parametrize(
    ("name", "base", "url"),
    [
        ("groq", None, "https://vendor.example/v1/chat/completions"),
        ("groq", "http://x:8000", "http://x:8000/chat/completions"),
        ("groq", "http://x:8000/v1/", "http://x:8000/v1/chat/completions"),
        ("groq", "http://x:8000/v1/chat/completions", "http://x:8000/v1/chat/completions"),
        ("groq", "http://x:8000/v1/chat/completions/", "http://x:8000/v1/chat/completions"),
        ("groq", "http://x:8000/v1/responses", "http://x:8000/v1/chat/completions"),
        ("groq", "http://x/v1?tenant=a", "http://x/v1/chat/completions?tenant=a"),
        ("ollama", "http://localhost:11434", "http://localhost:11434/v1/chat/completions"),
        ("ollama", "http://localhost:11434/", "http://localhost:11434/v1/chat/completions"),
        ("ollama", "http://localhost:11434/v1", "http://localhost:11434/v1/chat/completions"),
        ("ollama", "http://x/v1beta/openai", "http://x/v1beta/openai/chat/completions"),
        ("hosted_vllm", "http://v1", "http://v1/v1/chat/completions"),
    ],
)
def test_any_base(name: str, base: str | None, url: str) -> None:
    assert request(vendor(name), provider=name, api_base=base).url == url


def test_queries_are_joined() -> None:
    found = request(
        vendor("groq"), asking(query={"c": "4"}), api_base="http://x/v1?a=1&b=2", query={"b": "3"}, provider="groq"
    )
    assert found.url == "http://x/v1/chat/completions?a=1&b=3&c=4"


RESOURCE = "https://r.openai.azure.com"


@pytest.mark.parametrize(
    ("base", "version", "url"),
    [
        (RESOURCE, None, f"{RESOURCE}/openai/v1{END}"),
        (f"{RESOURCE}/", "v1", f"{RESOURCE}/openai/v1{END}?api-version=v1"),
        (RESOURCE, "preview", f"{RESOURCE}/openai/v1{END}?api-version=preview"),
        (RESOURCE, "2024-10-21", f"{RESOURCE}/openai/deployments/my%2Fgpt{END}?api-version=2024-10-21"),
        (f"{RESOURCE}/openai", "2024-10-21", f"{RESOURCE}/openai/deployments/my%2Fgpt{END}?api-version=2024-10-21"),
        (f"{RESOURCE}/openai/v1", "2024-10-21", f"{RESOURCE}/openai/v1{END}"),
        (f"{RESOURCE}/openai/v1/responses", "preview", f"{RESOURCE}/openai/v1{END}?api-version=preview"),
        (
            f"{RESOURCE}?api-version=2024-06-01",
            "v1",
            f"{RESOURCE}/openai/deployments/my%2Fgpt{END}?api-version=2024-06-01",
        ),
        (
            f"{RESOURCE}/openai/deployments/other{END}?api-version=2024-06-01&x=y",
            None,
            f"{RESOURCE}/openai/deployments/other{END}?x=y&api-version=2024-06-01",
        ),
        ("https://gw.example/azure", None, f"https://gw.example/azure/openai/v1{END}"),
    ],
)
def test_azure(base: str, version: str | None, url: str) -> None:
    found = request(AzureChat("azure"), provider="azure", model="my/gpt", api_base=base, api_version=version)
    assert found.url == url
    assert found.headers["api-key"] == "sk-test"


FOUNDRY = "https://r.services.ai.azure.com"


@pytest.mark.parametrize(
    ("base", "version", "url"),
    [
        (FOUNDRY, None, f"{FOUNDRY}/openai/v1{END}"),
        (FOUNDRY, "preview", f"{FOUNDRY}/openai/v1{END}?api-version=preview"),
        (FOUNDRY, "2024-05-01-preview", f"{FOUNDRY}/models{END}?api-version=2024-05-01-preview"),
        (f"{FOUNDRY}/models", None, f"{FOUNDRY}/models{END}"),
        (
            f"{FOUNDRY}/models{END}?api-version=2024-05-01-preview",
            None,
            f"{FOUNDRY}/models{END}?api-version=2024-05-01-preview",
        ),
        (f"{FOUNDRY}/api/projects/p", "2024-05-01-preview", f"{FOUNDRY}/api/projects/p/openai/v1{END}"),
        (f"{FOUNDRY}/openai/v1", None, f"{FOUNDRY}/openai/v1{END}"),
        ("https://m.eastus.models.ai.azure.com/v1", None, f"https://m.eastus.models.ai.azure.com/v1{END}"),
        ("https://gw.example/x?a=b", "2024-05-01", f"https://gw.example/x{END}?a=b&api-version=2024-05-01"),
    ],
)
def test_foundry(base: str, version: str | None, url: str) -> None:
    found = request(AzureAIChat("azure_ai"), provider="azure_ai", api_base=base, api_version=version)
    assert found.url == url
    key = found.headers.get("api-key") or found.headers["authorization"].removeprefix("Bearer ")
    assert key == "sk-test"
    assert found.headers["extra-parameters"] == "pass-through"


def test_vertex() -> None:
    fields: dict[str, Any] = {"provider": "vertex_ai", "api_base": None, "api_key": None, "project": "p"}
    found = request(VertexChat("vertex_ai"), token="t1", model="meta/llama-4-maas", region="us-east5", **fields)
    assert found.url == (
        "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/endpoints/openapi/chat/completions"
    )
    assert found.headers["authorization"] == "Bearer t1"
    assert "openai-project" not in found.headers
    assert sent(found)["model"] == "meta/llama-4-maas"


@pytest.mark.parametrize(("stream", "verb"), [(False, "rawPredict"), (True, "streamRawPredict")])
def test_mistral_on_vertex(stream: bool, verb: str) -> None:
    fields: dict[str, Any] = {"provider": "vertex_ai", "api_base": None, "api_key": None, "project": "p"}
    call = asking(stream=stream)
    found = request(VertexChat("vertex_ai"), call, "t1", model="mistralai/mistral-medium-3", **fields)
    assert found.url.endswith(f"/publishers/mistralai/models/mistral-medium-3:{verb}")
    Judge(sent(found), VARIANTS["mistral"]).check()


# who asks


def test_keys_and_tokens() -> None:
    assert request(vendor()).headers["authorization"] == "Bearer sk-test"
    assert request(vendor(), token="t1").headers["authorization"] == "Bearer t1"
    own = {"Authorization": "Basic x"}
    assert request(vendor(), headers=own).headers["authorization"] == "Basic x"
    assert request(AzureChat("azure"), token="t1", api_base=RESOURCE).headers["authorization"] == "Bearer t1"
    assert request(AzureChat("azure"), headers={"api-key": "other"}).headers["api-key"] == "other"
    for fields in ({"api_key": None}, {"token_source": lambda: "t2"}):
        assert "authorization" not in request(vendor(), **fields).headers
    keys = AwsKeys("a", SecretStr("b"))
    assert request(vendor(), token=keys).headers["authorization"] == "Bearer sk-test"


def test_who_is_billed() -> None:
    found = request(vendor("openai"), organization="org", project="proj").headers
    assert (found["openai-organization"], found["openai-project"]) == ("org", "proj")
    assert "openai-project" not in request(vendor("openai")).headers


# what is refused


def test_there_is_nothing_but_creating() -> None:
    with pytest.raises(BadRequestError, match="has no operation"):
        vendor().encode(Call("chat", Verb.COMPACT, body={"input": "x"}), place())


def reply(status: int, body: bytes, **headers: str) -> HttpReply:
    return HttpReply(status, headers, body)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error":{"message":"too long","code":"context_length_exceeded"}}', ContextWindowExceededError),
        (401, b'{"detail":"Unauthorized"}', AuthenticationError),
        (422, b'{"object":"error","message":{"detail":[{"type":"extra_forbidden"}]},"code":null}', None),
        (498, b'{"error":{"message":"flex is full","code":"capacity_exceeded"}}', ServiceUnavailableError),
    ],
)
def test_errors(status: int, body: bytes, kind: type[Exception] | None) -> None:
    error = vendor("groq").blame(reply(status, body, **{"x-request-id": "req_1"}), asking())
    assert error.request_id == "req_1"
    assert error.status_code == status
    if kind is not None:
        assert type(error) is kind
    if status == 498:
        assert (error.message, error.code) == ("flex is full", "capacity_exceeded")


def test_a_provider_says_which_it_is() -> None:
    assert repr(vendor("groq")) == "ChatCompletions('groq')"
