"""Where Claude is, and how it is told who calls: at Anthropic, on Foundry, on Vertex AI."""

from __future__ import annotations

import json
from typing import Any

import pytest
from claude_calls import LATEST, asking
from fake_anthropic import KEY, TOKEN
from pydantic import SecretStr

from providers.errors import AuthenticationError, BadRequestError
from providers.messages.provider import FoundryMessages, Messages, VertexMessages
from providers.translation.translator import Translator
from providers.types import Deployment, Dialect, Fetched, HttpRequest

ANTHROPIC = Messages("anthropic")
FOUNDRY = FoundryMessages("azure_ai")
VERTEX = VertexMessages("vertex_ai")
AZURE = "https://res.services.ai.azure.com"


def place(**settings: Any) -> Deployment:
    return Deployment("d1", "claude", "anthropic", settings.pop("model", LATEST), Dialect.MESSAGES, **settings)


def sent(
    provider: Translator, *, token: str | None = None, call: dict[str, Any] | None = None, **settings: Any
) -> HttpRequest:
    return provider.encode(asking("Hi", **(call or {})), place(**settings), token)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (None, "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1/messages", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1/messages/", "https://api.anthropic.com/v1/messages"),
        ("http://gate:8000/claude", "http://gate:8000/claude/v1/messages"),
        ("http://gate:8000/v1?tenant=a", "http://gate:8000/v1/messages?tenant=a"),
    ],
)
def test_anthropic(base: str | None, url: str) -> None:
    assert sent(ANTHROPIC, api_base=base).url == url


def test_a_gateway_of_ones_own() -> None:
    assert sent(Messages("mine", "http://gate")).url == "http://gate/v1/messages"


def test_queries_are_joined() -> None:
    request = sent(ANTHROPIC, api_base="http://x?a=1", query={"b": "2"}, call={"query": {"a": 3}})
    assert request.url == "http://x/v1/messages?b=2&a=3"
    deployment = place(api_base="http://x")
    assert ANTHROPIC.encode(asking(), deployment).url == ANTHROPIC.encode(asking(), deployment).url


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (AZURE, f"{AZURE}/anthropic/v1/messages"),
        (f"{AZURE}/anthropic/", f"{AZURE}/anthropic/v1/messages"),
        (f"{AZURE}/anthropic/v1/messages", f"{AZURE}/anthropic/v1/messages"),
        (f"{AZURE}/models?api-version=2024-05-01-preview", f"{AZURE}/anthropic/v1/messages"),
        ("http://gate:8000", "http://gate:8000/anthropic/v1/messages"),
        ("http://gate:8000/anthropic", "http://gate:8000/anthropic/v1/messages"),
        ("http://gate:8000/v1?x=1", "http://gate:8000/v1/messages?x=1"),
        ("http://gate:8000/my/messages", "http://gate:8000/my/messages"),
    ],
)
def test_foundry(base: str, url: str) -> None:
    assert sent(FOUNDRY, api_base=base).url == url


V1 = "projects/p-1/locations"


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, f"https://aiplatform.googleapis.com/v1/{V1}/global/publishers/anthropic/models/{LATEST}:rawPredict"),
        (
            {"region": "us-east5", "model": "claude-haiku-4-5@20251001"},
            f"https://us-east5-aiplatform.googleapis.com/v1/{V1}/us-east5/publishers/anthropic/models/claude-haiku-4-5@20251001:rawPredict",
        ),
        (
            {"region": "eu", "api_version": "2026-10-21"},
            f"https://aiplatform.eu.rep.googleapis.com/v1/{V1}/eu/publishers/anthropic/models/{LATEST}:rawPredict",
        ),
        (
            {"region": "us-east5", "api_version": "v1beta1"},
            f"https://us-east5-aiplatform.googleapis.com/v1beta1/{V1}/us-east5/publishers/anthropic/models/{LATEST}:rawPredict",
        ),
        (
            {"api_base": "http://gate:8000/v1", "region": "global", "query": {"a": "1"}},
            f"http://gate:8000/v1/{V1}/global/publishers/anthropic/models/{LATEST}:rawPredict?a=1",
        ),
    ],
)
def test_vertex(settings: dict[str, Any], url: str) -> None:
    assert sent(VERTEX, token=TOKEN, project="p-1", **settings).url == url


