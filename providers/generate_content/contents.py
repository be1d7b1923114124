"""A conversation in Google's dialect: `contents`, of users and the model by turns, and `systemInstruction`.

Sources: ai.google.dev/api/caching#Content; docs/function-calling, docs/thought-signatures, docs/gemini-3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, cast

from providers import jsonio
from providers.generate_content.media import part
from providers.generate_content.signatures import UNSIGNED, blocks, cut
from providers.generate_content.thinking import generation
from providers.translation.asked import Asked, wrong
from providers.translation.conversation import conversation, instructions
from providers.translation.entries import FunctionCall, FunctionOutput, Refusal, Said, Text, Thought
from providers.translation.tools import Naming, wire_name
from providers.types import Json, JsonObject

Parts: TypeAlias = list[JsonObject]

_USER: Final = "user"
_MODEL: Final = "model"
_ANSWERS: Final = "answers"
"""A turn of the user's that holds what functions answered, and nothing else."""


def contents(asked: Asked, naming: Naming, names: Mapping[str, str]) -> tuple[JsonObject | None, list[Json]]:
    """`systemInstruction`, if any, and `contents`. `names`: what the caller's functions are called on the wire.

    Raises `BadRequestError` for what can't be said, and if nothing is.
    """
    system: Parts = []
    told = instructions(asked)
    if told is not None:
        system.append({"text": told})
    turns = _Turns(asked, naming, names)
    for entry in conversation(asked, images=True):
        if isinstance(entry, Said):
            _said(entry, system, turns)
        elif isinstance(entry, FunctionCall):
            turns.call(entry)
        elif isinstance(entry, FunctionOutput):
            turns.output(entry)
        else:
            turns.thought(entry)
    found = turns.done()
    if not found:
        raise wrong("input", "must hold a message")
    return ({"parts": cast("Json", system)} if system else None), found


def _said(entry: Said, system: Parts, turns: _Turns) -> None:
    """A message. What the system says at the beginning is its instruction; later, Google lets only users speak."""
    if entry.role == "assistant":
        turns.reply(entry)
    elif entry.role == "system" and turns.empty and all(isinstance(each, Text) for each in entry.parts):
        system.extend({"text": each.text} for each in entry.parts if isinstance(each, Text))
    else:
        turns.ask(entry)


class _Turns:
    """`contents` as they are written."""

    def __init__(self, asked: Asked, naming: Naming, names: Mapping[str, str]) -> None:
        self._asked = asked
        self._naming = naming
        self._names = names
        self._model = generation(asked.model)
        self._turns: list[tuple[str, Parts]] = []
        self._signature: str | None = None
        """Of the call that comes next."""
        self._files: Parts = []
        """What functions answered that older models take from users only."""

    @property
    def empty(self) -> bool:
        """Whether nothing was said yet."""
        return not self._turns

    def ask(self, entry: Said) -> None:
        """What the user says."""
        self._hand_over()
        self._add(_USER, [part(self._asked, each) for each in entry.parts])

    def reply(self, entry: Said) -> None:
        """What the model said."""
        self._hand_over()
        self._add(_MODEL, [part(self._asked, each) for each in entry.parts])

    def call(self, entry: FunctionCall) -> None:
        """The model called a function."""
        self._hand_over()
        inner: JsonObject = {"id": entry.call_id, "name": self._wire(entry.name), "args": entry.parsed}
        call: JsonObject = {"functionCall": inner}
        if self._signature is not None:
            call["thoughtSignature"] = self._signature
        self._add(_MODEL, [call])

    def output(self, entry: FunctionOutput) -> None:
        """What it answered: an object, with the files of the answer in it or, for older models, after it."""
        inner: JsonObject = {"id": entry.call_id, "name": self._wire(entry.name), "response": _answer(entry)}
        files = [part(self._asked, each) for each in entry.parts if not isinstance(each, (Text, Refusal))]
        if files and self._model.has_levels:
            inner["parts"] = cast("Json", files)
        elif files:
            self._files += [{"text": f"Files that {entry.name} returned:"}, *files]
        self._add(_ANSWERS, [{"functionResponse": inner}])

    def thought(self, entry: Thought) -> None:
        """The model reasoned. Only what Google signed can be told it."""
        self._hand_over()
        found = blocks(entry.sealed)
        if found is None:
            if entry.sealed is not None:
                self._asked.note(entry.where, "another vendor's reasoning means nothing to Google")
            return
        for block in found:
            call, image, whole = block.get("call"), block.get("image"), block.get("part")
            if isinstance(call, str):
                self._signature = call
            elif isinstance(image, str):
                self._sign_image(image)
            elif isinstance(whole, dict):
                self._add(_MODEL, [whole])
            else:
                self._sign(block.get("text"))

    def done(self) -> list[Json]:
        """All turns; calls that nobody signed are marked so where Google insists on signatures."""
        self._hand_over()
        if self._model.has_levels:
            for _, parts in self._turns:
                first = next((each for each in parts if "functionCall" in each), None)
                if first is not None:
                    first.setdefault("thoughtSignature", UNSIGNED)
        return [
            {"role": _MODEL if who == _MODEL else _USER, "parts": cast("Json", parts)} for who, parts in self._turns
        ]

    def _sign(self, pieces: Json) -> None:
        """Cut the text that the model said last into the parts that were signed."""
        who, parts = self._turns[-1] if self._turns else ("", [])
        last = parts[-1].get("text") if parts else None
        if who == _MODEL and isinstance(last, str) and "thoughtSignature" not in parts[-1]:
            parts[-1:] = cut(last, pieces)
        else:
            self._add(_MODEL, cut("", pieces))

    def _sign_image(self, signature: str) -> None:
        """Sign the image that the model made last."""
        who, parts = self._turns[-1] if self._turns else ("", [])
        if who == _MODEL and "inlineData" in parts[-1]:
            parts[-1]["thoughtSignature"] = signature

    def _hand_over(self) -> None:
        if self._files:
            files, self._files = self._files, []
            self._add(_USER, files)

    def _add(self, who: str, parts: Sequence[JsonObject]) -> None:
        self._signature = None  # a call that does not come next is gone
        if self._turns and self._turns[-1][0] == who:
            self._turns[-1][1].extend(parts)
        else:
            self._turns.append((who, list(parts)))

    def _wire(self, name: str) -> str:
        return self._names.get(name) or wire_name(name, self._naming, {})


def _answer(entry: FunctionOutput) -> JsonObject:
    """A function's answer as the object that Google wants, under the name that it documents."""
    text = entry.text
    value: Json = text
    if text.lstrip().startswith("{"):
        try:
            value = jsonio.loads(text)
        except ValueError:
            value = text
    return {"error" if entry.failed else "output": value}
