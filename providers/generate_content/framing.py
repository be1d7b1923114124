"""Cuts a streamed reply of Google's into frames: server-sent events, or the plain JSON that some errors are sent as."""

from __future__ import annotations

from typing import Final

from providers import jsonio
from providers.faults import malformed
from providers.sse import MAX_FRAME, SseDecoder
from providers.types import JsonObject

_SPACE: Final = b" \t\r\n\xef\xbb\xbf"


class GeminiFraming:
    """Server-sent events without names; a body that begins like JSON is taken for JSON, whole at its end."""

    __slots__ = ("_events", "_json", "_started")

    def __init__(self) -> None:
        self._events = SseDecoder()
        self._json: bytearray | None = None
        self._started = False

    def feed(self, chunk: bytes) -> list[JsonObject]:
        """Frames completed by `chunk`. Raises `MalformedReplyError`."""
        if not self._started:
            first = chunk.lstrip(_SPACE)[:1]
            if first:
                self._started = True
                if first in (b"{", b"["):
                    self._json = bytearray()
        if self._json is None:
            return [event.to_dict() for event in self._events.feed(chunk)]
        self._json += chunk
        if len(self._json) > MAX_FRAME:
            raise malformed(f"a body of more than {MAX_FRAME} bytes")
        return []

    def end(self) -> list[JsonObject]:
        """Frames left when the body has ended."""
        if self._json is None:
            return [event.to_dict() for event in self._events.end()]
        body = bytes(self._json)
        try:
            json = jsonio.loads(body)
        except ValueError:
            raise malformed("the stream is neither events nor JSON", body) from None
        return [each for each in (json if isinstance(json, list) else [json]) if isinstance(each, dict)]
