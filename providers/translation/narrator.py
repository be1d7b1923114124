"""Tells a response as it comes about: the one maker of its events, its items and its final object.

Replies and streams are told by the same voice, so they agree. The rules it keeps: one item is open at a time, each is
opened and closed once, ids stay the same, numbers have no gaps. Source: OpenAI's API reference, streaming events.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final, Literal, TypeAlias, cast

from providers import jsonio
from providers.errors import APIError, ContentPolicyViolationError, RateLimitError
from providers.translation.tools import INPUT
from providers.types import Json, JsonObject
from providers.usage import read_spent
from providers.views import Event

Reason: TypeAlias = Literal["max_output_tokens", "content_filter"]
Known: TypeAlias = Callable[[str], "tuple[str, bool]"]
"""The caller's name of a function on the wire, and whether it stands for a custom tool."""

_TEXT: Final = "output_text"
_REFUSAL: Final = "refusal"
_SUMMARY: Final = "summary_text"
_KEEP_CALLS: Final = 64
"""The longest id of a call that OpenAI's API takes back."""


class Failure(Event):
    """`response.failed`, and the error it stands for."""

    __slots__ = ("cause",)
    cause: APIError

    def __init__(self, json: JsonObject, cause: APIError) -> None:
        super().__init__(json)
        object.__setattr__(self, "cause", cause)


def mint() -> str:
    """The part of a new response's id that its items share."""
    return secrets.token_hex(16)


