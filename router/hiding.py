"""Keeps a deployment's credentials out of errors: a server may repeat what it was sent."""

from __future__ import annotations

from collections.abc import Iterator

from providers.errors import APIError
from providers.types import AwsKeys, Deployment, Json

HIDDEN = "***"
_SHORTEST = 8
"""Shorter keys are stand-ins such as `none`: blotting them out would spoil words."""
_DEEPEST = 32
"""Levels of an error's body that are looked at; what lies deeper is dropped."""


def hide(error: APIError, deployment: Deployment) -> None:
    """Blot out the deployment's key and token in what its server said."""
    for secret in _secrets(deployment):
        if secret in error.message:
            error.message = error.message.replace(secret, HIDDEN)
            error.args = (error.message,)
        for name in ("code", "param", "type"):
            said = getattr(error, name)
            if said and secret in said:
                setattr(error, name, said.replace(secret, HIDDEN))
        error.body = _without(secret, error.body, _DEEPEST)


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


def _without(secret: str, value: Json, levels: int) -> Json:
    if isinstance(value, str):
        return value.replace(secret, HIDDEN)
    if isinstance(value, (list, dict)) and not levels:
        return None
    if isinstance(value, list):
        return [_without(secret, item, levels - 1) for item in value]
    if isinstance(value, dict):
        return {name.replace(secret, HIDDEN): _without(secret, item, levels - 1) for name, item in value.items()}
    return value
