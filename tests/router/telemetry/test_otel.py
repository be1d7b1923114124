"""What OpenTelemetry gets of real calls: read from the SDK's own in-memory exporters."""

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry import baggage, context, propagate
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, openai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import error_attributes, server_attributes
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from routers import AFFINITY, closed, create, entry, group, misbehave, read_until_error, serving

from providers.decisions import Considered, RouteDecision
from providers.errors import ConfigurationError, InternalServerError, NotFoundError
from providers.simulated import Behaviour, SimulatedUpstream
from providers.types import Call, Deployment, Dialect, Verb
from providers.usage import Cost, TokenUsage
from router import APIError, OpenTelemetry, Router
from router.telemetry.otel import attributes, names
from router.telemetry.otel.contents import contents
from router.telemetry.record import AttemptRecord, CallRecord

Point = HistogramDataPoint | NumberDataPoint


class Prices:
    """Every call costs a cent."""

    def cost(
        self, usage: TokenUsage, deployment: Deployment, *, model: str, service_tier: str | None, at: float
    ) -> Cost:
        return Cost(0.01)


@dataclass
class Memory:
    """What was exported."""

    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader
    tracer_provider: TracerProvider
    meter_provider: MeterProvider

    def telemetry(self, propagator: TextMapPropagator | None = None) -> OpenTelemetry:
        """What a Router reports here with."""
        return OpenTelemetry(self.tracer_provider, self.meter_provider, propagator)

    def calls(self) -> list[ReadableSpan]:
        """The spans of calls that are over."""
        return [span for span in self.exporter.get_finished_spans() if span.kind is SpanKind.INTERNAL]

    def attempts(self) -> list[ReadableSpan]:
        """The spans of attempts that are over, in their order."""
        found = [span for span in self.exporter.get_finished_spans() if span.kind is SpanKind.CLIENT]
        return sorted(found, key=lambda span: span.start_time or 0)

    def points(self) -> dict[str, list[Point]]:
        """Every metric's points."""
        data = self.reader.get_metrics_data()
        found: dict[str, list[Point]] = {}
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found[metric.name] = list(metric.data.data_points)  # type: ignore[arg-type]  # the kinds we make
        return found


@pytest.fixture
def memory() -> Iterator[Memory]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracer_provider = TracerProvider(shutdown_on_exit=False)
    tracer_provider.add_span_processor(SimpleSpanProcessor(exporter))
    meter_provider = MeterProvider([reader], shutdown_on_exit=False)
    yield Memory(exporter, reader, tracer_provider, meter_provider)
    tracer_provider.shutdown()
    meter_provider.shutdown()


def given(span: ReadableSpan) -> Mapping[str, Any]:
    """A span's attributes."""
    return span.attributes or {}


def below(span: ReadableSpan, parent: ReadableSpan) -> bool:
    """Whether `parent` is the parent of `span`, and lasted as long."""
    assert span.parent is not None
    assert span.context is not None
    assert parent.context is not None
    assert parent.start_time is not None
    assert span.start_time is not None
    assert span.end_time is not None
    assert parent.end_time is not None
    assert span.context.trace_id == parent.context.trace_id
    return (
        span.parent.span_id == parent.context.span_id
        and parent.start_time <= span.start_time <= span.end_time <= parent.end_time
    )


def traceparent(span: ReadableSpan) -> str:
    """What a request sent within `span` says."""
    where = span.context
    assert where is not None
    return f"00-{format_trace_id(where.trace_id)}-{format_span_id(where.span_id)}-{where.trace_flags:02x}"


