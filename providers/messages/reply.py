"""What Claude answers, told by a narrator: whole messages and streams alike.

A message is a list of blocks; a stream opens, fills and closes them one by one. Texts that follow each other are one
text, as citations cut it in pieces. Source: platform.claude.com/docs, build-with-claude/streaming; Messages API
reference, `ContentBlock`, `RawMessageStreamEvent`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from providers import jsonio
from providers.errors import StreamInterruptedError
from providers.faults import malformed
from providers.messages.blame import error_of_frame
from providers.messages.formats import TOOL, asks_for_json
from providers.messages.generations import seal_family
from providers.messages.searches import annotation, record
from providers.messages.usage import Counts
from providers.translation.narrator import Narrator, Reason
from providers.translation.sealed import seal
from providers.types import Call, Deployment, Json, JsonObject

_ENDS: Final[Mapping[str, Reason | None]] = {
    "end_turn": None,
    "stop_sequence": None,
    "tool_use": None,
    "max_tokens": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "pause_turn": "max_output_tokens",
    "refusal": "content_filter",
}
"""`pause_turn`: the vendor's own tools took too long; the turn is to be continued, so it is not complete."""
_USUAL: Final = frozenset({"end_turn", "tool_use", "max_tokens"})
_SERVED: Final = frozenset({"server_tool_use", "mcp_tool_use"})
"""Calls of tools that the vendor runs."""
_DECLINED: Final = "The model declined to answer."


