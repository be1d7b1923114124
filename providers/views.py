"""Attribute access over upstream JSON, lossless and cheap.

A view holds the parsed JSON and nothing else: no validation pass, no copy, no filter. Known fields that did not
arrive read as None, as in the OpenAI SDK; unknown fields read like known ones if they arrived.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from inspect import get_annotations
from typing import Any, ClassVar, Self

from providers import jsonio
from providers.routing import Routing as Routing
from providers.types import Json

_set = object.__setattr__  # looked up once: there may be hundreds of events to a call


class View:
    """Reads a JSON object by attribute or by key; nested objects and lists come back as views."""

    __slots__ = ("_json",)
    _children: ClassVar[Mapping[str, type[View]]] = {}
    _known: ClassVar[frozenset[str]] = frozenset()
    _json: dict[str, Json]

    def __init_subclass__(cls) -> None:
        names = {name for base in cls.__mro__ for name in get_annotations(base)}
        cls._known = frozenset(name for name in names if not name.startswith("_"))

    def __init__(self, json: dict[str, Json]) -> None:
        object.__setattr__(self, "_json", json)

    def __getattr__(self, name: str) -> Any:
        try:
            value = self._json[name]
        except KeyError:
            if name in self._known:
                return None
            raise AttributeError(self._missing(name)) from None
        if type(value) is str:
            return value
        return _wrap(value, self._children.get(name, View))

    def _missing(self, name: str) -> str:
        close = get_close_matches(name, [*self._json, *self._known], n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{type(self).__name__} has no field {name!r}{hint}"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is a view of what arrived; change a copy: to_dict()")

    def __getitem__(self, key: str) -> Any:
        return _wrap(self._json[key], self._children.get(key, View))

    def __contains__(self, key: object) -> bool:
        return key in self._json

    def __iter__(self) -> Iterator[str]:
        return iter(self._json)

    def __len__(self) -> int:
        return len(self._json)

    def keys(self) -> Iterator[str]:
        """Names of the fields that arrived; makes `dict(view)` and `**view` work."""
        return iter(self._json)

    def get(self, key: str, default: Any = None) -> Any:
        """The field, or `default` if it did not arrive."""
        return self[key] if key in self._json else default

    def __eq__(self, other: object) -> bool:
        if isinstance(other, View):
            return self._json == other._json
        return self._json == other if isinstance(other, dict) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal by content, so not hashable

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._json,)

    def __repr__(self) -> str:
        text = ", ".join(f"{key}={value!r}" for key, value in self._json.items())
        return f"{type(self).__name__}({text if len(text) < 500 else text[:500] + '…'})"

    def to_dict(self) -> dict[str, Json]:
        """The JSON exactly as it arrived: the object itself, not a copy."""
        return self._json

    def to_json(self) -> str:
        """The JSON as text."""
        return jsonio.dumps(self._json).decode()

    model_dump = to_dict
    model_dump_json = to_json


def _wrap(value: Json, kind: type[View]) -> Any:
    if type(value) is dict:
        return kind(value)
    if type(value) is list:
        return [_wrap(item, kind) for item in value]
    return value


class Content(View):
    """A part of a message."""

    __slots__ = ()
    type: str
    text: str
    annotations: list[View]
    refusal: str
    logprobs: list[View] | None


class Summary(View):
    """A part of a reasoning summary."""

    __slots__ = ()
    type: str
    text: str


class OutputItem(View):
    """An item of `response.output`: a message, a function call, reasoning, or any other type."""

    __slots__ = ()
    _children = {"content": Content, "summary": Summary}
    type: str
    id: str
    status: str | None
    role: str
    content: list[Content]
    name: str
    arguments: str
    call_id: str
    summary: list[Summary]
    encrypted_content: str | None
    output: Any
    phase: str | None


class InputTokensDetails(View):
    """Where the input tokens went."""

    __slots__ = ()
    cached_tokens: int
    cache_write_tokens: int | None


class OutputTokensDetails(View):
    """Where the output tokens went."""

    __slots__ = ()
    reasoning_tokens: int


class Usage(View):
    """Token counts of one response."""

    __slots__ = ()
    _children = {"input_tokens_details": InputTokensDetails, "output_tokens_details": OutputTokensDetails}
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens_details: OutputTokensDetails


class ResponseError(View):
    """`response.error`."""

    __slots__ = ()
    code: str | None
    message: str


class IncompleteDetails(View):
    """Why a response is incomplete."""

    __slots__ = ()
    reason: str | None


class Routed(View):
    """A view that knows who served it."""

    __slots__ = ("_raw", "_routing")
    _routing: Routing | None
    _raw: bytes | None  # what the JSON was read from, if that may be passed on as it is

    def __init__(self, json: dict[str, Json], routing: Routing | None = None, raw: bytes | None = None) -> None:
        object.__setattr__(self, "_json", json)
        object.__setattr__(self, "_routing", routing)
        object.__setattr__(self, "_raw", raw)

    @property
    def raw(self) -> bytes:
        """The JSON as it arrived, byte for byte; of an answer that was changed or made here, compact JSON."""
        return jsonio.dumps(self._json) if self._raw is None else self._raw

    @property
    def routing(self) -> Routing:
        """Who served this, after which attempts. Raises `AttributeError` on a view that no Router returned."""
        if self._routing is None:
            raise AttributeError  # from a property, so `__getattr__` is asked next, and says it
        return self._routing

    def _missing(self, name: str) -> str:
        if name == "routing":
            return "this view was not returned by a Router, so it has no routing"
        return super()._missing(name)

    def served_by(self, routing: Routing) -> Self:
        """This view, knowing who served it. Called once, by the Router."""
        object.__setattr__(self, "_routing", routing)
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._json, self._routing)


class Response(Routed):
    """A response object of the Responses API."""

    __slots__ = ()
    _children = {
        "output": OutputItem,
        "usage": Usage,
        "error": ResponseError,
        "incomplete_details": IncompleteDetails,
    }
    id: str
    object: str
    created_at: float
    completed_at: float | None
    status: str | None
    background: bool | None
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    instructions: Any
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: View | None
    model: str
    output: list[OutputItem]
    parallel_tool_calls: bool
    previous_response_id: str | None
    conversation: View | None
    prompt: View | None
    prompt_cache_key: str | None
    reasoning: View | None
    safety_identifier: str | None
    service_tier: str | None
    store: bool | None
    temperature: float | None
    text: View | None
    tool_choice: Any
    tools: list[View]
    top_logprobs: int | None
    top_p: float | None
    truncation: str | None
    usage: Usage | None
    user: str | None

    @property
    def output_text(self) -> str:
        """All `output_text` parts of all messages, joined; empty if there are none."""
        texts: list[str] = []
        output = self._json.get("output")
        for item in output if isinstance(output, list) else ():
            if not isinstance(item, dict) or item.get("type") != "message":
                continue
            parts = item.get("content")
            for part in parts if isinstance(parts, list) else ():
                text = part.get("text") if isinstance(part, dict) and part.get("type") == "output_text" else None
                if isinstance(text, str):
                    texts.append(text)
        return "".join(texts)


class Conversation(Routed):
    """A conversation that a deployment keeps."""

    __slots__ = ()
    id: str
    object: str
    created_at: float
    metadata: View | None


class ConversationItem(OutputItem, Routed):
    """One item of a conversation."""

    __slots__ = ()


class ItemPage(Routed):
    """A page of `input_items`, or of a conversation's items."""

    __slots__ = ()
    _children = {"data": OutputItem}
    object: str
    data: list[OutputItem]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(Routed):
    """The answer to a delete."""

    __slots__ = ()
    id: str
    object: str
    deleted: bool


class CompactedResponse(Routed):
    """The answer to a compact."""

    __slots__ = ()
    _children = {"output": OutputItem, "usage": Usage}
    id: str
    object: str
    created_at: float
    output: list[OutputItem]
    usage: Usage | None


class InputTokens(Routed):
    """The answer to a count of input tokens."""

    __slots__ = ()
    object: str
    input_tokens: int


class Event(View):
    """One event of a stream."""

    __slots__ = ("_raw",)
    _raw: bytes | None  # what the JSON was read from, if that may be passed on as it is
    _children = {"response": Response, "item": OutputItem, "part": Content}
    type: str
    sequence_number: int
    response: Response
    delta: Any
    text: str
    item: OutputItem
    part: Content
    item_id: str
    output_index: int
    content_index: int
    summary_index: int
    arguments: str
    refusal: str
    code: str | None
    message: str
    param: str | None

    def __init__(self, json: dict[str, Json], raw: bytes | None = None) -> None:
        _set(self, "_json", json)
        _set(self, "_raw", raw)

    @property
    def raw(self) -> bytes:
        """The JSON as it arrived, byte for byte; of an event that was changed or made here, compact JSON."""
        return jsonio.dumps(self._json) if self._raw is None else self._raw
