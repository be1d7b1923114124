"""What Prometheus gets to see of real calls, read by its own parser."""

import asyncio
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from routers import AFFINITY, closed, create, entry, group, misbehave, serving

from providers.errors import BadRequestError, ConfigurationError, InternalServerError, NotFoundError, RouterError
from providers.simulated import SimulatedUpstream
from providers.types import Deployment
from providers.usage import Cost, TokenUsage
from router import PrometheusMetrics, Router
from router.telemetry.callbacks import CallbackSink
from router.telemetry.prometheus import tally as tallies
from router.telemetry.prometheus.families import ALL, COUNTED, OTHER, UNKNOWN, Family
from router.telemetry.prometheus.tally import Distribution, Tally
from router.telemetry.record import AttemptRecord, CallRecord

README = Path(__file__).parents[3] / "README.md"
PLACE = {"group": "gpt", "deployment": "u0", "provider": "openai"}


class Prices:
    """Every call costs a cent, but those of the deployment `u1`, of which nobody knows."""

    def cost(
        self, usage: TokenUsage, deployment: Deployment, *, model: str, service_tier: str | None, at: float
    ) -> Cost:
        return Cost(None, "not listed") if deployment.id == "u1" else Cost(0.01)


@dataclass
class Read:
    """What was exposed."""

    families: dict[str, Metric]

    def value(self, name: str, **labels: str) -> float | None:
        """The value of the sample with exactly these labels."""
        found = [sample.value for sample in self.samples(name) if sample.labels == labels]
        assert len(found) < 2
        return found[0] if found else None

    def samples(self, name: str) -> list["Sample"]:
        """All samples of one name."""
        return [
            Sample(dict(sample.labels), sample.value)
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name
        ]


@dataclass
class Sample:
    """One line."""

    labels: dict[str, str]
    value: float


def read(exposed: bytes) -> Read:
    """Parse an exposition."""
    return Read({family.name: family for family in text_string_to_metric_families(exposed.decode())})


async def seen(router: Router) -> Read:
    """What there is to see once the records of all calls that are over have been made."""
    router._recorder.settle()
    return read(router.prometheus_metrics())


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_succeeds_is_counted_once(stream: bool) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=["prometheus"], price_source=Prices())
        response = await create(router, stream)
        found = await seen(router)
        said = "true" if stream else "false"
        ended = {"verb": "create", "stream": said, "status": "succeeded", "error": ""}
        assert [sample.labels for sample in found.samples("homing_requests_total")] == [{**PLACE, **ended}]
        assert found.value("homing_requests_total", **PLACE, **ended) == 1
        assert found.value("homing_request_duration_seconds_count", **PLACE, stream=said) == 1
        assert found.value("homing_request_duration_seconds_bucket", **PLACE, stream=said, le="+Inf") == 1
        assert found.value("homing_time_to_first_event_seconds_count", **PLACE) == (1 if stream else None)
        assert found.value("homing_queue_seconds_count", group="gpt") == 1
        assert found.value("homing_attempts_total", **PLACE, outcome="succeeded") == 1
        assert found.value("homing_attempt_duration_seconds_count", **PLACE) == 1
        usage = response.usage
        assert usage is not None
        assert found.value("homing_tokens_total", **PLACE, type="input") == usage.input_tokens
        assert found.value("homing_tokens_total", **PLACE, type="output") == usage.output_tokens
        assert found.value("homing_cost_dollars_total", **PLACE) == 0.01
        assert found.value("homing_unpriced_calls_total", **PLACE) == 0
        assert found.value("homing_retries_total", group="gpt") == 0
        await closed(router, upstreams)


async def test_a_retry_and_its_two_attempts_are_counted() -> None:
    async with serving(2) as upstreams:
        model_list = [entry(upstreams[0]), entry(upstreams[1], order=1)]
        router = Router(model_list, callbacks=["prometheus"], price_source=Prices())
        misbehave(upstreams[0], "500")
        await create(router, False)
        found = await seen(router)
        assert found.value("homing_retries_total", group="gpt") == 1
        assert found.value("homing_attempts_total", **PLACE, outcome="InternalServerError") == 1
        place = {**PLACE, "deployment": "u1"}
        assert found.value("homing_attempts_total", **place, outcome="succeeded") == 1
        assert found.value("homing_unpriced_calls_total", **place) == 1
        assert found.value("homing_cost_dollars_total", **place) == 0
        await closed(router, upstreams)