# spans


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_and_its_attempt_are_spans_below_the_callers(memory: Memory, stream: bool) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[memory.telemetry()], price_source=Prices())
        tracer = memory.tracer_provider.get_tracer("the caller's")
        with tracer.start_as_current_span("caller", kind=SpanKind.SERVER):
            response = await create(router, stream, temperature=0.5, max_output_tokens=50, service_tier="flex")
            assert await router.aflush()
        (call,), (attempt,) = memory.calls(), memory.attempts()
        (caller,) = (span for span in memory.exporter.get_finished_spans() if span.name == "caller")
        assert below(call, caller)
        assert below(attempt, call)

        assert call.name == "chat gpt"
        assert call.status.status_code is StatusCode.UNSET
        described = given(call)
        assert described["homing.call_id"] == response.routing.call_id
        assert described["homing.queue"] >= 0
        expected = {
            "homing.verb": "create",
            "homing.model": "gpt",
            "homing.status": "succeeded",
            "homing.stream": stream,
            "homing.group": "gpt",
            "homing.deployment": "u0",
            "homing.attempts": 1,
            "homing.fallbacks": 0,
            "homing.cost": 0.01,
        }
        assert {name: described.get(name) for name in expected} == expected
        assert set(described) == {*expected, "homing.call_id", "homing.queue"}

        assert attempt.name == "chat gpt-4o"
        described = given(attempt)
        assert response.usage is not None
        url = upstreams[0].url
        expected = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.max_tokens": 50,
            "gen_ai.response.id": response.id,
            "gen_ai.response.model": response.model,
            "gen_ai.response.finish_reasons": ("completed",),
            "gen_ai.usage.input_tokens": response.usage.input_tokens,
            "gen_ai.usage.output_tokens": response.usage.output_tokens,
            "openai.api.type": "responses",
            "openai.request.service_tier": "flex",
            "openai.response.service_tier": response.service_tier,
            "server.address": "127.0.0.1",
            "server.port": int(url.rpartition(":")[2].partition("/")[0]),
            "homing.group": "gpt",
            "homing.deployment": "u0",
            "homing.attempt": 1,
        }
        if stream:
            expected["gen_ai.request.stream"] = True
            expected["gen_ai.response.time_to_first_chunk"] = response.routing.attempts[0].duration
        assert described == expected
        await closed(router, upstreams)


async def test_a_failed_attempt_and_its_retry_are_two_spans(memory: Memory) -> None:
    async with serving(2) as upstreams:
        router = Router([entry(upstreams[0]), entry(upstreams[1], order=1)], callbacks=[memory.telemetry()])
        misbehave(upstreams[0], "500")
        await create(router, False)
        assert await router.aflush()
        (call,), (first, second) = memory.calls(), memory.attempts()
        assert below(first, call)
        assert below(second, call)
        assert (first.end_time or 0) <= (second.start_time or 0)
        assert first.status.status_code is StatusCode.ERROR
        assert first.status.description is None
        assert given(first)["error.type"] == "InternalServerError"
        assert given(first)["homing.error.status"] == 500
        assert "gen_ai.response.id" not in given(first)
        assert (given(first)["homing.attempt"], given(second)["homing.attempt"]) == (1, 2)
        assert second.status.status_code is StatusCode.UNSET
        assert "error.type" not in given(second)
        assert given(call)["homing.attempts"] == 2
        assert given(call)["homing.deployment"] == "u1"
        await closed(router, upstreams)


async def test_a_fallback_is_in_the_same_trace(memory: Memory) -> None:
    async with serving(2) as upstreams:
        router = Router(
            [entry(upstreams[0]), entry(upstreams[1], "spare")],
            callbacks=[memory.telemetry()],
            fallbacks=[{"gpt": ["spare"]}],
            num_retries=0,
        )
        misbehave(upstreams[0], "503")
        await create(router, True)
        assert await router.aflush()
        (call,), attempts = memory.calls(), memory.attempts()
        assert [given(one)["homing.group"] for one in attempts] == ["gpt", "spare"]
        assert given(call)["homing.fallbacks"] == 1
        assert given(call)["homing.group"] == "spare"
        await closed(router, upstreams)


