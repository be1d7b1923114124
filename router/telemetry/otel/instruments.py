"""The metrics that OpenTelemetry gets of calls."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, Meter

from router.telemetry.otel import names
from router.telemetry.otel.attributes import Attributes
from router.telemetry.record import CallRecord


class Instruments:
    """One for each metric. Attributes are bounded by the model list and by what vendors say of it."""

    def __init__(self, meter: Meter) -> None:
        def seconds(name: str, meaning: str) -> Histogram:
            bounds = names.SECOND_BOUNDS
            return meter.create_histogram(name, "s", meaning, explicit_bucket_boundaries_advisory=bounds)

        self._duration = seconds(names.DURATION_METRIC, "GenAI operation duration.")
        self._first = seconds(names.FIRST_CHUNK_METRIC, "Time to the first output of a stream.")
        self._calls = seconds(names.CALL_METRIC, "Duration of a call, with all of its attempts.")
        self._tokens = meter.create_histogram(
            names.USAGE_METRIC,
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=names.TOKEN_BOUNDS,
        )
        self._cost = meter.create_counter(names.COST_METRIC, "USD", "What calls cost, where that is known.")

    def attempt(self, place: Attributes, seconds: float, error: str | None, context: Context) -> None:
        """An attempt is over, after so many seconds."""
        self._duration.record(seconds, place if error is None else {**place, names.ERROR: error}, context)

    def answer(self, place: Attributes, record: CallRecord, first: float | None, context: Context) -> None:
        """A call's last attempt got something; `first`: seconds to a stream's first output."""
        if record.response_model is not None and "*" not in str(place[names.REQUEST_MODEL]):
            place = {**place, names.RESPONSE_MODEL: record.response_model}
        if first is not None:
            self._first.record(first, place, context)
        usage = record.usage
        if usage is not None and not usage.estimated:  # the conventions want no guesses
            self._tokens.record(usage.input_tokens, {**place, names.TOKEN_TYPE: "input"}, context)
            self._tokens.record(usage.output_tokens, {**place, names.TOKEN_TYPE: "output"}, context)
        if record.cost is not None:
            self._cost.add(record.cost, place, context)

    def call(self, record: CallRecord, context: Context) -> None:
        """A call is over."""
        attributes: Attributes = {names.GROUP: record.group, names.VERB: record.verb, names.STATUS: record.status}
        if record.error_type is not None:
            attributes[names.ERROR] = record.error_type
        self._calls.record(record.duration, attributes, context)
