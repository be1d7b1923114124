"""Arguments of a call that Vertex AI streams value by value, put together again.

Only where `toolConfig.functionCallingConfig.streamFunctionCallArguments` asks for it. Each value comes with its JSON
path (RFC 9535, child segments only: `$.guests[0].name`). Source: google-genai 3.4, `types.PartialArg`.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final, TypeAlias, cast

from providers import jsonio
from providers.faults import malformed
from providers.types import Json, JsonObject

_SEGMENT: Final = re.compile(r"\.([^.\[\]]+)|\[(\d{1,4})\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
_VALUES: Final = ("stringValue", "numberValue", "boolValue", "nullValue")
_Path: TypeAlias = "list[str | int]"


class PartialCall:
    """A call whose arguments are arriving."""

    __slots__ = ("_args", "call_id", "name")

    def __init__(self, call_id: str, name: str, args: Json) -> None:
        self.call_id = call_id
        self.name = name
        self._args: JsonObject = dict(args) if isinstance(args, dict) else {}

    @property
    def arguments(self) -> str:
        """The arguments so far, as JSON."""
        return jsonio.dumps(self._args).decode()

    def add(self, pieces: Json) -> None:
        """The next values, or pieces of texts. Raises `MalformedReplyError` for paths that lead nowhere."""
        for piece in pieces if isinstance(pieces, list) else []:
            if not isinstance(piece, dict):
                raise malformed("an argument that is not an object")
            path = _path(piece.get("jsonPath"))
            kind = next((name for name in _VALUES if name in piece), None)
            if kind is not None:
                self._put(path, None if kind == "nullValue" else piece[kind])

    def _put(self, path: _Path, value: Json) -> None:
        place: Json = self._args
        for key, following in pairwise(path):
            inner = _at(place, key)
            if inner is None:
                inner = [] if isinstance(following, int) else {}
                _set(place, key, inner)
            place = inner
        before = _at(place, path[-1])
        # a text that arrives in pieces
        _set(place, path[-1], before + value if isinstance(before, str) and isinstance(value, str) else value)


def _path(text: Json) -> _Path:
    if not isinstance(text, str) or not text.startswith("$"):
        raise malformed("an argument without a path")
    path: _Path = []
    end = 1
    for match in _SEGMENT.finditer(text, 1):
        if match.start() != end:
            break
        end = match.end()
        name, index, single, double = match.groups()
        quoted = single if single is not None else double
        path.append(int(index) if index is not None else name if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
    if not path or end != len(text):
        raise malformed("an argument with a path that can't be read", text.encode("utf-8", "replace"))
    return path


def _at(place: Json, key: str | int) -> Json:
    if isinstance(place, dict) and isinstance(key, str):
        return place.get(key)
    if isinstance(place, list) and isinstance(key, int):
        return place[key] if key < len(place) else None
    raise malformed("an argument with a path that leads nowhere")


def _set(place: Json, key: str | int, value: Json) -> None:
    """Put what `_at` looked for, which has seen that it can be there."""
    if isinstance(key, str):
        cast("JsonObject", place)[key] = value
        return
    listed = cast("list[Json]", place)
    listed += [None] * (key + 1 - len(listed))
    listed[key] = value