async def test_a_call_that_fails_is_an_error(memory: Memory) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[memory.telemetry()], num_retries=0)
        misbehave(upstreams[0], "500")
        with pytest.raises(InternalServerError):
            await create(router, False)
        with pytest.raises(NotFoundError):
            await create(router, False, model="x" * 1_000)
        assert await router.aflush()
        failed, unknown = memory.calls()
        assert failed.status.status_code is unknown.status.status_code is StatusCode.ERROR
        assert given(failed)["error.type"] == "InternalServerError"
        assert given(unknown)["error.type"] == "UnknownModelError"
        assert given(unknown)["homing.error.code"] == "model_not_found"
        assert unknown.name == f"chat {'x' * 200}"
        assert "homing.group" not in given(unknown)
        assert len(memory.attempts()) == 1
        await closed(router, upstreams)


async def test_a_stream_that_fails_after_its_output_is_one_failed_attempt(memory: Memory) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[memory.telemetry()])
        misbehave(upstreams[0], "cut_after_output")
        await read_until_error(await router.aresponses("gpt", "hi", stream=True))
        assert await router.aflush()
        (call,), (attempt,) = memory.calls(), memory.attempts()
        assert call.status.status_code is attempt.status.status_code is StatusCode.ERROR
        assert given(attempt)["error.type"] == given(call)["error.type"] == "StreamInterruptedError"
        assert given(attempt)["gen_ai.response.time_to_first_chunk"] > 0
        assert given(attempt)["homing.usage.partial"] is True
        assert "gen_ai.response.finish_reasons" not in given(attempt)
        await closed(router, upstreams)


async def test_a_stream_that_is_left_is_no_error(memory: Memory) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[memory.telemetry()])
        misbehave(upstreams[0], "stall_after_output")
        events = await router.aresponses("gpt", "hi", stream=True)
        assert await router.aflush()
        assert memory.attempts() == [], "it lasts as long as its stream"
        await events.aclose()
        assert await router.aflush()
        (call,), (attempt,) = memory.calls(), memory.attempts()
        assert below(attempt, call)
        assert call.end_time == attempt.end_time
        assert call.status.status_code is attempt.status.status_code is StatusCode.UNSET
        assert given(call)["homing.status"] == "abandoned"
        assert given(attempt)["homing.usage.estimated"] is True
        assert names.USAGE_METRIC not in memory.points(), "guesses are not measured"
        await closed(router, upstreams)


