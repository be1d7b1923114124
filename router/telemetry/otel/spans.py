"""Spans: one for each call, and below it one for each of its attempts, as long as they are on their way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from opentelemetry.context import Context, get_current
from opentelemetry.propagate import get_global_textmap
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context

from providers.errors import APIError
from providers.types import Call, Deployment
from router.telemetry.otel import attributes, names
from router.telemetry.otel.attributes import Attributes
from router.telemetry.otel.contents import contents
from router.telemetry.otel.instruments import Instruments
from router.telemetry.record import CallRecord

_SECOND: Final = 1_000_000_000


class Kit:
    """What spans are made with. `propagator`: None: whatever is configured for the process at the time."""

    __slots__ = ("instruments", "propagator", "tracer")

    def __init__(self, tracer: Tracer, instruments: Instruments, propagator: TextMapPropagator | None) -> None:
        self.tracer = tracer
        self.instruments = instruments
        self.propagator = propagator


class CallSpan:
    """The span of one call. Its parent is the span that is current where the call is made."""

    __slots__ = ("_attempt", "_began", "_context", "_kit", "_number", "_span", "_started")

    def __init__(self, kit: Kit, model: str, verb: str) -> None:
        self._kit = kit
        self._started, self._began = time.time_ns(), time.monotonic_ns()
        model = model[: attributes.LONGEST]
        parent = get_current()
        given = {names.VERB: verb, names.MODEL: model}
        name = f"{attributes.operation(verb)} {model}".rstrip()
        self._span = kit.tracer.start_span(name, parent, SpanKind.INTERNAL, given, start_time=self._started)
        self._context = set_span_in_context(self._span, parent)
        self._attempt: AttemptSpan | None = None
        self._number = 0

    def attempt(self, call: Call, deployment: Deployment, url: str) -> AttemptSpan:
        """The span of a request that is about to be sent."""
        self._number += 1
        where = attributes.place(call, deployment, url)
        asked = {**where, **attributes.asked(call, deployment), names.ATTEMPT: self._number}
        self._attempt = AttemptSpan(self._kit, self._context, where, asked, self._now)
        return self._attempt

    def end(self, record: CallRecord) -> None:
        """The call is over, and so is its last attempt."""
        ended = self._started + int(record.duration * _SECOND)
        attempt, span = self._attempt, self._span
        if attempt is not None and not attempt.ended:
            attempt.end(record, ended)
        if span.is_recording():
            self._tell(record, ended)
        self._kit.instruments.call(record, self._context)
        span.end(ended)

    def _tell(self, record: CallRecord, ended: int) -> None:
        span = self._span
        for each in record.attempts:
            if each.decision is not None:
                at = self._started + int(each.started * _SECOND)
                span.add_event(names.DECISION, attributes.decided(each.decision, each.waited), at)
        if record.decision is not None:
            span.add_event(names.DECISION, attributes.decided(record.decision, record.decision.waited), ended)
        span.set_attributes(attributes.called(record))
        if record.status == "failed":
            span.set_status(Status(StatusCode.ERROR))

    def _now(self) -> int:
        """Unix time in nanoseconds, which the setting of a clock does not disturb while the call is on its way."""
        return self._started + time.monotonic_ns() - self._began


class AttemptSpan:
    """The span of one request to a deployment, and what goes with that so that traces go on there."""

    __slots__ = ("_context", "_instruments", "_now", "_openai", "_place", "_span", "_started", "ended", "headers")

    def __init__(self, kit: Kit, parent: Context, place: Attributes, asked: Attributes, now: Callable[[], int]) -> None:
        self._instruments = kit.instruments
        self._now = now
        self._place = place
        self._openai = names.API_TYPE in asked
        self._started = now()
        self.ended = False
        name = f"{asked[names.OPERATION]} {asked[names.REQUEST_MODEL]}"
        self._span = kit.tracer.start_span(name, parent, SpanKind.CLIENT, asked, start_time=self._started)
        self._context = set_span_in_context(self._span, parent)
        headers: dict[str, str] = {}
        propagator = kit.propagator or get_global_textmap()
        propagator.inject(headers, self._context)  # pyright: ignore[reportArgumentType]  # of its own default
        self.headers: Mapping[str, str] = headers
        """To be sent with the request."""

    def failed(self, error: BaseException) -> None:
        """It failed just now. What the error says is left out: servers quote what they were sent."""
        kind = type(error).__name__
        status, code = (error.status_code, error.code) if isinstance(error, APIError) else (None, None)
        self._over(attributes.failure(kind, status, code), self._now(), kind, failed=True)

    def end(self, record: CallRecord, ended: int) -> None:
        """Its call is over, and was at `ended`."""
        attempt = record.attempts[-1] if record.attempts else None
        first = None if attempt is None or record.first_event is None else attempt.duration
        found: Attributes = {}
        if self._span.is_recording():  # most are not, where only some are sampled
            found |= attributes.answered(record, first, openai=self._openai)
            found |= attributes.failure(record.error_type, record.error_status, record.error_code)
            found |= contents(record)
        self._instruments.answer(self._place, record, first, self._context)
        self._over(found, ended, record.error_type, failed=record.status == "failed")

    def _over(self, found: Attributes, ended: int, error: str | None, *, failed: bool) -> None:
        ended = max(ended, self._started)
        self.ended = True
        self._instruments.attempt(self._place, (ended - self._started) / _SECOND, error, self._context)
        self._span.set_attributes(found)
        if failed:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end(ended)
