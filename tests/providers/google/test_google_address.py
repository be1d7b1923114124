"""Where calls go: every form of `api_base`, model, region and version of the Gemini API and Vertex AI."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from providers.errors import AuthenticationError, BadRequestError
from providers.google.address import gemini, project_of, vertex, vertex_openapi
from providers.types import Deployment

KEY = SecretStr("k")
STUDIO = Deployment("a", "g", "gemini", "gemini-3-pro", api_key=KEY)
CLOUD = Deployment("b", "g", "vertex_ai", "gemini-3-pro", project="acme", token_source=lambda: "t")
OFFICIAL = "https://generativelanguage.googleapis.com"
SCOPE = "projects/acme/locations/us-central1"


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (None, f"{OFFICIAL}/v1beta/models/m"),
        (OFFICIAL, f"{OFFICIAL}/v1beta/models/m"),
        (f"{OFFICIAL}/", f"{OFFICIAL}/v1beta/models/m"),
        (f"{OFFICIAL}/v1", f"{OFFICIAL}/v1/models/m"),
        (f"{OFFICIAL}/v1alpha/", f"{OFFICIAL}/v1alpha/models/m"),
        (f"{OFFICIAL}/v1beta/models", f"{OFFICIAL}/v1beta/models/m"),
        (f"{OFFICIAL}/v1beta/models/other", f"{OFFICIAL}/v1beta/models/other"),
        (f"{OFFICIAL}/v1beta/models/other:generateContent", f"{OFFICIAL}/v1beta/models/other"),
        ("http://localhost:8080", "http://localhost:8080/v1beta/models/m"),
        ("https://gw.test/v1/acme/google-ai-studio", "https://gw.test/v1/acme/google-ai-studio/v1beta/models/m"),
        ("https://gw.test/v1/acme/google-ai-studio/v1", "https://gw.test/v1/acme/google-ai-studio/v1/models/m"),
    ],
)
def test_bases_of_the_gemini_api(base: str | None, url: str) -> None:
    assert gemini(replace(STUDIO, api_base=base), "m") == (url, "")


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3-pro", "models/gemini-3-pro"),
        ("models/gemini-3-pro", "models/gemini-3-pro"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("odd name:x?y", "models/odd%20name%3Ax%3Fy"),
    ],
)
def test_models_of_the_gemini_api(model: str, path: str) -> None:
    assert gemini(STUDIO, model)[0] == f"{OFFICIAL}/v1beta/{path}"


def test_versions_defaults_and_queries_are_heard() -> None:
    assert gemini(replace(STUDIO, api_version="v1alpha"), "m")[0] == f"{OFFICIAL}/v1alpha/models/m"
    assert gemini(STUDIO, "m", "http://fake/x")[0] == "http://fake/x/v1beta/models/m"
    assert gemini(replace(STUDIO, api_base="http://gw?k=v"), "m") == ("http://gw/v1beta/models/m", "k=v")


@pytest.mark.parametrize(
    ("region", "host", "location"),
    [
        (None, "us-central1-aiplatform.googleapis.com", "us-central1"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com", "europe-west4"),
        ("global", "aiplatform.googleapis.com", "global"),
        ("eu", "aiplatform.eu.rep.googleapis.com", "eu"),
        ("us", "aiplatform.us.rep.googleapis.com", "us"),
    ],
)
def test_regions_of_vertex(region: str | None, host: str, location: str) -> None:
    url, query = vertex(replace(CLOUD, region=region), "m")
    assert url == f"https://{host}/v1beta1/projects/acme/locations/{location}/publishers/google/models/m"
    assert query == ""


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3-pro", f"{SCOPE}/publishers/google/models/gemini-3-pro"),
        ("1234567890", f"{SCOPE}/endpoints/1234567890"),
        ("gemini/1234567890", f"{SCOPE}/endpoints/1234567890"),
        ("endpoints/12", f"{SCOPE}/endpoints/12"),
        ("models/12", f"{SCOPE}/models/12"),
        ("publishers/acme/models/x", f"{SCOPE}/publishers/acme/models/x"),
        ("projects/p/locations/l/endpoints/9", "projects/p/locations/l/endpoints/9"),
    ],
)
def test_models_of_vertex(model: str, path: str) -> None:
    assert vertex(CLOUD, model)[0] == f"https://us-central1-aiplatform.googleapis.com/v1beta1/{path}"


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://gw", f"http://gw/v1beta1/{SCOPE}/publishers/google/models/m"),
        ("http://gw/v1/", f"http://gw/v1/{SCOPE}/publishers/google/models/m"),
        ("http://gw/v1/projects/p/locations/l", "http://gw/v1/projects/p/locations/l/publishers/google/models/m"),
        ("http://gw/v1/projects/p/locations/l/endpoints/7", "http://gw/v1/projects/p/locations/l/endpoints/7"),
        ("http://gw/a/publishers/google/models/x:generateContent", "http://gw/a/publishers/google/models/x"),
        ("http://gw/v9x", f"http://gw/v9x/v1beta1/{SCOPE}/publishers/google/models/m"),
    ],
)
def test_bases_of_vertex(base: str, url: str) -> None:
    assert vertex(replace(CLOUD, api_base=base), "m") == (url, "")


def test_other_publishers_and_the_openai_endpoint_have_the_stable_version() -> None:
    claude, _ = vertex(replace(CLOUD, region="global"), "claude-sonnet-5@20260101", "anthropic")
    assert claude == (
        "https://aiplatform.googleapis.com/v1/projects/acme/locations/global/publishers/anthropic/models/"
        "claude-sonnet-5@20260101"
    )
    openapi = f"https://us-central1-aiplatform.googleapis.com/v1/{SCOPE}/endpoints/openapi"
    assert vertex_openapi(CLOUD) == (openapi, "")
    for base in (openapi, f"{openapi}/chat/completions", openapi.removesuffix("/endpoints/openapi")):
        assert vertex_openapi(replace(CLOUD, api_base=base)) == (openapi, "")


def test_a_resource_of_another_project_is_reached_through_any_base() -> None:
    base = f"http://gw/v1/{SCOPE}"
    assert vertex(replace(CLOUD, api_base=base), "projects/p/locations/l/endpoints/9")[0] == (
        "http://gw/v1/projects/p/locations/l/endpoints/9"
    )


def test_a_key_alone_is_express_mode() -> None:
    express = replace(CLOUD, project=None, token_source=None, api_key=KEY)
    assert vertex(express, "m")[0] == "https://aiplatform.googleapis.com/v1beta1/publishers/google/models/m"
    assert vertex(replace(express, region="us-east1"), "m")[0].startswith("https://us-east1-aiplatform.")
    with pytest.raises(AuthenticationError, match="Vertex AI needs a project"):
        vertex(express, "123")


class _Source:
    project = "found"

    def __call__(self) -> str:
        return "t"


def test_the_project_may_be_that_of_the_credentials() -> None:
    lacking: dict[str, Any] = {"project": None}
    with pytest.raises(AuthenticationError, match="vertex_project"):
        vertex(replace(CLOUD, **lacking), "m")
    found = replace(CLOUD, **lacking, token_source=_Source())
    assert project_of(found) == "found"
    assert "/projects/found/" in vertex(found, "m")[0]
    assert project_of(replace(CLOUD, token_source=_Source())) == "acme"


@pytest.mark.parametrize("model", ["..", "a/../b", "models/", "publishers//x"])
def test_names_that_lead_elsewhere_are_refused(model: str) -> None:
    with pytest.raises(BadRequestError, match="can't be the name of a model"):
        vertex(CLOUD, model)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    st.sampled_from(["global", "us", "eu", "us-east1"]),
)
def test_no_name_of_a_model_changes_the_host_or_adds_a_query(name: str, region: str) -> None:
    for build, deployment in ((gemini, STUDIO), (vertex, replace(CLOUD, region=region))):
        try:
            url = build(deployment, name)[0]
        except BadRequestError:
            continue
        parts = urlsplit(url)
        assert parts.netloc == urlsplit(build(deployment, "m")[0]).netloc
        assert not parts.query
        assert not parts.fragment


@given(st.sampled_from(["", "/x", "/v1/y"]), st.sampled_from([":generateContent", ":streamGenerateContent", "", "/"]))
def test_an_address_given_back_as_base_stays_what_it_is(path: str, method: str) -> None:
    for build, deployment in ((gemini, STUDIO), (vertex, CLOUD)):
        once, _ = build(replace(deployment, api_base=f"http://gw{path}"), "m")
        assert build(replace(deployment, api_base=once + method), "m") == (once, "")
