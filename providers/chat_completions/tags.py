"""Reasoning that stands in the text, between `<think>` and `</think>` at its beginning."""

from __future__ import annotations

from typing import Final, Literal

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


class ThinkTags:
    """Parts reasoning from text as both arrive, cut anywhere. Tags that stand elsewhere are text."""

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._state: Literal["start", "inside", "after", "outside"] = "start"
        self._held = ""

    @property
    def outside(self) -> bool:
        """Whether all that follows is text."""
        return self._state == "outside"

    def feed(self, text: str) -> tuple[str, str]:
        """Reasoning and text that `text` makes known."""
        text, self._held = self._held + text, ""
        if self._state == "start":
            text = self._begin(text)
        thought = ""
        if self._state == "inside":
            thought, text = self._inside(text)
        if self._state == "after":
            text = text.lstrip()
            if text:
                self._state = "outside"
        return (thought, text) if self._state == "outside" else (thought, "")

    def end(self) -> tuple[str, str]:
        """What was held back: what might have become a tag."""
        held, self._held = self._held, ""
        return (held, "") if self._state == "inside" else ("", held)

    def _begin(self, text: str) -> str:
        bare = text.lstrip()
        if bare.startswith(_OPEN):
            self._state = "inside"
            return bare[len(_OPEN) :].lstrip("\n")
        if _OPEN.startswith(bare):
            self._held = text
            return ""
        self._state = "outside"
        return text

    def _inside(self, text: str) -> tuple[str, str]:
        thought, tag, rest = text.partition(_CLOSE)
        if tag:
            self._state = "after"
            return thought, rest
        for length in range(min(len(_CLOSE) - 1, len(text)), 0, -1):
            if text.endswith(_CLOSE[:length]):
                self._held = text[-length:]
                return text[:-length], ""
        return text, ""
