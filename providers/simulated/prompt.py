"""Reads a request: its items, what they refer to, what they continue."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import cast

from providers import jsonio
from providers.simulated import refusals
from providers.simulated.mint import Mint
from providers.simulated.state import State, Talk, Turn
from providers.types import Json, JsonObject

_LONGEST_ID = 64
_ID = re.compile(r"[A-Za-z0-9_-]+")
_CALLS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
_OUTPUTS = frozenset(_CALLS.values())
_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "function_call_output": "fco"}
_BYTES_PER_TOKEN = 4
_OPENING_WORDS = 6


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a request asks, its references resolved."""

    parent: Turn | None
    items: tuple[JsonObject, ...]
    number: int
    """Which turn of its conversation this is, from 1."""
    opening: str
    """The first words of the conversation."""
    tokens: int
    """Input tokens, those of earlier turns included."""
    cached_tokens: int

    @property
    def last(self) -> JsonObject:
        """The last item; empty if there is none."""
        return self.items[-1] if self.items else {}


def check_previous(body: JsonObject) -> str | None:
    """The `previous_response_id` of a request, or the refusal of a malformed one."""
    value = body.get("previous_response_id")
    if value is None:
        return None
    name = "previous_response_id"
    if not isinstance(value, str):
        raise refusals.invalid(f"Invalid type for '{name}': expected a string.", param=name, code="invalid_type")
    if len(value) > _LONGEST_ID:
        message = f"Invalid '{name}': string too long. Expected a string with maximum length {_LONGEST_ID}, but got "
        message += f"a string with length {len(value)} instead."
        raise refusals.invalid(message, param=name, code="string_above_max_length")
    if not _ID.fullmatch(value):
        message = (
            f"Invalid '{name}': '{value}'. Expected an ID that contains letters, numbers, underscores, or dashes, "
        )
        message += "but this value contained additional characters."
        raise refusals.invalid(message, param=name, code="invalid_value")
    return value


def read_prompt(body: JsonObject, before: Turn | None, state: State, mint: Mint, stem: str) -> Prompt:
    """Resolve a request against what is stored, and the turn it goes on from. Raises `WireError` as OpenAI refuses."""
    items = tuple(resolve(item, state) for item in read_items(body.get("input"), mint, stem))
    _check_calls(items, before)
    compacted = _compacted(items, state)
    cached = before.tokens if before else 0
    said = _said(items)
    opening = before.opening if before else compacted[1] or _opening(said)
    number = before.number + 1 if before else compacted[0] + max(1, len(said))
    size = len(jsonio.dumps([body.get(name) for name in ("input", "instructions", "tools")]))
    return Prompt(before, items, number, opening, cached + max(1, size // _BYTES_PER_TOKEN), cached)


def turn_of(talk: Talk) -> Turn | None:
    """All of a conversation so far as the turn to go on from; None if it is empty."""
    if not talk.items:
        return None
    items = tuple(talk.items)
    calls = {str(item.get("call_id")) for item in items if item["type"] in _CALLS}
    calls -= {str(item.get("call_id")) for item in items if item["type"] in _OUTPUTS}
    tokens = max(1, len(jsonio.dumps(items)) // _BYTES_PER_TOKEN)
    return Turn(None, items, (), talk.turns, _opening(_said(items)), tokens, frozenset(calls))


def _said(items: Sequence[JsonObject]) -> list[str]:
    return [text for item in items if item.get("role") == "user" and (text := text_of(item))]


def _opening(said: Sequence[str]) -> str:
    return " ".join(" ".join(said[:1]).split()[:_OPENING_WORDS])


def text_of(item: JsonObject) -> str:
    """All text of an item: a message's parts, or a tool's output."""
    content = item.get("content", item.get("output"))
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return " ".join(text for text in texts if isinstance(text, str))


def read_items(value: Json, mint: Mint, stem: str, param: str = "input") -> list[JsonObject]:
    """The items of a request as they are stored. Raises `WireError` that names `param`."""
    if value is None:
        return []
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        message = f"Invalid type for '{param}': expected a string or a list of items."
        raise refusals.invalid(message, param=param, code="invalid_type")
    return [
        _normal(item, f"{param}[{place}]", mint, stem) for place, item in enumerate(cast("list[JsonObject]", value))
    ]


def _normal(item: JsonObject, place: str, mint: Mint, stem: str) -> JsonObject:
    """An item as it is stored: typed, with an id, its content a list."""
    kind = item.get("type") or ("message" if "role" in item else None)
    if not isinstance(kind, str):
        name = f"{place}.type"
        raise refusals.invalid(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    if kind == "item_reference":
        return item
    whole = {**item, "type": kind, "id": item.get("id") or mint.id(_PREFIXES.get(kind, "item"), stem)}
    if kind == "message":
        whole.setdefault("status", "completed")
        if isinstance(content := item.get("content"), str):
            part = "output_text" if item.get("role") == "assistant" else "input_text"
            whole["content"] = [{"type": part, "text": content}]
    return whole


def resolve(item: JsonObject, state: State) -> JsonObject:
    """The item, or the one that it stands for. Raises `WireError` for what is not stored, or sealed, here."""
    kind, content = item["type"], item.get("encrypted_content")
    if kind == "item_reference" or (kind == "reasoning" and not content):
        found = state.item(str(item.get("id")))
        if found is None:
            raise refusals.item_not_found(str(item.get("id")))
        return found
    if isinstance(content, str) and state.unseal(content) is None:
        raise refusals.foreign_content(content)
    return item


def _check_calls(items: tuple[JsonObject, ...], before: Turn | None) -> None:
    known = set(before.open_calls) if before else set()
    known |= {str(item.get("call_id")) for item in items if item["type"] in _CALLS}
    answered = {str(item.get("call_id")) for item in items if item["type"] in _OUTPUTS}
    for call_id in sorted(answered - known):
        message = f"No tool call found for function call output with call_id {call_id}."
        raise refusals.invalid(message, param="input")
    for call_id in sorted(known - answered):
        raise refusals.invalid(f"No tool output found for function call {call_id}.", param="input")
    for item, following in zip_longest(items, items[1:]):
        if item["type"] == "reasoning" and (following is None or following.get("role") == "user"):
            message = f"Item '{item['id']}' of type 'reasoning' was provided without its required following item."
            raise refusals.invalid(message, param="input")


def _compacted(items: tuple[JsonObject, ...], state: State) -> tuple[int, str]:
    """Turns and opening words that a compaction item among `items` stands for."""
    for item in items:
        if item["type"] == "compaction" and (payload := state.unseal(str(item.get("encrypted_content")))):
            number, _, opening = payload.decode().partition(" ")
            return int(number), opening
    return 0, ""
