"""Where Google's models are: the Gemini API, and Vertex AI with its regions, publishers and endpoints.

Every function gives the URL of a model, to which a method is added (`:generateContent`), and takes its `api_base` with
or without a version, a project, a model or a method: what is there is kept, what is missing is added. Sources: Google's
REST references of `generativelanguage.googleapis.com` and `aiplatform.googleapis.com`; google-genai 3.4,
`_api_client.py` (hosts) and `_transformers.py` (`t_model`).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from providers.errors import AuthenticationError, BadRequestError
from providers.types import Deployment

GEMINI_BASE: Final = "https://generativelanguage.googleapis.com"
GEMINI_VERSION: Final = "v1beta"
"""Of the Gemini API: what has everything that is documented."""
VERTEX_VERSION: Final = "v1beta1"
"""Of Vertex AI, for Google's own models: what its own client asks for."""
PARTNER_VERSION: Final = "v1"
"""Of Vertex AI, for models of other publishers and the OpenAI-compatible endpoint."""
LOCATION: Final = "us-central1"
"""Where a deployment on Vertex AI is that does not say."""

_VERSION: Final = re.compile(r"v\d+(?:(?:alpha|beta)\d*)?")
_METHOD: Final = re.compile(r":[A-Za-z]+$")
_MODEL: Final = re.compile(r"/(?:publishers/[^/]+/models|endpoints|models|tunedModels)/[^/]+$")
_LISTED: Final = re.compile(r"/(?:models|tunedModels)/.*$")
_SCOPE: Final = re.compile(r"/projects/[^/]+/locations/[^/]+$")
_MULTI_REGION: Final = frozenset({"us", "eu"})


def gemini(deployment: Deployment, model: str, default_base: str | None = None) -> tuple[str, str]:
    """The URL of a model of the Gemini API, and the query string of its `api_base`."""
    base, query = _split(deployment.api_base or default_base or GEMINI_BASE)
    if _MODEL.search(base):
        return base, query
    base = _versioned(base.removesuffix("/models"), deployment.api_version or GEMINI_VERSION)
    path = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    return f"{base}/{_quoted(path)}", query


def models_of(url: str) -> str:
    """The URL of the list of models at the Gemini API, by that of a model."""
    return _LISTED.sub("/models", url)


def vertex(deployment: Deployment, model: str, publisher: str = "google") -> tuple[str, str]:
    """The URL of a model on Vertex AI, and the query string of its `api_base`.

    `model`: a publisher's model; an endpoint's number; or a resource's name, whole or in part. Raises
    `AuthenticationError` if no project is known.
    """
    version = VERTEX_VERSION if publisher == "google" else PARTNER_VERSION
    base, query = _vertex_base(deployment, deployment.api_version or version)
    if _MODEL.search(base):
        return base, query
    path = _resource(model, publisher)
    if path.startswith("projects/"):
        return f"{_SCOPE.sub('', base)}/{_quoted(path)}", query
    return f"{_scoped(base, deployment, path)}/{_quoted(path)}", query


def vertex_openapi(deployment: Deployment) -> tuple[str, str]:
    """The base of Vertex AI's OpenAI-compatible endpoint, to which `/chat/completions` is added, and its query string.

    Raises `AuthenticationError` if no project is known.
    """
    base, query = _vertex_base(deployment, deployment.api_version or PARTNER_VERSION)
    base = base.removesuffix("/chat/completions")
    if base.endswith("/endpoints/openapi"):
        return base, query
    return f"{_scoped(base, deployment, 'endpoints')}/endpoints/openapi", query


def project_of(deployment: Deployment) -> str | None:
    """The deployment's project; the one its credentials belong to if it has none of its own."""
    found = deployment.project or getattr(deployment.token_source, "project", None)
    return found if isinstance(found, str) else None


def host(location: str) -> str:
    """The address of Vertex AI in a region, in several (`us`, `eu`), or wherever there is room (`global`)."""
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in _MULTI_REGION:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _split(base: str) -> tuple[str, str]:
    """A base without method and slash, and its query string."""
    path, _, query = base.partition("?")
    path = path.rstrip("/")
    return (_METHOD.sub("", path) if path.count("/") > 2 else path), query


def _versioned(base: str, version: str) -> str:
    return base if _VERSION.fullmatch(base.rpartition("/")[2]) else f"{base}/{version}"


def _vertex_base(deployment: Deployment, version: str) -> tuple[str, str]:
    """The deployment's `api_base`, or the address of its region, with a version."""
    if deployment.api_base:
        base, query = _split(deployment.api_base)
        complete = _MODEL.search(base) or _SCOPE.search(base) or base.endswith("/endpoints/openapi/chat/completions")
        return (base if complete else _versioned(base, version)), query
    # a key, and no project, is what Vertex AI calls express mode: it is served wherever there is room
    express = deployment.api_key is not None and project_of(deployment) is None and deployment.region is None
    return f"{host('global' if express else deployment.region or LOCATION)}/{version}", ""


def _scoped(base: str, deployment: Deployment, path: str) -> str:
    """The base with project and location, which only publishers' models can do without, by a key."""
    if _SCOPE.search(base):
        return base
    project = project_of(deployment)
    if project is not None:
        return f"{base}/projects/{quote(project, safe='')}/locations/{quote(deployment.region or LOCATION, safe='')}"
    if deployment.api_key is not None and deployment.token_source is None and path.startswith("publishers/"):
        return base
    # not an error of the configuration: that the credentials would tell was a fair hope
    raise AuthenticationError(
        "Vertex AI needs a project, and the credentials tell none: set vertex_project, or VERTEXAI_PROJECT"
    )


def _resource(model: str, publisher: str) -> str:
    """The name of a model below its project."""
    if model.startswith(("projects/", "publishers/", "endpoints/", "models/")):
        return model
    number = model.removeprefix("gemini/")
    if number.isdecimal():
        return f"endpoints/{number}"
    return f"publishers/{publisher}/models/{model}"


def _quoted(path: str) -> str:
    """A path whose segments are quoted; those that would lead elsewhere are refused."""
    segments = path.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        raise BadRequestError(f"model: {path!r} can't be the name of a model", param="model")
    return "/".join(quote(segment, safe="@") for segment in segments)
