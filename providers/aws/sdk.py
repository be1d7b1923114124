"""botocore, which is imported on first use: it is large, and only what runs at Amazon needs it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from providers.errors import ConfigurationError

EXTRA = "pip install 'homing-router[bedrock]'"
"""What makes it available."""
SIGNS = ("auth", "awsrequest", "credentials")
"""What signing takes of it."""


def botocore(module: str) -> ModuleType:
    """A module of botocore: `botocore("auth")`. Raises `ConfigurationError` saying what to install."""
    try:
        return import_module(f"botocore.{module}")
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"AWS credentials and signatures need botocore, which is missing: {EXTRA}") from error
