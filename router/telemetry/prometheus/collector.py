"""Shows what was counted, and how the deployments are, to prometheus-client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from router.pool import DeploymentHealth
from router.telemetry.prometheus import families as metrics
from router.telemetry.prometheus.families import ALL, COUNTED, STATES, Family
from router.telemetry.prometheus.tally import Count, Distribution, Labels, Tally


class Exporter(Collector):
    """Collects when it is asked to; until then nothing is done."""

    def __init__(self, tally: Tally) -> None:
        self.health: Callable[[], Sequence[DeploymentHealth]] = tuple
        """Tells the state of the deployments."""
        self.losses: Callable[[], Mapping[str, int]] = dict
        """Counts the records nobody got."""
        self._tally = tally

    def describe(self) -> Iterable[Metric]:
        """The names, so that a registry can tell that it has them already."""
        return [Metric(family.name.removesuffix("_total"), family.meaning, family.kind) for family in ALL]

    def collect(self) -> Iterator[Metric]:
        """Everything, as it is now."""
        for family in COUNTED:
            yield (_histogram if family.bounds else _counter)(family, self._tally.read(family))
        lost = CounterMetricFamily(metrics.LOST.name, metrics.LOST.meaning, labels=metrics.LOST.labels)
        for name, number in self.losses().items():
            lost.add_metric((name,), number)
        yield lost
        yield from _gauges(self.health())


def _counter(family: Family, series: Iterable[tuple[Labels, Count]]) -> Metric:
    shown = CounterMetricFamily(family.name, family.meaning, labels=family.labels)
    for labels, each in series:
        shown.add_metric(labels, each.value)
    return shown


def _histogram(family: Family, series: Iterable[tuple[Labels, Count]]) -> Metric:
    shown = HistogramMetricFamily(family.name, family.meaning, labels=family.labels)
    ends = (*map(str, family.bounds), "+Inf")
    for labels, each in series:
        assert isinstance(each, Distribution), "it has bounds"
        shown.add_metric(labels, list(zip(ends, accumulate(each.counts), strict=True)), each.value)
    return shown


def _gauges(deployments: Sequence[DeploymentHealth]) -> Iterator[Metric]:
    readings: Mapping[Family, Callable[[DeploymentHealth], float | None]] = {
        metrics.IN_FLIGHT: lambda each: each.in_flight,
        metrics.OPEN: lambda each: each.open_for,
        metrics.BLOCKED: lambda each: each.blocked_for,
        metrics.HEADROOM: lambda each: each.headroom,
        metrics.LATENCY: lambda each: each.latency,
        metrics.FAILURE_RATE: lambda each: each.failure_rate,
    }
    for family, read in readings.items():
        gauge = GaugeMetricFamily(family.name, family.meaning, labels=family.labels)
        for each in deployments:
            value = read(each)
            if value is not None:
                gauge.add_metric((each.group, each.id), value)
        yield gauge
    state = GaugeMetricFamily(metrics.STATE.name, metrics.STATE.meaning, labels=metrics.STATE.labels)
    for each in deployments:
        for name in STATES:
            state.add_metric((each.group, each.id, name), each.state == name)
    yield state
