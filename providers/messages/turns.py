"""A conversation as `system` and `messages`: roles alternate, each call is followed by its result.

Sources: Messages API reference, `messages`; platform.claude.com/docs, api/errors (validation errors),
agents-and-tools/tool-use (results come first in the message after the calls), extended-thinking (thinking is given back
unchanged and in order).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from providers.messages.content import blocks
from providers.messages.generations import seal_family
from providers.messages.tools import NAMING
from providers.translation.asked import Asked, wrong
from providers.translation.entries import Entry, File, FunctionCall, FunctionOutput, Image, Said, Thought
from providers.translation.sealed import unseal
from providers.translation.tools import wire_name
from providers.types import Json, JsonObject

_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_SIGNED: Final = frozenset({"thinking", "redacted_thinking"})
_SEALED: Final = re.compile(r"(redacted_)?thinking|server_tool_use|\w+_tool_result")
"""Blocks that a reply seals: `reply` says when."""
_Role = Literal["user", "assistant"]


@dataclass(slots=True)
class Turns:
    """The messages of a request as they are put together."""

    asked: Asked
    wires: Mapping[str, str]
    """Names of functions on the wire, by the caller's."""
    system: list[Json] = field(default_factory=list)
    messages: list[JsonObject] = field(default_factory=list)
    called: dict[str, str] = field(default_factory=dict)
    """The functions that were called, by their names on the wire."""
    signed: bool = False
    """Whether thinking is given back."""

    def add(self, entries: Iterable[Entry]) -> None:
        """Say all of it. Raises `BadRequestError` if there is nothing to say."""
        for entry in entries:
            match entry:
                case Said():
                    self._said(entry)
                case FunctionCall():
                    self._call(entry)
                case FunctionOutput():
                    self._output(entry)
                case _:
                    self._thought(entry)
        if not self.messages:
            raise wrong("input", "says nothing: there must be a message")
        if self.messages[0]["role"] == "assistant":
            self.messages.insert(0, {"role": "user", "content": [{"type": "text", "text": "(continued)"}]})
            self.asked.note("input", "begins with what the model said, so a message of the user was put before it")
        self._close_prefill()

    @property
    def begun_unthinking(self) -> bool:
        """Whether the turn that goes on after the results of tools began without signed thinking."""
        if len(self.messages) < 2 or self.messages[-1]["role"] != "user":
            return False
        turn, results = self.messages[-2]["content"], self.messages[-1]["content"]
        goes_on = any(block["type"] == "tool_result" for block in cast("list[JsonObject]", results))
        return goes_on and cast("list[JsonObject]", turn)[0]["type"] not in _SIGNED

    def _said(self, entry: Said) -> None:
        if entry.role == "system" and not self.messages:
            self.system += blocks(self.asked, entry.parts)
        elif entry.role == "assistant":
            odd = next((part for part in entry.parts if isinstance(part, (Image, File))), None)
            if odd is not None:
                raise wrong(f"{odd.where}.type", "Claude takes images and files from the user, not from itself")
            self._put("assistant", blocks(self.asked, entry.parts))
        else:  # later system messages too, for which only some models have a role
            self._put("user", blocks(self.asked, entry.parts))

    def _call(self, entry: FunctionCall) -> None:
        wire = self.wires.get(entry.name) or wire_name(entry.name, NAMING, self.called)
        self.called[wire] = entry.name
        call: JsonObject = {"type": "tool_use", "id": _id(entry.call_id), "name": wire, "input": entry.parsed}
        self._put("assistant", [call])

    def _output(self, entry: FunctionOutput) -> None:
        result: JsonObject = {"type": "tool_result", "tool_use_id": _id(entry.call_id)}
        content = blocks(self.asked, entry.parts)
        if content:
            result["content"] = content
        if entry.failed:
            result["is_error"] = True
        self._put("user", [result])

    def _thought(self, entry: Thought) -> None:
        found = unseal(seal_family(self.asked.deployment, self.asked.model), entry.sealed)
        if found is None or not all(_is_sealed(block) for block in found):
            self.asked.note(entry.where, "reasoning that this Claude did not sign can't be given back to it")
        else:
            self.signed = True
            self._put("assistant", found)

    def _put(self, role: _Role, content: list[Json]) -> None:
        if not content:
            return
        if self.messages and self.messages[-1]["role"] == role:
            cast("list[Json]", self.messages[-1]["content"]).extend(content)
        else:
            self.messages.append({"role": role, "content": content})

    def _close_prefill(self) -> None:
        """White space at the end of what Claude is to continue is refused."""
        last = self.messages[-1]
        block = cast("list[JsonObject]", last["content"])[-1]
        text = block.get("text")
        if last["role"] == "assistant" and isinstance(text, str):
            block["text"] = text.rstrip()


def _is_sealed(block: Json) -> bool:
    kind = block.get("type") if isinstance(block, dict) else None
    return isinstance(kind, str) and _SEALED.fullmatch(kind) is not None


def _id(call_id: str) -> str:
    """The id of a call, which here has only some characters; the same each time."""
    if _ID.fullmatch(call_id):
        return call_id
    return f"call_{hashlib.sha256(call_id.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"
