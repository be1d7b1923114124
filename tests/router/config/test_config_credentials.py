"""Who calls: keys, tokens and what fetches them, from entries and from the environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from checks.affinity.domain import same_domain
from providers.aws.credentials import AwsCredentials
from providers.azure_entra import COGNITIVE, FOUNDRY, EntraCredential
from providers.errors import ConfigurationError
from providers.google.credentials import GoogleCredentials
from providers.types import AwsKeys, Deployment
from router.config import build_deployments, describe

ENTRA: dict[str, Any] = {"tenant_id": "tenant", "client_id": "app", "client_secret": "sesame"}
ENTRA_ENV = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "app", "AZURE_CLIENT_SECRET": "sesame"}
AWS: dict[str, Any] = {"aws_access_key_id": "AKID", "aws_secret_access_key": "sesame", "aws_region_name": "us-east-1"}
ACCOUNT: dict[str, Any] = {"type": "service_account", "private_key": "sesame"}
PROJECT = "https://res.services.ai.azure.com/api/projects/p"


def build(model: str, environ: Any = None, **params: Any) -> Deployment:
    """One deployment, whose description tells no secret."""
    raw = {"model_name": "g", "params": {"model": model, **params}}
    (found,) = build_deployments([raw], environ=environ or {})
    assert "sesame" not in f"{found!r} {describe(found)} {found.token_source!r}"
    return found


def problems(model: str, environ: Any = None, **params: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        build(model, environ, **params)
    assert "sesame" not in str(caught.value)
    head, *lines = str(caught.value).split("\n  ")
    return [line.removeprefix("model_list[0].params.") for line in lines or [head]]


def key(deployment: Deployment) -> str | None:
    return None if deployment.api_key is None else deployment.api_key.get_secret_value()


def shown(deployment: Deployment) -> dict[str, Any]:
    params: Any = describe(deployment)["litellm_params"]
    return {name: value for name, value in params.items() if value == "***"}


# keys and tokens from the environment


@pytest.mark.parametrize(
    ("model", "environ", "expected"),
    [
        ("anthropic/x", {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_AUTH_TOKEN": "t"}, "k"),
        ("gemini/x", {"GEMINI_API_KEY": "k"}, "k"),
        ("gemini/x", {"GEMINI_API_KEY": "j", "GOOGLE_API_KEY": "k"}, "k"),
        ("bedrock/us-east-1/x", {"AWS_BEARER_TOKEN_BEDROCK": "k"}, "k"),
        ("groq/x", {"GROQ_API_KEY": "k"}, "k"),
        ("mistral/x", {"MISTRAL_API_KEY": "k"}, "k"),
        ("together_ai/x", {"TOGETHERAI_API_KEY": "k"}, "k"),
        ("perplexity/x", {"PERPLEXITY_API_KEY": "k"}, "k"),
        ("nvidia_nim/x", {"NVIDIA_NIM_API_KEY": "k"}, "k"),
        ("ollama/x", {}, None),
    ],
)
def test_keys_from_the_environment(model: str, environ: dict[str, str], expected: str | None) -> None:
    found = build(model, environ)
    assert (key(found), found.token_source) == (expected, None)


def test_anthropic_s_token_is_a_bearer_s() -> None:
    found = build("anthropic/x", {"ANTHROPIC_AUTH_TOKEN": "tok"})
    assert found.api_key is None
    assert found.token_source is not None
    assert found.token_source() == "tok"


@pytest.mark.parametrize(
    ("model", "variables"),
    [
        ("anthropic/x", "ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN"),
        ("gemini/x", "GOOGLE_API_KEY, GEMINI_API_KEY"),
        ("cerebras/x", "CEREBRAS_API_KEY"),
    ],
)
def test_a_missing_key(model: str, variables: str) -> None:
    vendor = model.partition("/")[0]
    assert problems(model) == [
        f"api_key: is required: {vendor} takes no call without a key (environment variables looked at: {variables})"
    ]


# Entra ID


@pytest.mark.parametrize(
    ("model", "base", "scope"),
    [
        ("azure/x", "https://res.openai.azure.com", COGNITIVE),
        ("azure_ai/x", "https://res.services.ai.azure.com", COGNITIVE),
        ("azure_ai/x", PROJECT, FOUNDRY),
    ],
)
@pytest.mark.parametrize(("params", "environ"), [(ENTRA, {}), ({}, ENTRA_ENV), ({"client_id": "app"}, ENTRA_ENV)])
def test_an_application_of_entra(
    model: str, base: str, scope: str, params: dict[str, Any], environ: dict[str, str]
) -> None:
    found = build(model, environ, api_base=base, **params)
    assert found.api_key is None
    assert repr(found.token_source) == f"EntraCredential({scope!r}, tenant='tenant', client_id='app')"
    assert shown(found) == {"client_secret": "***"}


def test_the_scope_may_be_given() -> None:
    cases: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"azure_scope": "api://mine"}, {"AZURE_SCOPE": "x"}),
        ({}, {"AZURE_SCOPE": "api://mine"}),
    ]
    for params, environ in cases:
        source = build("azure/x", {**ENTRA_ENV, **environ}, api_base="https://h", **params).token_source
        assert isinstance(source, EntraCredential)
        assert source.scope == "api://mine"


@pytest.mark.parametrize("name", ["use_default_azure_credential", "enable_azure_ad_token_refresh"])
def test_credentials_that_azure_finds(name: str) -> None:
    assert repr(build("azure/x", api_base="https://h", **{name: True}).token_source) == (
        f"EntraCredential({COGNITIVE!r}, tenant=None, client_id=None)"
    )
    managed = build("azure/x", ENTRA_ENV, api_base="https://h", client_id="identity", **{name: True})
    assert repr(managed.token_source) == f"EntraCredential({COGNITIVE!r}, tenant=None, client_id='identity')"


def test_a_key_comes_before_an_application_of_the_environment() -> None:
    found = build("azure/x", {**ENTRA_ENV, "AZURE_API_KEY": "k"}, api_base="https://h")
    assert (key(found), found.token_source) == ("k", None)
    own = build("azure/x", {"AZURE_API_KEY": "k"}, api_base="https://h", **ENTRA)
    assert own.api_key is None
    assert isinstance(own.token_source, EntraCredential)


def test_half_an_application_in_the_environment_is_none() -> None:
    (line,) = problems("azure/x", {"AZURE_CLIENT_ID": "app"}, api_base="https://h")
    assert line.startswith("api_key: is required: azure takes no call without a key")


def test_what_an_application_lacks_is_named() -> None:
    why = "is required: a token of Entra ID is for an application, or for whom use_default_azure_credential finds"
    looked = "environment variables looked at"
    assert problems("azure/x", api_base="https://h", client_id="app") == [
        f"tenant_id: {why} ({looked}: AZURE_TENANT_ID)",
        f"client_secret: {why} ({looked}: AZURE_CLIENT_SECRET)",
    ]
    gone = "os.environ/NOPE"
    assert problems("azure/x", api_base="https://h", tenant_id="t", client_id="c", client_secret=gone) == [
        "client_secret: the environment variable 'NOPE' is not set"
    ]


# Amazon


def test_keys_of_amazon() -> None:
    found = build("bedrock/x", **AWS, aws_session_token="temporary")
    assert isinstance(found.token_source, AwsCredentials)
    assert found.token_source() == AwsKeys("AKID", SecretStr("sesame"), SecretStr("temporary"))
    assert shown(found) == {"aws_secret_access_key": "***"}


def test_roles_and_profiles_of_amazon() -> None:
    role: dict[str, Any] = {
        "aws_role_name": "arn:aws:iam::1:role/r",
        "aws_session_name": "s",
        "aws_external_id": "sesame",
    }
    for more in (AWS, {"aws_region_name": "us-east-1"}, {"aws_web_identity_token": "sesame"}):
        found = build("bedrock/us-east-1/x", **role, **more, aws_sts_endpoint="https://sts.example")
        assert repr(found.token_source) == "AwsCredentials(role='arn:aws:iam::1:role/r', region='us-east-1')"
    found = build("bedrock/us-east-1/x", aws_profile_name="work")
    assert repr(found.token_source) == "AwsCredentials(profile='work', region='us-east-1')"


def test_amazon_s_credentials_are_found_if_none_are_given() -> None:
    assert repr(build("bedrock/us-east-1/x").token_source) == "AwsCredentials(region='us-east-1')"


def test_a_bearer_key_of_bedrock() -> None:
    found = build("bedrock/us-east-1/x", api_key="sesame")
    assert (key(found), found.token_source) == ("sesame", None)
    own = build("bedrock/x", {"AWS_BEARER_TOKEN_BEDROCK": "k"}, **AWS)
    assert own.api_key is None
    assert isinstance(own.token_source, AwsCredentials)


@pytest.mark.parametrize("model", ["bedrock/us-east-1/x", "vertex_ai/gemini-x"])
def test_a_header_may_say_who_calls(model: str) -> None:
    found = build(model, extra_headers={"Authorization": "Bearer sesame"})
    assert (found.api_key, found.token_source) == (None, None)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (
            {"aws_access_key_id": "AKID"},
            "aws_access_key_id: aws_access_key_id says nothing without aws_secret_access_key",
        ),
        ({"aws_session_name": "s"}, "aws_session_name: aws_session_name says nothing without aws_role_name"),
        (
            {**AWS, "aws_profile_name": "work"},
            "aws_access_key_id: aws_access_key_id and aws_profile_name exclude each other: give one of them",
        ),
        ({"aws_sts_endpoint": "sts"}, "aws_sts_endpoint: must be an absolute URL; write 'https://host[:port][/path]'"),
    ],
)
def test_what_is_said_of_amazon_s_credentials(params: dict[str, Any], said: str) -> None:
    assert problems("bedrock/us-east-1/x", **{**params, "aws_region_name": "us-east-1"}) == [said]


# Google


def test_credentials_of_google(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    file.write_text(json.dumps(ACCOUNT))
    for given, kind in ((ACCOUNT, "dict"), (json.dumps(ACCOUNT), "str"), (str(file), "str")):
        for name in ("vertex_credentials", "vertex_ai_credentials"):
            found = build("vertex_ai/gemini-x", **{name: given})
            assert isinstance(found.token_source, GoogleCredentials)
            assert repr(found.token_source) == f"GoogleCredentials({kind}, impersonate=None)"
            assert shown(found) == {"vertex_credentials": "***"}
        if isinstance(given, str):
            found = build("vertex_ai/gemini-x", {"VERTEXAI_CREDENTIALS": given})
            assert repr(found.token_source) == "GoogleCredentials(str, impersonate=None)"


def test_google_s_own_credentials_are_found_if_none_are_given() -> None:
    found = build("vertex_ai/claude-x", vertex_impersonate_service_account="robot@p.iam.gserviceaccount.com")
    said = "GoogleCredentials(default, impersonate='robot@p.iam.gserviceaccount.com')"
    assert repr(found.token_source) == said
    assert repr(build("vertex_ai/claude-x").token_source) == "GoogleCredentials(default, impersonate=None)"


def test_a_key_of_vertex() -> None:
    found = build("vertex_ai/gemini-x", api_key="sesame")
    assert (key(found), found.token_source) == ("sesame", None)


FORM = "must be JSON, as a text or a mapping, or the path of a file that holds it"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("/no/such/sesame.json", "names no file"),
        ("{sesame", "is not valid JSON"),
        ("{}sesame", "is not valid JSON"),
        ("", FORM),
        ({}, FORM),
        ({"type": object()}, FORM),
        (5, FORM),
        (["sesame"], FORM),
    ],
)
def test_what_is_said_of_google_s_credentials(given: object, said: str) -> None:
    assert problems("vertex_ai/gemini-x", vertex_credentials=given) == [f"vertex_credentials: {said}"]
    if given and isinstance(given, str):
        variable = f"vertex_credentials: the environment variable 'VERTEXAI_CREDENTIALS' {said}"
        assert problems("vertex_ai/gemini-x", {"VERTEXAI_CREDENTIALS": given}) == [variable]


# what goes together


@pytest.mark.parametrize(
    ("model", "params", "second"),
    [
        ("azure/x", {"api_key": "k", "client_id": "c"}, "client_id"),
        ("azure/x", {"azure_ad_token": "t", "use_default_azure_credential": True}, "use_default_azure_credential"),
        ("bedrock/us-east-1/x", {"api_key": "k", "aws_profile_name": "p"}, "aws_profile_name"),
        ("vertex_ai/x", {"api_key": "k", "vertex_credentials": {"type": "x"}}, "vertex_credentials"),
        ("azure/x", {"azure_ad_token_provider": print, "tenant_id": "t"}, "tenant_id"),
    ],
)
def test_there_is_one_way_to_say_who_calls(model: str, params: dict[str, Any], second: str) -> None:
    first = next(iter(params))
    said = f"{second}: contradicts model_list[0].params.{first}; give one of them"
    assert problems(model, api_base="https://h", **params) == [said]


def test_default_credentials_exclude_an_application_s() -> None:
    said = "contradicts model_list[0].params.use_default_azure_credential; give one of them"
    assert problems("azure/x", api_base="https://h", **ENTRA, use_default_azure_credential=True) == [
        f"tenant_id: {said}",
        f"client_secret: {said}",
    ]


@pytest.mark.parametrize(
    ("model", "params", "whose"),
    [
        ("openai/x", ENTRA, "azure and azure_ai"),
        ("gemini/x", {"vertex_credentials": ACCOUNT}, "vertex_ai"),
        ("anthropic/x", {"aws_role_name": "r"}, "bedrock"),
    ],
)
def test_other_vendors_credentials_are_refused(model: str, params: dict[str, Any], whose: str) -> None:
    vendor = model.partition("/")[0]
    said = [line for line in problems(model, **params) if not line.startswith("api_key: is required")]
    assert said == [f"{name}: means nothing to {vendor}; it is for {whose}" for name in params]


def test_an_entry_s_way_replaces_the_default_one() -> None:
    raw: dict[str, Any] = {"model_name": "g", "params": {"model": "azure/x", "api_base": "https://h", **ENTRA}}
    (found,) = build_deployments([raw], {"api_key": "k"}, environ={})
    assert found.api_key is None
    assert isinstance(found.token_source, EntraCredential)
    part: dict[str, Any] = {"model_name": "g", "params": {"model": "azure/x", "api_base": "https://h"}}
    part["params"]["client_secret"] = "sesame"
    (found,) = build_deployments([part], {"tenant_id": "tenant", "client_id": "app"}, environ={})
    assert "tenant='tenant', client_id='app'" in repr(found.token_source)
    with pytest.raises(ConfigurationError, match=r"azure_ad_token: contradicts default_litellm_params\.api_key"):
        build_deployments([], {"api_key": "k", "azure_ad_token": "t"}, environ={})


@pytest.mark.parametrize(
    ("params", "changed"),
    [
        ({"model": "bedrock/openai.gpt-x", **AWS}, {"aws_secret_access_key": "other"}),
        ({"model": "bedrock/openai.gpt-x", **AWS}, {"aws_region_name": "us-east-2"}),
        ({"model": "azure/x", "api_base": "https://h", **ENTRA}, {"client_secret": "other"}),
        ({"model": "azure/x", "api_base": "https://h", "azure_ad_token": "sesame"}, {"azure_ad_token": "other"}),
        ({"model": "vertex_ai/gemini-x", "vertex_credentials": ACCOUNT}, {"vertex_credentials": {"type": "x"}}),
    ],
)
def test_deployments_of_one_caller_share_its_tokens(params: dict[str, Any], changed: dict[str, Any]) -> None:
    """And, at one place, what it holds."""
    entries = [{"model_name": "g", "params": each} for each in (params, params, {**params, **changed})]
    one, other, stranger = build_deployments(entries, environ={})
    assert one.token_source is other.token_source
    assert one.token_source is not stranger.token_source
    assert same_domain(one, other)
    if one.provider == "bedrock":
        assert not same_domain(one, stranger)
