"""Where chat completions are asked for: `…/chat/completions`, whatever of it `api_base` gives already.

Sources: the vendors' API references; learn.microsoft.com, Azure OpenAI and Foundry Models REST references.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from providers.azure_ai import is_azure
from providers.types import Deployment

_PATH: Final = "/chat/completions"
_ENDS: Final = (_PATH, "/responses")
"""What users leave at the end of a base: the whole address, or that of the other API."""
_VERSION: Final = re.compile(r"/v\d+[a-z0-9]*(/|$)")
_V1: Final = "/openai/v1"
_DEPLOYMENT: Final = re.compile(r"/openai/deployments/[^/]+")
_DEPLOYMENT_END: Final = re.compile(_DEPLOYMENT.pattern + "$")
_PROJECT: Final = re.compile(r"/api/projects/[^/]+")
_NAMED: Final = frozenset({"preview", "latest", "v1"})
"""Versions of Azure's that are no date: they are those of its v1 API."""


def chat_url(base: str, version: str = "") -> tuple[str, str]:
    """URL and query string for an `api_base`. `version`, such as `/v1`, is supplied if the base has none."""
    path, _, query = base.partition("?")
    path = _bare(path)
    if version and not _VERSION.search(urlsplit(path).path):
        path += version
    return path + _PATH, query


def azure_url(deployment: Deployment, model: str) -> tuple[str, str]:
    """URL and query string at an Azure OpenAI resource; what a gateway puts before its paths is kept.

    A dated `api_version` means the address below the deployment; none, or one without a date, the v1 API. An
    `api_base` that already names the one or the other is believed.
    """
    parts, query, version = _taken_apart(deployment)
    path = _bare(parts.path)
    named = _DEPLOYMENT.search(path)
    if path.endswith(_V1):
        version = version if version in _NAMED else None
    elif named is None:
        path = path.removesuffix("/openai")
        dated = version is not None and version not in _NAMED
        path += f"/openai/deployments/{quote(model, safe='')}" if dated else _V1
    return urlunsplit((parts.scheme, parts.netloc, path + _PATH, "", "")), _versioned(query, version)


def azure_ai_url(deployment: Deployment) -> tuple[str, str]:
    """URL and query string at Azure AI Foundry.

    At Azure's own hosts the v1 API, in its project if the base names one; with a dated `api_version`, or a base that
    ends in `/models`, the model inference API. Elsewhere (serverless endpoints, gateways) below the base.
    """
    parts, query, version = _taken_apart(deployment)
    path = _bare(parts.path)
    if is_azure(parts.hostname) and not path.endswith(_V1):
        project = _PROJECT.match(path)
        dated = version is not None and version not in _NAMED
        if path.endswith("/models") or (dated and project is None):
            path = "/models"
        else:
            path, version = (project.group() if project else "") + _V1, version if version in _NAMED else None
    return urlunsplit((parts.scheme, parts.netloc, path + _PATH, "", "")), _versioned(query, version)


def models_url(url: str) -> str:
    """Where what is asked at this URL for chat completions tells the models it has.

    `…/models`; Azure's, which belongs to the resource and not to a deployment; or, at the model inference API, which is
    called `models` itself, what it tells of the model it serves.
    """
    base = _DEPLOYMENT_END.sub("/openai", url.removesuffix(_PATH))
    return f"{base}/info" if base.endswith("/models") else f"{base}/models"


def _bare(path: str) -> str:
    path = path.rstrip("/")
    for end in _ENDS:
        path = path.removesuffix(end)
    return path.rstrip("/")


def _taken_apart(deployment: Deployment) -> tuple[SplitResult, dict[str, str], str | None]:
    parts = urlsplit(deployment.api_base or "")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return parts, query, query.pop("api-version", None) or deployment.api_version


def _versioned(query: dict[str, str], version: str | None) -> str:
    return urlencode({**query, "api-version": version} if version else query)
