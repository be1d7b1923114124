"""What `callbacks` may list: functions, objects, names; and what becomes of each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from providers.errors import ConfigurationError
from router.hints import did_you_mean
from router.telemetry.base import Sink, Tracer
from router.telemetry.callbacks import Callback, CallbackSink

CallbackSpec: TypeAlias = Any
"""A function of a record; an object with a method `on_call`; a name in `NAMES`; a `Sink` or a `Tracer`; or what was
written for LiteLLM: an object with a method such as `log_success_event`, a function of four arguments."""


def _prometheus() -> object:
    from router.telemetry.prometheus.metrics import PrometheusMetrics

    return PrometheusMetrics()


def _otel() -> object:
    from router.telemetry.otel.telemetry import OpenTelemetry

    return OpenTelemetry()


_BUILDERS: Final[Mapping[str, Callable[[], object]]] = {
    "otel": _otel,
    "opentelemetry": _otel,
    "prometheus": _prometheus,
}
"""What is built in, by name."""
NAMES: Final = tuple(_BUILDERS)


def resolve(specs: Sequence[CallbackSpec], most: int) -> tuple[list[Sink], list[Tracer]]:
    """What takes records, and what follows calls. `most`: records that may wait for each callback.

    Raises `ConfigurationError` that names the one that is wrong.
    """
    if isinstance(specs, str | Mapping) or not isinstance(specs, Iterable):
        given = f"[{specs!r}]" if isinstance(specs, str) else "[…]"
        raise ConfigurationError(f"callbacks: must be a list, not {type(specs).__name__}; write callbacks={given}")
    sinks: list[Sink] = []
    tracers: list[Tracer] = []
    for index, spec in enumerate(specs):
        if not _is_ours(spec) and (found := _litellm_sinks(spec, f"callbacks[{index}]", most)):
            sinks += found
            continue
        part = _part(spec, f"callbacks[{index}]", most)
        if callable(getattr(part, "take", None)):
            sinks.append(cast("Sink", part))
        if callable(getattr(part, "begin", None)):
            tracers.append(cast("Tracer", part))
    return sinks, tracers


def _is_ours(spec: CallbackSpec) -> bool:
    """Whether it is written for this Router: then nothing else that it looks like counts."""
    return isinstance(spec, str) or any(callable(getattr(spec, name, None)) for name in ("take", "begin", "on_call"))


def _litellm_sinks(spec: CallbackSpec, place: str, most: int) -> Sequence[Sink]:
    """What gives events to `spec`, if it is written for LiteLLM."""
    from router.telemetry.litellm_logger import METHODS, is_idle, sinks_of  # most programs have no such loggers

    sinks = sinks_of(spec, most)
    if not sinks and is_idle(spec):
        raise ConfigurationError(f"{place}: {type(spec).__name__} has none of {', '.join(METHODS)}; define one")
    return sinks


def _part(spec: CallbackSpec, place: str, most: int) -> object:
    if isinstance(spec, str):
        if spec not in _BUILDERS:
            raise ConfigurationError(f"{place}: unknown callback {spec!r}{did_you_mean(spec, NAMES)}; {_EXPECTED}")
        try:
            return _BUILDERS[spec]()
        except ConfigurationError as error:  # what it needs is not installed
            raise ConfigurationError(f"{place}: {error}") from error
    if inspect.isclass(spec):
        raise ConfigurationError(f"{place}: is the class {spec.__name__}; pass an instance, {spec.__name__}(…)")
    if callable(getattr(spec, "take", None)) or callable(getattr(spec, "begin", None)):
        if callable(getattr(spec, "take", None)) and not callable(getattr(spec, "attach", None)):
            raise ConfigurationError(f"{place}: {type(spec).__name__} has `take`, as a Sink, but no method `attach`")
        return spec
    method = getattr(spec, "on_call", None)
    if callable(method):
        return CallbackSink(cast("Callback", method), most=most)
    if callable(spec):
        return CallbackSink(cast("Callback", spec), most=most)
    raise ConfigurationError(f"{place}: {type(spec).__name__} can't be called; {_EXPECTED}")


_EXPECTED: Final = "pass a function of a record, an object with a method `on_call`, or a logger for LiteLLM"
