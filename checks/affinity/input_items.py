"""The items of a request as they are listed afterwards: in full, and each under an id of its own."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from checks.affinity.portability import kind_of
from providers.types import Json, JsonObject

_PREFIXES: Final = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
}
_DIGITS: Final = 48


def listed(response_id: str, items: Sequence[JsonObject]) -> list[JsonObject]:
    """`items`, which a response was given, as the API lists them.

    Those without an id, or under one that an earlier one has, get one that is made of the response's id and their
    place: the same whenever and wherever they are listed.
    """
    taken: set[str] = set()
    return [_listed(item, place, response_id, taken) for place, item in enumerate(items)]


def _listed(item: JsonObject, place: int, response_id: str, taken: set[str]) -> JsonObject:
    kind, name = kind_of(item) or "item", item.get("id")
    if not isinstance(name, str) or not name or name in taken:
        digest = sha256(f"{response_id}\n{place}".encode("utf-8", "surrogatepass")).hexdigest()
        name = f"{_PREFIXES.get(kind, 'item')}_{digest[:_DIGITS]}"
    taken.add(name)
    whole: JsonObject = {"id": name, "type": kind, **item} | {"id": name}
    if kind == "message":
        whole.setdefault("status", "completed")
        whole["content"] = _parts(item)
    return whole


def _parts(message: JsonObject) -> Json:
    """The content of a message as parts; the API lets a text go for one."""
    content = message.get("content")
    if not isinstance(content, str):
        return content
    if message.get("role") == "assistant":
        return [{"type": "output_text", "text": content, "annotations": []}]
    return [{"type": "input_text", "text": content}]
