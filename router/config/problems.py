"""Collects everything that is wrong with a configuration, to say it all at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

from pydantic_core import ErrorDetails

from providers.errors import ConfigurationError

_LIMIT = 100
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,79}")

_STEP = re.compile(r"[.\[]")

_TEXTS: Mapping[str, str] = {
    "missing": "is required",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_unicode": "must be valid Unicode",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "callable_type": "must be callable",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}


def at(place: str, key: object) -> str:
    """The place of `key` inside `place`: `a.b`, `a[3]`, `a["odd key"]`. Long keys are cut."""
    if isinstance(key, int) and not isinstance(key, bool):
        return f"{place}[{key}]"
    name = (key if isinstance(key, str) else repr(key)).encode(errors="backslashreplace").decode()
    if _PLAIN.fullmatch(name):
        return f"{place}.{name}" if place else name
    return f"{place}[{json.dumps(name if len(name) <= 80 else name[:80] + '…', ensure_ascii=False)}]"


def within(place: str, path: Sequence[int | str]) -> str:
    """`at`, for a path of several keys."""
    for key in path:
        place = at(place, key)
    return place


def wording(error: ErrorDetails) -> str:
    """What a validation error says, without the value that caused it."""
    text = _TEXTS.get(error["type"])
    least = error.get("ctx", {}).get("min_length", 1)
    if error["type"] in ("string_too_short", "too_short") and least > 1:  # the latter of secrets
        return f"must have at least {least} characters"
    return error["msg"] if text is None else text.format(**error.get("ctx", {}))


class Problems:
    """A list of `place: what is wrong and what to do`, in the order of discovery, without repetition.

    `shown` tells how a place is said, if otherwise than by itself: with its file and line.
    """

    def __init__(self, shown: Callable[[str], str] | None = None) -> None:
        self._found: dict[tuple[str, str], None] = {}
        self._places: set[str] = set()
        self._shown = shown or str

    def add(self, place: str, text: str) -> None:
        """Note a problem. `text` never holds a value that may be secret."""
        self._places.add(place)
        self._places.update(place[: mark.start()] for mark in _STEP.finditer(place))
        self._found[place, text] = None

    def known_at(self, place: str) -> bool:
        """Whether a problem was noted at this place or inside: what follows from it need not be said."""
        return place in self._places

    def raise_any(self) -> None:
        """Raise a `ConfigurationError` with every problem, one a line, if there are any."""
        shown = [(self._shown(place), text) for place, text in self._found]
        lines = [f"{place}: {text}" if place else text for place, text in shown]
        if not lines:
            return
        if len(lines) == 1:
            raise ConfigurationError(lines[0])
        listed = [*lines[:_LIMIT], f"… and {len(lines) - _LIMIT} more"] if len(lines) > _LIMIT else lines
        raise ConfigurationError("\n  ".join([f"{len(lines)} problems in the configuration:", *listed]))
