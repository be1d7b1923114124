"""Incremental decoder of `application/vnd.amazon.eventstream`, the framing of streams from Amazon.

A frame is its own length and that of its headers (each four bytes, big-endian), the CRC-32 of these eight bytes,
headers, payload, and the CRC-32 of all before it. Both checksums are checked, at any chunking.
Source: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html; botocore/eventstream.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from struct import Struct
from struct import error as StructError  # noqa: N812  # it is a class
from typing import Final, TypeAlias
from uuid import UUID
from zlib import crc32

from providers.errors import MalformedReplyError
from providers.faults import malformed

Header: TypeAlias = bool | int | bytes | str | datetime | UUID
"""A header's value."""

MAX_HEADERS: Final = 128 * 1024
MAX_PAYLOAD: Final = 24 * 1024 * 1024
"""Bytes a frame's headers and its payload may have, as at botocore."""

_PRELUDE: Final = Struct(">III")
_CRC: Final = Struct(">I")
_AROUND: Final = _PRELUDE.size + _CRC.size
"""Bytes of a frame besides headers and payload."""
_KNOWN: Final = 64
"""How many different blocks of headers are remembered: a stream has one for each kind of event."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of a stream."""

    headers: Mapping[str, Header]
    payload: bytes = field(repr=False)

    @property
    def kind(self) -> str:
        """The type of the event, or of the exception, that it carries; empty if it says none."""
        headers = self.headers
        kind = headers.get(":event-type") or headers.get(":exception-type") or headers.get(":error-code")
        return kind if isinstance(kind, str) else ""

    @property
    def failed(self) -> bool:
        """Whether it reports an error rather than an event."""
        return self.headers.get(":message-type") in ("exception", "error")


class EventStreamDecoder:
    """Bytes in, frames out."""

    __slots__ = ("_failed", "_known", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()
        """The beginning of a frame whose end has not arrived."""
        self._failed: MalformedReplyError | None = None
        self._known: dict[bytes, Mapping[str, Header]] = {}

    def feed(self, chunk: bytes) -> list[Frame]:
        """Frames completed by `chunk`. A malformed one is raised once those before it are handed out."""
        if self._failed is not None:
            raise self._failed
        rest = self._rest
        rest += chunk
        frames: list[Frame] = []
        start, end = 0, len(rest)
        try:
            while end - start >= _PRELUDE.size:
                size, head = _prelude(rest, start)
                if end - start < size:
                    break
                frames.append(self._frame(rest, start, size, head))
                start += size
        except MalformedReplyError as error:
            self._failed, self._rest = error, bytearray()
            if not frames:
                raise
            return frames
        if start:
            del rest[:start]
        return frames

    def end(self) -> None:
        """The body has ended; a frame that was cut off says nothing. Raises what was malformed and not yet raised."""
        if self._failed is not None:
            raise self._failed

    def _frame(self, data: bytearray, start: int, size: int, head: int) -> Frame:
        end = start + size - _CRC.size
        body = bytes(memoryview(data)[start:end])
        if crc32(body) != _CRC.unpack_from(data, end)[0]:
            raise malformed("a frame whose checksum is wrong")
        split = _PRELUDE.size + head
        block = body[_PRELUDE.size : split]
        headers = self._known.get(block)
        if headers is None:
            headers = _headers(block)
            if len(self._known) < _KNOWN:
                self._known[block] = headers
        return Frame(headers, body[split:])


def _prelude(data: bytearray, start: int) -> tuple[int, int]:
    """Bytes of the frame that begins at `start`, and of its headers."""
    size, head, checksum = _PRELUDE.unpack_from(data, start)
    if crc32(memoryview(data)[start : start + 8]) != checksum:
        raise malformed("the stream is none of Amazon's: the checksum of a frame's lengths is wrong")
    payload = size - head - _AROUND
    if payload < 0 or payload > MAX_PAYLOAD or head > MAX_HEADERS:
        raise malformed(f"a frame of {size} bytes with {head} bytes of headers")
    return size, head


def _headers(block: bytes) -> Mapping[str, Header]:
    """Names are unique and at most 255 bytes long."""
    headers: dict[str, Header] = {}
    at = 0
    try:
        while at < len(block):
            start = at + 1
            at = start + block[at]
            name = block[start:at].decode()
            if name in headers:
                raise malformed(f"a frame with two headers {name!r}")
            headers[name], at = _READERS[block[at]](block, at + 1)
    except (IndexError, KeyError, UnicodeDecodeError, StructError, OverflowError) as error:
        raise malformed(f"a frame whose headers can't be read: {type(error).__name__}") from None
    return headers


_Reader: TypeAlias = Callable[[bytes, int], tuple[Header, int]]


def _number(layout: Struct) -> _Reader:
    def read(block: bytes, at: int) -> tuple[Header, int]:
        value: int = layout.unpack_from(block, at)[0]
        return value, at + layout.size

    return read


_SHORT: Final = Struct(">H")
_LONG: Final = Struct(">q")


def _bytes(block: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int(_SHORT.unpack_from(block, at)[0])
    if end > len(block):
        raise IndexError
    return block[at + 2 : end], end


def _string(block: bytes, at: int) -> tuple[Header, int]:
    value, end = _bytes(block, at)
    return value.decode(), end


def _time(block: bytes, at: int) -> tuple[Header, int]:
    milliseconds: int = _LONG.unpack_from(block, at)[0]
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds), at + 8


def _uuid(block: bytes, at: int) -> tuple[Header, int]:
    if at + 16 > len(block):
        raise IndexError
    return UUID(bytes=block[at : at + 16]), at + 16


_READERS: Final[Mapping[int, _Reader]] = {
    0: lambda _, at: (True, at),
    1: lambda _, at: (False, at),
    2: _number(Struct(">b")),
    3: _number(Struct(">h")),
    4: _number(Struct(">i")),
    5: _number(_LONG),
    6: _bytes,
    7: _string,
    8: _time,
    9: _uuid,
}
"""What reads a value of each type."""
