"""From calls and records to the attributes of spans. What was asked and answered is not among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from providers.decisions import RouteDecision
from providers.types import UNFINISHED, Call, Deployment, Dialect, Verb
from router.telemetry.otel import names
from router.telemetry.record import CallRecord

Value: TypeAlias = "str | bool | int | float | Sequence[str]"
Attributes: TypeAlias = "dict[str, Value]"

LONGEST: Final = 200
"""Characters kept of a name that a caller chose."""
_PARAMETERS: Final = names.PARAMETERS.keys()
_OPENAI: Final = frozenset({Dialect.RESPONSES, Dialect.CHAT_COMPLETIONS})


def operation(verb: str) -> str:
    """What the conventions call a verb."""
    return names.OPERATIONS.get(verb, verb)


def upstream_model(call: Call, deployment: Deployment) -> str:
    """The model that a deployment is asked for."""
    return deployment.model.replace("*", call.wildcard[:LONGEST], 1) if call.wildcard else deployment.model


def place(call: Call, deployment: Deployment, url: str) -> Attributes:
    """Where an attempt goes: what its span and its metrics have in common, as bounded as the model list."""
    found: Attributes = {
        names.OPERATION: operation(call.verb.value),
        names.PROVIDER: names.PROVIDERS.get(deployment.provider, deployment.provider),
        names.REQUEST_MODEL: deployment.model,
        names.GROUP: call.group,
        names.DEPLOYMENT: deployment.id,
    }
    parts = urlsplit(url)
    if parts.hostname:
        found[names.ADDRESS] = parts.hostname
        found[names.PORT] = parts.port or (80 if parts.scheme == "http" else 443)
    return found


def asked(call: Call, deployment: Deployment) -> Attributes:
    """What an attempt asks for, beyond where it goes."""
    found: Attributes = {names.REQUEST_MODEL: upstream_model(call, deployment)}
    if deployment.dialect in _OPENAI:
        found[names.API_TYPE] = deployment.dialect.value
    if call.stream:
        found[names.REQUEST_STREAM] = True
    if call.conversation_id is not None:
        found[names.CONVERSATION] = call.conversation_id
    if call.verb is not Verb.CREATE:
        return found
    sent = call.body
    if deployment.defaults or deployment.extra_body or call.extra_body:
        sent = {**deployment.defaults, **sent, **deployment.extra_body, **call.extra_body}
    for parameter in _PARAMETERS & sent.keys():
        value = sent[parameter]
        if isinstance(value, int | float):
            found[names.PARAMETERS[parameter]] = value
    tier, conversation = sent.get("service_tier"), sent.get("conversation")
    if isinstance(tier, str) and deployment.dialect in _OPENAI:
        found[names.REQUEST_TIER] = tier
    if isinstance(conversation, Mapping):
        conversation = conversation.get("id")
    if isinstance(conversation, str):
        found[names.CONVERSATION] = conversation
    kind = _output_type(sent.get("text"))
    if kind is not None:
        found[names.OUTPUT_TYPE] = kind
    return found


def answered(record: CallRecord, first: float | None, *, openai: bool) -> Attributes:
    """What came of a call's last attempt.

    `first`: seconds to a stream's first output; `openai`: whether its deployment speaks a protocol of OpenAI's.
    """
    found: Attributes = {}
    if record.response_id is not None:
        found[names.RESPONSE_ID] = record.response_id
    if record.response_model is not None:
        found[names.RESPONSE_MODEL] = record.response_model
    if record.service_tier is not None and openai:
        found[names.RESPONSE_TIER] = record.service_tier
    ended = record.response_status
    if record.status == "succeeded" and ended is not None and ended not in UNFINISHED:
        found[names.FINISH_REASONS] = (record.incomplete_reason or ended,)
    if first is not None:
        found[names.FIRST_CHUNK] = first
    usage = record.usage
    if usage is not None:
        found |= {names.INPUT_TOKENS: usage.input_tokens, names.OUTPUT_TOKENS: usage.output_tokens}
        for name, tokens in (
            (names.CACHE_READ, usage.cache_read_tokens),
            (names.CACHE_WRITE, usage.cache_write_tokens),
            (names.REASONING, usage.reasoning_tokens),
        ):
            if tokens:
                found[name] = tokens
        if record.partial:
            found[names.USAGE_PARTIAL] = True
        if usage.estimated:
            found[names.USAGE_ESTIMATED] = True
    return found


def called(record: CallRecord) -> Attributes:
    """What there is to say of the whole call."""
    found: Attributes = {
        names.CALL_ID: record.id,
        names.STATUS: record.status,
        names.STREAM: record.stream,
        names.ATTEMPTS: len(record.attempts),
        names.FALLBACKS: record.fallbacks,
        names.QUEUE: record.queued,
    }
    optional = (
        (names.GROUP, record.group or None),
        (names.DEPLOYMENT, record.deployment_id),
        (names.AFFINITY, record.affinity),
        (names.COST, record.cost),
        (names.COST_UNKNOWN, None if record.cost_breakdown is None else record.cost_breakdown.reason),
    )
    found |= {name: value for name, value in optional if value is not None}
    return found | failure(record.error_type, record.error_status, record.error_code)


def failure(kind: str | None, status: int | None, code: str | None) -> Attributes:
    """What something failed with: the error's class, HTTP status and the vendor's code, as far as there are any."""
    given = ((names.ERROR, kind), (names.ERROR_STATUS, status), (names.ERROR_CODE, code))
    return {name: value for name, value in given if value is not None}


def decided(decision: RouteDecision, waited: float) -> Attributes:
    """Why an attempt went where it went; `waited`: seconds it took to get there."""
    found: Attributes = {
        "homing.decision.group": decision.group,
        "homing.decision.candidates": [each.deployment_id for each in decision.considered if each.reason is None],
        "homing.decision.left_out": [
            f"{each.deployment_id}: {each.reason}" for each in decision.considered if each.reason
        ],
        "homing.decision.omitted": decision.omitted,
        "homing.decision.probe": decision.probe,
        "homing.decision.snapshot": decision.snapshot,
        "homing.decision.waited": waited,
    }
    if decision.strategy is not None:
        found["homing.decision.strategy"] = decision.strategy
    if decision.chosen is not None:
        found["homing.decision.chosen"] = decision.chosen
    if decision.pin is not None:
        found |= {"homing.decision.pin": decision.pin, "homing.decision.pinned": list(decision.pinned)}
    return found


def _output_type(text: object) -> str | None:
    """`text` or `json`, if the call says which."""
    given = text.get("format") if isinstance(text, Mapping) else None
    kind = given.get("type") if isinstance(given, Mapping) else None
    if not isinstance(kind, str):
        return None
    return "json" if kind.startswith("json") else "text"
