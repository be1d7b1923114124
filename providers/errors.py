"""Every error a call can end with. Whose fault it is stands in the type.

RouterError
├── ConfigurationError (ValueError)        yours: the configuration or an argument; names the place and the fix
└── APIError                               has the shape of an HTTP error: status_code, code, param, type, …
    ├── CallerError                        the request's fault: raised at once, never retried, never counted
    │   ├── BadRequestError                400
    │   │   ├── ContextWindowExceededError      the input is too long for the model
    │   │   ├── ContentPolicyViolationError     a content filter refused it
    │   │   ├── UnsupportedParamsError          that deployment's dialect can't say it; nothing was sent, another may
    │   │   └── PreviousResponseNotFoundError   `previous_response_id` is not known there
    │   ├── RequestTooLargeError           413
    │   ├── UnprocessableEntityError       422
    │   ├── ResponseNotFoundError          404 on an id (also a NotFoundError)
    │   └── UnknownModelError              this Router has no such group (also a NotFoundError)
    ├── CredentialError                    the key's fault: another deployment may serve, this one cools
    │   ├── AuthenticationError            401
    │   └── PermissionDeniedError          403
    ├── NotFoundError                      404
    │   └── ModelNotFoundError             the deployment lacks the model: cools
    ├── RateLimitError                     429: blocked until its `retry_after`, not a failure
    │   └── InsufficientQuotaError         429 that waiting can't cure: cools
    │       └── BudgetExceededError        a budget of this Router has no room: nothing was sent; other groups may have
    ├── DeploymentError                    the deployment's fault: counted, tried elsewhere
    │   ├── InternalServerError            5xx
    │   ├── ServiceUnavailableError        503, 529
    │   ├── ConflictError                  409
    │   ├── MalformedReplyError            not the JSON or the events it should be
    │   ├── NoDeploymentError              no deployment of the group may serve this call
    │   └── HomeLostError                  the one that holds the conversation can't: never tried elsewhere
    └── TransportError                     the way there: counted, tried elsewhere
        ├── APIConnectionError             refused, reset, DNS, TLS
        ├── APITimeoutError                408, or no answer in time
        └── StreamInterruptedError         a stream ended before its last event
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from providers.decisions import RouteDecision
from providers.types import Json
from providers.usage import Spent


class Attempt(msgspec.Struct, frozen=True):  # made for each call; a frozen dataclass takes ten times as long
    """One request that was sent, or refused before it was, on behalf of a call."""

    deployment_id: str
    model_group: str
    started: float
    """Seconds from the start of the call."""
    duration: float
    """Seconds until it answered (streams: until the first output) or failed."""
    error: APIError | None = None
    """What it failed with; None for the one that served, or was cancelled."""
    provider: str = ""
    """The deployment's."""
    waited: float = 0.0
    """Seconds before it that went into finding its deployment: asking the checks, waiting in line."""
    decision: RouteDecision | None = None
    """Why it went there, where decisions are recorded (`record_decisions`)."""


class RouterError(Exception):
    """Base of every error of this library."""


class ConfigurationError(RouterError, ValueError):
    """The configuration, or an argument, is wrong. The message names each place and the fix."""


class APIError(RouterError):
    """A call failed. Picklable; the fields mirror those of OpenAI's errors."""

    status: ClassVar[int] = 500
    """The status assumed when none arrived."""

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: str | None = None,
        param: str | None = None,
        type: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        body: Json = None,
        deployment_id: str | None = None,
        provider: str | None = None,
        attempts: tuple[Attempt, ...] = (),
        received: dict[str, Json] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = self.status if status_code is None else status_code
        self.code = code
        self.param = param
        self.type = type
        self.request_id = request_id
        self.retry_after = retry_after
        """Seconds the server asked to wait, or None."""
        self.body = body
        """The error's JSON as it arrived, or None."""
        self.deployment_id = deployment_id
        self.provider = provider
        self.attempts = attempts
        """Everything that was tried for the call, in order."""
        self.decision: RouteDecision | None = None
        """The last choice that found no deployment for the call, where decisions are recorded."""
        self.received = received
        """The response as far as it had arrived when a stream failed after its first output."""
        self.spent: Spent | None = None
        """What the answer that failed has used, if its vendor told."""

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.__class__, self.message), self.__dict__

    def __str__(self) -> str:
        where = f" [deployment {self.deployment_id}]" if self.deployment_id else ""
        tried = f" (after {len(self.attempts)} attempts)" if len(self.attempts) > 1 else ""
        return f"{self.message}{where}{tried}"