async def test_a_call_that_is_cancelled_says_so(memory: Memory) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[memory.telemetry()])
        misbehave(upstreams[0], "hang")
        task = asyncio.create_task(router.aresponses("gpt", "hi"))
        await upstreams[0].until(lambda: upstreams[0].calls == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await router.aflush()
        (call,), (attempt,) = memory.calls(), memory.attempts()
        assert given(call)["homing.status"] == "cancelled"
        assert given(attempt)["error.type"] == "CancelledError"
        assert call.status.status_code is StatusCode.UNSET
        await closed(router, upstreams)


def test_choices_are_events_of_the_call_where_they_are_recorded(memory: Memory) -> None:
    chosen = RouteDecision(
        "gpt",
        "Adaptive",
        "u1",
        (Considered("u0", "its breaker is open"), Considered("u1", score=1.5)),
        pin="leaning",
        pinned=("u1",),
        probe=True,
        snapshot=3,
    )
    nobody = RouteDecision("spare", None, None, waited=0.5)
    record = _record(
        status="failed",
        attempts=(
            AttemptRecord("u1", "gpt", "openai", 1.0, 1.0, "failed", 0.25, decision=chosen),
            AttemptRecord("u1", "gpt", "openai", 2.0, 1.0, "failed"),
        ),
        decision=nobody,
    )
    memory.telemetry().begin("gpt", "create").end(record)
    (call,) = memory.calls()
    first, last = call.events
    assert first.name == last.name == "homing.route_decision"
    assert first.timestamp == (call.start_time or 0) + 1_000_000_000
    assert last.timestamp == call.end_time == (call.start_time or 0) + 3_000_000_000
    assert first.attributes == {
        "homing.decision.group": "gpt",
        "homing.decision.strategy": "Adaptive",
        "homing.decision.chosen": "u1",
        "homing.decision.candidates": ("u1",),
        "homing.decision.left_out": ("u0: its breaker is open",),
        "homing.decision.omitted": 0,
        "homing.decision.pin": "leaning",
        "homing.decision.pinned": ("u1",),
        "homing.decision.probe": True,
        "homing.decision.snapshot": 3,
        "homing.decision.waited": 0.25,
    }
    told = last.attributes or {}
    assert told["homing.decision.waited"] == 0.5
    assert not told.keys() & {
        "homing.decision.strategy",
        "homing.decision.chosen",
        "homing.decision.pin",
        "homing.decision.pinned",
    }


def test_synchronous_calls_go_on_in_their_callers_trace(memory: Memory) -> None:
    with SimulatedUpstream.in_thread("u0") as upstream:
        router = Router(group([upstream]), callbacks=[memory.telemetry()])
        tracer = memory.tracer_provider.get_tracer("the caller's")
        with tracer.start_as_current_span("caller", kind=SpanKind.SERVER) as caller:
            router.responses("gpt", "hi")
            for _ in router.responses("gpt", "hi", stream=True):
                pass
        router.close()
        calls = memory.calls()
        assert len(calls) == 2
        for call in calls:
            assert call.parent is not None
            assert call.parent.span_id == caller.get_span_context().span_id


async def test_other_verbs_go_by_their_own_names(memory: Memory) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[memory.telemetry()], optional_pre_call_checks=AFFINITY)
        response = await create(router, False)
        await router.aget_responses(response.id)
        await create(router, False, previous_response_id=response.id)
        assert await router.aflush()
        assert [call.name for call in memory.calls()] == ["chat gpt", "get", "chat gpt"]
        assert [attempt.name for attempt in memory.attempts()] == ["chat gpt-4o", "get gpt-4o", "chat gpt-4o"]
        assert given(memory.calls()[-1])["homing.affinity"] == "home"
        assert "gen_ai.request.stream" not in given(memory.attempts()[1])
        await closed(router, upstreams)


async def test_what_runs_in_the_background_has_not_finished_yet(memory: Memory) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[memory.telemetry()], optional_pre_call_checks=AFFINITY)
        await create(router, False, background=True)
        await create(router, False)
        assert await router.aflush()
        reasons = [given(attempt).get("gen_ai.response.finish_reasons") for attempt in memory.attempts()]
        assert reasons == [None, ("completed",)]
        await closed(router, upstreams)


async def test_two_routers_report_where_each_was_told_to(memory: Memory) -> None:
    other = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(other))
    async with serving(1) as upstreams:
        one = Router(group(upstreams), callbacks=[memory.telemetry()])
        two = Router(group(upstreams), callbacks=[OpenTelemetry(provider, MeterProvider(shutdown_on_exit=False))])
        await create(one, False)
        await create(two, False)
        await create(two, False)
        assert await one.aflush()
        assert await two.aflush()
        assert len(memory.calls()) == 1
        assert len(other.get_finished_spans()) == 4
        await one.aclose()
        await closed(two, upstreams)


@pytest.mark.parametrize("name", ["otel", "opentelemetry"])
async def test_where_nothing_is_configured_nothing_is_sent_and_calls_succeed(name: str) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[name])
        await create(router, True)
        assert "traceparent" not in upstreams[0].requests[0].headers
        await closed(router, upstreams)


def test_what_is_not_installed_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"^callbacks\[0\]: .*pip install 'homing-router\[otel\]'"):
        Router(callbacks=["otel"])


# what goes upstream


