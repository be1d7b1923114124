"""Keeps a deployment's credentials out of errors: a server may repeat what it was sent."""

from __future__ import annotations

from collections.abc import Iterator

from providers.errors import APIError
from providers.rewording import reword
from providers.types import AwsKeys, Deployment

HIDDEN = "***"
_SHORTEST = 8
"""Shorter keys are stand-ins such as `none`: blotting them out would spoil words."""


def hide(error: APIError, deployment: Deployment) -> None:
    """Blot out the deployment's key and token in what its server said."""
    for secret in _secrets(deployment):
        reword(error, secret, HIDDEN)


def _secrets(deployment: Deployment) -> Iterator[str]:
    if deployment.api_key is not None:
        yield from _long(deployment.api_key.get_secret_value())
    held = deployment.memo.get("token")
    token = held[0] if isinstance(held, tuple) else None
    if isinstance(token, AwsKeys):
        for key in (token.secret_key, token.session_token):
            yield from _long(key.get_secret_value() if key is not None else "")
    elif token is not None:
        yield from _long(str(token))


def _long(secret: str) -> Iterator[str]:
    if len(secret) >= _SHORTEST:
        yield secret
