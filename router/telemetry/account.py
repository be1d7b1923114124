"""From the facts of a call that is over to its record."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from checks.end_user import LONGEST, digest
from providers.errors import APIError, Attempt
from providers.types import Call, Json, JsonObject, Verb
from router.telemetry.debts import Payer
from router.telemetry.opened import OpenCall
from router.telemetry.record import SETTINGS, AttemptRecord, CallRecord, Status

_NOBODY = Call("")
_WORD = re.compile(r"[\w.:-]{1,64}")
_SETTINGS = frozenset(SETTINGS)
_CONVERSING = frozenset(verb for verb in Verb if verb.of_conversations)
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
    run, response, error, verb = opened.run, opened.response, opened.error, opened.verb
    call = _asked(opened) if run is None else run.call
    deployment = None if run is None else run.deployment
    attempts = () if run is None else _attempts(opened, run.attempts, policy)
    cost = None if opened.bill is None else opened.bill.cost
    failure = error if isinstance(error, APIError) else None
    said, metadata, body = response.get, call.metadata, call.body
    record_id, model, status, tier = said("id"), said("model"), said("status"), said("service_tier")
    details, conversing = said("incomplete_details"), verb in _CONVERSING
    conversation = _conversation(call, response) if conversing or "conversation" in response else None
    payer = opened.payer
    most = body.get("max_output_tokens")
    # by position: by name it would take three times as long
    return CallRecord(
        opened.id,
        str(verb),
        opened.status,
        str(opened.model),
        call.group,
        None if deployment is None else deployment.id,
        None if deployment is None else deployment.provider,
        None if deployment is None else deployment.model,
        opened.stream,
        opened.started,
        0.0 if run is None else run.queued,
        opened.first_event,
        opened.duration,
        record_id if isinstance(record_id, str) and not conversing else None,
        call.previous_response_id if run is None else run.continues,
        conversation,
        model if isinstance(model, str) else None,
        status if isinstance(status, str) else None,
        None if details is None else _reason(details),
        tier if isinstance(tier, str) else None,
        None if error is None else type(error).__name__,
        None if failure is None else failure.status_code,
        None if failure is None else _code(failure, policy),
        _message(error, policy) if policy.contents else None,
        attempts,
        len(attempts) - 1 if attempts else 0,
        0 if run is None else len(run.plan.visited),
        most if type(most) is int else None,
        opened.usage,
        opened.partial,
        None if cost is None else cost.total,
        cost,
        policy.end_user(call) if payer is None else payer.end_user,
        _tags(metadata) if payer is None else payer.tags,
        call.scope,
        _key(metadata) if metadata else None,
        None if run is None or run.affinity is None else run.affinity.mode,
        None if run is None else run.decision,
        metadata,
        _parameters(call, policy),
        body.get("input") if policy.contents else None,
        _output(opened) if policy.contents else None,
    )


def payer_of(call: Call, policy: Policy) -> Payer:
    """Whom a call is for."""
    return Payer(policy.end_user(call), _tags(call.metadata))


def _asked(opened: OpenCall) -> Call:
    """The call that never came so far as to be sent."""
    if opened.request is None:
        return _NOBODY
    try:
        return opened.request.call(stream=opened.stream)
    except APIError:  # what was wrong with it is what it ended with
        return _NOBODY


def _conversation(call: Call, response: JsonObject) -> str | None:
    """The id of the conversation that a call is about."""
    if call.verb in _CONVERSING:
        found = response.get("id") if call.verb is Verb.CREATE_CONVERSATION else call.conversation_id
    else:
        held = response.get("conversation")
        found = held.get("id") if isinstance(held, dict) else None
    return found if isinstance(found, str) else None


def _key(metadata: Mapping[str, object]) -> str | None:
    alias = metadata.get("user_api_key_alias")
    return alias if isinstance(alias, str) else None


def _output(opened: OpenCall) -> Json:
    response = opened.response if opened.output is None else opened.output
    return response.get("output")


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
        if (isinstance(value, dict) and value) or _is_setting(value):
            found[name] = value
    return found


def _is_setting(value: object) -> bool:
    return isinstance(value, (bool, int, float)) or (isinstance(value, str) and _WORD.fullmatch(value) is not None)


def _message(error: BaseException | None, policy: Policy) -> str | None:
    """What its server said, which may quote what it was sent."""
    return error.message if policy.contents and isinstance(error, APIError) else None


def _code(error: APIError, policy: Policy) -> str | None:
    """The vendor's code; one that is no word may quote what the server was sent."""
    code = error.code
    return code if code is not None and (policy.contents or _WORD.fullmatch(code)) else None


def _attempts(opened: OpenCall, attempts: Sequence[Attempt], policy: Policy) -> tuple[AttemptRecord, ...]:
    if not attempts:
        return ()
    *before, last = attempts
    error = last.error
    if error is None and opened.status == "failed" and isinstance(opened.error, APIError):
        error = opened.error  # a stream that failed after its first output
    # one that had failed has, though its call was cancelled while it waited for the next
    ended = _attempt(last, opened.status if last.error is None else "failed", error, policy)
    if not before:
        return (ended,)
    return (*(_attempt(each, "failed", each.error, policy) for each in before), ended)


def _attempt(attempt: Attempt, status: Status, error: APIError | None, policy: Policy) -> AttemptRecord:
    where, group, provider = attempt.deployment_id, attempt.model_group, attempt.provider
    made = where, group, provider, attempt.started, attempt.duration, status, attempt.waited
    if error is None:
        return AttemptRecord(*made, None, None, None, attempt.decision)
    kind, code = type(error).__name__, _code(error, policy)
    return AttemptRecord(*made, kind, error.status_code, code, attempt.decision, _message(error, policy))


def _reason(details: Json) -> str | None:
    reason = details.get("reason") if isinstance(details, dict) else None
    return reason if isinstance(reason, str) else None


def _tags(metadata: Mapping[str, object]) -> tuple[str, ...]:
    if "tags" not in metadata:
        return ()
    tags = metadata["tags"]
    if isinstance(tags, (list, tuple, set, frozenset)):
        return tuple([each if type(each) is str and len(each) <= LONGEST else _tag(str(each)) for each in tags])
    return (_tag(tags),) if isinstance(tags, str) else ()


def _tag(tag: str) -> str:
    """What is kept of a tag: one of a megabyte would be so in the totals, too."""
    return tag if len(tag) <= LONGEST else digest(tag)