async def test_each_request_carries_the_context_of_its_own_attempt(memory: Memory) -> None:
    async with serving(2) as upstreams:
        router = Router([entry(upstreams[0]), entry(upstreams[1], order=1)], callbacks=[memory.telemetry()])
        misbehave(upstreams[0], "500")
        token = context.attach(baggage.set_baggage("tenant", "acme"))
        try:
            await create(router, True)
        finally:
            context.detach(token)
        assert await router.aflush()
        first, second = memory.attempts()
        assert upstreams[0].requests[-1].headers["traceparent"] == traceparent(first)
        assert upstreams[1].requests[-1].headers["traceparent"] == traceparent(second)
        assert upstreams[1].requests[-1].headers["baggage"] == "tenant=acme"
        await closed(router, upstreams)


async def test_a_propagator_decides_what_goes_upstream(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(1) as upstreams:
        given_one = Router(group(upstreams), callbacks=[memory.telemetry(TraceContextTextMapPropagator())])
        configured = Router(group(upstreams), callbacks=[memory.telemetry()])
        token = context.attach(baggage.set_baggage("tenant", "acme"))
        try:
            await create(given_one, False)
            monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", TraceContextTextMapPropagator())
            await create(configured, False)
        finally:
            context.detach(token)
        for request in upstreams[0].requests:
            assert "traceparent" in request.headers
            assert "baggage" not in request.headers
        await given_one.aclose()
        await closed(configured, upstreams)


# attributes


def _deployment(**changes: Any) -> Deployment:
    return Deployment(**{"id": "d", "group": "any/*", "provider": "xai", "model": "*", **changes})


def test_what_a_call_and_its_deployment_say_is_told_as_it_is_sent() -> None:
    deployment = _deployment(defaults={"temperature": 1, "top_p": 0.5}, extra_body={"seed": 7})
    body = {
        "temperature": 0.25,
        "seed": 1,
        "max_output_tokens": "many",
        "conversation": {"id": "conv_1"},
        "text": {"format": {"type": "json_schema"}},
        "input": "a secret",
        "instructions": "a secret",
    }
    call = Call("any/*", body=body, wildcard="grok-5", stream=True, extra_body={"top_p": 0.75})
    assert attributes.asked(call, deployment) == {
        "gen_ai.request.model": "grok-5",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.25,
        "gen_ai.request.top_p": 0.75,
        "gen_ai.request.seed": 7,
        "gen_ai.conversation.id": "conv_1",
        "gen_ai.output.type": "json",
        "openai.api.type": "responses",
    }
    assert attributes.place(call, deployment, "https://api.x.ai/v1/responses?key=secret") == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "x_ai",
        "gen_ai.request.model": "*",
        "homing.group": "any/*",
        "homing.deployment": "d",
        "server.address": "api.x.ai",
        "server.port": 443,
    }


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (None, None),
        ({}, None),
        ({"format": "json"}, None),
        ({"format": {"type": 1}}, None),
        ({"format": {"type": "text"}}, "text"),
        ({"format": {"type": "json_object"}}, "json"),
    ],
)
def test_the_kind_of_output_is_told_if_the_call_says_it(text: object, kind: str | None) -> None:
    asked = attributes.asked(Call("g", body={"text": text, "conversation": "conv_1"}), _deployment())
    assert asked.get("gen_ai.output.type") == kind
    assert asked["gen_ai.conversation.id"] == "conv_1"


def test_a_verb_on_a_conversation_tells_which() -> None:
    asked = attributes.asked(Call("g", Verb.GET_CONVERSATION, conversation_id="conv_1"), _deployment(model="m"))
    assert asked["gen_ai.conversation.id"] == "conv_1"


def test_what_is_openais_is_told_of_openais_protocols_alone() -> None:
    deployment = _deployment(provider="anthropic", model="claude", dialect=Dialect.MESSAGES)
    asked = attributes.asked(Call("g", body={"service_tier": "auto"}), deployment)
    assert asked == {"gen_ai.request.model": "claude"}
    assert attributes.asked(Call("g", Verb.GET, {"temperature": 1}), deployment) == asked
    assert attributes.place(Call("g"), deployment, "http://[::1]/v1")["server.port"] == 80
    assert "server.address" not in attributes.place(Call("g"), deployment, "")


# metrics


