"""Who may serve a call: pre-call checks, and what a check of your own is made of. Part of homing-router."""

from checks.base import (
    AffinityStore,
    Failed,
    Finished,
    Home,
    Outcome,
    PreCallCheck,
    Preferred,
    Started,
)
from checks.context_window import ContextWindow
from checks.rate_limit import RateLimit
from checks.responses_api_deployment import ResponsesApiDeployment
from checks.tags import Tags

__all__ = [
    "AffinityStore",
    "ContextWindow",
    "Failed",
    "Finished",
    "Home",
    "Outcome",
    "PreCallCheck",
    "Preferred",
    "RateLimit",
    "ResponsesApiDeployment",
    "Started",
    "Tags",
]
