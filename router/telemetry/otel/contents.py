"""What was asked and answered, in the form that the conventions give to messages. Only where contents are recorded.

Of images, audio and files it is told that there were some: what they hold has no place in a trace.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from router.telemetry.otel import names
from router.telemetry.record import CallRecord

_Part: TypeAlias = "dict[str, object]"

_TEXTS: Final = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})


def contents(record: CallRecord) -> dict[str, str]:
    """The attributes for them, as JSON; empty if they are not recorded, or are no JSON."""
    found = {}
    try:
        if record.input is not None:
            found[names.INPUT_MESSAGES] = json.dumps(_messages(record.input, "user"), default=_named)
        if record.output is not None:
            reason = record.incomplete_reason or record.response_status or record.status
            answered = [{**message, "finish_reason": reason} for message in _messages(record.output, "assistant")]
            found[names.OUTPUT_MESSAGES] = json.dumps(answered, default=_named)
    except (TypeError, ValueError):  # a call with such an input fails, and its trace is to say so
        return {}
    return found


def _messages(said: object, role: str) -> list[_Part]:
    if isinstance(said, str):
        return [{"role": role, "parts": _texts(said)}]
    return [_message(item, role) for item in said] if isinstance(said, Iterable) else []


def _message(item: object, role: str) -> _Part:
    """One item of the input or the output."""
    if not isinstance(item, Mapping):
        return {"role": role, "parts": [_named(item)]}
    kind = item.get("type", "message")
    if kind == "function_call":
        call = {"type": "tool_call", "id": item.get("call_id"), "name": item.get("name")}
        return {"role": "assistant", "parts": [{**call, "arguments": item.get("arguments")}]}
    if kind == "function_call_output":
        answer = {"type": "tool_call_response", "id": item.get("call_id"), "response": item.get("output")}
        return {"role": "tool", "parts": [answer]}
    if kind == "reasoning":
        thoughts = [{**part, "type": "reasoning"} for part in _texts(item.get("summary")) if part["type"] == "text"]
        return {"role": "assistant", "parts": thoughts}
    if kind == "message":
        return {"role": item.get("role", role), "parts": _texts(item.get("content"))}
    return {"role": role, "parts": [{"type": kind}]}


def _texts(content: object) -> list[_Part]:
    """The parts of a message: texts as they are, of all else the kind."""
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    return [_part(part) for part in content] if isinstance(content, Iterable) else []


def _part(part: object) -> _Part:
    if not isinstance(part, Mapping):
        return _named(part)
    if part.get("type") in _TEXTS:
        return {"type": "text", "content": part.get("text")}
    return {"type": part.get("type")}


def _named(thing: object) -> _Part:
    """An object of some library's own: its class alone."""
    return {"type": type(thing).__name__}