def test_vertex_streams_elsewhere_and_says_its_version_in_the_body() -> None:
    stream = sent(VERTEX, token=TOKEN, project="p-1", call={"stream": True})
    assert stream.url.endswith(":streamRawPredict")
    body = json.loads(stream.content)
    assert (body["anthropic_version"], body["stream"]) == ("vertex-2023-10-16", True)
    assert "model" not in body
    assert "anthropic-version" not in stream.headers
    newer = sent(VERTEX, token=TOKEN, project="p-1", api_version="2026-10-21")
    assert json.loads(newer.content)["anthropic_version"] == "2026-10-21"
    older = place(project="p-1", api_version="vertex-2023-10-16", model="claude-sonnet-4-5")
    warm = asking({"input": "x", "temperature": 0.5})
    assert json.loads(VERTEX.encode(warm, older).content)["temperature"] == 0.5
    new = place(project="p-1", api_version="2026-10-21", model="claude-sonnet-4-5")
    with pytest.raises(BadRequestError, match="2026-10-21"):
        VERTEX.encode(warm, new)
    with pytest.raises(AuthenticationError, match="project"):
        sent(VERTEX, token=TOKEN)


def test_vertex_is_given_files_not_addresses() -> None:
    image, page = "https://x.example/a.png", "https://x.example/b.pdf"
    content = [
        {"type": "input_text", "text": "Look"},
        {"type": "input_image", "image_url": image},
        {"type": "input_file", "file_url": page, "filename": "b.pdf"},
    ]
    body = {"input": [{"role": "user", "content": content}]}
    deployment = place(project="p-1")
    assert VERTEX.remote(asking(body), deployment) == [image, page]
    assert ANTHROPIC.remote(asking(body), deployment) == ()
    fetched = {image: Fetched("image/png; q=1", b"\x89PNG"), page: Fetched("application/pdf", b"%PDF")}
    blocks = json.loads(VERTEX.encode(asking(body, fetched=fetched), deployment, TOKEN).content)["messages"][0][
        "content"
    ]
    assert blocks[1]["source"] == {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}
    assert blocks[2]["source"] == {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}


def test_vertex_keeps_no_files() -> None:
    content = [{"type": "input_text", "text": "Look"}, {"type": "input_image", "file_id": "file_1"}]
    body = {"input": [{"role": "user", "content": content}]}
    with pytest.raises(BadRequestError, match="keeps no files") as caught:
        VERTEX.remote(asking(body), place(project="p-1"))
    assert caught.value.param == "input[0].content[1].file_id"
    assert ANTHROPIC.remote(asking(body), place(project="p-1")) == ()


def who(request: HttpRequest) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name in ("x-api-key", "api-key", "authorization")}


def test_who_calls() -> None:
    key = SecretStr(KEY)
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert who(sent(ANTHROPIC, api_key=key)) == {"x-api-key": KEY}
    assert who(sent(ANTHROPIC, api_key=SecretStr("sk-ant-oat01-x"))) == {"authorization": "Bearer sk-ant-oat01-x"}
    assert who(sent(ANTHROPIC, token=TOKEN, api_key=key, token_source=lambda: TOKEN)) == bearer
    assert who(sent(FOUNDRY, api_base=AZURE, api_key=key)) == {"x-api-key": KEY, "api-key": KEY}
    assert who(sent(FOUNDRY, api_base=AZURE, token=TOKEN)) == bearer
    assert who(sent(VERTEX, token=TOKEN, project="p-1")) == bearer
    assert who(sent(VERTEX, api_key=SecretStr(TOKEN), project="p-1")) == bearer
    assert who(sent(ANTHROPIC)) == {}
    own = sent(ANTHROPIC, api_key=key, headers={"Authorization": "Bearer mine"})
    assert who(own) == {"authorization": "Bearer mine"}


def test_the_version_is_the_deployments() -> None:
    assert sent(ANTHROPIC).headers["anthropic-version"] == "2023-06-01"
    assert sent(ANTHROPIC, api_version="2026-10-21").headers["anthropic-version"] == "2026-10-21"
    assert sent(FOUNDRY, api_base=AZURE, api_version="preview").headers["anthropic-version"] == "2023-06-01"


def test_flags_of_the_deployment_and_the_call_are_joined() -> None:
    beta = "Anthropic-Beta"
    request = sent(ANTHROPIC, headers={beta: "a, b"}, call={"headers": {beta: "b,c"}})
    assert request.headers["anthropic-beta"] == "a,b,c"
    assert sent(ANTHROPIC, headers={beta: "a"}).headers["anthropic-beta"] == "a"
    assert sent(ANTHROPIC, call={"headers": {beta: "c"}}).headers["anthropic-beta"] == "c"


def test_a_key_is_never_shown() -> None:
    request = sent(ANTHROPIC, api_key=SecretStr(KEY))
    assert KEY not in repr(request)
    assert repr(ANTHROPIC) == "Messages('anthropic')"
