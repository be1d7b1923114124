"""Encodes frames of `application/vnd.amazon.eventstream`, as servers of Amazon send them."""

import json
from collections.abc import Mapping
from datetime import datetime
from struct import pack
from uuid import UUID
from zlib import crc32

from providers.aws.eventstream import Header


def frame(headers: Mapping[str, Header], payload: bytes = b"") -> bytes:
    """One frame. Integers take the narrowest type that holds them."""
    block = b"".join(bytes([len(name.encode())]) + name.encode() + _value(value) for name, value in headers.items())
    prelude = pack(">II", len(block) + len(payload) + 16, len(block))
    body = prelude + pack(">I", crc32(prelude)) + block + payload
    return body + pack(">I", crc32(body))


def event(kind: str, payload: object) -> bytes:
    """An event as Bedrock sends it."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode())


def exception(kind: str, message: str) -> bytes:
    """An exception in the midst of a stream."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps({"message": message}).encode())


def _value(value: Header) -> bytes:
    match value:
        case True:
            return b"\0"
        case False:
            return b"\1"
        case int():
            code, layout = next((code, layout) for code, layout, bits in _INTEGERS if -(1 << bits) <= value < 1 << bits)
            return bytes([code]) + pack(layout, value)
        case bytes():
            return b"\6" + pack(">H", len(value)) + value
        case str():
            return b"\7" + pack(">H", len(value.encode())) + value.encode()
        case datetime():
            return b"\10" + pack(">q", round(value.timestamp() * 1000))
        case UUID():
            return b"\11" + value.bytes


_INTEGERS = ((2, ">b", 7), (3, ">h", 15), (4, ">i", 31), (5, ">q", 63))
