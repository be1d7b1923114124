"""The smallest call that shows whether a deployment serves: what health checks send that ask for a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from providers.types import Call, Deployment, Dialect

_LEAST: Final[Mapping[Dialect, int]] = {Dialect.RESPONSES: 16}
"""Output tokens that must be asked for at least; elsewhere 1. Source: the Responses API's reference."""


def ping(deployment: Deployment, wildcard: str = "") -> Call | None:
    """A call that costs next to nothing; None if it is not known which of a wildcard deployment's models to call.

    `wildcard`: what the `*` of the deployment's model stands for; default: what makes it `health_check_model`.
    """
    if "*" in deployment.model and not wildcard:
        wildcard = capture(deployment.provider, deployment.model, deployment.health_check_model or "")
        if not wildcard:
            return None
    body: dict[str, object] = {
        "input": "ping",
        "max_output_tokens": _LEAST.get(deployment.dialect, 1),
        "store": False,
    }
    if deployment.defaults.get("background"):
        body["background"] = False  # it would be stored, and go on
    return Call(deployment.group, body=body, wildcard=wildcard, drop_params=True)


def capture(provider: str, model: str, named: str) -> str:
    """What the `*` of `model` stands for in `named`, which may begin with the provider; empty if it does not match."""
    prefix, _, suffix = model.partition("*")
    name = named.removeprefix(f"{provider}/")
    if name.startswith(prefix) and name.endswith(suffix):
        return name[len(prefix) : len(name) - len(suffix)]
    return ""
