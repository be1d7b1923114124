"""Changes what an error says, in place: its message, its codes, and the body that came."""

from __future__ import annotations

from providers.errors import APIError
from providers.types import Json

_DEEPEST = 32
"""Levels of an error's body that are looked at; what lies deeper is dropped."""


def reword(error: APIError, old: str, new: str) -> None:
    """Put `new` in place of `old` wherever `error` says it."""
    if old in error.message:
        error.message = error.message.replace(old, new)
        error.args = (error.message,)
    for name in ("code", "param", "type"):
        said = getattr(error, name)
        if said and old in said:
            setattr(error, name, said.replace(old, new))
    error.body = _with(new, old, error.body, _DEEPEST)


def _with(new: str, old: str, value: Json, levels: int) -> Json:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, (list, dict)) and not levels:
        return None
    if isinstance(value, list):
        return [_with(new, old, item, levels - 1) for item in value]
    if isinstance(value, dict):
        return {name.replace(old, new): _with(new, old, item, levels - 1) for name, item in value.items()}
    return value
