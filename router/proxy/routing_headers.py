"""Who served an answer, told in headers: ours, and those that users of LiteLLM's proxy read."""

from __future__ import annotations

from providers.views import Routing
from router.proxy.exchange import Headers


def routing_headers(routing: Routing, *, streamed: bool) -> Headers:
    """The headers of one answer. What a stream costs is not known when they are sent."""
    retries = max(0, len(routing.attempts) - 1)
    told = {
        "x-homing-call-id": routing.call_id,
        "x-homing-deployment": routing.deployment_id,
        "x-homing-group": routing.model_group,
        "x-homing-provider": routing.provider,
        "x-homing-attempts": str(len(routing.attempts)),
        "x-homing-fallbacks": str(routing.fallbacks),
        "x-litellm-call-id": routing.call_id,
        "x-litellm-model-id": routing.deployment_id,
        "x-litellm-model-group": routing.model_group,
        "x-litellm-attempted-retries": str(retries),
        "x-litellm-attempted-fallbacks": str(routing.fallbacks),
    }
    if routing.affinity is not None:
        told["x-homing-affinity"] = routing.affinity.mode
    if routing.dropped:
        told["x-homing-dropped"] = ", ".join(each.partition(":")[0] for each in routing.dropped)
    cost = None if streamed else routing.cost
    if cost is not None:
        told["x-homing-cost"] = told["x-litellm-response-cost"] = f"{cost:.10f}".rstrip("0").rstrip(".")
    return [(name.encode(), printable(value)) for name, value in told.items()]


def printable(value: str) -> bytes:
    """`value` as a header can hold it."""
    return "".join(each if " " <= each <= "~" else "?" for each in value).encode("latin-1")