class Reply:
    """Follows one answer, block by block."""

    __slots__ = (
        "_arguments", "_began", "_block", "_call", "_citations", "_counts", "_deployment", "_details", "_kind",
        "_narrator", "_reason", "_searches", "_served", "_signature", "_texts",
    )  # fmt: skip

    def __init__(self, narrator: Narrator, call: Call, deployment: Deployment) -> None:
        self._narrator = narrator
        self._call = call
        self._deployment = deployment
        self._counts = Counts()
        self._reason: str | None = None
        self._details: Json = None
        self._block: JsonObject = {}
        self._kind = ""
        """Type of the block that is open."""
        self._texts: list[str] = []
        self._signature = ""
        self._arguments: list[str] = []
        self._citations: list[JsonObject] = []
        self._began = 0
        """Where the open text begins, in the text that is told."""
        self._searches: dict[str, JsonObject] = {}
        """What the vendor's own tools were asked, by the ids of the calls, until the results are there."""
        self._served: list[Json] = []
        """Their calls and results, as they came."""

    # the frames of a stream

    def hear(self, frame: JsonObject) -> None:
        """One frame of a stream. Raises the `APIError` that it reports, if nothing was told yet."""
        kind = frame.get("type")
        if kind == "content_block_delta":
            self._delta(_object(frame["delta"]))
        elif kind == "content_block_start":
            self.open(_object(frame["content_block"]))
        elif kind == "content_block_stop":
            self.close()
        elif kind == "message_start":
            self.start(_object(frame["message"]))
        elif kind == "message_delta":
            self._counts.take(frame.get("usage"))
            self.stop(_object(frame["delta"]))
        elif kind == "message_stop":
            self.finish()
        elif kind == "error" or frame.get("error"):
            self._narrator.fail(error_of_frame(frame), self._counts.whole())

    def end(self) -> None:
        """The body has ended. What said why it stopped is whole, though its last frame is missing."""
        if self._reason is not None:
            self.finish()
        elif self._narrator.started:
            cut = StreamInterruptedError("the stream ended before its last event")
            self._narrator.fail(cut, self._counts.whole())  # what was read is paid for all the same

    def usage(self) -> JsonObject | None:
        """What was told so far."""
        return self._counts.whole()

    # a message

    def whole(self, message: JsonObject) -> None:
        """A whole message. Raises the `APIError` that it reports instead."""
        if message.get("type") == "error" or (message.get("error") and "content" not in message):
            raise error_of_frame(message)
        self.start(message)
        for block in cast("list[Json]", message["content"]):
            self.open(_object(block))
            self.close()
        self.stop(message)
        self.finish()

    def start(self, message: JsonObject) -> None:
        """The message begins."""
        if self._narrator.started:
            raise malformed("the message begins twice")
        model = message.get("model")
        self._counts.take(message.get("usage"))
        self._narrator.start(model if isinstance(model, str) else None)

    def open(self, block: JsonObject) -> None:
        """A block begins; in a whole message it has all its content."""
        if not self._narrator.started:
            raise malformed("content before the message begins")
        self.close()
        self._block, self._kind, self._arguments = block, str(block.get("type")), []
        if self._kind == "text":
            self._began = self._narrator.said
            self._citations = [_object(each) for each in cast("list[Json]", block.get("citations") or [])]
            self._narrator.text(_string(block.get("text") or ""))
        elif self._kind == "thinking":
            self._narrator.close()
            self._texts, self._signature = [], _string(block.get("signature") or "")
            self._think(_string(block.get("thinking") or ""))
        elif self._kind == "tool_use" and not self._answers(block):
            self._narrator.call(_string(block["id"]), _string(block["name"]))

    def _delta(self, delta: JsonObject) -> None:
        kind = delta.get("type")
        if kind == "text_delta":
            self._narrator.text(_string(delta["text"]))
        elif kind == "input_json_delta":
            self._argue(_string(delta["partial_json"]))
        elif kind == "thinking_delta":
            self._think(_string(delta["thinking"]))
        elif kind == "signature_delta":
            self._signature += _string(delta["signature"])
        elif kind == "citations_delta":
            self._citations.append(_object(delta["citation"]))

    def close(self) -> None:
        """The block that is open, if any, ends. Its item stays open where the next block, or the end, will tell how
        it ends."""
        kind, block = self._kind, self._block
        if kind == "text":
            for citation in self._citations:
                self._narrator.annotate(annotation(citation, self._began, self._narrator.said))
        elif kind == "thinking":
            self._close_thought()
        elif kind == "tool_use":
            self._close_call(block)
        elif kind in _SERVED:
            self._searches[_string(block["id"])] = {**block, "input": self._parsed(block)}
        elif kind:
            self._close_other(kind, block)
        self._kind, self._block = "", {}

    def stop(self, delta: JsonObject) -> None:
        """Why the message ended."""
        reason = delta.get("stop_reason")
        if isinstance(reason, str):
            self._reason = reason
        self._details = delta.get("stop_details") or self._details

    def finish(self) -> None:
        """The message is whole. Raises `MalformedReplyError` if nothing said why it ended."""
        reason = self._reason
        if reason is None:
            raise malformed("the message ended without a stop_reason")
        self.close()
        for use in self._searches.values():
            self._tell(record(use, None))
        narrator = self._narrator
        if reason == "pause_turn" and self._served:
            narrator.close()
            self._seal(self._served)  # to be given back, so that the turn goes on where it stopped
        if reason == "refusal":
            narrator.refusal(_explanation(self._details))
        if reason not in _USUAL:  # of what is told otherwise the same, or not at all
            narrator.response["stop_reason"] = reason
        if self._counts.tier is not None:
            narrator.response["service_tier"] = self._counts.tier
        narrator.finish(_ENDS.get(reason), self._counts.whole())

    # parts

    def _think(self, text: str) -> None:
        self._texts.append(text)
        self._narrator.think(text)

    def _close_thought(self) -> None:
        if self._signature:
            thought: JsonObject = {"type": "thinking", "thinking": "".join(self._texts), "signature": self._signature}
            self._seal([thought])
        else:  # it was cut off, or the server signs nothing: it can't be given back
            self._narrator.close()

    def _seal(self, blocks: list[Json]) -> None:
        deployment, wildcard = self._deployment, self._call.wildcard
        model = deployment.model.replace("*", wildcard, 1) if wildcard else deployment.model
        self._narrator.seal(seal(seal_family(deployment, model), blocks))

    def _argue(self, piece: str) -> None:
        self._arguments.append(piece)
        if self._kind == "tool_use":
            if self._answers(self._block):
                self._narrator.text(piece)
            else:
                self._narrator.arguments(piece)

    def _close_call(self, block: JsonObject) -> None:
        """Arguments that did not come in pieces came with the block."""
        given = block.get("input")
        if not any(self._arguments) and (given or self._answers(block)):
            self._argue(jsonio.dumps(given).decode())

    def _parsed(self, block: JsonObject) -> Json:
        text = "".join(self._arguments)
        if not text:
            return block.get("input")
        try:
            return jsonio.loads(text)
        except ValueError:
            return {}

    def _close_other(self, kind: str, block: JsonObject) -> None:
        narrator, use = self._narrator, self._searches.pop(str(block.get("tool_use_id")), None)
        if kind == "redacted_thinking":
            narrator.close()
            self._seal([block])
        elif use is not None:
            self._served += [use, block]
            self._tell(record(use, block))
        else:  # whatever it is, the caller sees it as it came
            narrator.item({"type": f"anthropic:{kind}", "block": block}, "item")

    def _tell(self, item: JsonObject) -> None:
        """An item for what the vendor did. Only of searches there are events that tell their stages."""
        searched = item["type"] == "web_search_call"
        stages = ("in_progress", "searching", "completed") if item["status"] == "completed" else ("in_progress",)
        self._narrator.item(item, "ws" if searched else "item", *(stages if searched else ()))

    def _answers(self, block: JsonObject) -> bool:
        """Whether it is the tool whose arguments are the answer."""
        return block.get("name") == TOOL and asks_for_json(self._call, self._deployment)


def _string(value: Json) -> str:
    """A string. Raises `TypeError` for anything else: what was told can't be taken back, so it is looked at before."""
    if type(value) is not str:
        raise TypeError("not a string")
    return value


def _object(value: Json) -> JsonObject:
    """An object. Raises `TypeError` for anything else."""
    if type(value) is not dict:
        raise TypeError("not an object")
    return value


def _explanation(details: Json) -> str:
    if not isinstance(details, dict):
        return _DECLINED
    text, category = details.get("explanation"), details.get("category")
    if isinstance(text, str) and text:
        return text
    return f"{_DECLINED[:-1]} ({category})." if isinstance(category, str) else _DECLINED
