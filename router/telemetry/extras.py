"""What a feature needs that is not installed with the Router."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from providers.errors import ConfigurationError


@contextmanager
def needing(extra: str, feature: str) -> Iterator[None]:
    """Import within it what `extra` brings. Raises `ConfigurationError` that says how to install what is missing."""
    try:
        yield
    except ImportError as error:
        said = f"{feature} needs `pip install 'homing-router[{extra}]'`: {error}"
        raise ConfigurationError(said) from error
