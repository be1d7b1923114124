"""Failures as a trace knows them, and as a simulated deployment fails again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from providers.errors import (
    APIError,
    APITimeoutError,
    HomeLostError,
    InsufficientQuotaError,
    InternalServerError,
    NoDeploymentError,
    PreviousResponseNotFoundError,
    RateLimitError,
    ResponseNotFoundError,
    UnknownModelError,
    UnsupportedParamsError,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt failed."""

    kind: type[APIError]
    status: int | None
    code: str | None
    after: float
    """Seconds from its sending; of one that failed after its first output, seconds to that."""
    late: bool = False
    """Whether it failed after its first output."""

    @property
    def limited(self) -> bool:
        """Whether there were too many calls for it."""
        return issubclass(self.kind, RateLimitError) and not issubclass(self.kind, InsufficientQuotaError)

    @property
    def hangs(self) -> bool:
        """Whether there was no answer, for as long as anybody waited."""
        return issubclass(self.kind, APITimeoutError)

    def error(self, retry_after: float | None = None) -> APIError:
        """It, to be raised."""
        return self.kind("as recorded", status_code=self.status, code=self.code, retry_after=retry_after)


def _all(kind: type[APIError]) -> Iterator[type[APIError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == APIError.__module__:
            yield from _all(below)


_KINDS: Final = {kind.__name__: kind for kind in _all(APIError)}
_OURS: Final = (
    HomeLostError,
    NoDeploymentError,
    PreviousResponseNotFoundError,
    ResponseNotFoundError,
    UnknownModelError,
    UnsupportedParamsError,
)
"""What the Router decides, or what follows from where it sent a call: simulated, not repeated."""


def kind_of(name: str | None) -> type[APIError] | None:
    """The class of a recorded failure; None for what is not to be repeated. One that is not known is a 5xx."""
    kind = _KINDS.get(name or "", InternalServerError)
    return None if issubclass(kind, _OURS) else kind
