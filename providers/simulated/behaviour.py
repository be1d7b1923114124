"""How a simulated deployment behaves: how fast, how reliable, and in which way it is broken."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, TypeAlias, get_args

from providers.errors import ConfigurationError

Fault: TypeAlias = Literal[
    "refuse",
    "reset",
    "hang",
    "500",
    "503",
    "401",
    "403",
    "404",
    "429",
    "insufficient_quota",
    "garbage",
    "cut_before_output",
    "cut_after_output",
    "stall_before_output",
    "stall_after_output",
    "error_event",
    "error_event_flat",
    "error_event_after_output",
    "failed_event",
    "rate_limit_event",
    "content_policy",
    "context_window",
    "not_found_lag",
]
"""The ways to be broken. Each is explained in `MEANINGS`."""

FAULTS: tuple[Fault, ...] = get_args(Fault)

MEANINGS: dict[Fault, str] = {
    "refuse": "connections are refused, open ones are reset",
    "reset": "the connection is reset (TCP RST) instead of an answer",
    "hang": "requests are read and never answered",
    "500": "every request gets a 500",
    "503": "every request gets a 503",
    "401": "every request gets a 401, as for a wrong key",
    "403": "every request gets a 403",
    "404": "the model is missing: Azure's DeploymentNotFound",
    "429": "every request gets a 429 with retry-after headers",
    "insufficient_quota": "a 429 that waiting cannot cure",
    "garbage": "200 with a body that is neither JSON nor SSE",
    "cut_before_output": "streams end after response.in_progress; JSON bodies end halfway",
    "cut_after_output": "streams end after `cut_after` deltas; JSON bodies end halfway",
    "stall_before_output": "streams stop after response.in_progress; JSON bodies never start",
    "stall_after_output": "streams stop after `cut_after` deltas; JSON bodies stop halfway",
    "error_event": "nested error event after response.in_progress, then response.failed; 500 if not streamed",
    "error_event_flat": "flat error event after response.in_progress, then the end; 500 if not streamed",
    "error_event_after_output": "like error_event, after `cut_after` deltas; 500 if not streamed",
    "failed_event": "response.failed before any output; a failed response if not streamed",
    "rate_limit_event": "a rate-limit error after response.in_progress; 429 if not streamed",
    "content_policy": "400: a content filter refuses the prompt",
    "context_window": "400: the input is too long",
    "not_found_lag": "the first `lag_reads` references to each response fail: Azure's read-after-write lag",
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A simulated deployment's conduct. Replace it at run time: `upstream.behaviour = replace(upstream.behaviour, …)`.

    Requests in service keep the behaviour they began with. Raises `ConfigurationError` for a value out of range.
    """

    latency: float = 0.0
    """Mean seconds before the head of a reply."""
    jitter: float = 0.0
    """Latency varies evenly by up to this many seconds either way, never below 0."""
    tokens: int = 8
    """Deltas, and output tokens, of a text."""
    token_delay: float = 0.0
    """Seconds between two deltas of a stream."""
    failure_rate: float = 0.0
    """Share of requests, 0 to 1, answered with a 500."""
    rpm: int | None = None
    """Requests per minute: a bucket of that size, refilled evenly. Beyond it: 429. None: unlimited."""
    tpm: int | None = None
    """Input tokens per minute, likewise."""
    rate_limit_headers: bool = False
    """Send `x-ratelimit-*` with every reply; a 429 has them always."""
    retry_after: float | None = 1.0
    """Seconds announced by the faults `429`, `503` and `rate_limit_event`; None: not announced."""
    fault: Fault | None = None
    cut_after: int = 2
    """Deltas handed out before an `…_after_output` fault."""
    lag_reads: int = 2
    """References to one response that `not_found_lag` lets fail."""
    background_reads: int = 2
    """Reads after which a background response is complete."""
    obfuscation: bool = False
    """Pad deltas with an `obfuscation` field unless the request declines."""
    done_marker: bool = False
    """End streams with `data: [DONE]`, as Open Responses asks and OpenAI does not."""

    def __post_init__(self) -> None:
        for name in ("latency", "jitter", "token_delay", "cut_after", "lag_reads", "background_reads"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"Behaviour.{name} is {getattr(self, name)}; it must be 0 or more")
        for name in ("rpm", "tpm"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigurationError(f"Behaviour.{name} is {getattr(self, name)}; it must be 1 or more, or None")
        if self.tokens < 1:
            raise ConfigurationError(f"Behaviour.tokens is {self.tokens}; it must be 1 or more")
        if not 0 <= self.failure_rate <= 1:
            raise ConfigurationError(f"Behaviour.failure_rate is {self.failure_rate}; it must lie between 0 and 1")
        if self.retry_after is not None and self.retry_after <= 0:
            raise ConfigurationError(f"Behaviour.retry_after is {self.retry_after}; it must be above 0, or None")
        if self.fault is not None and self.fault not in FAULTS:
            raise ConfigurationError(unknown_fault(self.fault))


def unknown_fault(name: str) -> str:
    """What to say about a fault that does not exist."""
    close = get_close_matches(name, FAULTS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"one of: {', '.join(FAULTS)}"
    return f"there is no fault {name!r}; {hint}"
