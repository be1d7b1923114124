"""Says a conversation as messages.

What the model said, thought and called in one turn is one assistant message, the outputs of its tools follow it:
every vendor takes that, and many take nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final, cast

from providers import jsonio
from providers.chat_completions.idioms import AS_IT_CAME, Idiom
from providers.chat_completions.parts import content, part_of, text_part, words
from providers.translation.asked import Asked, wrong
from providers.translation.conversation import conversation, instructions
from providers.translation.entries import Entry, FunctionCall, FunctionOutput, Part, Refusal, Said, Text, Thought
from providers.translation.sealed import unseal
from providers.types import Json, JsonObject

FAMILY: Final = "chat"
"""Whose reasoning is sent back: that of any vendor of chat completions, for none of them signs it."""
CONTENT: Final = "content"
DETAILS: Final = "reasoning_details"
"""Where OpenRouter puts reasoning that must go back as it came."""

_SHORT: Final = re.compile(r"[a-zA-Z0-9]{9}")


def messages(asked: Asked, idiom: Idiom, wire: Callable[[str], str]) -> list[Json]:
    """All messages of a call. `wire` tells the name of a function on the wire.

    Raises `BadRequestError` for what can't be said.
    """
    writer = _Writer(asked, idiom, wire)
    system = instructions(asked)
    if system:
        writer.messages.append({"role": "system", "content": system})
    for entry in conversation(asked):
        writer.add(entry)
    writer.end_turn()
    writer.end_outputs()
    said = writer.messages
    if idiom.bridge:
        said = _bridged(said, asked, idiom.bridge)
    return [*_taking_turns(said)] if idiom.alternates else [*said]


class _Writer:
    """Gathers what belongs into one message."""

    def __init__(self, asked: Asked, idiom: Idiom, wire: Callable[[str], str]) -> None:
        self.messages: list[JsonObject] = []
        self._asked = asked
        self._idiom = idiom
        self._wire = wire
        self._said: list[Part] = []
        self._thoughts: list[Thought] = []
        self._calls: list[Json] = []
        self._shown: list[Json] = []
        """What tools showed besides text, for a message of its own."""

    def add(self, entry: Entry) -> None:
        """The next entry of the conversation."""
        if isinstance(entry, FunctionOutput):
            self.end_turn()
            self._output(entry)
            return
        self.end_outputs()
        match entry:
            case Said(role="assistant"):
                self._said += entry.parts
            case Said():
                self.end_turn()
                parts = entry.parts
                said = content(parts, self._asked, self._idiom) if entry.role == "user" else self._text(parts)
                self.messages.append({"role": entry.role, "content": said})
            case FunctionCall():
                self._calls.append(self._call(entry))
            case _:
                self._thoughts.append(entry)

    def end_turn(self) -> None:
        """What the model said and did is one message."""
        if not self._said and not self._calls:
            self._thoughts = []  # nobody takes a thought alone
            return
        message: JsonObject = {"role": "assistant", "content": self._text(self._said) if self._said else None}
        if self._calls:
            message["tool_calls"] = self._calls
        self._echo(message)
        self.messages.append(message)
        self._said, self._thoughts, self._calls = [], [], []

    def end_outputs(self) -> None:
        """What the tools showed follows their outputs, as the user's."""
        if self._shown:
            self.messages.append({"role": "user", "content": self._shown})
            self._shown = []

    def _text(self, parts: list[Part] | tuple[Part, ...]) -> Json:
        for part in parts:
            if not isinstance(part, (Text, Refusal)):
                raise wrong(part.where, "only a user's message can hold anything but text")
        return words(parts, self._idiom)

    def _call(self, call: FunctionCall) -> JsonObject:
        function: JsonObject = {"name": self._wire(call.name), "arguments": _object(call)}
        return {"id": self._id(call.call_id), "type": "function", "function": function}

    def _output(self, output: FunctionOutput) -> None:
        texts = [part for part in output.parts if isinstance(part, Text)]
        others = [part for part in output.parts if not isinstance(part, Text)]
        said: Json
        if others and self._idiom.rich_outputs:
            said = [part_of(part, self._asked, self._idiom) for part in output.parts]
        else:
            said = words(texts, self._idiom)
            if others:
                self._shown.append(text_part(f"Output of {output.name} ({output.call_id}):"))
                self._shown += [part_of(part, self._asked, self._idiom) for part in others]
        self.messages.append({"role": "tool", "tool_call_id": self._id(output.call_id), "content": said})

    def _id(self, call_id: str) -> str:
        if not self._idiom.short_ids or _SHORT.fullmatch(call_id):
            return call_id
        return hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:9]

    # reasoning that is sent back

    def _echo(self, message: JsonObject) -> None:
        """Reasoning that a vendor of chat completions made goes back to it; that of others is nothing to it."""
        idiom = self._idiom
        if idiom.echo is None:
            return
        for thought in self._thoughts:
            blocks = unseal(FAMILY, thought.sealed) or ()
            for block in blocks:
                if isinstance(block, dict):
                    self._echo_block(message, block, thought.text)
        if idiom.owes_echo and self._calls:
            message.setdefault(idiom.echo, "")

    def _echo_block(self, message: JsonObject, block: JsonObject, text: str) -> None:
        came, value = block.get("field"), block.get("value")
        target = self._idiom.echo if self._idiom.echo != AS_IT_CAME else came
        if not isinstance(target, str) or (self._idiom.echo == AS_IT_CAME and not self._calls):
            return
        if target == CONTENT:
            chunks = value if came == CONTENT and isinstance(value, list) else [_thinking(text)]
            message[CONTENT] = [*chunks, *_chunks(message.get(CONTENT))]
        elif isinstance(value, list) and came == target:
            message[target] = [*cast("list[Json]", message.get(target) or []), *value]
        elif text and target != DETAILS:
            before = message.get(target)
            message[target] = f"{before}\n\n{text}" if before else text


def _object(call: FunctionCall) -> str:
    """Arguments as an object's JSON: some servers parse them, and fail on anything else."""
    try:
        whole = isinstance(jsonio.loads(call.arguments), dict)
    except ValueError:
        whole = False
    return call.arguments if whole else jsonio.dumps(call.parsed).decode()


def _thinking(text: str) -> JsonObject:
    return {"type": "thinking", "thinking": [text_part(text)]}


def _chunks(said: Json) -> list[Json]:
    if said is None:
        return []
    return said if isinstance(said, list) else [{"type": "text", "text": said}]


def _taking_turns(said: list[JsonObject]) -> list[JsonObject]:
    """The same with neighbours of one role joined, and what the system says later said by the user."""
    turns: list[JsonObject] = []
    for message in said:
        if message["role"] == "system" and any(each["role"] != "system" for each in turns):
            message = {**message, "role": "user"}
        last = turns[-1] if turns else None
        if last is not None and last["role"] == message["role"] and message["role"] in ("user", "system"):
            last[CONTENT] = _joined(last[CONTENT], message[CONTENT])
        else:
            turns.append(message)
    return turns


def _bridged(said: list[JsonObject], asked: Asked, bridge: str) -> list[JsonObject]:
    """The same with a word of the assistant's where somebody else speaks right after a tool."""
    bridged: list[JsonObject] = []
    for message in said:
        if bridged and bridged[-1]["role"] == "tool" and message["role"] in ("user", "system"):
            bridged.append({"role": "assistant", "content": bridge})
            asked.note("input", f"after a tool {asked.provider} lets only the assistant speak, so it says {bridge!r}")
        bridged.append(message)
    return bridged


def _joined(first: Json, second: Json) -> Json:
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return [*_chunks(first), *_chunks(second)]
