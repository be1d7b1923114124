"""A strict judge of Responses API streams: framing, order, identity, content. Raises `AssertionError`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

_TERMINAL = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
_DELTAS = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.reasoning_text": "text",
    "response.reasoning_summary_text": "text",
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
}
_WITHIN = {
    "response.output_text": "message",
    "response.refusal": "message",
    "response.reasoning_text": "reasoning",
    "response.reasoning_summary_text": "reasoning",
    "response.function_call_arguments": "function_call",
    "response.custom_tool_call_input": "custom_tool_call",
}
_OPENS = {"response.content_part.added": "content_index", "response.reasoning_summary_part.added": "summary_index"}
_CLOSES = {"response.content_part.done": "content_index", "response.reasoning_summary_part.done": "summary_index"}


def parse_sse(body: bytes, *, done_marker: bool = False) -> list[dict[str, Any]]:
    """The events of an SSE body: frames of exactly `event:` and `data:`, comments between, `[DONE]` if asked for."""
    frames = body.decode().split("\n\n")
    assert frames.pop() == "", "the body does not end with a blank line"
    if done_marker:
        assert frames.pop() == "data: [DONE]", "no [DONE] at the end"
    events = []
    for frame in frames:
        if all(line.startswith(":") for line in frame.split("\n")):
            continue
        name, data = frame.split("\n")
        assert name.startswith("event: "), f"no event line: {frame!r}"
        assert data.startswith("data: "), f"no data line: {frame!r}"
        event = json.loads(data.removeprefix("data: "))
        assert event["type"] == name.removeprefix("event: "), f"{name} carries a {event['type']}"
        events.append(event)
    return events


def check_stream(events: Sequence[Json], *, first: int = 0) -> dict[str, Any]:
    """The terminal response of a whole stream whose numbers start at `first`, everything about it checked.

    Accepts completed, incomplete and failed streams. One that breaks off is refused: it has no terminal event.
    """
    assert [event["sequence_number"] for event in events] == list(range(first, first + len(events))), "numbering"
    judge = _Judge()
    for place, event in enumerate(events):
        try:
            judge.see(event)
        except AssertionError as error:
            raise AssertionError(f"event {place} ({event['type']}): {error}") from None
    assert judge.final is not None, f"no terminal event; the last one is {events[-1]['type'] if events else None}"
    return judge.final


class _Judge:
    def __init__(self) -> None:
        self.final: dict[str, Any] | None = None
        self.lifecycle: list[str] = []
        self.response: Json = {}
        self.done: list[Json] = []
        self.item: Json | None = None
        self.part: tuple[str, int] | None = None
        self.parts: list[Json] = []
        self.text = ""
        self.closed_text: str | None = None
        self.error = False

    def see(self, event: Json) -> None:
        kind = event["type"]
        assert self.final is None, "comes after the terminal event"
        if kind in ("response.created", "response.queued", "response.in_progress"):
            self.begin(kind, event["response"])
        elif kind == "error":
            self.fail(event)
        elif kind in _TERMINAL:
            self.end(kind, event["response"])
        else:
            assert "response.in_progress" in self.lifecycle, "comes before response.in_progress"
            assert not self.error, "comes after an error"
            self.output(kind, event)

    def begin(self, kind: str, response: Json) -> None:
        before: dict[str, list[list[str]]] = {
            "response.created": [[]],
            "response.queued": [["response.created"]],
            "response.in_progress": [["response.created"], ["response.created", "response.queued"]],
        }
        assert self.lifecycle in before[kind], f"follows {self.lifecycle}"
        if kind == "response.in_progress":
            assert response["status"] == "in_progress", f"status is {response['status']}"
            assert bool(response.get("background")) == (len(self.lifecycle) == 2), "queued if and only if background"
        self.lifecycle.append(kind)
        self.same(response)
        assert response["output"] == [], "output before any item"
        assert response["usage"] is None, "usage before the end"

    def same(self, response: Json) -> None:
        assert response["object"] == "response", "not a response"
        for name in ("id", "created_at", "model", "previous_response_id"):
            assert response[name] == self.response.get(name, response[name]), f"{name} differs"
        self.response = response

    def fail(self, event: Json) -> None:
        assert "response.in_progress" in self.lifecycle, "comes before response.in_progress"
        assert not self.error, "a second error"
        error = event.get("error", event)
        assert isinstance(error["message"], str), "no message"
        assert {"code", "param"} <= set(error), "code and param are always there"
        self.error = True

    def end(self, kind: str, response: Json) -> None:
        assert "response.in_progress" in self.lifecycle, "comes before response.in_progress"
        self.same(response)
        assert response["status"] == _TERMINAL[kind], f"status is {response['status']}"
        if kind == "response.failed":
            assert response["error"]["message"], "failed without an error"
        else:
            assert not self.error, "completes after an error"
            assert response["error"] is None, "ends well with an error"
            assert self.item is None, "an item is still open"
            assert [_plain(item) for item in response["output"]] == [_plain(item) for item in self.done], (
                "output differs"
            )
            usage = response["usage"]
            if usage is not None:  # a vendor may not say
                assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"], "usage does not add up"
            assert (kind == "response.incomplete") == (response["incomplete_details"] is not None), "incomplete_details"
        self.final = dict(response)

    def output(self, kind: str, event: Json) -> None:
        if kind == "response.output_item.added":
            self.open_item(event)
            return
        assert self.item is not None, "outside any item"
        assert event["output_index"] == len(self.done), f"output_index is {event['output_index']}"
        if kind == "response.output_item.done":
            self.close_item(event["item"])
            return
        assert event["item_id"] == self.item["id"], "of another item"
        stem, _, last = kind.rpartition(".")
        if kind in _OPENS:
            self.open_part(event[_OPENS[kind]], kind)
        elif kind in _CLOSES:
            self.close_part(event[_CLOSES[kind]], event["part"])
        elif stem in _DELTAS:
            self.write(stem, last, event)

    def open_item(self, event: Json) -> None:
        assert self.item is None, "items overlap"
        assert event["output_index"] == len(self.done), f"output_index is {event['output_index']}"
        self.item = event["item"]
        assert self.item["id"] not in {item["id"] for item in self.done}, "an id used twice"
        for name in ("content", "summary", "arguments"):
            assert not self.item.get(name), f"opens with {name}"
        self.parts, self.text, self.closed_text = [], "", None

    def close_item(self, item: Json) -> None:
        opened = self.item or {}
        for name in ("id", "type", "call_id", "name", "role"):
            assert item.get(name) == opened.get(name), f"{name} differs from when it was added"
        assert self.part is None, "a part is still open"
        if item["type"] in ("message", "reasoning"):
            content = item["content"] if item["type"] == "message" else item["summary"]
            assert content == self.parts, "content differs from its parts"
        elif item["type"] == "function_call":
            assert self.closed_text is not None, "no response.function_call_arguments.done"
            assert item["arguments"] == self.closed_text, "arguments differ from their deltas"
        elif item["type"] == "custom_tool_call":
            assert self.closed_text is not None, "no response.custom_tool_call_input.done"
            assert item["input"] == self.closed_text, "input differs from its deltas"
        if item["type"] == "message":
            assert item["status"] in ("completed", "incomplete"), f"status is {item['status']}"
        self.done.append(item)
        self.item = None

    def open_part(self, index: int, kind: str) -> None:
        assert self.part is None, "parts overlap"
        assert index == len(self.parts), f"index is {index}"
        self.part, self.text, self.closed_text = (kind, index), "", None

    def close_part(self, index: int, part: Json) -> None:
        assert self.part is not None, "no part is open"
        assert index == self.part[1], f"index is {index}"
        assert part.get("text", part.get("refusal")) == self.closed_text, "text differs from its done event"
        self.parts.append(part)
        self.part = None

    def write(self, stem: str, last: str, event: Json) -> None:
        kind = (self.item or {})["type"]
        assert kind == _WITHIN[stem], f"in a {kind}"
        if stem not in ("response.function_call_arguments", "response.custom_tool_call_input"):
            assert self.part is not None, "outside any part"
            index = event["summary_index"] if "summary" in stem else event["content_index"]
            assert index == self.part[1], f"index is {index}"
        assert self.closed_text is None, "comes after its done event"
        if last == "delta":
            assert event["delta"] != "", "an empty delta"
            self.text += event["delta"]
        else:
            self.closed_text = event[_DELTAS[stem]]
            assert self.closed_text == self.text, "differs from its deltas"


def _plain(item: Json) -> dict[str, Any]:
    """Without `encrypted_content`, which differs each time it is sent."""
    return {name: value for name, value in item.items() if name != "encrypted_content"}
