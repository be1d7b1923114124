"""Tells what Converse answers, whole or streamed: both go the same way, so they agree.

Source: botocore 1.44.5, bedrock-runtime/2023-09-30, ConverseResponse and ConverseStreamOutput.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final, cast

from providers import jsonio
from providers.aws.eventstream import EventStreamDecoder, Frame
from providers.aws.faults import error_in_stream
from providers.converse.citations import annotation
from providers.errors import InternalServerError
from providers.faults import malformed
from providers.translation.narrator import Narrator, Reason, usage_of
from providers.translation.sealed import seal
from providers.types import Json, JsonObject

_REASONS: Final[Mapping[str, Reason | None]] = {
    "end_turn": None,
    "tool_use": None,
    "stop_sequence": None,
    "pause_turn": None,
    "max_tokens": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
}
_FAILED: Final = frozenset({"malformed_model_output", "malformed_tool_use"})
_EXCEPTION: Final = "exception"
"""The key of a frame that reports an error."""


class Frames:
    """Cuts a body into frames: each as `{kind: payload}`."""

    __slots__ = ("_frames",)

    def __init__(self) -> None:
        self._frames = EventStreamDecoder()

    def feed(self, chunk: bytes) -> list[JsonObject]:
        """Frames completed by `chunk`. Raises `MalformedReplyError`."""
        return [_json(frame) for frame in self._frames.feed(chunk)]

    def end(self) -> list[JsonObject]:
        """Frames left when the body has ended. Raises `MalformedReplyError` for what came after the last one."""
        self._frames.end()
        return []


def _json(frame: Frame) -> JsonObject:
    if frame.failed:
        return {_EXCEPTION: {"type": frame.kind, "detail": _detail(frame)}}
    try:
        return {frame.kind: jsonio.loads(frame.payload)}
    except ValueError:
        raise malformed("an event that is not JSON", frame.payload) from None


def _detail(frame: Frame) -> JsonObject:
    try:
        json = jsonio.loads(frame.payload)
    except ValueError:
        json = None
    said = frame.headers.get(":error-message")
    return json if isinstance(json, dict) else {"message": said if isinstance(said, str) else ""}


class Listening:
    """Follows one answer."""

    __slots__ = (
        "_claude",
        "_family",
        "_from",
        "_image",
        "_narrator",
        "_seals",
        "_search",
        "_sign",
        "_spent",
        "_stop",
        "_thought",
        "_usage",
    )

    def __init__(self, narrator: Narrator, family: str, *, claude: bool) -> None:
        """`family`: under which name reasoning is sealed; `claude`: whether in the words of Anthropic's API."""
        self._narrator = narrator
        self._family = family
        self._claude = claude
        self._thought: list[str] = []
        self._sign: list[str] = []
        self._seals: list[Json] = []
        """Redacted reasoning."""
        self._search: list[str] | None = None
        """The input of the search that Amazon runs."""
        self._image: tuple[str, list[bytes]] | None = None
        self._from = 0
        """Where in the text that is open the block that is open began."""
        self._stop: str | None = None
        self._usage: JsonObject | None = None
        self._spent = 0
        """Tokens of reasoning."""

    # a stream

    def hear(self, frame: JsonObject) -> None:
        """One frame. Raises the `APIError` that it reports."""
        kind, payload = next(iter(frame.items()))
        json = cast("JsonObject", payload)
        if kind == "contentBlockDelta":
            delta = cast("JsonObject", json["delta"])
            if "text" in delta:
                self._narrator.text(cast("str", delta["text"]))
            else:
                self._delta(delta)
        elif kind == "messageStart":
            self._narrator.start()
        elif kind == "contentBlockStart":
            self._open(cast("JsonObject", json["start"]))
        elif kind == "contentBlockStop":
            self._close()
        elif kind == "messageStop":
            self._note_stop(json)
        elif kind == "metadata":
            self._note_usage(json)
            self.end()
        elif kind == _EXCEPTION:
            raise error_in_stream(cast("str", json["type"]), cast("JsonObject", json["detail"]))

    def end(self) -> None:
        """The body has ended: well, if the model said that it stops. How much it took may not be known."""
        stop, narrator = self._stop, self._narrator
        if stop is None:
            return
        if stop in _FAILED:
            narrator.fail(InternalServerError(f"the model's output is malformed: {stop}", code=stop), self.usage())
            return
        # a word that we don't know is passed on, for whoever reads it to see
        narrator.finish(_REASONS.get(stop, cast("Reason", stop)), self.usage())

    def _open(self, start: JsonObject) -> None:
        use, image = start.get("toolUse"), start.get("image")
        if isinstance(use, dict):
            if use.get("type") == "server_tool_use":
                self._search = []
            else:
                self._narrator.call(cast("str", use["toolUseId"]), cast("str", use["name"]))
        elif isinstance(image, dict):
            self._image = (cast("str", image["format"]), [])

    def _delta(self, delta: JsonObject) -> None:
        use, thought, citation, image = (
            delta.get(name) for name in ("toolUse", "reasoningContent", "citation", "image")
        )
        if isinstance(use, dict):
            self._input(cast("str", use["input"]))
        elif isinstance(thought, dict):
            self._reason(thought)
        elif isinstance(citation, dict):
            self._narrator.annotate(annotation(citation, self._from, self._narrator.said))
        elif isinstance(image, dict) and self._image is not None:
            self._image[1].append(base64.b64decode(cast("str", cast("JsonObject", image["source"])["bytes"])))

    def _input(self, piece: str) -> None:
        if self._search is not None:
            self._search.append(piece)
        else:
            self._narrator.arguments(piece)

    def _reason(self, said: JsonObject) -> None:
        text = said.get("text")
        if isinstance(text, str):
            self._thought.append(text)
            self._narrator.think(text)
        if isinstance(said.get("signature"), str):
            self._sign.append(cast("str", said["signature"]))
        if said.get("redactedContent"):
            self._seals.append(said["redactedContent"])

    def _close(self) -> None:
        """A block ends. Texts that follow each other are one; a call is cut off if nothing but the limit follows."""
        narrator = self._narrator
        if self._thought or self._sign or self._seals:
            self._close_reasoning()
        elif self._search is not None:
            narrator.item(_searched("".join(self._search)), "ws", "in_progress", "searching", "completed")
            self._search = None
        elif self._image is not None:
            form, pieces = self._image
            drawn: JsonObject = {"type": "image_generation_call", "status": "completed", "output_format": form}
            narrator.item({**drawn, "result": base64.b64encode(b"".join(pieces)).decode()}, "ig")
            self._image = None
        self._from = narrator.said

    def _close_reasoning(self) -> None:
        text, signature = "".join(self._thought), "".join(self._sign)
        claude = self._claude
        blocks: list[Json] = []
        if signature and claude:
            blocks.append({"type": "thinking", "thinking": text, "signature": signature})
        elif signature:
            blocks.append({"reasoningText": {"text": text, "signature": signature}})
        blocks.extend(
            {"type": "redacted_thinking", "data": each} if claude else {"redactedContent": each} for each in self._seals
        )
        if blocks:
            self._narrator.seal(seal(self._family, blocks))
        else:
            self._narrator.close()
        self._thought, self._sign, self._seals = [], [], []

    # a whole reply

    def read(self, json: JsonObject) -> None:
        """The body of a reply, from the beginning to the end."""
        message = cast("JsonObject", cast("JsonObject", json["output"])["message"])
        self._narrator.start()
        for block in cast("list[JsonObject]", message["content"]):
            self._block(block)
        self._note_stop(json)
        self._note_usage(json)
        self.end()

    def _block(self, block: JsonObject) -> None:
        name, value = next(iter(block.items()), ("", None))
        if name == "text":
            self._narrator.text(cast("str", value))
        elif not isinstance(value, dict):
            return
        elif name == "toolUse":
            self._open(block)
            self._input(jsonio.dumps(value.get("input", {})).decode())
        elif name == "reasoningContent":
            text = value.get("reasoningText")
            self._reason(text if isinstance(text, dict) else value)
        elif name == "citationsContent":
            self._cited(value)
        elif name == "image":
            self._open(block)
            self._delta(block)
        self._close()

    def _cited(self, value: JsonObject) -> None:
        for piece in cast("list[JsonObject]", value.get("content") or []):
            self._narrator.text(cast("str", piece["text"]))
        for citation in cast("list[JsonObject]", value.get("citations") or []):
            self._delta({"citation": citation})

    # how it ended

    def _note_stop(self, json: JsonObject) -> None:
        stop = self._stop = cast("str", json["stopReason"])
        self._note_fields(json.get("additionalModelResponseFields"))
        if _REASONS.get(stop, stop) is None:
            self._narrator.close()

    def _note_usage(self, json: JsonObject) -> None:
        usage, tier = json.get("usage"), json.get("serviceTier")
        if isinstance(usage, dict):
            self._usage = usage
        if isinstance(tier, dict) and isinstance(tier.get("type"), str):
            self._narrator.response["service_tier"] = tier["type"]

    def _note_fields(self, fields: Json) -> None:
        if not isinstance(fields, dict):
            return
        usage = fields.get("usage")
        nested = usage.get("output_tokens_details") if isinstance(usage, dict) else None
        details = nested or fields.get("/usage/output_tokens_details")
        spent = details.get("thinking_tokens") if isinstance(details, dict) else None
        self._spent = spent if type(spent) is int else 0

    def usage(self) -> JsonObject | None:
        """Bedrock's input does not include what was read from and written to the cache."""
        usage = self._usage
        if usage is None:
            return None
        read, written = (
            cast("int", usage.get("cacheReadInputTokens", 0)),
            cast("int", usage.get("cacheWriteInputTokens", 0)),
        )
        total = cast("int", usage["inputTokens"]) + read + written
        return usage_of(
            total,
            cast("int", usage["outputTokens"]),
            cached=read,
            written=written,
            written_1h=_kept_for_an_hour(usage.get("cacheDetails")),
            reasoning=self._spent,
        )


def _kept_for_an_hour(details: Json) -> int:
    """Of the tokens that were written to the cache, those that are kept for an hour."""
    told = cast("list[JsonObject]", details or [])
    return sum(cast("int", each["inputTokens"]) for each in told if each.get("ttl") == "1h")


def _searched(text: str) -> JsonObject:
    try:
        value = jsonio.loads(text)
    except ValueError:
        value = None
    query = value.get("query") if isinstance(value, dict) else None
    action: JsonObject = {"type": "search", "query": query if isinstance(query, str) else text}
    return {"type": "web_search_call", "status": "completed", "action": action}
