"""From an entry of the configuration to what reaches the wire: where a call goes, and who it says is calling."""

from __future__ import annotations

import importlib
import json
import re
from typing import Any

import pytest
from fake_entra import CLIENT, fake_entra
from fake_google_tokens import FakeTokens, service_account
from wire import says, serve

from router import APIError, BadRequestError, Router, aresponses

functions = importlib.import_module("router.functions")

REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
KEYS: dict[str, Any] = {
    "aws_access_key_id": "AKIDEXAMPLE",
    "aws_secret_access_key": "wJalrXUtnFEMI",
    "aws_region_name": "eu-west-1",
}
SIGNED = r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/eu-west-1/bedrock/aws4_request, .*"
MESSAGES, CHAT, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"
VERTEX = "/v1beta1/projects/p/locations/eu/publishers/google/models/gemini-x:generateContent"
CLAUDE = "/v1/projects/p/locations/eu/publishers/anthropic/models/claude-x:rawPredict"
OPEN = "/v1/projects/p/locations/eu/endpoints/openapi/chat/completions"
PLACE = {"vertex_project": "p", "vertex_location": "eu"}


async def sent(model: str, path: str = "", **params: Any) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Path, headers and body of the request that a call of such a deployment makes."""
    async with serve(says(REFUSAL)) as server:
        entry = {"model_name": "g", "litellm_params": {"model": model, "api_base": server.url + path, **params}}
        async with Router([entry]) as router:
            with pytest.raises(APIError):
                await router.aresponses("g", "hi", num_retries=0)
        (request,) = server.requests
    head, _, body = request.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return first.split()[1], headers, json.loads(body)


@pytest.mark.parametrize(
    ("model", "base", "params", "path", "header", "value"),
    [
        ("openai/x", "/v1", {"api_key": "k"}, RESPONSES, "authorization", "Bearer k"),
        ("openai/chat_completions/x", "/v1", {"api_key": "k"}, CHAT, "authorization", "Bearer k"),
        ("groq/x", "/v1", {"api_key": "k"}, CHAT, "authorization", "Bearer k"),
        ("ollama/x", "", {"api_key": "k"}, CHAT, "authorization", "Bearer k"),
        ("openai_compatible/x", "/v1", {"api_key": "k"}, CHAT, "authorization", "Bearer k"),
        ("azure_ai/x", "/v1", {"api_key": "k"}, CHAT, "authorization", "Bearer k"),
        ("azure_ai/claude-x", "", {"api_key": "k"}, "/anthropic/v1/messages", "x-api-key", "k"),
        ("anthropic/x", "", {"api_key": "k"}, MESSAGES, "x-api-key", "k"),
        ("anthropic/x", "", {"azure_ad_token": "t"}, MESSAGES, "authorization", "Bearer t"),
        ("gemini/x", "", {"api_key": "k"}, "/v1beta/models/x:generateContent", "x-goog-api-key", "k"),
        ("bedrock/x:0", "", KEYS, "/model/x%3A0/converse", "authorization", SIGNED),
        ("bedrock/eu-west-1/x", "", {"api_key": "k"}, "/model/x/converse", "authorization", "Bearer k"),
        ("bedrock/openai.gpt-x", "", KEYS, "/openai/v1/responses", "authorization", SIGNED),
    ],
)
async def test_who_calls_where(
    model: str, base: str, params: dict[str, Any], path: str, header: str, value: str
) -> None:
    found, headers, _ = await sent(model, base, **params)
    assert found.partition("?")[0] == path
    assert re.fullmatch(value, headers[header])


@pytest.mark.parametrize(
    ("model", "path"), [("gemini-x", VERTEX), ("claude-x", CLAUDE), ("openai/gpt-oss-120b-maas", OPEN)]
)
async def test_google_s_credentials(model: str, path: str) -> None:
    tokens = FakeTokens()
    async with serve(tokens) as server:
        account = service_account(server.url)
        found, headers, _ = await sent(f"vertex_ai/{model}", vertex_credentials=account, **PLACE)
    assert (found, headers["authorization"]) == (path, "Bearer t1")
    assert len(tokens.asked) == 1


@pytest.mark.parametrize("model", ["azure/x", "azure_ai/claude-x"])
async def test_a_managed_identity_of_azure(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with fake_entra(tls=False) as host:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{host.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "this host")
        _, headers, _ = await sent(model, use_default_azure_credential=True, client_id=CLIENT)
        assert headers["authorization"] == "Bearer token-1"
        assert "api-key" not in headers
        assert host.asked[0]["client_id"] == CLIENT


async def test_a_call_drops_what_a_vendor_has_no_word_for() -> None:
    async with serve(says(REFUSAL)) as server:
        params = {"model": "anthropic/x", "api_key": "k", "api_base": server.url}
        async with Router([{"model_name": "g", "litellm_params": params}]) as router:
            with pytest.raises(BadRequestError, match="top_logprobs"):
                await router.aresponses("g", "hi", top_logprobs=5, num_retries=0)
            assert not server.requests, "refused before anything is sent"
            with pytest.raises(APIError):
                await router.aresponses("g", "hi", top_logprobs=5, num_retries=0, drop_params=True)
        (request,) = server.requests
        assert b"top_logprobs" not in request


async def test_without_a_router() -> None:
    async with serve(says(REFUSAL)) as server:
        with pytest.raises(APIError):
            await aresponses("bedrock/x", "hi", aws_bedrock_runtime_endpoint=server.url, num_retries=0, **KEYS)
        assert server.requests[0].startswith(b"POST /model/x/converse ")
        for made in functions._routers.values():
            await made.aclose()
        functions._routers.clear()
