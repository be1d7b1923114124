"""What a health check found, for people and dashboards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["models", "call"]
"""How a deployment is asked: for the models it has, which is free; or for a token, which is paid for."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One health check of one deployment."""

    deployment_id: str
    group: str
    kind: Kind
    """How it was asked."""
    ok: bool | None
    """False: it counts against the deployment. True: the deployment answered. None: it says nothing either way."""
    at: float
    """When it ended, Unix time in seconds."""
    latency: float | None = None
    """Seconds until the whole answer was there, or the error; None if nothing was sent."""
    error: str | None = None
    """Class of the error: of a failure, of a rate limit (which is none), or of what kept it from telling anything."""
    note: str = ""
    """What the error says, without secrets; or why nothing was asked."""
