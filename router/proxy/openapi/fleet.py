"""What can be asked for, how it is, and what operators do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers.types import JsonObject
from router.proxy.openapi.shapes import FLAG, NUMBER, TEXT, Operation, list_of, object_of, reference

_MODEL: JsonObject = object_of(
    {"id": TEXT, "object": {"const": "model"}, "created": NUMBER, "owned_by": TEXT}, "id", "object"
)
_DEPLOYMENT: JsonObject = object_of({"id": TEXT, "state": TEXT}, "id", "state")

SCHEMAS: Mapping[str, JsonObject] = {
    "Model": _MODEL,
    "Models": object_of({"object": {"const": "list"}, "data": list_of(reference("Model"))}, "object", "data"),
    "Health": object_of(
        {"healthy_count": NUMBER, "unhealthy_count": NUMBER, "deployments": list_of(_DEPLOYMENT)},
        *("healthy_count", "unhealthy_count", "deployments"),
    ),
    "Readiness": object_of({"status": TEXT, "deployments": {"type": "object"}, "redis": TEXT}, "status"),
    "Liveness": object_of({"status": {"const": "alive"}}, "status"),
    "Page": TEXT,
    "Fleet": {"type": "object"},
    "Drained": object_of({"id": TEXT, "drained": FLAG}, "id", "drained"),
    "Metrics": {**TEXT, "description": "Prometheus's text format."},
}

OPERATIONS: Sequence[Operation] = (
    Operation("GET", "/models", "listModels", "Every name that may be asked for.", "Models", upstream=False),
    Operation("GET", "/models/{model}", "getModel", "One of them.", "Model", upstream=False),
    Operation("GET", "/health", "getHealth", "How each deployment is.", "Health", upstream=False, master=True),
    *(
        Operation(
            "GET", f"/health/{name}", f"get{name.title()}", told, answer, public=True, upstream=False, unready=ends
        )
        for name, told, answer, ends in (
            ("liveness", "The process answers.", "Liveness", False),
            ("liveliness", "The same.", "Liveness", False),
            ("readiness", "Whether calls can be served.", "Readiness", True),
        )
    ),
    Operation(
        *("GET", "/metrics", "getMetrics", "What is counted, for Prometheus.", "Metrics"),
        kind="text/plain",
        absent=True,
        upstream=False,
        master=True,
    ),
    Operation(
        *("GET", "/", "getPage", "A page that shows the fleet.", "Page"),
        kind="text/html",
        public=True,
        upstream=False,
    ),
    Operation("GET", "/fleet", "getFleet", "How all stands now.", "Fleet", upstream=False, master=True),
    Operation(
        *("GET", "/fleet/events", "watchFleet", "The same, each second, without an end.", "Event"),
        kind="text/event-stream",
        upstream=False,
        master=True,
    ),
    *(
        Operation(
            *("POST", f"/fleet/{{deployment_id}}/{name}", f"{name}Deployment", told, "Drained"),
            upstream=False,
            master=True,
        )
        for name, told in (("drain", "Send nothing new there."), ("undrain", "Let it serve again."))
    ),
)
