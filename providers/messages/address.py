"""Where Claude is: Anthropic's API, Microsoft Foundry, and what stands behind a gateway of one's own.

Every function takes an `api_base` with or without version and path. Sources: Messages API reference;
anthropic-python 2.12, lib/foundry.py.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from providers.azure_ai import is_azure

ANTHROPIC_BASE: Final = "https://api.anthropic.com"
VERSION: Final = "2023-06-01"
"""Of the API, where a deployment does not say: it still takes `temperature`, and every model."""
_DATED: Final = re.compile(r"(?:vertex-)?\d{4}-\d{2}-\d{2}")


def is_version(text: str | None) -> bool:
    """Whether this is a version of Anthropic's API, and not one of who hosts it."""
    return text is not None and _DATED.fullmatch(text) is not None


def messages(api_base: str) -> tuple[str, str]:
    """The URL of `POST /v1/messages`, and the query string of `api_base`."""
    base, _, query = api_base.partition("?")
    base = base.rstrip("/")
    if not base.endswith("/messages"):
        base = f"{base}/messages" if base.endswith("/v1") else f"{base}/v1/messages"
    return base, query


def foundry(api_base: str) -> tuple[str, str]:
    """The same on Microsoft Foundry: at Azure's hosts there is one, whatever path is given."""
    parts = urlsplit(api_base)
    if is_azure(parts.hostname):
        return urlunsplit((parts.scheme, parts.netloc, "/anthropic/v1/messages", "", "")), ""
    base, _, query = api_base.partition("?")
    base = base.rstrip("/")
    if "/anthropic" not in parts.path and not base.endswith(("/v1", "/messages")):
        base = f"{base}/anthropic"
    return messages(base)[0], query
