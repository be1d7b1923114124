"""Turns what a caller passed into plain data of our own: a copy, with environment references replaced."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date
from math import isfinite

from router.config.problems import Problems, at

REFERENCE = "os.environ/"
"""A string value `os.environ/NAME` stands for the environment variable `NAME`."""

_DEPTH = 64


class _Dropped:
    """Stands for a value whose problem has been noted."""


_DROPPED = _Dropped()


@dataclass(frozen=True, slots=True)
class Copier:
    """Copies nested values, resolving references. The caller's objects are never changed nor kept."""

    environ: Mapping[str, str]
    problems: Problems

    def mapping(self, value: object, place: str) -> dict[str, object] | None:
        """`value` as a dict with string keys; None, with the problem noted, if it is not a mapping.

        A value with a problem is left out, a list with such an item as a whole.
        """
        if not isinstance(value, Mapping):
            self.problems.add(place, f"must be a mapping, not {type(value).__name__}")
            return None
        return self._mapping(value, place, 0)

    def _mapping(self, value: Mapping[object, object], place: str, depth: int) -> dict[str, object]:
        copy: dict[str, object] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                self.problems.add(at(place, key), f"the name must be a string, not {type(key).__name__}")
                continue
            plain = self._copy(item, at(place, key), depth + 1)
            if plain is not _DROPPED:
                copy[key] = plain
        return copy

    def _copy(self, value: object, place: str, depth: int) -> object:
        if isinstance(value, str):
            return self._string(value, place)
        if depth > _DEPTH:
            self.problems.add(place, f"is nested more than {_DEPTH} levels deep")
            return _DROPPED
        if isinstance(value, Mapping):
            return self._mapping(value, place, depth)
        if isinstance(value, list | tuple | Set):
            items = [self._copy(item, at(place, index), depth + 1) for index, item in enumerate(value)]
            return _DROPPED if any(item is _DROPPED for item in items) else items
        return value.isoformat() if isinstance(value, date) else value  # YAML reads a bare 2024-06-01 as a date

    def _string(self, value: str, place: str) -> object:
        if not value.startswith(REFERENCE):
            return value
        name = value.removeprefix(REFERENCE)
        try:
            found = self.environ.get(name)
        except ValueError:  # not a name the operating system can hold
            found = None
        if found is None:
            self.problems.add(place, f"the environment variable {name!r} is not set")
            return _DROPPED
        return found


def is_json(value: object) -> bool:
    """Whether a copied value has a JSON form."""
    if isinstance(value, float):
        return isfinite(value)
    if value is None or isinstance(value, str | int):
        return True
    if isinstance(value, dict):
        return all(is_json(item) for item in value.values())
    return isinstance(value, list) and all(is_json(item) for item in value)
