"""Keys as such: how they are shown, and made."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

_PLACES = ("x-api-key", "api-key", "x-litellm-api-key", "x-goog-api-key")
"""Where clients put their key, besides `Authorization: Bearer`."""
PREFIX: Final = "sk-"
"""How keys begin that are made here."""


def shown(headers: Mapping[str, str]) -> str | None:
    """The key that a request shows, if it shows one."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return next((headers[name] for name in _PLACES if headers.get(name)), None)


def new_key() -> str:
    """A key that nobody guesses: 256 bits."""
    return PREFIX + secrets.token_urlsafe(32)


def new_id() -> str:
    """An id for what a key grants."""
    return f"key_{secrets.token_hex(8)}"