def _by(points: list[Point], *keys: str) -> dict[tuple[Any, ...], Point]:
    return {tuple((point.attributes or {}).get(key) for key in keys): point for point in points}


async def test_requests_and_calls_are_measured(memory: Memory) -> None:
    async with serving(2) as upstreams:
        router = Router(
            [entry(upstreams[0]), entry(upstreams[1], order=1)],
            callbacks=[memory.telemetry()],
            price_source=Prices(),
        )
        misbehave(upstreams[0], "500")
        response = await create(router, True)
        assert await router.aflush()
        points = memory.points()
        assert set(points) == {
            "gen_ai.client.operation.duration",
            "gen_ai.client.operation.time_to_first_chunk",
            "gen_ai.client.token.usage",
            "homing.client.cost",
            "homing.router.call.duration",
        }
        durations = _by(points["gen_ai.client.operation.duration"], "homing.deployment", "error.type")
        assert set(durations) == {("u0", "InternalServerError"), ("u1", None)}
        for point in durations.values():
            assert isinstance(point, HistogramDataPoint)
            assert point.count == 1
            assert point.explicit_bounds == (
                0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
            )  # fmt: skip
            assert {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"} <= set(
                point.attributes or {}
            )
        tokens = _by(points["gen_ai.client.token.usage"], "gen_ai.token.type")
        assert response.usage is not None
        for kind, number in (("input", response.usage.input_tokens), ("output", response.usage.output_tokens)):
            point = tokens[(kind,)]
            assert isinstance(point, HistogramDataPoint)
            assert point.sum == number
            assert (point.attributes or {})["gen_ai.response.model"] == response.model
            assert point.explicit_bounds[:3] == (1, 4, 16)
            assert point.explicit_bounds[-1] == 67108864
        (first,) = points["gen_ai.client.operation.time_to_first_chunk"]
        assert isinstance(first, HistogramDataPoint)
        assert first.sum == response.routing.attempts[-1].duration
        (cost,) = points["homing.client.cost"]
        assert isinstance(cost, NumberDataPoint)
        assert cost.value == 0.01
        (call,) = points["homing.router.call.duration"]
        assert (call.attributes or {})["homing.status"] == "succeeded"
        await closed(router, upstreams)


async def test_models_that_callers_make_up_are_no_attributes_of_metrics(memory: Memory) -> None:
    async with serving(1) as upstreams:
        router = Router([entry(upstreams[0], "any/*", model="openai/*")], callbacks=[memory.telemetry()])
        for number in range(3):
            await create(router, False, model=f"any/made-up-{number}")
            with pytest.raises(APIError):
                await create(router, False, model=f"made-up-{number}")
        assert await router.aflush()
        assert "made-up" not in str(memory.points())
        assert [span.name for span in memory.attempts()] == [f"chat made-up-{number}" for number in range(3)]
        await closed(router, upstreams)


# the conventions


def test_every_name_is_one_of_the_conventions() -> None:
    known = {
        value
        for module in (gen_ai_attributes, openai_attributes, gen_ai_metrics, error_attributes, server_attributes)
        for value in vars(module).values()
        if isinstance(value, str)
    }
    ours = [value for value in vars(names).values() if isinstance(value, str)] + list(names.PARAMETERS.values())
    ours = [name for name in ours if name.startswith(("gen_ai.", "openai.", "server.", "error."))]
    assert len(ours) > 25
    assert set(ours) <= known


def test_every_provider_goes_by_the_conventions_name_if_it_has_one() -> None:
    known = {each.value for each in gen_ai_attributes.GenAiProviderNameValues}
    assert set(names.PROVIDERS.values()) <= known
    assert {"openai", "anthropic", "groq", "deepseek", "perplexity"} <= known, "they are called so by both"
    assert "chat" in {each.value for each in gen_ai_attributes.GenAiOperationNameValues}


