"""Homing Router: balances LLM deployments behind the Responses API and brings every conversation home.

The public names are those of `__all__`; submodules are private. Errors are drawn in `providers.errors`:

    RouterError
    ├── ConfigurationError            yours
    └── APIError                      has a status_code, and the attempts
        ├── CallerError               the request's fault
        ├── CredentialError           the key's
        ├── NotFoundError             the model's
        ├── RateLimitError            nobody's: wait
        ├── DeploymentError           the deployment's
        └── TransportError            the way there
"""

from importlib import import_module
from typing import TYPE_CHECKING

from router._guard import require_own_packages

require_own_packages()  # before anything that imports them

from checks.base import PreCallCheck
from providers.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    Attempt,
    AuthenticationError,
    BadRequestError,
    CallerError,
    ConfigurationError,
    ConflictError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    CredentialError,
    DeploymentError,
    HomeLostError,
    InsufficientQuotaError,
    InternalServerError,
    MalformedReplyError,
    ModelNotFoundError,
    NoDeploymentError,
    NotFoundError,
    PermissionDeniedError,
    PreviousResponseNotFoundError,
    RateLimitError,
    RequestTooLargeError,
    ResponseNotFoundError,
    RouterError,
    ServiceUnavailableError,
    StreamInterruptedError,
    Timeout,
    TransportError,
    UnknownModelError,
    UnprocessableEntityError,
    UnsupportedParamsError,
)
from providers.types import Affinity, Call, Deployment, Verb
from providers.views import Event, Response, Routing
from router.explain import Explanation
from router.functions import (
    acancel_responses,
    adelete_responses,
    aget_responses,
    alist_input_items,
    aresponses,
    cancel_responses,
    delete_responses,
    get_responses,
    list_input_items,
    responses,
)
from router.pool import DeploymentHealth
from router.router import Router
from router.stream import ResponseStream
from router.sync import SyncResponseStream
from strategies.base import Candidate, Strategy

if TYPE_CHECKING:
    from router.telemetry.otel.telemetry import OpenTelemetry
    from router.telemetry.prometheus.metrics import PrometheusMetrics

__all__ = [
    "APIConnectionError",
    "APIError",
    "APITimeoutError",
    "Affinity",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "Call",
    "CallerError",
    "Candidate",
    "ConfigurationError",
    "ConflictError",
    "ContentPolicyViolationError",
    "ContextWindowExceededError",
    "CredentialError",
    "Deployment",
    "DeploymentError",
    "DeploymentHealth",
    "Event",
    "Explanation",
    "HomeLostError",
    "InsufficientQuotaError",
    "InternalServerError",
    "MalformedReplyError",
    "ModelNotFoundError",
    "NoDeploymentError",
    "NotFoundError",
    "OpenTelemetry",
    "PermissionDeniedError",
    "PreCallCheck",
    "PreviousResponseNotFoundError",
    "PrometheusMetrics",
    "RateLimitError",
    "RequestTooLargeError",
    "Response",
    "ResponseNotFoundError",
    "ResponseStream",
    "Router",
    "RouterError",
    "Routing",
    "ServiceUnavailableError",
    "Strategy",
    "StreamInterruptedError",
    "SyncResponseStream",
    "Timeout",
    "TransportError",
    "UnknownModelError",
    "UnprocessableEntityError",
    "UnsupportedParamsError",
    "Verb",
    "acancel_responses",
    "adelete_responses",
    "aget_responses",
    "alist_input_items",
    "aresponses",
    "cancel_responses",
    "delete_responses",
    "get_responses",
    "list_input_items",
    "responses",
]

_LATER = {
    "OpenTelemetry": "router.telemetry.otel.telemetry",
    "PrometheusMetrics": "router.telemetry.prometheus.metrics",
}
"""What few use is imported when it is first asked for."""

if not TYPE_CHECKING:  # pragma: no branch - type checkers would take it for a promise that every name exists

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_LATER[name]), name)
        return value