class Narrator:
    """Makes one response. Every act adds to what `take` returns; nothing is told before `start` or after the end.

    `stem` makes the ids; `wall` tells the time at the end; `known` tells the names of functions.
    """

    __slots__ = (
        "_arguments",
        "_custom",
        "_events",
        "_index",
        "_item",
        "_kind",
        "_known",
        "_number",
        "_output",
        "_part",
        "_part_index",
        "_stem",
        "_texts",
        "_wall",
        "cause",
        "ended",
        "response",
        "started",
    )  # fmt: skip

    def __init__(self, response: JsonObject, stem: str, wall: Callable[[], float], known: Known) -> None:
        self.response = response
        """The response as it stands; what `start` and the end show of it."""
        self._stem = stem
        self._wall = wall
        self._known = known
        self.started = False
        self.ended = False
        self.cause: APIError | None = None
        """What it failed with."""
        self._events: list[Event] = []
        self._number = 0
        self._output: list[Json] = []
        self._index = 0
        self._item: JsonObject | None = None
        self._kind = ""
        self._part: JsonObject | None = None
        self._part_index = 0
        self._texts: list[str] = []
        self._arguments: list[str] = []
        self._custom = False

    def take(self) -> list[Event]:
        """The events since the last time."""
        events, self._events = self._events, []
        return events

    # the life of the response

    def start(self, model: str | None = None) -> None:
        """It has begun; `model` is what the vendor calls the model that answers."""
        if model:
            self.response["model"] = model
        self.started = True
        self._tell({"type": "response.created", "response": dict(self.response)})
        self._tell({"type": "response.in_progress", "response": dict(self.response)})

    def finish(self, reason: Reason | None = None, usage: JsonObject | None = None) -> None:
        """It has ended: well, or for `reason` before its time. `usage` None: the vendor did not say."""
        self.close(incomplete=reason is not None)
        self.response |= {
            "status": "completed" if reason is None else "incomplete",
            "completed_at": int(self._wall()) if reason is None else None,
            "incomplete_details": None if reason is None else {"reason": reason},
            "output": self._output,
            "usage": usage,
        }
        self.ended = True
        self._tell({"type": f"response.{self.response['status']}", "response": self.response})

    def fail(self, error: APIError, usage: JsonObject | None = None) -> None:
        """It has failed, and `error` says what was used. Raises `error` itself if nothing was told yet."""
        if not self.started:
            error.spent = read_spent({**self.response, "status": "failed", "usage": usage})
            raise error
        self.close(incomplete=True)
        self.response |= {
            "status": "failed",
            "error": {"code": _code(error), "message": error.message},
            "output": self._output,
            "usage": usage,
        }
        self.ended, self.cause = True, error
        error.spent = read_spent(self.response)
        json: JsonObject = {
            "type": "response.failed",
            "response": self.response,
            "sequence_number": self._number,
        }
        self._number += 1
        self._events.append(Failure(json, error))

    # messages

    def text(self, delta: str, logprobs: list[Json] | None = None) -> None:
        """The model says `delta`; empty is nothing."""
        if not delta:
            return
        item = self._item
        if self._kind != _TEXT or item is None:
            item = self._open_part(_TEXT)
        self._texts.append(delta)
        number = self._number
        self._number = number + 1
        event: JsonObject = {
            "type": "response.output_text.delta",
            "item_id": item["id"],
            "output_index": self._index,
            "content_index": self._part_index,
            "delta": delta,
            "logprobs": logprobs or [],
            "sequence_number": number,
        }
        if logprobs and self._part is not None:
            cast("list[Json]", self._part["logprobs"]).extend(logprobs)
        self._events.append(Event(event))

    def refusal(self, delta: str) -> None:
        """The model declines, saying `delta`."""
        if not delta:
            return
        if self._kind != _REFUSAL:
            self._open_part(_REFUSAL)
        self._texts.append(delta)
        self._tell({"type": "response.refusal.delta", **self._where(), "delta": delta})

    def annotate(self, annotation: JsonObject) -> None:
        """A note, such as a `url_citation`, on the text being said."""
        if self._kind != _TEXT:
            self._open_part(_TEXT)
        notes = cast("list[Json]", cast("JsonObject", self._part)["annotations"])
        notes.append(annotation)
        where = {**self._where(), "annotation_index": len(notes) - 1}
        self._tell({"type": "response.output_text.annotation.added", **where, "annotation": annotation})

    @property
    def said(self) -> int:
        """How many characters the open text has, for the indices of notes."""
        return sum(map(len, self._texts)) if self._kind == _TEXT else 0

    # reasoning

    def think(self, delta: str) -> None:
        """The model reasons, saying `delta`; empty is nothing."""
        if not delta:
            return
        if self._kind != _SUMMARY:
            self._open_part(_SUMMARY)
        self._texts.append(delta)
        self._tell({"type": "response.reasoning_summary_text.delta", **self._where(), "delta": delta})

    def seal(self, encrypted: str) -> None:
        """What the vendor wants back of the reasoning that is open, which is then closed; without any, of one
        that has no words."""
        if self._item is None or self._item["type"] != "reasoning":
            self._open_item("reasoning", {"summary": []}, "rs")
        cast("JsonObject", self._item)["encrypted_content"] = encrypted
        self.close()

    # tools

    def call(self, call_id: str, wire: str) -> None:
        """The model calls a function, by its name on the wire; its arguments follow. An id too long for OpenAI's API,
        or none, is replaced."""
        self.close()
        name, self._custom = self._known(wire)
        if not 0 < len(call_id) <= _KEEP_CALLS:
            call_id = f"call_{secrets.token_hex(12)}"
        rest: JsonObject = {"call_id": call_id, "name": name, "status": "in_progress"}
        rest["input" if self._custom else "arguments"] = ""
        self._open_item("custom_tool_call" if self._custom else "function_call", rest, "ctc" if self._custom else "fc")
        self._kind = "call"

    def arguments(self, delta: str) -> None:
        """A piece of the JSON of the call that is open. Raises `LookupError` if none is."""
        if self._kind != "call":
            raise LookupError("arguments of no call")
        if not delta:
            return
        self._arguments.append(delta)
        if not self._custom:
            self._tell({"type": "response.function_call_arguments.delta", **self._spot(), "delta": delta})

    def item(self, item: JsonObject, prefix: str, *stages: str) -> None:
        """Something else the vendor did, whole: `item` has its `type` and what else it has, but no id.

        `stages` are events of its type that are told in between: `in_progress`, `searching`, …
        """
        kind = cast("str", item["type"])
        rest = {name: value for name, value in item.items() if name != "type"}
        self._open_item(kind, {**rest, "status": "in_progress"} if "status" in rest else rest, prefix)
        for stage in stages:
            self._tell({"type": f"response.{kind}.{stage}", **self._spot()})
        cast("JsonObject", self._item).update(rest)
        self.close()

    # the end of things

    def close_part(self) -> None:
        """The text, refusal or summary that is open ends; what follows begins another part of the same item."""
        part = self._part
        if part is None:
            return
        kind, text = self._kind, "".join(self._texts)
        field = "refusal" if kind == _REFUSAL else "text"
        part[field] = text
        where, done = self._where(), {field: text}
        if kind == _SUMMARY:
            self._tell({"type": "response.reasoning_summary_text.done", **where, **done})
            self._tell({"type": "response.reasoning_summary_part.done", **where, "part": part})
        else:
            name = "refusal" if kind == _REFUSAL else "output_text"
            logprobs: JsonObject = {} if kind == _REFUSAL else {"logprobs": part["logprobs"]}
            self._tell({"type": f"response.{name}.done", **where, **done, **logprobs})
            self._tell({"type": "response.content_part.done", **where, "part": part})
        item = cast("JsonObject", self._item)
        cast("list[Json]", item["summary" if kind == _SUMMARY else "content"]).append(part)
        self._part, self._kind, self._texts = None, "", []
        self._part_index += 1

    def close(self, *, incomplete: bool = False) -> None:
        """The item that is open, if any, ends: cut off, if `incomplete`."""
        item = self._item
        if item is None:
            return
        self.close_part()
        if self._kind == "call":
            self._close_call(item, incomplete=incomplete)
        if item.get("status") == "in_progress":
            item["status"] = "incomplete" if incomplete else "completed"
        self._tell({"type": "response.output_item.done", "output_index": self._index, "item": item})
        self._output.append(item)
        self._index += 1
        self._item, self._kind = None, ""

    def _close_call(self, item: JsonObject, *, incomplete: bool) -> None:
        if not self._arguments and not incomplete:
            self.arguments("{}")
        text, self._arguments = "".join(self._arguments), []
        if not self._custom:
            item["arguments"] = text
            self._tell({"type": "response.function_call_arguments.done", **self._spot(), "arguments": text})
            return
        item["input"] = free = _free_text(text)
        if free:
            self._tell({"type": "response.custom_tool_call_input.delta", **self._spot(), "delta": free})
        self._tell({"type": "response.custom_tool_call_input.done", **self._spot(), "input": free})

    # parts

    def _open_item(self, kind: str, rest: JsonObject, prefix: str) -> JsonObject:
        self.close()
        item: JsonObject = {"id": f"{prefix}_{self._stem}{self._index:04x}", "type": kind, **rest}
        self._item, self._part_index = item, 0
        shown = {name: list(value) if isinstance(value, list) else value for name, value in item.items()}
        self._tell({"type": "response.output_item.added", "output_index": self._index, "item": shown})
        return item

    def _open_part(self, kind: str) -> JsonObject:
        """A part of this kind, in the item that is open if it fits."""
        item, wanted = self._item, "reasoning" if kind == _SUMMARY else "message"
        if item is None or item["type"] != wanted:
            if wanted == "message":
                rest: JsonObject = {"status": "in_progress", "role": "assistant", "content": []}
                item = self._open_item(wanted, rest, "msg")
            else:
                item = self._open_item(wanted, {"summary": []}, "rs")
        else:
            self.close_part()
        part: JsonObject = {"type": kind, "refusal" if kind == _REFUSAL else "text": ""}
        if kind == _TEXT:
            part |= {"annotations": [], "logprobs": []}
        self._part, self._kind, self._texts = part, kind, []
        shown: JsonObject = {name: [] if isinstance(value, list) else value for name, value in part.items()}
        opened = "response.reasoning_summary_part.added" if kind == _SUMMARY else "response.content_part.added"
        self._tell({"type": opened, **self._where(), "part": shown})
        return item

    def _spot(self) -> JsonObject:
        return {"item_id": cast("JsonObject", self._item)["id"], "output_index": self._index}

    def _where(self) -> JsonObject:
        return {**self._spot(), "summary_index" if self._kind == _SUMMARY else "content_index": self._part_index}

    def _tell(self, json: JsonObject) -> None:
        json["sequence_number"] = self._number
        self._number += 1
        self._events.append(Event(json))


