"""Notes on the sources of a text."""

from __future__ import annotations

import re
from typing import Final

from providers.translation.narrator import Narrator
from providers.types import Json, JsonObject

_MARK: Final = re.compile(r"\[(\d{1,3})\]")


def flat(annotation: JsonObject) -> JsonObject:
    """A note of chat completions, `{"type": T, T: {…}}`, as the Responses API writes it."""
    kind = annotation.get("type")
    inner = annotation.get(kind) if isinstance(kind, str) else None
    return {"type": kind, **inner} if isinstance(inner, dict) else annotation


class Sources:
    """What a vendor that searches the web lists beside the text, in which `[1]` stands for the first of them."""

    __slots__ = ("_found", "_text")

    def __init__(self) -> None:
        self._found: list[JsonObject] = []
        self._text: list[str] = []

    def hear(self, json: JsonObject) -> None:
        """The list, in a reply or any chunk: that with titles, if there is one."""
        results, addresses = json.get("search_results"), json.get("citations")
        if isinstance(results, list) and results:
            self._found = [each for each in results if isinstance(each, dict)]
        elif isinstance(addresses, list) and addresses and not self._found:
            self._found = [{"url": each} for each in addresses if isinstance(each, str)]

    def said(self, text: str) -> None:
        """Text that may name sources."""
        self._text.append(text)

    def tell(self, narrator: Narrator) -> None:
        """A note for each time the open text names a source; for those that it does not name, one at its end."""
        length = narrator.said
        if not self._found or not length:
            return
        text = "".join(self._text)[-length:]
        named: set[int] = set()
        for mark in _MARK.finditer(text):
            number = int(mark[1]) - 1
            if 0 <= number < len(self._found):
                named.add(number)
                narrator.annotate(_citation(self._found[number], mark.start(), mark.end()))
        for number, source in enumerate(self._found):
            if number not in named:
                narrator.annotate(_citation(source, len(text), len(text)))


def _citation(source: JsonObject, start: int, end: int) -> JsonObject:
    url: Json = source.get("url")
    title = source.get("title")
    return {
        "type": "url_citation",
        "start_index": start,
        "end_index": end,
        "url": url,
        "title": title if title else url,
    }
