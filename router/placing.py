"""Who may serve a call, by the name that it asks for."""

from __future__ import annotations

from providers.errors import BadRequestError
from providers.types import Call
from router.registry import Registry, Resolution
from router.run import Place


def place(registry: Registry, found: Resolution, call: Call) -> Place:
    """Who may serve `call`, whose name stands for `found`."""
    deployment = found.deployment
    if deployment is None:
        return Place(call, registry.groups[found.group], snapshot=registry.version)
    if "*" in deployment.model and not found.wildcard and call.verb.asks_model:
        raise BadRequestError(
            f"the deployment {deployment.id!r} serves whatever {found.group!r} matches; ask for a name that it matches",
            param="model",
            code="invalid_argument",
        )
    return Place(call, (deployment,), alone=True, snapshot=registry.version)
