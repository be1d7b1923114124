"""What of a response has arrived, kept while it streams, so that a failure after the first output loses nothing."""

from __future__ import annotations

from typing import cast

from providers.types import Json, JsonObject


class Received:
    """Gathers items and text deltas; costs a list append per delta."""

    __slots__ = ("_deltas", "_items", "_other", "_snapshot")

    def __init__(self) -> None:
        self._snapshot: JsonObject = {}
        self._items: dict[int, JsonObject] = {}
        self._deltas: dict[tuple[int, int], list[str]] = {}
        self._other = 0
        """Characters of deltas that are no text: reasoning, arguments of calls."""

    def take(self, kind: Json, event: JsonObject) -> None:
        """Note one event."""
        if kind == "response.output_text.delta":
            index, part, delta = event.get("output_index"), event.get("content_index"), event.get("delta")
            if type(index) is not int or type(part) is not int:  # no call per delta
                index, part = _int(index), _int(part)
            if isinstance(delta, str):
                self._deltas.setdefault((index, part), []).append(delta)
        elif kind in ("response.output_item.added", "response.output_item.done"):
            item = event.get("item")
            if isinstance(item, dict):
                self._items[_int(event.get("output_index"))] = item
        else:
            delta, response = event.get("delta"), event.get("response")
            if type(delta) is str:
                self._other += len(delta)
            elif isinstance(response, dict):
                self._snapshot = response

    @property
    def snapshot(self) -> JsonObject:
        """The newest response object that a lifecycle event carried; empty if there was none."""
        return self._snapshot

    @property
    def tokens(self) -> int:
        """About how many tokens the output has by now, at four characters a token."""
        texts = sum(len(text) for parts in self._deltas.values() for text in parts)
        return -(-(texts + self._other) // 4)

    def response(self) -> JsonObject:
        """The response as far as it arrived: finished items as they came, unfinished messages with their text."""
        output: list[Json] = [self._item(index) for index in sorted({*self._items, *(i for i, _ in self._deltas)})]
        return {**self._snapshot, "output": output or self._snapshot.get("output", [])}

    def _item(self, index: int) -> JsonObject:
        item = self._items.get(index, {"type": "message", "role": "assistant", "status": "in_progress"})
        if item.get("content"):
            return item
        parts = sorted(part for i, part in self._deltas if i == index)
        if not parts:
            return item
        content = [
            {"type": "output_text", "text": "".join(self._deltas[index, part]), "annotations": cast("list[Json]", [])}
            for part in parts
        ]
        return {**item, "content": cast("list[Json]", content)}


def _int(value: Json) -> int:
    return value if isinstance(value, int) else 0
