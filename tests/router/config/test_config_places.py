"""Where model strings lead: vendor, model, dialect, address, region and project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from providers.catalog import VENDORS
from providers.errors import ConfigurationError
from providers.types import Deployment
from router.config import build_deployments, describe

SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = f"arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.{SONNET}"
FOUNDRY = "https://res.services.ai.azure.com"
P = "model_list[0].litellm_params"


@pytest.fixture(autouse=True)
def _no_files_of_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))


def build(model: str, *, info: Any = None, defaults: dict[str, Any] | None = None, **params: Any) -> Deployment:
    return env_build({}, model, info=info, defaults=defaults, **params)


def env_build(
    environ: dict[str, str],
    model: str,
    *,
    info: Any = None,
    defaults: dict[str, Any] | None = None,
    **params: Any,
) -> Deployment:
    raw: dict[str, Any] = {"model_name": "*" if "*" in model else "g", "params": {"model": model, **params}}
    return build_deployments([raw | ({"model_info": info} if info else {})], defaults, environ=environ)[0]


def problems(model: str, *, environ: Any = None, **params: Any) -> list[str]:
    defaults: Any = params.pop("defaults", None)
    with pytest.raises(ConfigurationError) as caught:
        env_build(environ or {}, model, defaults=defaults, info=params.pop("info", None), **params)
    head, *lines = str(caught.value).replace("litellm_params", "params").split("\n  ")
    return [line.removeprefix(P.replace("litellm_params", "params")) for line in lines or [head]]


@pytest.mark.parametrize(
    ("written", "params", "provider", "model", "dialect"),
    [
        ("gpt-5", {}, "openai", "gpt-5", "responses"),
        ("openai/responses/gpt-5", {}, "openai", "gpt-5", "responses"),
        ("openai/chat_completions/gpt-5", {}, "openai", "gpt-5", "chat_completions"),
        ("openai/gpt-5", {"use_chat_completions_api": True}, "openai", "gpt-5", "chat_completions"),
        ("openai/gpt-5", {"use_chat_completions_api": False}, "openai", "gpt-5", "responses"),
        ("openai/gpt-5", {"dialect": "chat_completions"}, "openai", "gpt-5", "chat_completions"),
        ("azure/o_series/mine", {"api_base": "https://h"}, "azure", "mine", "responses"),
        ("azure/chat_completions/mine", {"api_base": "https://h"}, "azure", "mine", "chat_completions"),
        ("azure_ai/gpt-5", {"api_base": FOUNDRY}, "azure_ai", "gpt-5", "responses"),
        ("azure_ai/claude-x", {"api_base": FOUNDRY}, "azure_ai", "claude-x", "messages"),
        ("azure_ai/phi", {"api_base": "https://p.models.ai.azure.com"}, "azure_ai", "phi", "chat_completions"),
        ("anthropic/claude-opus-4-6", {}, "anthropic", "claude-opus-4-6", "messages"),
        ("anthropic/*", {}, "anthropic", "*", "messages"),
        (f"bedrock/{SONNET}", {}, "bedrock", SONNET, "converse"),
        (f"bedrock/converse/us.{SONNET}", {}, "bedrock", f"us.{SONNET}", "converse"),
        ("bedrock/openai.gpt-5.6", {}, "bedrock", "openai.gpt-5.6", "responses"),
        ("bedrock/openai.gpt-5.6", {"dialect": "converse"}, "bedrock", "openai.gpt-5.6", "converse"),
        ("bedrock/openai.gpt-oss-120b-1:0", {}, "bedrock", "openai.gpt-oss-120b-1:0", "converse"),
        ("gemini/gemini-3-pro", {}, "gemini", "gemini-3-pro", "generate_content"),
        ("vertex_ai/gemini-3-pro", {}, "vertex_ai", "gemini-3-pro", "generate_content"),
        ("vertex_ai/1234567890", {}, "vertex_ai", "1234567890", "generate_content"),
        ("vertex_ai/claude-opus-4-6@20260101", {}, "vertex_ai", "claude-opus-4-6@20260101", "messages"),
        ("vertex_ai/openai/gpt-oss-120b-maas", {}, "vertex_ai", "openai/gpt-oss-120b-maas", "chat_completions"),
        ("groq/openai/gpt-oss-120b", {}, "groq", "openai/gpt-oss-120b", "chat_completions"),
        ("groq/responses/openai/gpt-oss-120b", {}, "groq", "openai/gpt-oss-120b", "responses"),
        ("groq/x", {"dialect": "responses"}, "groq", "x", "responses"),
        ("ollama/llama4", {}, "ollama", "llama4", "chat_completions"),
        ("ollama_chat/llama4", {}, "ollama", "llama4", "chat_completions"),
        ("openai_compatible/x", {"api_base": "http://h/v1"}, "openai_compatible", "x", "chat_completions"),
        ("meta/x", {"custom_llm_provider": "together_ai"}, "together_ai", "meta/x", "chat_completions"),
        ("hosted_vllm/x", {"api_base": "http://h"}, "hosted_vllm", "x", "responses"),
    ],
)
def test_where_a_model_string_leads(
    written: str, params: dict[str, Any], provider: str, model: str, dialect: str
) -> None:
    found = build(written, **{"api_key": "k"} | params)
    assert (found.provider, found.model, found.dialect.value) == (provider, model, dialect)
    assert found.dialect in VENDORS[provider].dialects
    params_shown: Any = describe(found)["litellm_params"]
    assert (params_shown["model"], params_shown["dialect"]) == (f"{provider}/{model}", dialect)


def test_what_litellm_says_of_endpoints_counts() -> None:
    endpoints = {"supported_endpoints": ["/v1/chat/completions", "/v1/responses", 5]}
    found = build("together_ai/x", api_key="k", info=endpoints)
    assert found.dialect == "responses"
    assert found.info == endpoints
    assert build("together_ai/x", api_key="k", info={"supported_endpoints": "/v1/responses"}).dialect != "responses"
    assert build("anthropic/x", api_key="k", info=endpoints).dialect == "messages"


SPOKEN = "responses, chat_completions, messages, converse, generate_content"


@pytest.mark.parametrize(
    ("model", "params", "said"),
    [
        ("openai/x", {"dialect": "responces"}, f".dialect: must be one of {SPOKEN}; did you mean 'responses'?"),
        ("openai/x", {"dialect": "zzz"}, f".dialect: must be one of {SPOKEN}"),
        ("openai/x", {"dialect": 5}, f".dialect: must be one of {SPOKEN}"),
        (
            "openai/x",
            {"dialect": "converse"},
            ".dialect: openai is not spoken to in converse, but in responses, chat_completions",
        ),
        (
            "anthropic/x",
            {"use_chat_completions_api": True},
            ".use_chat_completions_api: anthropic is not spoken to in chat_completions, but in messages",
        ),
        (
            "anthropic/chat_completions/x",
            {},
            ".model: anthropic is not spoken to in chat_completions, but in messages",
        ),
        ("groq/responses/", {}, ".model: names no model; write 'groq/<model>'"),
        (
            "bedrock/invoke/x",
            {},
            ".model: has LiteLLM's route 'invoke/', which is not taken: write 'bedrock/<model>', which uses Converse",
        ),
        ("azure_ai/agents/x", {"api_base": FOUNDRY}, ".model: agents are no models; name the model"),
        ("openai/x", {"azure_username": "u"}, ".azure_username: not supported: signing in by password is at an end"),
    ],
)
def test_what_is_said_of_models(model: str, params: dict[str, Any], said: str) -> None:
    (line,) = problems(model, **{"api_key": "k"} | params)
    assert line.startswith(said)


@pytest.mark.parametrize(
    ("model", "params", "said"),
    [
        ("openai/x", {"aws_region_name": "us-east-1"}, ".aws_region_name: means nothing to openai; it is for bedrock"),
        ("gemini/x", {"vertex_project": "p"}, ".vertex_project: means nothing to gemini; it is for vertex_ai"),
        ("gemini/x", {"vertex_ai_location": "eu"}, ".vertex_ai_location: means nothing to gemini; it is for vertex_ai"),
        ("bedrock/x", {"vertex_location": "us"}, ".vertex_location: means nothing to bedrock; it is for vertex_ai"),
        (
            "vertex_ai/gemini-x",
            {"aws_bedrock_runtime_endpoint": "https://h"},
            ".aws_bedrock_runtime_endpoint: means nothing to vertex_ai; it is for bedrock",
        ),
    ],
)
def test_what_is_another_vendor_s_is_refused(model: str, params: dict[str, Any], said: str) -> None:
    assert problems(model, **{"api_key": "k"} | params) == [said]


def test_defaults_may_be_for_several_vendors() -> None:
    defaults: dict[str, Any] = {
        "aws_region_name": "eu-central-1",
        "aws_profile_name": "work",
        "vertex_location": "europe-west1",
        "vertex_project": "p",
        "vertex_credentials": '{"type": "authorized_user"}',
        "tenant_id": "t",
        "client_id": "c",
        "client_secret": "s",
    }
    openai = build("openai/x", api_key="k", defaults=defaults)
    assert (openai.region, openai.project, openai.token_source) == (None, None, None)
    bedrock = build("bedrock/x", defaults=defaults)
    assert bedrock.region == "eu-central-1"
    assert repr(bedrock.token_source) == "AwsCredentials(profile='work', region='eu-central-1')"
    vertex = build("vertex_ai/gemini-x", defaults=defaults)
    assert (vertex.region, vertex.project) == ("europe-west1", "p")
    assert repr(vertex.token_source) == "GoogleCredentials(str, impersonate=None)"
    azure = build("azure/x", api_base="https://h", defaults=defaults)
    assert "tenant='t'" in repr(azure.token_source)


@pytest.mark.parametrize(
    ("model", "params", "environ", "region"),
    [
        ("x", {}, {}, None),
        ("x", {"aws_region_name": "eu-west-2"}, {"AWS_REGION_NAME": "us-east-1"}, "eu-west-2"),
        ("x", {"region": "eu-west-2"}, {}, "eu-west-2"),
        ("x", {"region_name": "eu-west-2", "aws_region_name": "eu-west-2"}, {}, "eu-west-2"),
        ("eu-west-3/x", {}, {"AWS_REGION_NAME": "us-east-1"}, "eu-west-3"),
        ("eu-west-3/x", {"aws_region_name": "eu-west-3"}, {}, "eu-west-3"),
        (ARN, {}, {"AWS_REGION_NAME": "us-east-1"}, "eu-west-1"),
        (
            "x",
            {"api_base": "https://bedrock-runtime.eu-west-3.amazonaws.com"},
            {"AWS_REGION": "us-east-1"},
            "eu-west-3",
        ),
        ("x", {}, {"AWS_REGION_NAME": "us-east-1", "AWS_REGION": "us-east-2"}, "us-east-1"),
        ("x", {}, {"AWS_REGION": "us-east-2", "AWS_DEFAULT_REGION": "us-east-1"}, "us-east-2"),
        ("x", {}, {"AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
    ],
)
def test_regions_of_amazon(model: str, params: dict[str, Any], environ: dict[str, str], region: str | None) -> None:
    assert env_build(environ, f"bedrock/{model}", **params).region == region


def test_the_region_of_a_profile(tmp_path: Path) -> None:
    (tmp_path / "AWS_CONFIG_FILE").write_text("[default]\nregion = eu-north-1\n[profile work]\nregion = sa-east-1\n")
    assert build("bedrock/x").region == "eu-north-1"
    assert build("bedrock/x", aws_profile_name="work").region == "sa-east-1"
    assert problems("bedrock/x", aws_profile_name="play") == [
        ".aws_profile_name: The config profile (play) could not be found"
    ]


def test_a_model_s_region_wins_over_a_default() -> None:
    assert build("bedrock/eu-west-3/x", defaults={"aws_region_name": "us-east-1"}).region == "eu-west-3"
    assert build("bedrock/x", defaults={"region": "us-east-1"}, aws_region_name="eu-west-3").region == "eu-west-3"


@pytest.mark.parametrize(
    ("model", "params", "said"),
    [
        ("bedrock/x", {"region": "eu"}, ".region: is no region of AWS; write it as 'us-east-1'"),
        ("bedrock/x", {"aws_region_name": "evil.example/"}, ".aws_region_name: is no region of AWS; write it as"),
        ("bedrock/x", {"environ": {"AWS_REGION": "evil.example/"}}, ".region: is no region of AWS; write it as"),
        ("vertex_ai/x", {"vertex_location": "us.evil"}, ".vertex_location: is no region of Google's; write it as"),
        (
            "bedrock/eu-west-3/x",
            {"aws_region_name": "us-east-1"},
            ".aws_region_name: contradicts model_list[0].params.model, which says 'eu-west-3'; give one of them",
        ),
        (
            "bedrock/x",
            {"aws_region_name": "us-east-1", "region": "us-east-2"},
            ".region: contradicts model_list[0].params.aws_region_name; give one of them",
        ),
        (
            "bedrock/x",
            {"api_base": "https://a", "aws_bedrock_runtime_endpoint": "https://b"},
            ".aws_bedrock_runtime_endpoint: contradicts model_list[0].params.api_base; give one of them",
        ),
        (
            "vertex_ai/x",
            {"vertex_project": "a", "project": "b"},
            ".project: contradicts model_list[0].params.vertex_project; give one of them",
        ),
    ],
)
def test_what_is_said_of_regions(model: str, params: dict[str, Any], said: str) -> None:
    (line,) = problems(model, **params)
    assert line.startswith(said)


def test_a_region_is_but_a_name_elsewhere() -> None:
    assert build("openai/x", api_key="k", region="wherever").region == "wherever"


@pytest.mark.parametrize(
    ("params", "environ", "expected"),
    [
        ({}, {}, (None, None)),
        ({"vertex_location": "global", "vertex_project": "p"}, {"VERTEXAI_PROJECT": "q"}, ("global", "p")),
        ({"vertex_ai_location": "eu", "vertex_ai_project": "p"}, {}, ("eu", "p")),
        ({"region": "us-east5", "project": "p"}, {}, ("us-east5", "p")),
        ({}, {"VERTEXAI_LOCATION": "us", "VERTEX_LOCATION": "eu", "VERTEXAI_PROJECT": "q"}, ("us", "q")),
        ({}, {"VERTEX_LOCATION": "eu", "GOOGLE_CLOUD_PROJECT": "q"}, ("eu", "q")),
    ],
)
def test_places_of_google(params: dict[str, Any], environ: dict[str, str], expected: tuple[str, str]) -> None:
    found = env_build(environ, "vertex_ai/gemini-x", **params)
    assert (found.region, found.project) == expected


@pytest.mark.parametrize(
    ("model", "environ", "base"),
    [
        ("bedrock/x", {"AWS_BEDROCK_RUNTIME_ENDPOINT": "https://vpce.example"}, "https://vpce.example"),
        ("anthropic/x", {"ANTHROPIC_BASE_URL": "https://a", "ANTHROPIC_API_BASE": "https://b"}, "https://a"),
        ("gemini/x", {"GEMINI_API_BASE": "https://a"}, "https://a"),
        ("vertex_ai/gemini-x", {"VERTEXAI_API_BASE": "https://a"}, "https://a"),
        ("ollama/x", {"OLLAMA_API_BASE": "http://a:11434"}, "http://a:11434"),
        ("fireworks_ai/x", {"FIREWORKS_API_BASE": "https://a"}, "https://a"),
    ],
)
def test_addresses_from_the_environment(model: str, environ: dict[str, str], base: str) -> None:
    assert env_build(environ, model, api_key="k").api_base == base
    assert env_build(environ, model, api_key="k", api_base="https://own").api_base == "https://own"


def test_bedrock_s_endpoint_has_a_name_of_its_own() -> None:
    assert build("bedrock/x", aws_bedrock_runtime_endpoint="https://vpce.example/").api_base == "https://vpce.example"


def test_what_becomes_of_parameters() -> None:
    found = build(
        "groq/x",
        api_key="k",
        drop_params=True,
        additional_drop_params=["user"],
        allowed_openai_params=["logit_bias", "b"],
    )
    assert (found.drop_params, found.additional_drop_params) == (True, frozenset({"user"}))
    assert found.allowed_openai_params == {"logit_bias", "b"}
    shown: Any = describe(found)["litellm_params"]
    assert (shown["drop_params"], shown["additional_drop_params"]) == (True, ["user"])
    assert shown["allowed_openai_params"] == ["b", "logit_bias"]
    plain: Any = describe(build("groq/x", api_key="k"))["litellm_params"]
    assert not plain.keys() & {"drop_params", "additional_drop_params", "allowed_openai_params"}


def test_what_tells_deployments_apart() -> None:
    """Region, project and dialect do; credentials don't."""
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    callers: list[dict[str, Any]] = [{}, keys, {"api_key": "k"}, {"aws_role_name": "r"}]
    same = {build("bedrock/us-east-1/x", **caller).id for caller in callers}
    assert same == {build("bedrock/x", aws_region_name="us-east-1").id}
    assert build("bedrock/us-east-2/x").id not in same
    assert build("vertex_ai/gemini-x", vertex_project="a").id != build("vertex_ai/gemini-x", vertex_project="b").id
    spoken = {build("openai/x", api_key="k", dialect=name).id for name in ("responses", "chat_completions")}
    assert len(spoken) == 2
    assert build("openai/x", api_key="k").id in spoken
