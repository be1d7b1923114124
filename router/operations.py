"""What operators ask a Router, beside calls: how its deployments are, where calls would go and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from checks.affinity.pins import AffinityStats
from checks.affinity.responses_api_deployment import ResponsesApiDeployment
from checks.base import PreCallCheck
from providers.errors import ConfigurationError
from providers.types import Verb
from router.explain import Explanation, explain
from router.placing import place
from router.pool import DeploymentHealth, Pool
from router.registry import Registry
from router.request import Request
from router.shared import Stores
from router.sync import Portal
from router.telemetry.base import Exposing
from router.telemetry.recorder import Recorder


class Operations:
    """The part of a Router that answers operators."""

    _pool: Pool
    _checks: tuple[PreCallCheck, ...]
    _stores: Stores
    _registry: Registry
    _portal: Portal
    _recorder: Recorder

    def health(self) -> list[DeploymentHealth]:
        """What is known of each deployment now: breaker, calls in flight, latency, failures, quota."""
        return self._pool.health()

    def affinity_stats(self) -> AffinityStats:
        """How often homes were looked up, and with what result; zeros without `responses_api_deployment_check`."""
        for check in self._checks:
            if isinstance(check, ResponsesApiDeployment):
                link = self._stores.link
                return replace(check.stats, store_error=link.stats.errors if link is not None else 0)
        return AffinityStats()

    async def aexplain(self, model: str, **params: Any) -> Explanation:
        """Where a call to create a response would go now, and why, without sending it.

        Takes what `aresponses` takes. Raises `UnknownModelError`, `BadRequestError` for arguments that are wrong.
        """
        request = Request(Verb.CREATE, model, params)
        registry = self._registry
        found = registry.resolve(model)
        call = request.call(stream=False, group=found.group, wildcard=found.wildcard)
        health = {each.id: each for each in self._pool.health() if each.group == found.group}
        return await explain(place(registry, found, call), self._checks, health)

    def prometheus_metrics(self) -> bytes:
        """What `callbacks=["prometheus"]` counts, in Prometheus's text format, for whoever serves `/metrics`.

        Takes about a millisecond for each deployment; of a large fleet it is better asked for in a thread. Raises
        `ConfigurationError` if nobody counts.
        """
        for sink in self._recorder.sinks:
            if isinstance(sink, Exposing):
                return sink.exposition()
        raise ConfigurationError('nobody counts for Prometheus; construct the Router with callbacks=["prometheus"]')

    def explain(self, model: str, **params: Any) -> Explanation:
        """As `aexplain`, for synchronous callers."""
        return self._portal.run(self.aexplain(model, **params))
