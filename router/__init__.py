"""Homing Router: balances LLM deployments behind the Responses API and brings every conversation home.

The public names are those of `__all__`; submodules are private. Errors are drawn in `providers.errors`:

    RouterError
    ├── ConfigurationError            yours
    └── APIError                      has a status_code, and the attempts
        ├── CallerError               the request's fault
        ├── CredentialError           the key's
        ├── NotFoundError             the model's
        ├── RateLimitError            nobody's: wait; a BudgetExceededError may be a long one
        ├── DeploymentError           the deployment's
        └── TransportError            the way there
"""

from importlib import import_module
from typing import TYPE_CHECKING

from router._guard import require_own_packages

require_own_packages()  # before anything that imports them

from checks.base import PreCallCheck
from checks.budgets.ledger import BudgetState
from providers.decisions import RouteDecision
from providers.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    Attempt,
    AuthenticationError,
    BadRequestError,
    BudgetExceededError,
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
from providers.usage import Cost, Spent, TokenUsage
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
from router.pool import DeploymentHealth, HealthCheck
from router.router import Router
from router.stream import ResponseStream
from router.sync import SyncResponseStream
from router.telemetry.callbacks import CallbackStats
from router.telemetry.json_lines import JsonFormatter, JsonLog
from router.telemetry.record import AttemptRecord, CallRecord
from router.telemetry.spend import Spend, Totals
from router.telemetry.trace import TraceRecording
from strategies.base import Candidate, Strategy

if TYPE_CHECKING:
    from router.simulation import Simulation, simulate
    from router.telemetry.otel.telemetry import OpenTelemetry
    from router.telemetry.prometheus.metrics import PrometheusMetrics

__all__ = [
    "APIConnectionError",
    "APIError",
    "APITimeoutError",
    "Affinity",
    "Attempt",
    "AttemptRecord",
    "AuthenticationError",
    "BadRequestError",
    "BudgetExceededError",
    "BudgetState",
    "Call",
    "CallRecord",
    "CallbackStats",
    "CallerError",
    "Candidate",
    "ConfigurationError",
    "ConflictError",
    "ContentPolicyViolationError",
    "ContextWindowExceededError",
    "Cost",
    "CredentialError",
    "Deployment",
    "DeploymentError",
    "DeploymentHealth",
    "Event",
    "Explanation",
    "HealthCheck",
    "HomeLostError",
    "InsufficientQuotaError",
    "InternalServerError",
    "JsonFormatter",
    "JsonLog",
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
    "RouteDecision",
    "Router",
    "RouterError",
    "Routing",
    "ServiceUnavailableError",
    "Simulation",
    "Spend",
    "Spent",
    "Strategy",
    "StreamInterruptedError",
    "SyncResponseStream",
    "Timeout",
    "TokenUsage",
    "Totals",
    "TraceRecording",
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
    "simulate",
]

_LATER = {
    "OpenTelemetry": "router.telemetry.otel.telemetry",
    "PrometheusMetrics": "router.telemetry.prometheus.metrics",
    "Simulation": "router.simulation",
    "simulate": "router.simulation",
}
"""What few use is imported when it is first asked for."""

if not TYPE_CHECKING:  # pragma: no branch - type checkers would take it for a promise that every name exists

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_LATER[name]), name)
        return value
