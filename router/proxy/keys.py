"""Who may use the proxy."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from providers.errors import AuthenticationError
from router.proxy.settings import ProxySettings

_PLACES = ("x-api-key", "api-key", "x-litellm-api-key", "x-goog-api-key")
"""Where clients put their key, besides `Authorization: Bearer`."""


class Keys:
    """Lets in who shows the master key; everybody, if there is none. Keeps its digest, not the key."""

    def __init__(self, settings: ProxySettings) -> None:
        key = settings.master_key
        self._digest = None if key is None else _digest(key.get_secret_value())

    def admit(self, headers: Mapping[str, str]) -> None:
        """Raises `AuthenticationError` unless the request may pass."""
        if self._digest is None:
            return
        shown = _shown(headers)
        if shown is None:
            raise AuthenticationError(
                "no API key was shown; send it as 'Authorization: Bearer KEY'", code="invalid_api_key"
            )
        if not hmac.compare_digest(_digest(shown), self._digest):
            raise AuthenticationError("the API key is not valid", code="invalid_api_key")


def _shown(headers: Mapping[str, str]) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return next((headers[name] for name in _PLACES if headers.get(name)), None)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
