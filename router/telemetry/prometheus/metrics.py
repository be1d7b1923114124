"""What a Router counts for Prometheus, and how to see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from providers.errors import ConfigurationError
from router.pool import DeploymentHealth
from router.telemetry.extras import needing
from router.telemetry.prometheus.tally import Tally
from router.telemetry.record import CallRecord

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class PrometheusMetrics:
    """Counts the calls of one Router: `Router(callbacks=[PrometheusMetrics()])`, or `callbacks=["prometheus"]`.

    Labels are bounded: groups, deployments and providers as configured, classes of errors; never a name that a
    caller chose, an end user or a tag. What a deployment's state is, is read when somebody asks, so one that is
    removed is not among the gauges any more.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """`registry`: where to be found; default: one of its own, so that two Routers share nothing.

        Raises `ConfigurationError` if prometheus-client is not installed, or if another `PrometheusMetrics` is in
        the registry.
        """
        with needing("prometheus", "Prometheus"):
            import prometheus_client

            from router.telemetry.prometheus.collector import Exporter
        self._tally = Tally()
        self._exporter = Exporter(self._tally)
        self._attached = False
        self._generate = prometheus_client.generate_latest
        self.content_type: str = prometheus_client.CONTENT_TYPE_LATEST
        """Of the exposition, to be sent with it."""
        self.registry: CollectorRegistry = registry or prometheus_client.CollectorRegistry()
        """Where the metrics are registered."""
        try:
            self.registry.register(self._exporter)
        except ValueError:
            raise ConfigurationError(
                "PrometheusMetrics: its registry holds another one already; give each Router a registry of its own"
            ) from None

    def exposition(self) -> bytes:
        """All metrics of the registry, in Prometheus's text format. May be called in any thread."""
        return self._generate(self.registry)

    def attach(self, health: Callable[[], Sequence[DeploymentHealth]]) -> None:
        """It counts for a Router. Raises `ConfigurationError` if it does for another."""
        if self._attached:
            raise ConfigurationError("PrometheusMetrics: it counts for another Router already; give each its own")
        self._attached = True
        self._exporter.health = health

    def watch_losses(self, losses: Callable[[], Mapping[str, int]]) -> None:
        self._exporter.losses = losses

    def take(self, record: CallRecord) -> None:
        self._tally.add(record)
