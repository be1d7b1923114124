"""A conversation as Converse's `messages` and `system`: roles take turns, and the user begins.

Source: Bedrock's user guide, conversation-inference and tool-use-inference-call; API reference, Message.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal, cast

from providers.converse.caching import Caching
from providers.converse.content import Blocks
from providers.converse.families import Family, seal
from providers.converse.tools import wire
from providers.translation.asked import Asked
from providers.translation.conversation import conversation, instructions
from providers.translation.entries import Entry, FunctionCall, FunctionOutput, Said, Thought
from providers.translation.sealed import unseal
from providers.types import Json, JsonObject

_CALL_ID: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_BEGINNING: Final = "…"
"""What the user says where the conversation begins with the model, which Bedrock does not take."""


class Messages:
    """Collects the messages of one request."""

    def __init__(self, asked: Asked, kind: Family, caching: Caching, wires: Mapping[str, str]) -> None:
        """`wires`: names of functions on the wire, by the caller's."""
        self._asked = asked
        self._kind = kind
        self._wires = wires
        self._caching = caching
        self._blocks = Blocks(asked, caching)
        self.system: list[Json] = []
        self.messages: list[Json] = []
        self.called: set[str] = set()
        """Names on the wire of the tools that are called in them."""

    def read(self) -> None:
        """Take in `instructions`, the turns before and `input`. Raises `BadRequestError`."""
        prompt = instructions(self._asked)
        if prompt is not None and prompt.strip():
            self.system.append({"text": prompt})
        entries = conversation(self._asked)
        start = next((place for place, each in enumerate(entries) if not _is_system(each)), len(entries))
        for entry in entries[:start]:
            self.system += self._blocks.of(cast("Said", entry).parts)
        for entry in entries[start:]:
            self._take(entry)
        if not self.messages or cast("JsonObject", self.messages[0])["role"] != "user":
            self._begin()
        for message in self.messages:
            _accompany(cast("JsonObject", message))

    def cache(self, mark: Json) -> None:
        """Let all of it be a prefix to be cached, if `mark` asks for it."""
        content = _content(cast("JsonObject", self.messages[-1]))
        if "cachePoint" not in content[-1]:
            content.extend(cast("list[JsonObject]", self._caching.point(mark)))

    @property
    def interrupted(self) -> bool:
        """Whether the model is to go on from the answers of tools without the thoughts it called them with."""
        last = cast("list[JsonObject]", self.messages[-2:])
        if len(last) < 2 or not any("toolResult" in block for block in _content(last[1])):
            return False
        return "reasoningContent" not in _content(last[0])[0]

    def _take(self, entry: Entry) -> None:
        if isinstance(entry, Said):
            if entry.role == "system":
                why = "said as the user's: Bedrock takes system text only at the beginning"
                self._asked.note(f"{entry.where}.role", why)
            self._add("assistant" if entry.role == "assistant" else "user", self._blocks.of(entry.parts))
        elif isinstance(entry, FunctionCall):
            self._add("assistant", [{"toolUse": self._use(entry)}])
        elif isinstance(entry, FunctionOutput):
            self._add("user", [{"toolResult": self._result(entry)}])
        else:
            self._add("assistant", self._thought(entry))

    def _use(self, call: FunctionCall) -> JsonObject:
        name = wire(call.name, self._wires)
        self.called.add(name)
        return {"toolUseId": call_id(call.call_id), "name": name, "input": call.parsed}

    def _result(self, output: FunctionOutput) -> JsonObject:
        content = self._blocks.of_output(output.parts)
        said: JsonObject = {"toolUseId": call_id(output.call_id), "content": content}
        return {**said, "status": "error"} if output.failed else said

    def _thought(self, thought: Thought) -> list[Json]:
        """What the model reasoned, as it was signed; what it can't verify, it is not told."""
        blocks = unseal(seal(self._asked.deployment, self._asked.model), thought.sealed)
        if blocks is None:
            if thought.sealed is not None:
                self._asked.note(thought.where, "left out: it was sealed by another vendor, or for another model")
            return []
        return _reasoning(blocks) if self._kind is Family.CLAUDE else [{"reasoningContent": each} for each in blocks]

    def _add(self, role: Literal["user", "assistant"], blocks: Iterable[Json]) -> None:
        added = list(blocks)
        if not added:
            return
        last = cast("JsonObject", self.messages[-1]) if self.messages else None
        if last is not None and last["role"] == role:
            cast("list[Json]", last["content"]).extend(added)
        else:
            self.messages.append({"role": role, "content": added})

    def _begin(self) -> None:
        if self.messages:
            self._asked.note("input", f"{_BEGINNING!r} was put before it: at Bedrock, the user begins")
        self.messages.insert(0, {"role": "user", "content": [{"text": _BEGINNING}]})


def call_id(given: str) -> str:
    """The id of a call as Bedrock takes it; the same each time."""
    if _CALL_ID.fullmatch(given):
        return given
    return f"call_{hashlib.sha256(given.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _is_system(entry: Entry) -> bool:
    return isinstance(entry, Said) and entry.role == "system"


def _content(message: JsonObject) -> list[JsonObject]:
    return cast("list[JsonObject]", message["content"])


def _reasoning(blocks: Iterable[Json]) -> list[Json]:
    """Claude's blocks of thinking, as Anthropic's API writes them, in Converse's words."""
    said: list[Json] = []
    for block in blocks:
        if not isinstance(block, dict):
            continue
        if block.get("type") == "thinking":
            text: JsonObject = {"text": block.get("thinking") or ""}
            if block.get("signature"):
                text["signature"] = block["signature"]
            said.append({"reasoningContent": {"reasoningText": text}})
        elif block.get("type") == "redacted_thinking":
            said.append({"reasoningContent": {"redactedContent": block.get("data")}})
    return said


def _accompany(message: JsonObject) -> None:
    """Documents are taken only beside a text."""
    content = _content(message)
    papers = [cast("JsonObject", block["document"])["name"] for block in content if "document" in block]
    if papers and not any("text" in block for block in content):
        content.append({"text": f"Attached: {', '.join(map(str, papers))}"})