async def test_a_fallback_is_counted_for_the_group_it_ends_in() -> None:
    async with serving(2) as upstreams:
        model_list = [entry(upstreams[0]), entry(upstreams[1], "spare")]
        router = Router(model_list, callbacks=["prometheus"], fallbacks=[{"gpt": ["spare"]}], num_retries=0)
        misbehave(upstreams[0], "503")
        await create(router, False)
        found = await seen(router)
        assert found.value("homing_fallbacks_total", group="spare") == 1
        assert found.value("homing_fallbacks_total", group="gpt") is None
        assert [one.labels["group"] for one in found.samples("homing_requests_total")] == ["spare"]
        await closed(router, upstreams)


async def test_a_call_that_fails_says_with_what() -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=["prometheus"], num_retries=0)
        misbehave(upstreams[0], "500")
        with pytest.raises(InternalServerError):
            await create(router, False)
        found = await seen(router)
        (request,) = found.samples("homing_requests_total")
        assert (request.labels["status"], request.labels["error"]) == ("failed", "InternalServerError")
        assert found.value("homing_unpriced_calls_total", **PLACE) == 0
        await closed(router, upstreams)


async def test_a_stream_that_is_left_counts_what_it_used() -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=["prometheus"])
        misbehave(upstreams[0], "stall_after_output")
        events = await router.aresponses("gpt", "hi", stream=True)
        await events.aclose()
        found = await seen(router)
        (request,) = found.samples("homing_requests_total")
        assert (request.labels["status"], request.labels["stream"]) == ("abandoned", "true")
        assert found.value("homing_attempts_total", **PLACE, outcome="abandoned") == 1
        assert (found.value("homing_tokens_total", **PLACE, type="output") or 0) > 0
        await closed(router, upstreams)


async def test_names_that_callers_make_up_never_become_labels() -> None:
    async with serving(1) as upstreams:
        router = Router([*group(upstreams), entry(upstreams[0], "any/*", id="any")], callbacks=["prometheus"])
        for number in range(20):
            with pytest.raises(NotFoundError):
                await router.aresponses(f"made-up-{number}", "hi")
            with pytest.raises(BadRequestError):
                await router.aresponses("gpt", "hi", timeout=f"made-up-{number}")
            await router.aresponses(
                f"any/made-up-{number}",
                "hi",
                user=f"made-up-{number}",
                litellm_metadata={"tags": [f"made-up-{number}"]},
            )
        found = await seen(router)
        assert b"made-up" not in router.prometheus_metrics()
        assert {one.labels["group"] for one in found.samples("homing_requests_total")} == {UNKNOWN, "any/*"}
        assert sum(one.value for one in found.samples("homing_requests_total")) == 60
        await closed(router, upstreams)


async def test_how_a_conversation_came_home_is_counted() -> None:
    async with serving(2) as upstreams:
        router = Router(group(upstreams), callbacks=["prometheus"], optional_pre_call_checks=AFFINITY)
        first = await create(router, False)
        await create(router, False, previous_response_id=first.id)
        found = await seen(router)
        assert found.value("homing_affinity_total", group="gpt", outcome="home") == 1
        await closed(router, upstreams)


async def test_gauges_tell_the_state_of_the_deployments_that_there_are() -> None:
    async with serving(2) as upstreams:
        router = Router(group(upstreams), callbacks=["prometheus"], allowed_fails=0, cooldown_time=60)
        misbehave(upstreams[0], "500")
        for _ in range(4):
            await create(router, False)
        misbehave(upstreams[1], "stall_after_output")
        events = await router.aresponses("gpt", "hi", stream=True)
        found = await seen(router)
        down, up = {"group": "gpt", "deployment": "u0"}, {"group": "gpt", "deployment": "u1"}
        states = {
            (one.labels["deployment"], one.labels["state"])
            for one in found.samples("homing_deployment_state")
            if one.value
        }
        assert states == {("u0", "open"), ("u1", "closed")}
        assert len(found.samples("homing_deployment_state")) == 8
        assert 0 < (found.value("homing_deployment_open_seconds", **down) or 0) <= 60
        assert found.value("homing_deployment_open_seconds", **up) == 0
        assert found.value("homing_deployment_in_flight", **up) == 1
        assert found.value("homing_deployment_in_flight", **down) == 0
        assert found.value("homing_deployment_headroom_ratio", **up) == 1
        assert found.value("homing_deployment_blocked_seconds", **up) == 0
        assert (found.value("homing_deployment_latency_seconds", **up) or 0) > 0
        assert (found.value("homing_deployment_failure_ratio", **down) or 0) > 0
        await events.aclose()

        router.delete_deployment("u0")
        names = {name for name in found.families if name.startswith("homing_deployment")}
        found = await seen(router)
        assert len(names) == 7
        for name in names:
            assert {one.labels["deployment"] for one in found.samples(name)} == {"u1"}
        assert found.value("homing_attempts_total", **PLACE, outcome="InternalServerError") == 1, "counted is counted"
        await closed(router, upstreams)


