"""Azure OpenAI: the same protocol at other addresses.

The address depends on `api_version`: none, or any dated GA version (which predates Responses), means today's v1
surface; `preview`, `latest` and `v1` name it; a dated preview means the older `/openai/responses`. An `api_base` that
already ends in `/openai/v1` is believed; one that ends in `/openai/deployments/<name>`, as chat completions have it,
means its resource. Sub-paths of gateways are kept.
Source: learn.microsoft.com, Azure OpenAI API version lifecycle.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from providers.openai import OpenAI
from providers.types import Deployment

_DATED_PREVIEW = re.compile(r"\d{4}-\d{2}-\d{2}-preview")
FIRST_WITH_RESPONSES = "2025-03-01-preview"
"""Dated previews before this one know no Responses API."""
_DEPLOYMENT = re.compile(r"/openai/deployments/[^/]+(/chat/completions|/responses)?$")
_TAILS = ("/openai/v1/responses", "/openai/responses", "/openai/v1", "/openai")


class Azure(OpenAI):
    """`azure/<deployment name>` at a resource's endpoint; `api_key`, or a bearer token from Entra ID."""

    def address(self, deployment: Deployment) -> tuple[str, str]:
        """The collection's URL by the rules above."""
        parts = urlsplit(deployment.api_base or "")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        version = query.pop("api-version", None) or deployment.api_version
        prefix, tail = _split(parts.path.rstrip("/"))
        dated = version is not None and _DATED_PREVIEW.fullmatch(version) is not None
        if tail.startswith("/openai/v1"):
            path, sent = "/openai/v1/responses", version if version in ("preview", "latest", "v1") else None
        elif version is not None and dated and version >= FIRST_WITH_RESPONSES:
            path, sent = "/openai/responses", version
        else:
            path, sent = "/openai/v1/responses", version if version in ("latest", "v1") else "preview"
        if sent:
            query["api-version"] = sent
        return urlunsplit((parts.scheme, parts.netloc, prefix + path, "", "")), urlencode(query)

    def authorization(self, deployment: Deployment, key: str, *, is_token: bool) -> tuple[str, str]:
        """`api-key`, or a bearer token."""
        return ("authorization", f"Bearer {key}") if is_token else ("api-key", key)


def _split(path: str) -> tuple[str, str]:
    """A path as (what a gateway put before, Azure's own part of it, without a deployment's)."""
    path = _DEPLOYMENT.sub("", path)
    for tail in _TAILS:
        if path.endswith(tail):
            return path[: -len(tail)], tail
    return path, ""
