"""Every metric there is: its name, kind, labels and meaning. The README's table is checked against this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `bounds`: upper ends of a histogram's buckets."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    labels: tuple[str, ...]
    meaning: str
    bounds: tuple[float, ...] = ()


_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0)
"""For what a model takes: an answer may take minutes."""
_SHORT: Final = (0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""For waiting, which is hardly ever long."""
_PLACE: Final = ("group", "deployment", "provider")

REQUESTS: Final = Family(
    "homing_requests_total",
    "counter",
    (*_PLACE, "verb", "stream", "status", "error"),
    "Calls that are over, by how they ended.",
)
DURATION: Final = Family(
    "homing_request_duration_seconds",
    "histogram",
    (*_PLACE, "stream"),
    "From the start of a call to its answer, or to the end of its stream.",
    _SECONDS,
)
FIRST_EVENT: Final = Family(
    "homing_time_to_first_event_seconds",
    "histogram",
    _PLACE,
    "From the start of a streamed call to its first output.",
    _SECONDS,
)
QUEUE: Final = Family(
    "homing_queue_seconds",
    "histogram",
    ("group",),
    "What a call spent on finding deployments: asking the checks, waiting in line.",
    _SHORT,
)
RETRIES: Final = Family("homing_retries_total", "counter", ("group",), "Attempts after a call's first.")
FALLBACKS: Final = Family(
    "homing_fallbacks_total", "counter", ("group",), "Groups that calls turned to, by the group they ended in."
)
AFFINITY: Final = Family(
    "homing_affinity_total",
    "counter",
    ("group", "outcome"),
    "Calls that found the home of their conversation, by how: home, domain, discovered, replayed.",
)
ATTEMPTS: Final = Family(
    "homing_attempts_total", "counter", (*_PLACE, "outcome"), "Requests to deployments: how they ended, or the error."
)
ATTEMPT_DURATION: Final = Family(
    "homing_attempt_duration_seconds",
    "histogram",
    _PLACE,
    "From an attempt's start to its answer (streams: to the first output), or to its failure.",
    _SECONDS,
)
TOKENS: Final = Family(
    "homing_tokens_total",
    "counter",
    (*_PLACE, "type"),
    "Tokens used; cache_read and cache_write are part of input, reasoning of output.",
)
COST: Final = Family("homing_cost_dollars_total", "counter", _PLACE, "What calls cost, where that is known.")
UNPRICED: Final = Family(
    "homing_unpriced_calls_total", "counter", _PLACE, "Calls that were to be paid for, nobody knows how much."
)
_KEY: Final = ("key",)
KEY_REQUESTS: Final = Family(
    "homing_key_requests_total", "counter", (*_KEY, "status"), "Calls that came with a proxy's virtual key."
)
KEY_TOKENS: Final = Family("homing_key_tokens_total", "counter", (*_KEY, "type"), "Tokens that those used.")
KEY_COST: Final = Family("homing_key_cost_dollars_total", "counter", _KEY, "What those cost, where that is known.")
LOST: Final = Family(
    "homing_records_dropped_total",
    "counter",
    ("callback",),
    "Records nobody got, as too many waited; those of one callback by its name.",
)
IN_FLIGHT: Final = Family(
    "homing_deployment_in_flight", "gauge", ("group", "deployment"), "Calls that a deployment is serving."
)
STATE: Final = Family(
    "homing_deployment_state",
    "gauge",
    ("group", "deployment", "state"),
    "1 for the state its breaker is in, 0 for the others: closed, open, half-open, ramping.",
)
OPEN: Final = Family(
    "homing_deployment_open_seconds",
    "gauge",
    ("group", "deployment"),
    "Until its breaker lets a probe through; 0 unless open.",
)
BLOCKED: Final = Family(
    "homing_deployment_blocked_seconds",
    "gauge",
    ("group", "deployment"),
    "Until its rate limit lets it serve again; 0 if it does.",
)
HEADROOM: Final = Family(
    "homing_deployment_headroom_ratio",
    "gauge",
    ("group", "deployment"),
    "The fraction left of its rate limit; 1 if unknown.",
)
LATENCY: Final = Family(
    "homing_deployment_latency_seconds",
    "gauge",
    ("group", "deployment"),
    "Moving average of what its calls took; absent before the first.",
)
FAILURE_RATE: Final = Family(
    "homing_deployment_failure_ratio",
    "gauge",
    ("group", "deployment"),
    "Moving average of the fraction of its calls that failed.",
)

COUNTED: Final = (
    REQUESTS,
    DURATION,
    FIRST_EVENT,
    QUEUE,
    RETRIES,
    FALLBACKS,
    AFFINITY,
    ATTEMPTS,
    ATTEMPT_DURATION,
    TOKENS,
    COST,
    UNPRICED,
    KEY_REQUESTS,
    KEY_TOKENS,
    KEY_COST,
)
"""Those that calls add to."""
GAUGES: Final = (IN_FLIGHT, STATE, OPEN, BLOCKED, HEADROOM, LATENCY, FAILURE_RATE)
"""Those that are read when somebody asks."""
ALL: Final = (*COUNTED, LOST, *GAUGES)

STATES: Final = ("closed", "open", "half-open", "ramping")
UNKNOWN: Final = "(unknown)"
"""Group of calls that led to none: the name they asked for is their caller's choice, and there is no end of names."""
OTHER: Final = "(other)"
"""Label of what is beyond the bound."""
