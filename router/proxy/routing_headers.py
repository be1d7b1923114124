"""Who served an answer, told in headers: ours, and those that users of LiteLLM's proxy read."""

from __future__ import annotations

from providers.views import Routing
from router.proxy.exchange import Headers


def routing_headers(routing: Routing, *, streamed: bool) -> Headers:
    """The headers of one answer. What a stream costs is not known when they are sent."""
    retries = max(0, len(routing.attempts) - 1)
    call, deployment, group = map(printable, (routing.call_id, routing.deployment_id, routing.model_group))
    fallbacks = b"%d" % routing.fallbacks
    told: Headers = [
        (b"x-homing-call-id", call),
        (b"x-homing-deployment", deployment),
        (b"x-homing-group", group),
        (b"x-homing-provider", printable(routing.provider)),
        (b"x-homing-attempts", b"%d" % len(routing.attempts)),
        (b"x-homing-fallbacks", fallbacks),
        (b"x-litellm-call-id", call),
        (b"x-litellm-model-id", deployment),
        (b"x-litellm-model-group", group),
        (b"x-litellm-attempted-retries", b"%d" % retries),
        (b"x-litellm-attempted-fallbacks", fallbacks),
    ]
    if routing.affinity is not None:
        told.append((b"x-homing-affinity", routing.affinity.mode.encode()))
    if routing.dropped:
        told.append((b"x-homing-dropped", printable(", ".join(each.partition(":")[0] for each in routing.dropped))))
    cost = None if streamed else routing.cost
    if cost is not None:
        dollars = f"{cost:.10f}".rstrip("0").rstrip(".").encode()
        told += [(b"x-homing-cost", dollars), (b"x-litellm-response-cost", dollars)]
    return told


def printable(value: str) -> bytes:
    """`value` as a header can hold it."""
    if value.isascii() and value.isprintable():  # nearly always: then there is nothing to look for
        return value.encode()
    return "".join(each if " " <= each <= "~" else "?" for each in value).encode("latin-1")
