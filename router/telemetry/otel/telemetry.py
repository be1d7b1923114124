"""Has OpenTelemetry follow a Router's calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router.telemetry.base import CallTrace
from router.telemetry.extras import needing

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.trace import TracerProvider

SCOPE: Final = "homing-router"
"""What spans and metrics say they come from."""


class OpenTelemetry:
    """Traces and measures calls: `Router(callbacks=[OpenTelemetry()])`, or `callbacks=["otel"]`.

    A span for each call, below the span that is current where it is made; below it a client span for each attempt, by
    the conventions for generative AI; their metrics. Each request carries the context of its attempt's span to where
    it goes. What was asked and answered is told only with `record_contents`. Several Routers may share one.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        propagator: TextMapPropagator | None = None,
    ) -> None:
        """What is not given is what is configured for the process, be that before or after this.

        Raises `ConfigurationError` if the API of OpenTelemetry is not installed.
        """
        with needing("otel", "OpenTelemetry"):
            from opentelemetry import metrics, trace

            from router.telemetry.otel import spans
            from router.telemetry.otel.instruments import Instruments
        instruments = Instruments(metrics.get_meter(SCOPE, meter_provider=meter_provider))
        self._kit = spans.Kit(trace.get_tracer(SCOPE, tracer_provider=tracer_provider), instruments, propagator)
        self._call = spans.CallSpan

    def begin(self, model: str, verb: str) -> CallTrace:
        return self._call(self._kit, model, verb)
