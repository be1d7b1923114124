"""A call's record in LiteLLM's words: what its loggers get as `kwargs` and as `response_obj`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, TypeAlias

from providers import errors
from providers.errors import APIError
from providers.types import Json, JsonObject
from providers.views import Response
from router.telemetry.record import SETTINGS, CallRecord

Payload: TypeAlias = dict[str, Any]
"""LiteLLM's own types for these are dicts of anything."""

REDACTED: Final = "redacted"
"""In place of what was asked, where contents are not recorded."""
_CALL_TYPES: Final = {
    "create": "aresponses",
    "get": "aget_responses",
    "delete": "adelete_responses",
    "cancel": "acancel_responses",
    "input_items": "alist_input_items",
    "compact": "acompact_responses",
    "input_tokens": "acount_input_tokens",
    "create_conversation": "acreate_conversation",
    "get_conversation": "aget_conversation",
    "update_conversation": "aupdate_conversation",
    "delete_conversation": "adelete_conversation",
    "create_conversation_items": "acreate_conversation_item",
    "list_conversation_items": "alist_conversation_items",
    "get_conversation_item": "aget_conversation_item",
    "delete_conversation_item": "adelete_conversation_item",
}
_UNKNOWN: Final = (
    *("user_api_key_hash", "user_api_key_alias", "user_api_key_user_id", "user_api_key_user_email"),
    *("user_api_key_team_id", "user_api_key_team_alias", "user_api_key_org_id"),
    *("spend_logs_metadata", "requester_metadata", "requester_ip_address"),
)
"""Metadata that loggers look up and that only LiteLLM's proxy could fill in."""
_CANCELLED: Final = 499
"""The status that servers log for a client that closed the connection."""


def failed(record: CallRecord) -> bool:
    """Whether it is a failure to LiteLLM: a call that was cancelled is; one whose stream was left is none."""
    return record.status in ("failed", "cancelled")


def response_of(record: CallRecord, *, contents: bool = True) -> Response | None:
    """The `response_obj`: the answer's id, model, status and usage, and its output if contents are recorded.

    None for a failure, as in LiteLLM. Usage has OpenAI's names and those of chat completions.
    """
    if failed(record):
        return None
    output: Json = record.output if contents else None
    json: JsonObject = {
        "id": record.response_id or record.id,
        "object": "response",
        "created_at": record.started,
        "model": record.response_model or record.deployment_model or record.model,
        "status": record.response_status,
        "previous_response_id": record.previous_response_id,
        "service_tier": record.service_tier,
        "incomplete_details": {"reason": record.incomplete_reason} if record.incomplete_reason else None,
        "output": output if output is not None else [],
        "usage": _usage(record),
    }
    return Response(json)


def payload_of(
    record: CallRecord, response: Response | None, start: datetime, end: datetime, *, contents: bool = True
) -> Payload:
    """The `kwargs`, with the `standard_logging_object` inside."""
    asked = record.input if contents else None
    asked = REDACTED if asked is None else asked
    metadata = _metadata(record)
    model = record.deployment_model or record.model
    params: Payload = {
        "metadata": metadata,
        "litellm_metadata": metadata,
        "model_info": {"id": record.deployment_id},
        "litellm_call_id": record.id,
        "custom_llm_provider": record.provider,
    }
    kwargs: Payload = {
        "model": model,
        "messages": asked if isinstance(asked, list) else [{"role": "user", "content": asked}],
        "input": asked,
        "call_type": _CALL_TYPES[record.verb],
        "litellm_call_id": record.id,
        "litellm_trace_id": _named(record, "trace_id", "litellm_trace_id") or record.id,
        "log_event_type": "failed_api_call" if failed(record) else "successful_api_call",
        "custom_llm_provider": record.provider,
        "user": record.end_user,
        "stream": record.stream,
        "optional_params": _parameters(record, contents),
        "litellm_params": params,
        "litellm_metadata": dict(record.metadata),
        "response_cost": record.cost if record.cost_breakdown is not None else 0.0,
        "cache_hit": False,
        "api_call_start_time": start,
        "start_time": start,
        "end_time": end,
        "additional_args": {},
        "standard_callback_dynamic_params": {},
        "completion_start_time": datetime.fromtimestamp(_first(record)),
    }
    if record.stream and response is not None:
        kwargs["complete_streaming_response"] = kwargs["async_complete_streaming_response"] = response
    if failed(record):
        kwargs |= {"exception": _exception(record, contents), "traceback_exception": ""}
    kwargs["standard_logging_object"] = _standard(record, kwargs, response, contents)
    return kwargs