def _free_text(arguments: str) -> str:
    """The input of a custom tool, from the arguments of the function that stands for it."""
    try:
        value = jsonio.loads(arguments)
    except ValueError:
        return arguments
    text = value.get(INPUT, "" if not value else None) if isinstance(value, dict) else None
    return text if isinstance(text, str) else arguments


def _code(error: APIError) -> str:
    """One of the codes that OpenAI documents for `response.error`."""
    if isinstance(error, RateLimitError):
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, ContentPolicyViolationError) else "server_error"


def usage_of(
    input_tokens: int,
    output_tokens: int,
    *,
    cached: int = 0,
    written: int = 0,
    written_1h: int = 0,
    reasoning: int = 0,
    audio: int = 0,
    cached_audio: int = 0,
    spoken: int = 0,
    drawn: int = 0,
) -> JsonObject:
    """`usage` as OpenAI counts: the input includes what was read from and written to a cache, the output reasoning.

    What OpenAI does not count, or only at times, is there if it is not 0: of the written tokens those that are kept
    for an hour (`written_1h`), of the input, the cached and the output those that are sound, of the output those that
    are an image.
    """
    given: JsonObject = {"cached_tokens": cached, "cache_write_tokens": written}
    told: JsonObject = {"reasoning_tokens": reasoning}
    for details, name, count in (
        (given, "cache_write_1h_tokens", written_1h),
        (given, "audio_tokens", audio),
        (given, "cached_audio_tokens", cached_audio),
        (told, "audio_tokens", spoken),
        (told, "image_tokens", drawn),
    ):
        if count:
            details[name] = count
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": given,
        "output_tokens": output_tokens,
        "output_tokens_details": told,
        "total_tokens": input_tokens + output_tokens,
    }
