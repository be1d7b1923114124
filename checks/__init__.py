"""Who may serve a call: pre-call checks, and what a check of your own is made of. Part of homing-router."""

from checks.affinity.responses_api_deployment import ResponsesApiDeployment
from checks.base import (
    AffinityStore,
    Appeared,
    Failed,
    Finished,
    Home,
    Leaning,
    Outcome,
    PreCallCheck,
    Preferred,
    Started,
)
from checks.context_window import ContextWindow
from checks.rate_limit import RateLimit
from checks.tags import Tags

__all__ = [
    "AffinityStore",
    "Appeared",
    "ContextWindow",
    "Failed",
    "Finished",
    "Home",
    "Leaning",
    "Outcome",
    "PreCallCheck",
    "Preferred",
    "RateLimit",
    "ResponsesApiDeployment",
    "Started",
    "Tags",
]