async def test_the_latency_of_a_deployment_nobody_called_is_absent() -> None:
    router = Router([entry("http://127.0.0.1:9", id="u0")], callbacks=["prometheus"])
    found = await seen(router)
    assert found.samples("homing_deployment_latency_seconds") == []
    assert len(found.samples("homing_deployment_in_flight")) == 1
    await router.aclose()


def test_synchronous_calls_are_counted_too() -> None:
    with SimulatedUpstream.in_thread("u0") as upstream, Router(group([upstream]), callbacks=["prometheus"]) as router:
        router.responses("gpt", "hi")
        router.explain("gpt")  # on the same loop, so that what the call left behind is done
        assert sum(one.value for one in read(router.prometheus_metrics()).samples("homing_requests_total")) == 1


async def test_records_that_nobody_got_are_counted() -> None:
    got = threading.Event()
    going = threading.Event()

    def slow(record: CallRecord) -> None:
        got.set()
        going.wait(10)

    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[slow, "prometheus"], callback_queue=1)
        await create(router, False)
        await asyncio.to_thread(got.wait, 10)
        for _ in range(3):
            await create(router, False)
        found = await seen(router)
        (name,) = {one.labels["callback"] for one in found.samples("homing_records_dropped_total")} - {""}
        assert name.endswith("slow")
        assert found.value("homing_records_dropped_total", callback=name) == 2
        assert found.value("homing_records_dropped_total", callback="") == 0
        going.set()
        await closed(router, upstreams)


async def test_two_routers_share_nothing() -> None:
    async with serving(1) as upstreams:
        one = Router(group(upstreams), callbacks=["prometheus"])
        two = Router(group(upstreams, "other"), callbacks=["prometheus"])
        await create(one, False)
        assert len((await seen(one)).samples("homing_requests_total")) == 1
        assert (await seen(two)).samples("homing_requests_total") == []
        assert b'group="gpt"' not in two.prometheus_metrics()
        await one.aclose()
        await closed(two, upstreams)


async def test_metrics_join_those_of_a_registry_of_the_users_own() -> None:
    registry = CollectorRegistry()
    Counter("mine", "The user's own.", registry=registry)
    metrics = PrometheusMetrics(registry)
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[metrics])
        await create(router, False)
        assert await router.aflush()
        exposed = generate_latest(registry)
        assert b"mine_total" in exposed
        assert b"homing_requests_total{" in exposed
        assert metrics.exposition() == router.prometheus_metrics() != b""
        assert metrics.content_type.startswith("text/plain")
        await closed(router, upstreams)
    with pytest.raises(ConfigurationError, match="registry of its own"):
        PrometheusMetrics(registry)


async def test_one_can_not_count_for_two_routers() -> None:
    metrics = PrometheusMetrics()
    router = Router(callbacks=[metrics])
    with pytest.raises(ConfigurationError, match="another Router"):
        Router(callbacks=[metrics])
    await router.aclose()


def test_without_the_callback_there_is_nothing_to_show() -> None:
    router = Router(callbacks=[CallbackSink(print)])
    with pytest.raises(ConfigurationError, match=r'callbacks=\["prometheus"\]'):
        router.prometheus_metrics()


def test_what_is_not_installed_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match=r"^callbacks\[1\]: .*pip install 'homing-router\[prometheus\]'"):
        Router(callbacks=[print, "prometheus"])


# the table of the README


