"""From the facts of a call that is over to its record."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from providers.errors import APIError, Attempt
from providers.types import Call, JsonObject, Verb
from router.telemetry.opened import OpenCall
from router.telemetry.record import SETTINGS, AttemptRecord, CallRecord, Status

_NOBODY = Call("")
_WORD = re.compile(r"[\w.:-]{1,64}")
_SETTINGS = frozenset(SETTINGS)
_ELSEWHERE = frozenset({"input", "user", "safety_identifier"})
"""Parameters that have a field of their own in the record; the end user's may be a digest."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is recorded, beyond the facts."""

    contents: bool = False
    """Whether what was asked and answered is."""
    end_user: Callable[[Call], str | None] = lambda _: None
    """Who a call is for."""


def record_of(opened: OpenCall, policy: Policy) -> CallRecord:
    """The record of a call that is over."""
    run, response, error = opened.run, opened.response, opened.error
    call = _call(opened)
    deployment = None if run is None else run.deployment
    details = response.get("incomplete_details")
    cost = None if opened.bill is None else opened.bill.cost
    contents = _contents(opened, call) if policy.contents else {}
    attempts = () if run is None else _attempts(opened, run.attempts, policy)
    return CallRecord(
        id=opened.id,
        verb=opened.verb.value,
        status=opened.status,
        model=str(opened.model),
        group=call.group,
        deployment_id=None if deployment is None else deployment.id,
        provider=None if deployment is None else deployment.provider,
        deployment_model=None if deployment is None else deployment.model,
        stream=opened.stream,
        started=opened.started,
        queued=0.0 if run is None else run.queued,
        first_event=opened.first_event,
        duration=opened.duration,
        response_id=None if opened.verb.of_conversations else _text(response, "id"),
        previous_response_id=call.previous_response_id if run is None else run.continues,
        conversation_id=_conversation(call, response),
        response_model=_text(response, "model"),
        response_status=_text(response, "status"),
        incomplete_reason=_text(details, "reason") if isinstance(details, dict) else None,
        service_tier=_text(response, "service_tier"),
        error_type=None if error is None else type(error).__name__,
        error_status=error.status_code if isinstance(error, APIError) else None,
        error_code=_code(error, policy) if isinstance(error, APIError) else None,
        attempts=attempts,
        retries=max(0, len(attempts) - 1),
        fallbacks=0 if run is None else len(run.plan.visited),
        max_output_tokens=_limit(call),
        usage=opened.usage,
        partial=opened.partial,
        cost=None if cost is None else cost.total,
        cost_breakdown=cost,
        end_user=policy.end_user(call),
        tags=_tags(call.metadata),
        tenant=call.scope,
        key=_key(call.metadata),
        affinity=None if run is None or run.affinity is None else run.affinity.mode,
        decision=None if run is None else run.decision,
        metadata=call.metadata,
        parameters=_parameters(call, policy),
        **contents,  # type: ignore[arg-type]  # the names are CallRecord's own
    )


def _call(opened: OpenCall) -> Call:
    """The call, also if it never came so far as to be one."""
    if opened.run is not None:
        return opened.run.call
    if opened.request is None:
        return _NOBODY
    try:
        return opened.request.call(stream=opened.stream)
    except APIError:  # what was wrong with it is what it ended with
        return _NOBODY


def _conversation(call: Call, response: JsonObject) -> str | None:
    """The id of the conversation that a call is about."""
    if call.verb is Verb.CREATE_CONVERSATION:
        return _text(response, "id")
    if call.verb.of_conversations:
        return call.conversation_id
    held = response.get("conversation")
    return _text(held, "id") if isinstance(held, dict) else None


def _key(metadata: Mapping[str, object]) -> str | None:
    alias = metadata.get("user_api_key_alias") if metadata else None
    return alias if isinstance(alias, str) else None


def _contents(opened: OpenCall, call: Call) -> dict[str, object]:
    error = opened.error
    response = opened.response if opened.output is None else opened.output
    return {
        "input": call.body.get("input"),
        "output": response.get("output"),
        "error_message": error.message if isinstance(error, APIError) else None,
    }


def _parameters(call: Call, policy: Policy) -> dict[str, object]:
    body = {**call.body, **call.extra_body} if call.extra_body else call.body
    if policy.contents:
        return {name: value for name, value in body.items() if name not in _ELSEWHERE}
    found: dict[str, object] = {}
    if _SETTINGS.isdisjoint(body):
        return found
    for name in _SETTINGS & body.keys():
        value = body[name]
        if isinstance(value, Mapping):
            value = {key: each for key, each in value.items() if isinstance(key, str) and _is_setting(each)}
        if (value and isinstance(value, dict)) or _is_setting(value):
            found[name] = value
    return found


def _is_setting(value: object) -> bool:
    return isinstance(value, (bool, int, float)) or (isinstance(value, str) and _WORD.fullmatch(value) is not None)


def _code(error: APIError, policy: Policy) -> str | None:
    """The vendor's code; one that is no word may quote what the server was sent."""
    code = error.code
    return code if code is not None and (policy.contents or _WORD.fullmatch(code)) else None


def _attempts(opened: OpenCall, attempts: Sequence[Attempt], policy: Policy) -> tuple[AttemptRecord, ...]:
    if not attempts:
        return ()
    if len(attempts) == 1 and opened.error is None and attempts[0].error is None:
        return (_attempt(attempts[0], opened.status, None, policy),)
    *before, last = attempts
    ended: Status = opened.status
    error = last.error
    if error is None and ended == "failed" and isinstance(opened.error, APIError):
        error = opened.error  # a stream that failed after its first output
    failed = (_attempt(each, "failed", each.error, policy) for each in before)
    return (*failed, _attempt(last, ended, error, policy))


def _attempt(attempt: Attempt, status: Status, error: APIError | None, policy: Policy) -> AttemptRecord:
    return AttemptRecord(
        attempt.deployment_id,
        attempt.model_group,
        attempt.provider,
        attempt.started,
        attempt.duration,
        status,
        attempt.waited,
        None if error is None else type(error).__name__,
        None if error is None else error.status_code,
        None if error is None else _code(error, policy),
        attempt.decision,
        error.message if error is not None and policy.contents else None,
    )


def _limit(call: Call) -> int | None:
    most = call.body.get("max_output_tokens")
    return most if type(most) is int else None


def _text(json: JsonObject, name: str) -> str | None:
    value = json.get(name)
    return value if isinstance(value, str) else None


def _tags(metadata: Mapping[str, object]) -> tuple[str, ...]:
    tags = metadata.get("tags") if metadata else None
    if not isinstance(tags, (list, tuple, set, frozenset)):
        return ()
    return tuple(str(tag) for tag in cast("list[object]", tags))
