"""A response as a chat completion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from providers.types import Json, JsonObject

BETWEEN: Final = "\n\n"
"""Between two messages of one answer, and between two thoughts."""
IMAGES: Final = "images"
DETAILS: Final = "reasoning_details"

_REASONS: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}


def completion_of(response: JsonObject, *, logprobs: bool = False, legacy: bool = False) -> JsonObject:
    """The chat completion that says what `response` says.

    `logprobs`: whether they were asked for; `legacy`: whether a call is told as `function_call`.
    """
    output = response.get("output")
    told = _Told()
    for item in output if isinstance(output, list) else ():
        if isinstance(item, dict):
            told.add(item)
    message = told.message(legacy=legacy)
    choice: JsonObject = {
        "index": 0,
        "message": message,
        "logprobs": {"content": told.logprobs, "refusal": None} if logprobs and told.logprobs else None,
        "finish_reason": finish_of(response, called=bool(told.calls), legacy=legacy),
    }
    return {**head_of(response, "chat.completion"), "choices": [choice], "usage": usage_of(response)}


class _Told:
    """What the items of an answer tell, gathered into one message."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        """Of each message."""
        self.refusals: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[JsonObject] = []
        self.notes: list[Json] = []
        self.logprobs: list[Json] = []
        self.images: list[Json] = []
        self.details: list[Json] = []

    def add(self, item: JsonObject) -> None:
        """The next item. What vendors do on their side by themselves, chat completions don't tell."""
        kind = item.get("type")
        if kind == "message":
            self._message(item)
        elif kind in CALLS:
            self.calls.append(call_of(item))
        elif kind == "reasoning":
            thought = thought_of(item)
            if thought:
                self.thoughts.append(thought)
            self.details += detail_of(item, len(self.details))
        elif kind == "image_generation_call":
            self.images += image_of(item, len(self.images))

    def message(self, *, legacy: bool) -> JsonObject:
        """The message. What has no field in OpenAI's form is there only if there is any of it."""
        refusal = "".join(self.refusals) or None
        content: str | None = BETWEEN.join(self.texts)
        if not content and (self.calls or refusal):
            content = None
        message: JsonObject = {"role": "assistant", "content": content, "refusal": refusal}
        message["annotations"] = self.notes
        if self.thoughts:
            message["reasoning_content"] = BETWEEN.join(self.thoughts)
        for name, found in ((DETAILS, self.details), (IMAGES, self.images)):
            if found:
                message[name] = found
        if legacy and self.calls:
            message["function_call"] = self.calls[0].get("function")
        elif self.calls:
            message["tool_calls"] = [*self.calls]
        return message

    def _message(self, item: JsonObject) -> None:
        text = ""
        start = sum(map(len, self.texts)) + len(BETWEEN) * len(self.texts)
        for part in parts_of(item):
            if part.get("type") == "refusal":
                self.refusals.append(str(part.get("refusal") or ""))
                continue
            for note in objects(part.get("annotations")):
                self.notes += citation_of(note, start + len(text))
            self.logprobs += logprobs_of(part.get("logprobs"))
            text += text_in(part)
        if text:
            self.texts.append(text)


# the parts that streams tell too

CALLS: Final = frozenset({"function_call", "custom_tool_call"})


def head_of(response: JsonObject, kind: str) -> JsonObject:
    """What a completion, and each of its chunks, begins with."""
    identity, created = str(response.get("id") or ""), response.get("created_at")
    head: JsonObject = {
        "id": f"chatcmpl-{identity.removeprefix('resp_')}",
        "object": kind,
        "created": int(created) if isinstance(created, (int, float)) else 0,
        "model": str(response.get("model") or ""),
    }
    for name in ("service_tier", "moderation"):
        if response.get(name) is not None:
            head[name] = response[name]
    return {**head, "system_fingerprint": None}


def finish_of(response: JsonObject, *, called: bool, legacy: bool = False) -> str:
    """Why the model stopped; `called`: whether it has called a tool."""
    if response.get("status") == "incomplete":
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        if reason in _REASONS:
            return _REASONS[str(reason)]
    if called:
        return "function_call" if legacy else "tool_calls"
    return "stop"


