"""Ids of deployments that were given none."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

_READABLE = 48
_DIGITS = 12
_ODD = re.compile(r"[^a-z0-9._]+")


def _location(url: str | None) -> list[str]:
    """A URL without anything that could be a credential."""
    if url is None:
        return []
    parts = urlsplit(url)
    return [parts.scheme, parts.netloc.lower(), parts.path, *parse_qs(parts.query).get("api-version", [])]


def derive_id(provider: str, model: str, api_base: str | None, others: Sequence[str | None]) -> str:
    """A stable id such as `azure-gpt-4-turbo-1a2b3c4d5e6f`, from where a deployment is and what it serves.

    `others` are further settings that tell deployments apart: its group, version, organization, project, region,
    account. Credentials, headers, limits and defaults have no part in it, so changing them orphans nothing.
    """
    told = json.dumps([provider, model, _location(api_base), *others], separators=(",", ":"))
    slug = _ODD.sub("-", f"{provider}-{model}".lower())[:_READABLE].strip("-.")
    return f"{slug}-{hashlib.sha256(told.encode()).hexdigest()[:_DIGITS]}"
