"""The events of a response as the chunks of a chat completion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from providers.types import Json, JsonObject
from router.proxy.chat.answer import (
    BETWEEN,
    CALLS,
    DETAILS,
    IMAGES,
    call_of,
    citation_of,
    detail_of,
    finish_of,
    head_of,
    image_of,
    logprobs_of,
    objects,
    parts_of,
    text_in,
    usage_of,
)


@dataclass(slots=True)
class _Item:
    """One item of the output, as far as it was told."""

    told: bool = False
    """Whether any of it was told: then it comes in pieces, to its end."""
    kind: str = ""
    """Which of the two forms of reasoning it is told in: the first that came."""
    number: int = -1
    """Of a call: which one it is."""
    part: int = 0
    """Of reasoning: which of its parts was told last."""
    starts: dict[int, int] = field(default_factory=dict)
    """Of a message: where in the whole answer each of its parts begins."""


class Chunks:
    """Follows one stream. What `hear` returns is to be written at once."""

    def __init__(
        self, response: JsonObject, *, usage: bool = False, logprobs: bool = False, legacy: bool = False
    ) -> None:
        """`response` as far as it is known when the stream begins; `usage`: whether it ends with the usage."""
        self._head = head_of(response, "chat.completion.chunk")
        if usage:
            self._head["usage"] = None
        self._usage, self._logprobs, self._legacy = usage, logprobs, legacy
        self._begun = False
        self._items: dict[Json, _Item] = {}
        self._calls = 0
        self._length = 0
        """Of the text so far."""
        self._thought = False
        self._rest: JsonObject = {}
        """What is told at the end: clients join lists of what comes in pieces only by numbers."""

    def hear(self, event: JsonObject) -> list[JsonObject]:
        """The chunks that an event becomes, perhaps none."""
        kind = event.get("type")
        hear = _HEARS.get(kind) if isinstance(kind, str) else None
        if hear is not None:
            return hear(self, event, self._item(event.get("output_index")))
        response = event.get("response")
        if kind in ("response.completed", "response.incomplete") and isinstance(response, dict):
            return self._end(response)
        return []

    def _item(self, place: Json) -> _Item:
        item = self._items.get(place if isinstance(place, int) else None)
        if item is None:
            item = self._items[place if isinstance(place, int) else None] = _Item()
        return item

    def _chunk(self, delta: JsonObject, *, logprobs: Json = None, finish: str | None = None) -> list[JsonObject]:
        """A chunk with this delta; before the first one, that which says who speaks."""
        choice: JsonObject = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        chunk: JsonObject = {**self._head, "choices": [choice]}
        if self._begun:
            return [chunk]
        self._begun = True
        speaks: JsonObject = {"role": "assistant", "content": "" if "content" in delta or finish else None}
        return [*self._chunk({**speaks, "refusal": None}), chunk]

    # text

    def _text(self, event: JsonObject, item: _Item) -> list[JsonObject]:
        return self._say(item, event.get("content_index"), str(event.get("delta") or ""), event.get("logprobs"))

    def _say(self, item: _Item, part: Json, text: str, logprobs: Json = None) -> list[JsonObject]:
        if not text:
            return []
        chunks: list[JsonObject] = []
        if not item.starts and self._length:
            self._length += len(BETWEEN)
            chunks += self._chunk({"content": BETWEEN})
        item.starts.setdefault(part if isinstance(part, int) else 0, self._length)
        item.told = True
        self._length += len(text)
        known = logprobs_of(logprobs) if self._logprobs else []
        told: JsonObject = {"content": known, "refusal": None}
        return [*chunks, *self._chunk({"content": text}, logprobs=told if known else None)]

    def _note(self, event: JsonObject, item: _Item) -> list[JsonObject]:
        note, part = event.get("annotation"), event.get("content_index")
        if isinstance(note, dict):
            start = item.starts.get(part if isinstance(part, int) else 0, self._length)
            self._later("annotations", citation_of(note, start))
        return []

    def _refusal(self, event: JsonObject, item: _Item) -> list[JsonObject]:
        return self._refuse(item, str(event.get("delta") or ""))

    def _refuse(self, item: _Item, words: str) -> list[JsonObject]:
        item.told = item.told or bool(words)
        return self._chunk({"refusal": words}) if words else []

    # reasoning

    def _reasoning(self, event: JsonObject, item: _Item) -> list[JsonObject]:
        kind = str(event["type"])
        item.kind = item.kind or kind
        if item.kind != kind:
            return []  # some tell the same twice
        part = event.get("summary_index", event.get("content_index"))
        return self._think(item, part if isinstance(part, int) else 0, str(event.get("delta") or ""))

    def _think(self, item: _Item, part: int, text: str) -> list[JsonObject]:
        if not text:
            return []
        between = BETWEEN if self._thought and (not item.told or part != item.part) else ""
        item.told, item.part, self._thought = True, part, True
        return self._chunk({"reasoning_content": between + text})

    # items

    def _added(self, event: JsonObject, item: _Item) -> list[JsonObject]:
        added = event.get("item")
        return self._call(added, item) if isinstance(added, dict) and added.get("type") in CALLS else []

    def _call(self, call: JsonObject, item: _Item) -> list[JsonObject]:
        """The beginning of a call."""
        item.number, item.kind = self._calls, str(call["type"])
        self._calls += 1
        told = call_of({**call, "arguments": "", "input": ""})
        if self._legacy:
            return self._chunk({"function_call": told.get("function")}) if item.number == 0 else []
        return self._chunk({"tool_calls": [{"index": item.number, **told}]})

    def _argument(self, event: JsonObject, item: _Item) -> list[JsonObject]:
        return self._add(item, str(event.get("delta") or ""))

    def _add(self, item: _Item, piece: str) -> list[JsonObject]:
        """A piece of a call that has begun."""
        if not piece or item.number < 0:
            return []
        item.told = True
        if self._legacy:
            return self._chunk({"function_call": {"arguments": piece}}) if item.number == 0 else []
        told: JsonObject = {"custom": {"input": piece}} if item.kind == "custom_tool_call" else {}
        return self._chunk({"tool_calls": [{"index": item.number, **(told or {"function": {"arguments": piece}})}]})

    def _done(self, event: JsonObject, item: _Item) -> list[JsonObject]:
        done = event.get("item")
        return self._complete(done, item) if isinstance(done, dict) else []

    def _complete(self, done: JsonObject, item: _Item) -> list[JsonObject]:
        """What of an item that has ended was not told: not all servers send everything in pieces."""
        kind = done.get("type")
        if kind == "message":
            return self._complete_message(done, item)
        if kind in CALLS:
            begun = [] if item.number >= 0 else self._call(done, item)
            whole = str(done.get("arguments" if kind == "function_call" else "input") or "")
            return begun if item.told else begun + self._add(item, whole)
        if kind == "reasoning":
            self._later(DETAILS, detail_of(done, len(self._gathered(DETAILS))))
            return [] if item.told else self._think_whole(done, item)
        if kind == "image_generation_call":
            self._later(IMAGES, image_of(done, len(self._gathered(IMAGES))))
        return []

    def _complete_message(self, done: JsonObject, item: _Item) -> list[JsonObject]:
        if item.told:
            return []
        chunks: list[JsonObject] = []
        for place, part in enumerate(parts_of(done)):
            chunks += self._refuse(item, str(part.get("refusal") or ""))
            chunks += self._say(item, place, text_in(part), part.get("logprobs"))
            for note in objects(part.get("annotations")):
                self._note({"annotation": note, "content_index": place}, item)
        return chunks

    def _think_whole(self, done: JsonObject, item: _Item) -> list[JsonObject]:
        parts = [*objects(done.get("summary"))] or [*parts_of(done)]
        return [chunk for place, part in enumerate(parts) for chunk in self._think(item, place, text_in(part))]

    # the end

    def _gathered(self, name: str) -> list[Json]:
        found = self._rest.get(name)
        return found if isinstance(found, list) else []

    def _later(self, name: str, more: list[Json]) -> None:
        if more:
            self._rest[name] = [*self._gathered(name), *more]

    def _end(self, response: JsonObject) -> list[JsonObject]:
        """What was not told yet, why the model stopped, and perhaps the usage."""
        output = response.get("output")
        chunks: list[JsonObject] = []
        if not self._items:
            for place, done in enumerate(objects(output)):
                chunks += self._complete(done, self._item(place))
        if response.get("service_tier") is not None:
            self._head["service_tier"] = response["service_tier"]
        if self._rest:
            chunks += self._chunk(self._rest)
        chunks += self._chunk({}, finish=finish_of(response, called=self._calls > 0, legacy=self._legacy))
        usage = usage_of(response) if self._usage else None
        if usage is not None:  # a chunk without choices that holds nothing else either would only startle
            chunks.append({**self._head, "choices": [], "usage": usage})
        return chunks


_HEARS: Mapping[str, Callable[[Chunks, JsonObject, _Item], list[JsonObject]]] = {
    "response.output_text.delta": Chunks._text,
    "response.output_text.annotation.added": Chunks._note,
    "response.refusal.delta": Chunks._refusal,
    "response.reasoning_text.delta": Chunks._reasoning,
    "response.reasoning_summary_text.delta": Chunks._reasoning,
    "response.output_item.added": Chunks._added,
    "response.output_item.done": Chunks._done,
    "response.function_call_arguments.delta": Chunks._argument,
    "response.custom_tool_call_input.delta": Chunks._argument,
}
"""What tells something. All else is the business of the Responses API."""