async def test_contents_are_told_where_they_are_recorded(memory: Memory) -> None:
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[memory.telemetry()], record_contents=True)
        response = await create(router, True, input="Hello")
        misbehave(upstreams[0], "context_window")
        with pytest.raises(APIError) as failed:
            await router.aresponses("gpt", "Hello again")
        assert await router.aflush()
        first, second = memory.attempts()
        assert json.loads(given(first)["gen_ai.input.messages"]) == [
            {"role": "user", "parts": [{"type": "text", "content": "Hello"}]}
        ]
        assert json.loads(given(first)["gen_ai.output.messages"]) == [
            {
                "role": "assistant",
                "parts": [{"type": "text", "content": response.output_text}],
                "finish_reason": "completed",
            }
        ]
        assert "gen_ai.output.messages" not in given(second)
        assert failed.value.message not in "".join(span.to_json() for span in memory.attempts())
        await closed(router, upstreams)


def _record(**changes: Any) -> CallRecord:
    return CallRecord(
        **{
            "id": "call_1",
            "verb": "create",
            "status": "succeeded",
            "model": "gpt",
            "group": "gpt",
            "deployment_id": "u1",
            "provider": "openai",
            "deployment_model": "gpt-4o",
            "stream": False,
            "started": 0.0,
            "queued": 0.0,
            "first_event": None,
            "duration": 3.0,
            **changes,
        }
    )


def test_every_kind_of_item_becomes_a_message() -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,secret"}
    given = [
        {"role": "system", "content": "Be brief."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look"}, picture, 7]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": 1j},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}, {"type": "secret"}]},
        {"type": "reasoning", "summary": None},
        {"type": "web_search_call", "action": {"query": "secret"}},
        {"role": "user"},
        Verb.CREATE.__class__,
    ]
    told = contents(_record(input=given, output=[{"type": "message", "content": "Fine."}]))
    assert json.loads(told["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {
            "role": "user",
            "parts": [{"type": "text", "content": "Look"}, {"type": "input_image"}, {"type": "int"}],
        },
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "look", "arguments": "{}"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"type": "complex"}}]},
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "Hm"}]},
        {"role": "assistant", "parts": []},
        {"role": "user", "parts": [{"type": "web_search_call"}]},
        {"role": "user", "parts": []},
        {"role": "user", "parts": [{"type": "EnumType"}]},
    ]
    (answer,) = json.loads(told["gen_ai.output.messages"])
    assert answer == {
        "role": "assistant",
        "parts": [{"type": "text", "content": "Fine."}],
        "finish_reason": "succeeded",
    }
    assert json.loads(contents(_record(input=7))["gen_ai.input.messages"]) == []
    assert contents(_record()) == {}
    circle: list[object] = []
    circle.append({"type": "function_call", "arguments": circle})
    assert contents(_record(input=circle)) == {}


async def test_calls_that_are_not_sampled_are_measured_all_the_same(memory: Memory) -> None:
    unsampled = OpenTelemetry(TracerProvider(ALWAYS_OFF, shutdown_on_exit=False), memory.meter_provider)
    async with serving(1) as upstreams:
        router = Router(group(upstreams), callbacks=[unsampled], price_source=Prices())
        await create(router, False)
        assert await router.aflush()
        assert set(memory.points()) > {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
        assert upstreams[0].requests[-1].headers["traceparent"].endswith(("-00", "-02")), "nor is what follows"
        await closed(router, upstreams)


def test_nothing_said_upstream_or_by_callers_is_told(memory: Memory) -> None:
    async def calls() -> None:
        async with serving(1, Behaviour(tokens=3)) as upstreams:
            router = Router(group(upstreams), callbacks=[memory.telemetry()])
            await router.aresponses("gpt", "a secret input", instructions="a secret instruction", user="a secret user")
            misbehave(upstreams[0], "context_window")
            with pytest.raises(APIError):
                await router.aresponses("gpt", "a secret input")
            await closed(router, upstreams)

    asyncio.run(calls())
    told = "".join(span.to_json() for span in memory.exporter.get_finished_spans()) + str(memory.points())
    assert "secret" not in told