def _table() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Name, kind and labels of each metric that the README lists."""
    section = README.read_text().partition("## Metrics and traces")[2].partition("\n## ")[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `homing_"):
            yield cells[0].strip("`"), cells[1], tuple(re.findall(r"`(\w+)`", cells[2]))


async def test_the_readme_lists_what_a_router_with_traffic_exports_and_nothing_else() -> None:
    async with serving(3) as upstreams:
        router = Router(
            [*group(upstreams[:2]), entry(upstreams[2], "spare")],
            callbacks=["prometheus"],
            optional_pre_call_checks=AFFINITY,
            fallbacks=[{"gpt": ["spare"]}],
            price_source=Prices(),
        )
        first = await create(router, True)
        await create(router, False, previous_response_id=first.id)
        await create(router, False, litellm_metadata={"user_api_key_alias": "web"})  # as the proxy says it
        for upstream in upstreams[:2]:
            misbehave(upstream, "500")
        await create(router, False)
        with pytest.raises(NotFoundError):
            await create(router, False, model="nobody")
        found = await seen(router)
        exported = {}
        for family in found.families.values():
            assert family.samples, f"{family.name} was not exercised"
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            exported[name] = family.type, labels
        listed = {name: (kind, set(labels)) for name, kind, labels in _table()}
        assert listed == exported
        assert list(_table()) == [(family.name, family.kind, family.labels) for family in ALL]
        await closed(router, upstreams)


# what is counted


def _record(**changes: object) -> CallRecord:
    given: dict[str, object] = {
        "id": "call_1",
        "verb": "create",
        "status": "succeeded",
        "model": "gpt",
        "group": "gpt",
        "deployment_id": "u0",
        "provider": "openai",
        "deployment_model": "gpt-4o",
        "stream": False,
        "started": 0.0,
        "queued": 0.0,
        "first_event": None,
        "duration": 1.0,
    }
    return CallRecord(**{**given, **changes})  # type: ignore[arg-type]  # the names are its own


def _values(tally: Tally, name: str) -> Mapping[tuple[str, ...], float]:
    return {labels: each.value for labels, each in tally.read(_family(name))}


def _family(name: str) -> Family:
    (family,) = (family for family in ALL if family.name == name)
    return family


def test_an_error_of_a_class_of_the_users_own_is_another_one() -> None:
    tally = Tally()
    attempt = AttemptRecord("u0", "gpt", "openai", 0.0, 1.0, "failed", error_type="Mine")
    tally.add(_record(status="failed", error_type="Mine", attempts=(attempt,)))
    tally.add(_record(status="cancelled", error_type="CancelledError"))
    assert {labels[-1] for labels in _values(tally, "homing_requests_total")} == {OTHER, "CancelledError"}
    assert {labels[-1] for labels in _values(tally, "homing_attempts_total")} == {OTHER}
    assert RouterError.__name__ in tallies._ERRORS
    assert "Attempt" not in tallies._ERRORS


def test_a_fleet_that_changes_all_the_time_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MOST_DEPLOYMENTS", 3)
    monkeypatch.setattr(tallies, "MOST_REMEMBERED", 2)
    tally = Tally()
    for number in range(10):
        name = f"u{number}"
        attempt = AttemptRecord(name, f"g{number}", "openai", 0.0, 1.0, "succeeded")
        for _ in range(2):
            tally.add(_record(group=f"g{number}", deployment_id=name, affinity="home", attempts=(attempt,)))
    for metric in ("homing_requests_total", "homing_attempts_total"):
        by_place = {labels[:2]: value for labels, value in _values(tally, metric).items()}
        assert by_place == {("g0", "u0"): 2, ("g1", "u1"): 2, ("g2", "u2"): 2, (OTHER, OTHER): 14}
    assert _values(tally, "homing_affinity_total")[OTHER, "home"] == 14
    assert len(tally._calls) <= 2
    assert len(tally._attempts) <= 2


def test_keys_that_come_and_go_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MOST_KEYS", 2)
    tally = Tally()
    for name in ("a", "b", "c", "a", "d"):
        tally.add(_record(key=name))
    assert _values(tally, "homing_key_requests_total") == {
        ("a", "succeeded"): 2,
        ("b", "succeeded"): 1,
        (OTHER, "succeeded"): 2,
    }


def test_what_several_threads_count_at_once_is_all_there() -> None:
    tally = Tally()
    interval = sys.getswitchinterval()

    together = threading.Barrier(4, timeout=30)

    def work() -> None:
        for number in range(300):
            together.wait()  # so that all come to a new deployment at once
            deployment = f"u{number}"
            attempt = AttemptRecord(deployment, "gpt", "openai", 0.0, 1.0, "succeeded")
            tally.add(_record(deployment_id=deployment, attempts=(attempt,)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for family in COUNTED:
                list(tally.read(family))
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert list(_values(tally, "homing_requests_total").values()) == [4] * 300
    assert sum(_values(tally, "homing_attempts_total").values()) == 1_200
    (queue,) = _counts(tally, "homing_queue_seconds")
    assert sum(queue) == 1_200


def _counts(tally: Tally, name: str) -> list[list[int]]:
    return [each.counts for _, each in tally.read(_family(name)) if isinstance(each, Distribution)]


@given(st.lists(st.floats(0, 1_000, allow_nan=False), max_size=20))
def test_a_value_is_in_every_bucket_that_it_does_not_exceed(values: Sequence[float]) -> None:
    metrics = PrometheusMetrics()
    for value in values:
        metrics.take(_record(duration=value))
    found = read(metrics.exposition())
    buckets = found.samples("homing_request_duration_seconds_bucket")
    assert len(buckets) == (15 if values else 0)
    for bucket in buckets:
        assert bucket.value == sum(value <= float(bucket.labels["le"]) for value in values)
    sums = [one.value for one in found.samples("homing_request_duration_seconds_sum")]
    assert sums == ([pytest.approx(sum(values))] if values else [])
