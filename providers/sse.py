"""Incremental decoder for server-sent events that carry JSON.

Follows the WHATWG rules for the byte-order mark, line ends (LF, CR, CRLF), comments, several data lines and fields
without a colon, at any chunking. Two leniencies, both for real servers: a last event without its blank line counts
if its JSON is whole, and `[DONE]` may stand anywhere.
"""

from __future__ import annotations

from providers import jsonio
from providers.errors import MalformedReplyError
from providers.faults import malformed
from providers.types import JsonObject
from providers.views import Event

MAX_FRAME = 64 * 1024 * 1024
"""Bytes one event may have: partial images are several megabytes of base64."""

_BOM = b"\xef\xbb\xbf"


class SseDecoder:
    """Bytes in, events out. Copies each byte a fixed number of times, however small the chunks are."""

    __slots__ = ("_after_cr", "_failed", "_first", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()
        """The beginning of a frame whose end has not arrived."""
        self._first = True
        self._after_cr = False
        self._failed: MalformedReplyError | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """Events completed by `chunk`. A malformed one is raised once those before it are handed out."""
        if self._failed is not None:
            raise self._failed
        if self._first or self._after_cr or b"\r" in chunk:
            chunk = self._normalise(chunk)
        rest = self._rest
        if rest:
            # the blank line may lie on the seam
            searched = len(rest) - 1
            rest += chunk
            if rest.find(b"\n\n", searched) < 0:
                return self._bounded()
            chunk = bytes(rest)
        frames = chunk.split(b"\n\n")
        self._rest = bytearray(frames.pop())
        return self._events(frames) if frames else self._bounded()

    def usage(self) -> JsonObject | None:
        """Nothing beyond what the events show."""
        return None

    def end(self) -> list[Event]:
        """The last event, if its JSON is whole though its blank line is missing."""
        if self._failed is not None:
            raise self._failed
        rest, self._rest = bytes(self._rest), bytearray()
        try:
            event = _event(rest)
        except MalformedReplyError:
            return []  # cut in the middle of an event: the stream lacks its terminal event, and that is what counts
        return [] if event is None else [event]

    def _normalise(self, chunk: bytes) -> bytes:
        """Drop the byte-order mark and make every line end a LF. The mark, and a CRLF, may be split over chunks."""
        if self._first and chunk:
            chunk = bytes(self._rest) + chunk
            self._rest.clear()
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._rest += chunk
                return b""
            self._first = False
            chunk = chunk.removeprefix(_BOM)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _bounded(self) -> list[Event]:
        """No event yet, which is the end of it if the frame has grown too long."""
        if len(self._rest) > MAX_FRAME:
            self._rest = bytearray()
            self._failed = malformed(f"an event of more than {MAX_FRAME} bytes")
            raise self._failed
        return []

    def _events(self, frames: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for frame in frames:
            try:
                event = _event(frame)
            except MalformedReplyError as error:
                self._failed = error
                if not events:
                    raise
                break
            if event is not None:
                events.append(event)
        return events


def _event(frame: bytes) -> Event | None:
    """The event in one frame; None for comments, keep-alives and `[DONE]`."""
    name, between, data = frame.partition(b"\ndata: ")
    if not between or b"\n" in data or not name.startswith(b"event: ") or b"\n" in name:
        name, data = _fields(frame)
    data = data.strip()
    if not data or data == b"[DONE]":
        return None
    try:
        json, raw = jsonio.exact(data)
    except ValueError:
        raise malformed("an event that is not JSON", data) from None
    if not isinstance(json, dict):
        raise malformed("an event that is not a JSON object", data)
    if name == b"event: error" and "type" not in json:
        json["type"], raw = "error", None
    return Event(json, raw)


def _fields(frame: bytes) -> tuple[bytes, bytes]:
    """The line that names the event, and the data, of a frame in its general form."""
    if frame.startswith(b"data: ") and b"\n" not in frame:
        return b"", frame[6:]
    name = b""
    data: list[bytes] = []
    for line in frame.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = b"event: " + value
    return name, b"\n".join(data)
