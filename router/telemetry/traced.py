"""A trace: what a file holds of each call, so that calls can be replayed without a word of what was said."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from providers.decisions import RouteDecision
from providers.usage import TokenUsage
from router.telemetry.record import AttemptRecord, CallRecord, Status

FORMAT: Final = "homing-trace"
VERSION: Final = 1
"""Of what a line holds. A reader takes files of its own version only; fields may be added without a new one."""


class Header(msgspec.Struct, frozen=True):
    """The first line of a trace. Without defaults: any other object of JSON would be one."""

    format: str
    version: int


class TracedAttempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request on behalf of a call. Times in seconds from the start of the call."""

    deployment: str
    """Its id."""
    started: float
    duration: float
    """Until it answered (streams: until the first output) or failed."""
    status: Status
    group: str = ""
    provider: str = ""
    waited: float = 0.0
    error_type: str | None = None
    error_status: int | None = None
    error_code: str | None = None
    decision: RouteDecision | None = None


class TracedCall(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One client call. Sizes and times, no contents, no metadata; people and tenants as digests."""

    arrival: float
    """Unix time."""
    verb: str
    model: str
    """The name that was asked for."""
    status: Status
    duration: float
    group: str = ""
    deployment: str | None = None
    """Id of the one that served, or was asked last."""
    provider: str | None = None
    deployment_model: str | None = None
    response_model: str | None = None
    service_tier: str | None = None
    stream: bool = False
    first_event: float | None = None
    queued: float = 0.0
    response_id: str | None = None
    previous_response_id: str | None = None
    usage: TokenUsage | None = None
    max_output_tokens: int | None = None
    cost: float | None = None
    fallbacks: int = 0
    affinity: str | None = None
    error_type: str | None = None
    error_status: int | None = None
    error_code: str | None = None
    tags: tuple[str, ...] = ()
    end_user: str | None = None
    tenant: str | None = None
    attempts: tuple[TracedAttempt, ...] = ()
    decision: RouteDecision | None = None
    """The last choice, where it found nobody."""


def traced(record: CallRecord) -> TracedCall:
    """What a trace holds of a call."""
    return TracedCall(
        arrival=record.started,
        verb=record.verb,
        model=record.model,
        status=record.status,
        duration=record.duration,
        group=record.group,
        deployment=record.deployment_id,
        provider=record.provider,
        deployment_model=record.deployment_model,
        response_model=record.response_model,
        service_tier=record.service_tier,
        stream=record.stream,
        first_event=record.first_event,
        queued=record.queued,
        response_id=record.response_id,
        previous_response_id=record.previous_response_id,
        usage=record.usage,
        max_output_tokens=record.max_output_tokens,
        cost=record.cost,
        fallbacks=record.fallbacks,
        affinity=record.affinity,
        error_type=record.error_type,
        error_status=record.error_status,
        error_code=record.error_code,
        tags=record.tags,
        end_user=_digest(record.end_user),
        tenant=_digest(record.tenant),
        attempts=tuple(map(_attempt, record.attempts)),
        decision=record.decision,
    )


def _attempt(attempt: AttemptRecord) -> TracedAttempt:
    return TracedAttempt(
        deployment=attempt.deployment_id,
        started=attempt.started,
        duration=attempt.duration,
        status=attempt.status,
        group=attempt.group,
        provider=attempt.provider,
        waited=attempt.waited,
        error_type=attempt.error_type,
        error_status=attempt.error_status,
        error_code=attempt.error_code,
        decision=attempt.decision,
    )


def _digest(name: str | None) -> str | None:
    """Tells one from another, and nothing else about them."""
    return None if name is None else hashlib.blake2b(name.encode(errors="replace"), digest_size=8).hexdigest()
