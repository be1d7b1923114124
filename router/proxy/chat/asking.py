"""One chat completion that is being asked for: what it becomes, what is left out, which names errors go by."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from providers.errors import BadRequestError
from providers.types import Json, JsonObject

_ITEM = re.compile(r"input\[(\d+)\](.*)", re.DOTALL)


@dataclass(slots=True)
class ChatCall:
    """A request for a chat completion, as it becomes one for a response."""

    drop: bool = False
    """Whether what the Responses API has no word for is left out instead of refused."""
    allowed: frozenset[str] = frozenset()
    """Parameters that are passed on as they are, whatever is known of them."""
    body: dict[str, Json] = field(default_factory=dict)
    """The request for a response."""
    dropped: list[str] = field(default_factory=list)
    """Names of the parameters that were left out."""
    names: dict[str, str] = field(default_factory=lambda: {"input": "messages"})
    """What the client calls the parameters of the response."""
    places: list[int] = field(default_factory=list)
    """For each item of the input, the message it is of."""
    usage: bool = False
    """Whether a stream shall end with the usage."""
    logprobs: bool = False
    """Whether log probabilities were asked for."""
    legacy: bool = False
    """Whether a call of a function is to be told as `function_call`, for clients that know no tools."""

    def refuse(self, where: str, why: str) -> None:
        """Leave out what stands at `where`, and note it; or raise `BadRequestError`, if all is to be said."""
        if not self.drop:
            advice = "set drop_params to leave it out"
            raise BadRequestError(
                f"{where}: not supported: {why} ({advice})",
                param=where,
                code="unsupported_parameter",
                type="invalid_request_error",
            )
        self.dropped.append(where)

    def name(self, param: str) -> str:
        """What the client calls `param`, a parameter of the Responses API or a place in one."""
        item = _ITEM.fullmatch(param)
        if item is not None and int(item[1]) < len(self.places):
            return f"messages[{self.places[int(item[1])]}]{item[2].replace('.output', '.content')}"
        for ours in sorted(self.names, key=len, reverse=True):
            if param == ours or param.startswith((f"{ours}.", f"{ours}[")):
                return self.names[ours]
        return param


def wrong(where: str, why: str, code: str = "invalid_value") -> BadRequestError:
    """The error for what can't be meant."""
    return BadRequestError(f"{where}: {why}", param=where, code=code, type="invalid_request_error")


def object_at(value: Json, where: str) -> JsonObject:
    """`value`, which must be an object. Raises `BadRequestError`."""
    if not isinstance(value, dict):
        raise wrong(where, "must be an object")
    return value


def list_at(value: Json, where: str) -> list[Json]:
    """`value`, which must be a list. Raises `BadRequestError`."""
    if not isinstance(value, list):
        raise wrong(where, "must be a list")
    return value


def text_at(json: JsonObject, name: str, where: str) -> str:
    """The text that `json` must have by this name. Raises `BadRequestError`."""
    value = json.get(name)
    if not isinstance(value, str):
        said = "is required" if value is None else "must be a text"
        raise wrong(f"{where}.{name}", said, "missing_required_parameter" if value is None else "invalid_type")
    return value