def _standard(record: CallRecord, kwargs: Payload, response: Response | None, contents: bool) -> Payload:
    """LiteLLM's `StandardLoggingPayload`."""
    usage, error = record.usage, kwargs.get("exception")
    end, status = record.started + record.duration, "failure" if failed(record) else "success"
    reason = None if record.cost_breakdown is None else record.cost_breakdown.reason
    return {
        "id": record.response_id or record.id,
        "trace_id": kwargs["litellm_trace_id"],
        "session_id": _named(record, "session_id", "litellm_session_id"),
        "litellm_call_id": record.id,
        "call_type": kwargs["call_type"],
        "stream": record.stream,
        "status": status,
        "status_fields": {"llm_api_status": status, "guardrail_status": "not_run"},
        "error_str": None if error is None else str(error),
        "error_information": _error(record, error),
        "custom_llm_provider": record.provider,
        "model": kwargs["model"],
        "model_id": record.deployment_id,
        "model_group": record.group or record.model,
        "api_base": "",  # deployments' addresses are not recorded
        "prompt_tokens": 0 if usage is None else usage.input_tokens,
        "completion_tokens": 0 if usage is None else usage.output_tokens,
        "total_tokens": 0 if usage is None else usage.total_tokens,
        "response_cost": record.cost or 0.0,  # loggers add it up; what is not known stands in the next
        "response_cost_failure_debug_info": {"error_str": reason, "model": record.model} if reason else None,
        "cost_breakdown": _cost(record),
        "startTime": record.started,
        "endTime": end,
        "completionStartTime": _first(record),
        "response_time": end - record.started,
        "end_user": record.end_user,
        "request_tags": list(record.tags),
        "metadata": kwargs["litellm_params"]["metadata"] | {"usage_object": _chat_usage(record)},
        "messages": kwargs["messages"],
        "response": {} if response is None else dict(response.to_dict()),
        "model_parameters": kwargs["optional_params"],
        "hidden_params": {
            "model_id": record.deployment_id,
            "litellm_model_name": record.deployment_model,
            "response_cost": record.cost,
            "usage_object": _chat_usage(record),
            **dict.fromkeys(("cache_key", "api_base", "litellm_overhead_time_ms", "additional_headers")),
        },
        "cache_hit": False,
        "cache_key": None,
        "saved_cache_cost": 0.0,
        "requester_ip_address": None,
        "model_map_information": {"model_map_key": record.deployment_model or "", "model_map_value": None},
    }


def _metadata(record: CallRecord) -> Payload:
    """What the caller gave, and where the call went. `partial`: its usage is that of a stream that was left."""
    return {
        **dict.fromkeys(_UNKNOWN),
        **record.metadata,
        "model_group": record.group or record.model,
        "deployment": record.deployment_model,
        "model_info": {"id": record.deployment_id},
        "user_api_key_end_user_id": record.end_user,
        "tags": list(record.tags),
        "ended": record.status,
        "partial": record.partial,
        "attempted_retries": record.retries,
        "attempted_fallbacks": record.fallbacks,
    }


def _parameters(record: CallRecord, contents: bool) -> Payload:
    told = {name: value for name, value in record.parameters.items() if contents or name in SETTINGS}
    return {**told, "stream": True} if record.stream else told


def _usage(record: CallRecord) -> JsonObject | None:
    usage = record.usage
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "input_tokens_details": {"cached_tokens": usage.cache_read_tokens},
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _chat_usage(record: CallRecord) -> Payload | None:
    usage = record.usage
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_creation_tokens": usage.cache_write_tokens,
            "audio_tokens": usage.input_audio_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.output_audio_tokens,
        },
    }


def _cost(record: CallRecord) -> Payload | None:
    cost = record.cost_breakdown
    if cost is None or cost.total is None:
        return None
    return {
        "input_cost": cost.input + cost.cache_read + cost.cache_write,
        "output_cost": cost.output,
        "tool_usage_cost": cost.requests,
        "total_cost": cost.total,
        "original_cost": cost.total,
    }


def _error(record: CallRecord, error: APIError | None) -> Payload:
    if error is None:
        return dict.fromkeys(("error_code", "error_class", "llm_provider", "error_message", "traceback"), "")
    return {
        "error_code": str(error.status_code),
        "error_class": record.error_type,
        "llm_provider": record.provider,
        "error_message": str(error),
        "traceback": "",
    }


def _exception(record: CallRecord, contents: bool) -> APIError:
    """What stands for the error a call ended with, which is not kept: of the same class, if it is one of ours."""
    name = record.error_type or "APIError"
    if record.status == "cancelled":
        return APIError(f"{name}: the caller cancelled the call", status_code=_CANCELLED)
    kind = getattr(errors, name, None)
    kind = kind if isinstance(kind, type) and issubclass(kind, APIError) else APIError
    said = record.error_message if contents else None
    message = said or " ".join(str(each) for each in (name, record.error_status, record.error_code) if each is not None)
    return kind(
        message,
        status_code=record.error_status,
        code=record.error_code,
        deployment_id=record.deployment_id,
        provider=record.provider,
    )


def _first(record: CallRecord) -> float:
    """Unix time of the first output; of the answer, if it came at once."""
    return record.started + (record.duration if record.first_event is None else record.first_event)


def _named(record: CallRecord, *names: str) -> str | None:
    """The first of these that the call's metadata has as a text."""
    return next((value for name in names if isinstance(value := record.metadata.get(name), str)), None)