def _rebuild(cls: type[APIError], message: str) -> APIError:
    return cls(message)


class CallerError(APIError):
    """The request's fault; no other deployment would take it."""

    status = 400


class BadRequestError(CallerError):
    """400: the request is malformed or not supported."""


class ContextWindowExceededError(BadRequestError):
    """The input does not fit the model's context window."""


class ContentPolicyViolationError(BadRequestError):
    """A content filter refused the request."""


class UnsupportedParamsError(BadRequestError):
    """The call can't be put into the words of the deployment's dialect. Nothing was sent; another deployment of the
    group is asked if there is one."""


class PreviousResponseNotFoundError(BadRequestError):
    """The deployment does not know the `previous_response_id`."""


class RequestTooLargeError(CallerError):
    """413: the body is too large."""

    status = 413


class UnprocessableEntityError(CallerError):
    """422: well-formed but not valid."""

    status = 422


class NotFoundError(APIError):
    """404."""

    status = 404


class ResponseNotFoundError(NotFoundError, CallerError):
    """404: no response, or no item, with this id there."""


class UnknownModelError(NotFoundError, CallerError):
    """No group, alias, wildcard or deployment id of this Router has the name asked for."""


class ModelNotFoundError(NotFoundError):
    """The deployment does not have its model."""


class CredentialError(APIError):
    """The deployment's credential was refused."""

    status = 401


class AuthenticationError(CredentialError):
    """401: the key is missing, wrong or revoked."""


class PermissionDeniedError(CredentialError):
    """403: the key may not do this."""

    status = 403


class RateLimitError(APIError):
    """429: too many requests or tokens. `retry_after` says when it passes, if the server did."""

    status = 429


class InsufficientQuotaError(RateLimitError):
    """429 for want of credit: waiting does not cure it."""


class BudgetExceededError(InsufficientQuotaError):
    """A budget of this Router has no room for the call. Nothing was sent. The message names the budget, what is spent
    of it and the limit; `retry_after` is the time until it starts anew, None if the call would not fit then either."""


class DeploymentError(APIError):
    """The deployment failed; another may serve."""


class InternalServerError(DeploymentError):
    """5xx."""


class ServiceUnavailableError(DeploymentError):
    """503 or 529: overloaded or down."""

    status = 503


class ConflictError(DeploymentError):
    """409."""

    status = 409


class MalformedReplyError(DeploymentError):
    """The reply is not what the protocol promises."""

    status = 502


class NoDeploymentError(DeploymentError):
    """No deployment of the group may serve this call now; the message says why for each."""

    status = 503


class HomeLostError(DeploymentError):
    """The deployment that holds the conversation can't serve the call, and no other holds it too."""

    status = 503
    owner: str | None = None
    """Id of the deployment that holds it."""
    reason: str | None = None
    """Why it can't serve."""
    since: float | None = None
    """Unix time since when that is known, seconds."""


class TransportError(APIError):
    """The request or its answer did not get through."""

    status = 503


class APIConnectionError(TransportError):
    """The connection was refused, reset or never made."""


class APITimeoutError(TransportError):
    """No answer in time."""

    status = 408


class StreamInterruptedError(TransportError):
    """The stream ended before its terminal event."""


Timeout = APITimeoutError
"""The name LiteLLM users know."""
