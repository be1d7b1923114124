"""What there is to say of one client call, once it is over. The one source of logs, callbacks, metrics and traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from providers.decisions import RouteDecision
from providers.types import Json
from providers.usage import Cost, TokenUsage

Status: TypeAlias = Literal["succeeded", "failed", "cancelled", "abandoned"]
"""How a call ended: with its answer; with an error; its caller cancelled it; its caller left its stream."""

SETTINGS: Final = (
    "temperature",
    "top_p",
    "max_output_tokens",
    "max_tool_calls",
    "parallel_tool_calls",
    "top_logprobs",
    "service_tier",
    "truncation",
    "store",
    "background",
    "reasoning",
)
"""Parameters of a call that say how it is to be answered, not what is asked."""


class AttemptRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):  # it can't hold what holds it
    """One request on behalf of a call."""

    deployment_id: str
    group: str
    provider: str
    started: float
    """Seconds from the start of the call."""
    duration: float
    """Seconds until it answered (streams: until the first output) or failed."""
    status: Status
    waited: float = 0.0
    """Seconds before it that went into finding its deployment."""
    error_type: str | None = None
    """Class of what it failed with, as `RateLimitError`."""
    error_status: int | None = None
    """HTTP status of the same."""
    error_code: str | None = None
    """The vendor's code for it."""
    decision: RouteDecision | None = None
    """Why it went there, where decisions are recorded (`record_decisions`)."""
    error_message: str | None = None
    """What its server said, if contents are recorded."""


class CallRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One client call, its attempts inside. Times in seconds, money in US dollars.

    Says nothing of what was asked or answered, unless `record_contents` is on: `input` and `output` are None then,
    and so is `error_message`, for servers quote what they were sent. As JSON (msgspec), what has its default is left
    out.
    """

    id: str
    """The call's own id; `response.routing.call_id` is the same."""
    verb: str
    """`create`, `get`, `delete`, `cancel`, `input_items`, `compact`, `input_tokens`; of conversations
    `create_conversation`, `list_conversation_items`, …: the Router's own names, without the leading `a`."""
    status: Status
    model: str
    """The name that was asked for."""
    group: str
    """The group that served, or was asked last; empty if there is none of the name."""
    deployment_id: str | None
    """The deployment that served, or was asked last; None if nothing was sent."""
    provider: str | None
    deployment_model: str | None
    """The model's name at that deployment."""
    stream: bool
    started: float
    """Unix time."""
    queued: float
    """Seconds that went into finding deployments: asking the checks, waiting in line, before all attempts together."""
    first_event: float | None
    """Seconds from the start to the first output of a stream; None if not streamed, or if there was none."""
    duration: float
    """Seconds from the start to the answer, or to the end of the stream."""
    response_id: str | None = None
    previous_response_id: str | None = None
    """What the caller went on from."""
    conversation_id: str | None = None
    """The conversation that it made or named, or that its response is a part of."""
    response_model: str | None = None
    """What the vendor says answered."""
    response_status: str | None = None
    """`completed`, `incomplete`, `failed`, `queued`, …"""
    incomplete_reason: str | None = None
    """`max_output_tokens` or `content_filter`."""
    service_tier: str | None = None
    """The tier that served."""
    error_type: str | None = None
    """Class of the error it ended with."""
    error_status: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    attempts: tuple[AttemptRecord, ...] = ()
    retries: int = 0
    """Attempts after the first."""
    fallbacks: int = 0
    """Groups that it turned to after the first."""
    max_output_tokens: int | None = None
    """The most that was asked for; None: no limit was given."""
    usage: TokenUsage | None = None
    """None: the vendor told none, or nothing was used. What a response in the background used is in the record of the
    call that first showed its end."""
    partial: bool = False
    """Whether the usage is that of an answer that failed, or did not reach its end."""
    cost: float | None = None
    cost_breakdown: Cost | None = None
    """The parts of the cost, or why it is not known; None where there is nothing to pay for."""
    end_user: str | None = None
    """Whom it was for; of a response in the background that is billed here, whom the call was that began it. So with
    `tags`."""
    tags: tuple[str, ...] = ()
    """Those of more than 256 characters as a digest."""
    tenant: str | None = None
    """The call's `affinity_scope`."""
    key: str | None = None
    """The alias, or the id, of the proxy's key that it came with."""
    affinity: str | None = None
    """How it found the home of its conversation: `home`, `domain`, `discovered`, `replayed`."""
    decision: RouteDecision | None = None
    """The last choice, where it found nobody and decisions are recorded."""
    metadata: Mapping[str, object] = {}
    """The call's `litellm_metadata`, as it was given."""
    parameters: Mapping[str, object] = {}
    """Of what was asked, the parameters in `SETTINGS` that are numbers or switches or names; with contents recorded,
    all but the input and the end user."""
    input: object = None
    """What was asked, if contents are recorded."""
    output: Json = None
    """What was answered, as far as it came, if contents are recorded."""
