"""Tells an answer, whole or in pieces: a message and its deltas have the same fields."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from providers.chat_completions.calls import Calls
from providers.chat_completions.finishing import reason_of, usage_in
from providers.chat_completions.idioms import Idiom
from providers.chat_completions.messages import CONTENT, DETAILS, FAMILY
from providers.chat_completions.sources import Sources, flat
from providers.chat_completions.tags import ThinkTags
from providers.errors import APIError
from providers.faults import error_in_event
from providers.translation.narrator import Narrator
from providers.translation.sealed import seal
from providers.types import Call, Json, JsonObject

_TIERS: Final = {"on_demand": "default"}


class Answer:
    """What one answer has told so far. Follows a stream frame by frame; a whole reply is one frame."""

    __slots__ = (
        "_call",
        "_calls",
        "_details",
        "_field",
        "_finish",
        "_held",
        "_narrator",
        "_sources",
        "_tags",
        "_usage",
    )

    def __init__(self, narrator: Narrator, idiom: Idiom, call: Call) -> None:
        self._narrator = narrator
        self._call = call
        self._calls = Calls(narrator)
        self._tags = ThinkTags() if idiom.think_tags else None
        self._sources = Sources() if idiom.searches else None
        self._usage: JsonObject | None = None
        self._finish = ""
        """The vendor's word for why it stopped."""
        self._field = ""
        """Where the reasoning came from that is being told."""
        self._details: list[Json] = []
        """Reasoning that must go back as it came."""
        self._held: list[Callable[[], None]] = []
        """What came amid a call, to be told after it."""

    # what Listener asks for

    def hear(self, frame: JsonObject) -> None:
        """One chunk of a stream. Raises the `APIError` that it reports."""
        self._frame(frame, "delta")
        if self._finish and self._usage is not None:
            self.end()  # nothing can follow, and some servers keep the connection

    def usage(self) -> JsonObject | None:
        """What was told last."""
        return self._usage

    def end(self) -> None:
        """The stream has ended: well, if the model has."""
        narrator = self._narrator
        if not self._finish or narrator.ended:
            return
        try:
            reason = reason_of(self._finish)
        except APIError as error:
            narrator.fail(error, self._usage)
            return
        self._flush_tags()
        self._seal()
        self._calls.close(but_last=reason is not None and not self._held)
        for tell in self._held:
            tell()
        self._seal()
        if self._sources is not None:
            self._sources.tell(narrator)
        narrator.finish(reason, self._usage)

    def read(self, reply: JsonObject) -> None:
        """A whole reply. Raises the `APIError` that it reports."""
        try:
            self._frame(reply, "message")
        except APIError as error:
            self._narrator.fail(error, self._usage)
        self._finish = self._finish or "stop"
        if self._narrator.started:
            self.end()

    # frames

    def _frame(self, frame: JsonObject, name: str) -> None:
        choices = frame.get("choices")
        if frame.get("error") or (not choices and _is_error(frame)):
            raise error_in_event(frame, self._call)
        usage = usage_in(frame)
        if usage is not None:
            self._usage = usage
        if self._sources is not None:
            self._sources.hear(frame)
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and not choice.get("index"):
                self._choice(frame, choice, name)

    def _choice(self, frame: JsonObject, choice: JsonObject, name: str) -> None:
        if choice.get("error"):
            raise error_in_event(choice, self._call)
        if not self._narrator.started:
            self._start(frame)
        delta = choice.get(name)
        if isinstance(delta, dict):
            self._delta(delta, choice, whole=name == "message")
        finish = choice.get("finish_reason")
        if isinstance(finish, str) and finish:
            self._finish = finish

    def _start(self, frame: JsonObject) -> None:
        model, tier = frame.get("model"), frame.get("service_tier")
        if isinstance(tier, str) and tier:
            self._narrator.response["service_tier"] = _TIERS.get(tier, tier)
        self._narrator.start(model if isinstance(model, str) else None)

    def _delta(self, delta: JsonObject, choice: JsonObject, *, whole: bool) -> None:
        self._reason(delta)
        content = delta.get("content")
        if isinstance(content, str):
            if content:
                self._say(content, choice.get("logprobs"))
        elif isinstance(content, list):
            for chunk in _objects(content):
                self._chunk(chunk)
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._in_turn(partial(self._refuse, refusal))
        for annotation in _objects(delta.get("annotations")):
            self._in_turn(partial(self._narrator.annotate, flat(annotation)))
        calls = delta.get("tool_calls")
        if calls:
            self._begin_calls()
            for call in _objects(calls):
                self._calls.hear(call, alone=whole)
        legacy = delta.get("function_call")
        if isinstance(legacy, dict):
            self._begin_calls()
            self._calls.hear({"index": 0, "function": legacy})

    def _chunk(self, chunk: JsonObject) -> None:
        """A part of a content that is a list: text, reasoning (Mistral's), or something else, which is noted."""
        kind, text = chunk.get("type"), chunk.get("text")
        if kind == "thinking":
            for part in _objects(chunk.get("thinking")):
                words = part.get("text")
                self._think(CONTENT, words if isinstance(words, str) else "")
            if isinstance(chunk.get("signature"), str):
                self._field = CONTENT
                self._details.append(chunk)
        elif isinstance(text, str):
            self._say(text, None)
        else:
            self._in_turn(partial(self._narrator.annotate, chunk))

    # reasoning

    def _reason(self, delta: JsonObject) -> None:
        for name in ("reasoning_content", "reasoning"):
            text = delta.get(name)
            if isinstance(text, str) and text:
                self._think(name, text)
                break
        details = delta.get(DETAILS)
        if details:
            self._field = DETAILS
            for each in _objects(details):
                self._detail(each)

    def _detail(self, detail: JsonObject) -> None:
        """Pieces of one detail (OpenRouter's) are joined again."""
        last = self._details[-1] if self._details else None
        same = isinstance(last, dict) and all(last.get(key) == detail.get(key) for key in ("type", "index", "id"))
        if not same or not isinstance(last, dict) or detail.get("index") is None:
            self._details.append({**detail})
            return
        for key, value in detail.items():
            before = last.get(key)
            joined = key in ("text", "summary", "data") and isinstance(before, str) and isinstance(value, str)
            last[key] = f"{before}{value}" if joined else value if value is not None else before

    def _think(self, field: str, text: str) -> None:
        if not text:
            return
        if self._clear():
            self._thought(field, text)
        else:
            self._held.append(partial(self._thought, field, text))

    def _thought(self, field: str, text: str) -> None:
        self._field = self._field if self._field == DETAILS else field
        self._narrator.think(text)

    def _seal(self) -> None:
        """The reasoning has ended: what the vendor wants back of it."""
        if not self._field or self._calls.open:
            return
        block: JsonObject = {"field": self._field}
        if self._details:
            block["value"] = self._details
        self._narrator.seal(seal(FAMILY, [block]))
        self._field, self._details = "", []

    # text

    def _say(self, text: str, logprobs: Json) -> None:
        tags = self._tags
        if tags is not None and not tags.outside:
            thought, text = tags.feed(text)
            self._think("reasoning_content", thought)
        if not text:
            return
        known = logprobs.get("content") if isinstance(logprobs, dict) else None
        known = known if isinstance(known, list) else None
        if self._clear():
            self._tell(text, known)
        else:
            self._held.append(partial(self._tell, text, known))

    def _tell(self, text: str, logprobs: list[Json] | None) -> None:
        if self._field:
            self._seal()
        if self._sources is not None:
            self._sources.said(text)
        self._narrator.text(text, logprobs)

    def _refuse(self, words: str) -> None:
        self._seal()
        self._narrator.refusal(words)

    def _flush_tags(self) -> None:
        """What was held back as it might have become a tag."""
        if self._tags is not None and not self._tags.outside:
            thought, text = self._tags.end()
            self._think("reasoning_content", thought)
            if text:
                self._in_turn(partial(self._tell, text, None))

    # calls

    def _begin_calls(self) -> None:
        if not self._calls.open:
            self._flush_tags()
            self._seal()

    def _in_turn(self, tell: Callable[[], None]) -> None:
        if self._clear():
            tell()
        else:
            self._held.append(tell)

    def _clear(self) -> bool:
        """Whether no call is in the way: one that is whole is closed."""
        if not self._calls.open:
            return True
        if self._held or not self._calls.whole:
            return False
        self._calls.close()
        return True


def _objects(value: Json) -> list[JsonObject]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _is_error(frame: JsonObject) -> bool:
    """Whether a chunk is an error: with an envelope, flat as vLLM writes it, or in Groq's own field."""
    groq = frame.get("x_groq")
    return (
        bool(frame.get("error")) or frame.get("object") == "error" or bool(isinstance(groq, dict) and groq.get("error"))
    )
