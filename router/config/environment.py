"""What the environment says where a configuration says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def first_set(names: Iterable[str], environ: Mapping[str, str]) -> tuple[str, str | None]:
    """The first environment variable that is set, and its value; an empty name and None if none is."""
    return next(((name, environ[name]) for name in names if environ.get(name)), ("", None))


def looked_at(names: Iterable[str]) -> str:
    """For errors: which variables would have done."""
    return f"environment variables looked at: {', '.join(names)}"