def usage_of(response: JsonObject) -> JsonObject | None:
    """The tokens, by the names that they have here; None if nothing was told of them."""
    usage = response.get("usage")
    if not isinstance(usage, dict):
        return None
    given, made = _count(usage.get("input_tokens")), _count(usage.get("output_tokens"))
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": _count(usage.get("total_tokens")) or given + made,
        "prompt_tokens_details": _details(usage.get("input_tokens_details"), "cached_tokens"),
        "completion_tokens_details": _details(usage.get("output_tokens_details"), "reasoning_tokens"),
    }


def _details(told: Json, usual: str) -> JsonObject:
    counts: JsonObject = {name: n for name, n in told.items() if type(n) is int} if isinstance(told, dict) else {}
    return {usual: 0, **counts}


def _count(value: Json) -> int:
    return value if type(value) is int else 0


def call_of(item: JsonObject) -> JsonObject:
    """A call of a tool."""
    name = str(item.get("name") or "")
    call: JsonObject = {"id": str(item.get("call_id") or item.get("id") or "")}
    if item.get("type") == "custom_tool_call":
        return {**call, "type": "custom", "custom": {"name": name, "input": str(item.get("input") or "")}}
    arguments = str(item.get("arguments") or "")
    return {**call, "type": "function", "function": {"name": name, "arguments": arguments}}


def thought_of(item: JsonObject) -> str:
    """What an item of reasoning lets be read: its summary, or else the reasoning itself."""
    return _joined(objects(item.get("summary"))) or _joined(parts_of(item))


def _joined(parts: Iterator[JsonObject]) -> str:
    return BETWEEN.join(filter(None, map(text_in, parts)))


def detail_of(item: JsonObject, number: int) -> list[Json]:
    """Sealed reasoning, which clients can send back: as OpenRouter has it."""
    sealed = item.get("encrypted_content")
    if not isinstance(sealed, str) or not sealed:
        return []
    detail: JsonObject = {"type": "reasoning.encrypted", "index": number, "data": sealed}
    if isinstance(item.get("id"), str):
        detail["id"] = item["id"]
    summary = thought_of(item)
    return [{**detail, "summary": summary} if summary else detail]


def image_of(item: JsonObject, number: int) -> list[Json]:
    """An image that was made, as gateways hand it out: OpenAI's own chat completions make none."""
    made = item.get("result")
    if not isinstance(made, str) or not made:
        return []
    url = f"data:image/{item.get('output_format') or 'png'};base64,{made}"
    return [{"type": "image_url", "index": number, "image_url": {"url": url}}]


def citation_of(note: JsonObject, shift: int) -> list[Json]:
    """A citation of an address, the one kind of annotation that there is here; `shift`: what stands before its part."""
    if note.get("type") != "url_citation":
        return []
    start, end = _count(note.get("start_index")), _count(note.get("end_index"))
    cited = {name: str(note.get(name) or "") for name in ("title", "url")}
    where: JsonObject = {"start_index": start + shift, "end_index": end + shift, **cited}
    return [{"type": "url_citation", "url_citation": where}]


def logprobs_of(told: Json) -> list[Json]:
    """Log probabilities as chat completions have them: all fields are there."""
    return [{"bytes": None, **each, "top_logprobs": _tops(each)} for each in objects(told)]


def _tops(told: JsonObject) -> list[Json]:
    return [{"bytes": None, **each} for each in objects(told.get("top_logprobs"))]


def parts_of(item: JsonObject) -> Iterator[JsonObject]:
    """The parts of an item's content."""
    return objects(item.get("content"))


def objects(value: Json) -> Iterator[JsonObject]:
    """The objects in a list."""
    return (each for each in (value if isinstance(value, list) else ()) if isinstance(each, dict))


def text_in(part: JsonObject) -> str:
    """The text of a part; empty if it has none."""
    text = part.get("text")
    return text if isinstance(text, str) else ""
