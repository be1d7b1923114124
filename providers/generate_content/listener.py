"""Follows a reply of Google's, whole or streamed, and tells it: a whole one is a stream of one frame.

Sources: ai.google.dev/api/generate-content#GenerateContentResponse; google-genai 3.4, `types.Part`.
"""

from __future__ import annotations

from typing import Final, cast

from providers.generate_content.ending import conclude, tier, usage
from providers.generate_content.errors import error_in
from providers.generate_content.grounding import citations, searches
from providers.generate_content.logprobs import logprobs
from providers.generate_content.partial import PartialCall
from providers.generate_content.signatures import Pieces, sealed
from providers.generate_content.thinking import generation
from providers.translation.narrator import Narrator
from providers.types import Json, JsonObject

_GROUNDS: Final = ("groundingMetadata", "citationMetadata")


class GeminiListener:
    """Tells one reply as its frames come. Each is a `GenerateContentResponse`; the first candidate alone is heard."""

    __slots__ = ("_blocked", "_code", "_grounds", "_narrator", "_partial", "_pieces", "_stopped", "_texts", "_usage")

    def __init__(self, narrator: Narrator) -> None:
        self._narrator = narrator
        self._texts: list[str] = []
        """Of the message that is open."""
        self._pieces = Pieces()
        self._partial: PartialCall | None = None
        self._code: JsonObject | None = None
        """Code whose result is awaited."""
        self._grounds: JsonObject = {}
        self._stopped: JsonObject | None = None
        """The candidate that said why the model stopped."""
        self._blocked = False
        self._usage: JsonObject | None = None

    def hear(self, frame: JsonObject) -> None:
        """One frame. Raises the `APIError` that it reports."""
        if frame.get("error") is not None:
            raise error_in(frame)
        narrator = self._narrator
        if not narrator.started:
            model = frame.get("modelVersion")
            narrator.start(model if isinstance(model, str) else None)
        candidates = frame.get("candidates")
        if candidates:
            self._candidate(cast("list[JsonObject]", candidates)[0])
        metadata = frame.get("usageMetadata")
        if isinstance(metadata, dict):
            self._usage = metadata
        feedback = frame.get("promptFeedback")
        if isinstance(feedback, dict) and feedback.get("blockReason"):
            self._blocked = True

    def end(self) -> None:
        """The reply has ended: the response with it, if the model said why it stopped."""
        if self._stopped is None and not self._blocked:
            return
        incomplete = self._stopped is None or self._stopped["finishReason"] != "STOP"
        self._cite(incomplete=incomplete)
        self._end_text(incomplete=incomplete)
        self._end_code(None)
        if self._partial is not None:
            self._tell_call(self._partial)
        narrator, counted = self._narrator, self.usage()
        if self._usage is not None:
            narrator.response["service_tier"] = tier(self._usage) or narrator.response["service_tier"]
        if self._stopped is None:
            narrator.finish("content_filter", counted)
            return
        message = self._stopped.get("finishMessage")
        conclude(narrator, str(self._stopped["finishReason"]), message if isinstance(message, str) else None, counted)

    def usage(self) -> JsonObject | None:
        """What was told last: it counts from the start."""
        return None if self._usage is None else usage(self._usage, searched="groundingMetadata" in self._grounds)

    def _candidate(self, candidate: JsonObject) -> None:
        content = candidate.get("content")
        if content:
            likely = logprobs(candidate.get("logprobsResult"))
            for part in cast("list[JsonObject]", cast("JsonObject", content).get("parts") or ()):
                likely = self._part(part, likely)
        for name in _GROUNDS:
            grounds = candidate.get(name)
            if isinstance(grounds, dict):
                self._grounds[name] = {**cast("JsonObject", self._grounds.get(name) or {}), **grounds}
        if candidate.get("finishReason"):
            self._stopped = candidate

    def _part(self, part: JsonObject, likely: list[Json]) -> list[Json]:
        """One part. Returns the log probabilities that are yet to be told."""
        text = part.get("text")
        if part.get("thought"):
            self._think(part)
        elif text is not None:
            self._say(cast("str", text), part, likely)
            return []
        elif "functionCall" in part:
            self._call(cast("JsonObject", part["functionCall"]), cast("str | None", part.get("thoughtSignature")))
        elif "executableCode" in part:
            self._end_text()
            self._end_code(None)
            self._code = part
        elif "codeExecutionResult" in part:
            self._end_text()
            self._end_code(part)
        elif part:
            self._end_text()
            self._other(part)
        return likely

    # what is said and thought

    def _think(self, part: JsonObject) -> None:
        """A summary of thoughts; of the images that thoughts may be, the last comes again as the answer."""
        text = part.get("text")
        if not isinstance(text, str):
            return
        self._end_text()
        self._narrator.think(text)
        if "thoughtSignature" in part:
            self._narrator.seal(sealed({"part": part}))

    def _say(self, text: str, part: JsonObject, likely: list[Json]) -> None:
        signature = cast("str | None", part.get("thoughtSignature"))
        if text or self._texts:
            self._narrator.text(text, likely)
            self._texts.append(text)
            self._pieces.add(text, signature)
        elif signature is not None:
            self._narrator.seal(sealed({"part": part}))

    def _end_text(self, *, incomplete: bool = False) -> None:
        """The text is whole, or cut off: only now is its message closed, however many of its pieces were signed."""
        if not self._texts:
            return
        pieces, self._texts, self._pieces = self._pieces, [], Pieces()
        self._narrator.close(incomplete=incomplete)
        if pieces.signed:
            self._narrator.seal(pieces.sealed())

    def _cite(self, *, incomplete: bool) -> None:
        """Say where the text comes from, and that it was searched for."""
        if self._texts:
            for citation in citations(self._grounds, "".join(self._texts)):
                self._narrator.annotate(citation)
        metadata = self._grounds.get("groundingMetadata")
        if not isinstance(metadata, dict):
            return
        version = generation(str(self._narrator.response["model"])).version
        for search in searches(metadata, each=version is None or version >= (3, 0)):
            self._end_text(incomplete=incomplete)
            self._narrator.item(search, "ws", "in_progress", "searching", "completed")

    # what is done

    def _call(self, call: JsonObject, signature: str | None) -> None:
        """A call, whole, or a piece of one."""
        partial = self._partial
        if partial is None:
            self._end_text()
            if signature is not None:
                self._narrator.seal(sealed({"call": signature}))
            partial = PartialCall(cast("str", call.get("id") or ""), cast("str", call["name"]), call.get("args"))
        partial.add(call.get("partialArgs"))
        if call.get("willContinue"):
            self._partial = partial
        else:
            self._tell_call(partial)
            self._narrator.close()

    def _tell_call(self, call: PartialCall) -> None:
        self._narrator.call(call.call_id, call.name)
        self._narrator.arguments(call.arguments)
        self._partial = None

    def _end_code(self, result: JsonObject | None) -> None:
        """The code that Google ran, with what it printed."""
        parts = [part for part in (self._code, result) if part is not None]
        if not parts:
            return
        code = cast("JsonObject", (self._code or {}).get("executableCode") or {})
        printed = cast("JsonObject", (result or {}).get("codeExecutionResult") or {}).get("output")
        item: JsonObject = {
            "type": "code_interpreter_call",
            "status": "completed",
            "code": code.get("code"),
            "container_id": "",
            "outputs": [{"type": "logs", "logs": printed}] if printed else [],
        }
        self._code = None
        self._narrator.item(item, "ci", "in_progress", "interpreting", "completed")
        self._narrator.seal(sealed(*[cast("JsonObject", {"part": part}) for part in parts]))

    def _other(self, part: JsonObject) -> None:
        """An image, which is an item; or what is none, such as a call of Google's own tools, and must come back."""
        blob = part.get("inlineData")
        if not isinstance(blob, dict) or not str(blob.get("mimeType")).startswith("image/"):
            self._narrator.seal(sealed({"part": part}))
            return
        image: JsonObject = {"type": "image_generation_call", "status": "completed", "result": blob.get("data")}
        image["output_format"] = str(blob["mimeType"]).removeprefix("image/")
        self._narrator.item(image, "ig", "in_progress", "generating", "completed")
        if "thoughtSignature" in part:
            self._narrator.seal(sealed({"image": part["thoughtSignature"]}))
