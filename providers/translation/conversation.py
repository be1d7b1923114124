"""Reads `input`, and the turns before it, as entries that any dialect can say."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

from providers import jsonio
from providers.errors import UnsupportedParamsError
from providers.translation.asked import Asked, wrong
from providers.translation.entries import Entry, FunctionCall, FunctionOutput, Image, Inline, Said, Text, Thought
from providers.translation.parts import parts_of
from providers.types import Json, JsonObject

_ROLES: Final[Mapping[str, Literal["system", "user", "assistant"]]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
_RECORDS: Final = frozenset(
    {"web_search_call", "file_search_call", "code_interpreter_call", "mcp_list_tools", "compaction"}
)
"""Records of what another vendor did on its side, of which the answer tells all that the model's caller ever saw."""


def conversation(asked: Asked, *, images: bool = False) -> list[Entry]:
    """The entries of a call, the turns before included; the outputs of tools directly follow their calls.

    `images`: whether the model can be shown the images it made; if not, they are refused like other unknown items.
    Raises `UnsupportedParamsError` for what is no item, for an output without its call and a call without its output.
    """
    return list(_paired(_entries(asked, images)))


def instructions(asked: Asked) -> str | None:
    """The system prompt that `instructions` gives, if any; a list of items is a part of the conversation."""
    value = asked.get("instructions")
    if value is None or isinstance(value, str):
        return value or None
    raise wrong("instructions", "must be a string")


def _entries(asked: Asked, images: bool) -> Iterator[Entry]:
    for place, told in enumerate(asked.call.history):
        yield from _entry(asked, told, f"history[{place}]", told=True, images=images)
    given = asked.get("input")
    if given is None:
        return
    if isinstance(given, str):
        if given:
            yield Said("user", (Text(given, "input"),), "input")
        return
    if not isinstance(given, list):
        raise wrong("input", "must be a string or a list of items")
    for place, item in enumerate(given):
        if not isinstance(item, dict):
            raise wrong(f"input[{place}]", "must be an object")
        yield from _entry(asked, item, f"input[{place}]", told=False, images=images)


def _entry(asked: Asked, item: JsonObject, where: str, *, told: bool, images: bool) -> Iterator[Entry]:
    kind = item.get("type") or ("message" if "role" in item else None)
    if kind == "message":
        yield from _message(asked, item, where)
    elif kind in ("function_call", "custom_tool_call"):
        yield _call(item, where, custom=kind == "custom_tool_call")
    elif kind in ("function_call_output", "custom_tool_call_output"):
        call_id = _text(item, "call_id", where)
        parts = parts_of(asked, item.get("output"), f"{where}.output")
        failed = item.get("is_error") is True or item.get("status") == "failed"
        yield FunctionOutput(call_id, "", parts, failed, where)
    elif kind == "reasoning":
        sealed = item.get("encrypted_content")
        text = _words(item.get("summary")) or _words(item.get("content"))
        yield Thought(text, sealed if isinstance(sealed, str) else None, where)
    elif kind == "image_generation_call" and images:
        made = Inline(f"image/{item.get('output_format') or 'png'}", _text(item, "result", where))
        yield Said("assistant", (Image(made, where),), where)
    elif not _is_record(kind, told=told):
        asked.refuse(f"{where}.type", f"it has no word for {str(kind)[:80]!r} items")


def _is_record(kind: Json, *, told: bool) -> bool:
    """Whether an item only tells what was done. A prefix names the vendor whose own kind it is (Open Responses)."""
    own = isinstance(kind, str) and ":" in kind
    return own or (kind in _RECORDS and (told or kind != "compaction"))


def _message(asked: Asked, item: JsonObject, where: str) -> Iterator[Entry]:
    role = item.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise wrong(f"{where}.role", f"must be one of {', '.join(_ROLES)}")
    parts = parts_of(asked, item.get("content"), f"{where}.content")
    if parts:
        yield Said(_ROLES[role], parts, where)


def _call(item: JsonObject, where: str, *, custom: bool) -> FunctionCall:
    call_id, name = _text(item, "call_id", where), _text(item, "name", where)
    if custom:
        return FunctionCall(call_id, name, jsonio.dumps({"input": item.get("input")}).decode(), where)
    arguments = item.get("arguments")
    if not isinstance(arguments, str):
        raise wrong(f"{where}.arguments", "must be a string of JSON")
    return FunctionCall(call_id, name, arguments, where)


def _text(item: JsonObject, name: str, where: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise wrong(f"{where}.{name}", "must be a string that is not empty")
    return value


def _words(value: Json) -> str:
    parts = value if isinstance(value, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "\n\n".join(text for text in texts if isinstance(text, str))


def _paired(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The same with the outputs of each turn of the model after all its calls. Ids may be used again later.

    A turn ends with its first output, or with the next message that is not the model's.
    """
    rest = list(entries)
    outputs: dict[str, deque[FunctionOutput]] = {}
    for entry in rest:
        if isinstance(entry, FunctionOutput):
            outputs.setdefault(entry.call_id, deque()).append(entry)
    calls: list[FunctionCall] = []
    for entry in rest:
        if isinstance(entry, FunctionCall):
            calls.append(entry)
        elif _ends_turn(entry, calls):
            yield from _answers(calls, outputs)
            calls = []
        if not isinstance(entry, FunctionOutput):
            yield entry
    yield from _answers(calls, outputs)
    orphan = next((left[0] for left in outputs.values() if left), None)
    if orphan is not None:
        raise _unpaired(orphan.where, f"No tool call found for function call output with call_id {orphan.call_id}.")


def _ends_turn(entry: Entry, calls: Iterable[FunctionCall]) -> bool:
    """Whether `entry` is what follows a turn of the model with these calls."""
    if isinstance(entry, FunctionOutput):
        return any(call.call_id == entry.call_id for call in calls)
    return isinstance(entry, Said) and entry.role != "assistant"


def _answers(calls: Iterable[FunctionCall], outputs: Mapping[str, deque[FunctionOutput]]) -> Iterator[FunctionOutput]:
    for call in calls:
        waiting = outputs.get(call.call_id)
        if not waiting:
            raise _unpaired(call.where, f"No tool output found for function call {call.call_id}.")
        output = waiting.popleft()
        yield FunctionOutput(output.call_id, call.name, output.parts, output.failed, output.where)


def _unpaired(where: str, why: str) -> UnsupportedParamsError:
    """In OpenAI's words."""
    return UnsupportedParamsError(f"{where}: {why}", param="input", type="invalid_request_error")
