"""What a failed call says about the deployment that failed it."""

from __future__ import annotations

from enum import Enum, auto

from providers.errors import (
    APIError,
    CredentialError,
    DeploymentError,
    InsufficientQuotaError,
    ModelNotFoundError,
    NoDeploymentError,
    RateLimitError,
    ServiceUnavailableError,
    TransportError,
)


class Verdict(Enum):
    """What follows for the deployment."""

    NOTHING = auto()
    """It did its part, or had none."""
    FAILED = auto()
    """It counts against it."""
    REFUSED = auto()
    """It is out of room for a while, which is no failure."""
    USELESS = auto()
    """It will not serve until somebody mends its key, its model or its bill."""


def judge(error: APIError) -> Verdict:
    """The verdict on an error, by its type alone."""
    if isinstance(error, (CredentialError, ModelNotFoundError, InsufficientQuotaError)):
        return Verdict.USELESS
    if isinstance(error, RateLimitError):
        return Verdict.REFUSED
    if isinstance(error, ServiceUnavailableError) and error.retry_after is not None:
        return Verdict.REFUSED
    if isinstance(error, (DeploymentError, TransportError)) and not isinstance(error, NoDeploymentError):
        return Verdict.FAILED
    return Verdict.NOTHING
