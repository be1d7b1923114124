"""Traces and configurations to simulate, made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import pytest

from providers.usage import TokenUsage
from router.simulation import Figures, Percentiles, Simulation, simulate
from router.telemetry.traced import TracedAttempt, TracedCall

BEGAN = 1_700_000_000.0
"""Unix time of the first call."""
AFFINITY = {"optional_pre_call_checks": ["responses_api_deployment_check"]}


def attempt(
    deployment: str, took: float, error: str | None = None, started: float = 0.0, status: int | None = None
) -> TracedAttempt:
    """One attempt; with `error`, one that failed so."""
    return TracedAttempt(
        deployment=deployment,
        started=started,
        duration=took,
        status="succeeded" if error is None else "failed",
        group="gpt",
        provider="openai",
        error_type=error,
        error_status=status,
    )


def call(at: float, deployment: str = "a", took: float = 1.0, **more: Any) -> TracedCall:
    """A call `at` seconds after the first, served by `deployment` in `took` seconds.

    `first`: it was streamed, and this is when the output began; `before`: attempts that failed before the last;
    `tokens`: input and output.
    """
    first = more.pop("first", None)
    before: Sequence[TracedAttempt] = more.pop("before", ())
    given, told = more.pop("tokens", (100, 50))
    delay = sum(each.duration for each in before)
    served = attempt(deployment, took if first is None else first, started=delay)
    values: dict[str, Any] = {
        "verb": "create",
        "model": "gpt",
        "status": "succeeded",
        "duration": delay + took,
        "group": "gpt",
        "deployment": deployment,
        "provider": "openai",
        "deployment_model": "gpt-4o",
        "response_model": "gpt-4o-2024-08-06",
        "stream": first is not None,
        "first_event": None if first is None else delay + first,
        "usage": TokenUsage(given, told),
        "attempts": (*before, served),
        **more,
    }
    return TracedCall(arrival=BEGAN + at, **values)


def failed(at: float, *attempts: TracedAttempt, **more: Any) -> TracedCall:
    """A call that ended as its last attempt did."""
    last = attempts[-1]
    return call(
        at,
        last.deployment,
        last.duration,
        **{"status": "failed", "attempts": attempts, "usage": None, "error_type": last.error_type, **more},
    )


def entries(*names: str, **params: Any) -> list[dict[str, Any]]:
    """A `model_list` of one group; `a=…` are further parameters of the deployment `a`, all others everybody's."""
    own = {name: params.pop(name) for name in names if name in params}
    return [
        {
            "model_name": "gpt",
            "litellm_params": {
                "model": "openai/gpt-4o",
                "api_key": f"os.environ/KEY_{name}",
                **params,
                **own.get(name, {}),
            },
            "model_info": {"id": name},
        }
        for name in names
    ]


def config(model_list: Sequence[Mapping[str, Any]], **settings: Any) -> dict[str, Any]:
    """A configuration; affinity as its only check, unless it says otherwise."""
    return {"model_list": list(model_list), "router_settings": {**AFFINITY, **settings}}


def simulated(calls: Iterable[TracedCall], *configs: Mapping[str, Any], seed: int = 0) -> Simulation:
    """The simulation of calls under each of `configs`."""
    return simulate(list(calls), list(configs), seed=seed)


def near(*seconds: float) -> Percentiles:
    """Percentiles, give or take what rounding makes of them; one number stands for all three."""
    p50, p90, p99 = seconds if len(seconds) == 3 else seconds * 3
    return Percentiles(*(cast("float", pytest.approx(each)) for each in (p50, p90, p99)))


def under(calls: Iterable[TracedCall], model_list: Sequence[Mapping[str, Any]], **settings: Any) -> Figures:
    """What would have become of calls under one configuration."""
    return simulated(calls, config(model_list, **settings)).simulated[0]
