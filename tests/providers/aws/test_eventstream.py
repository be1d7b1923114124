"""The decoder against frames made by the encoder, and both against botocore's own."""

from datetime import UTC, datetime
from struct import pack
from typing import Any
from uuid import UUID
from zlib import crc32

import pytest
from amazon_frames import event, exception, frame
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from providers.aws import eventstream
from providers.aws.eventstream import EventStreamDecoder, Frame, Header
from providers.errors import MalformedReplyError

_INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
_TIMES = st.integers(0, 4_000_000_000_000).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC).replace(microsecond=0))
_VALUES = st.one_of(
    st.booleans(), _INT64, st.binary(max_size=40), st.text(max_size=20), _TIMES, st.uuids().map(lambda u: UUID(str(u)))
)
_HEADERS = st.dictionaries(st.text(min_size=1, max_size=20), _VALUES, max_size=5)
_FRAMES = st.lists(st.tuples(_HEADERS, st.binary(max_size=60)), max_size=5)


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def _decoded(chunks: list[bytes]) -> list[Frame]:
    decoder = EventStreamDecoder()
    return [found for chunk in chunks for found in decoder.feed(chunk)]


@given(_FRAMES, st.lists(st.integers(0, 10_000), max_size=12))
def test_any_frames_come_out_as_they_went_in_however_they_are_cut(
    frames: list[tuple[dict[str, Header], bytes]], cuts: list[int]
) -> None:
    chunks = _cut(b"".join(frame(headers, payload) for headers, payload in frames), cuts)
    assert _decoded(chunks) == [Frame(headers, payload) for headers, payload in frames]


@given(_FRAMES)
def test_botocore_reads_the_same(frames: list[tuple[dict[str, Header], bytes]]) -> None:
    """It shows times as milliseconds and UUIDs as bytes."""
    wire = b"".join(frame(headers, payload) for headers, payload in frames)
    theirs = EventStreamBuffer()
    theirs.add_data(wire)
    read: list[Any] = list(theirs)
    raw = {datetime: lambda v: round(v.timestamp() * 1000), UUID: lambda v: v.bytes}
    assert [(message.headers, message.payload) for message in read] == [
        ({name: raw.get(type(v), lambda v: v)(v) for name, v in each.headers.items()}, each.payload)
        for each in _decoded([wire])
    ]


def test_a_frame_of_one_byte_chunks() -> None:
    wire = event("messageStop", {"stopReason": "end_turn"}) * 3
    assert len(_decoded([wire[place : place + 1] for place in range(len(wire))])) == 3


def test_what_a_frame_is() -> None:
    stop, broken = _decoded([event("messageStop", {"a": "é"}) + exception("throttlingException", "slow")])
    assert (stop.kind, stop.failed, stop.payload) == ("messageStop", False, '{"a":"é"}'.encode())
    assert (broken.kind, broken.failed) == ("throttlingException", True)
    (unnamed,) = _decoded([frame({":message-type": "error", ":error-code": "InternalError"})])
    assert (unnamed.kind, unnamed.failed) == ("InternalError", True)
    assert Frame({}, b"").kind == Frame({":event-type": 3}, b"").kind == ""


def test_headers_met_before_are_not_read_again() -> None:
    first, second = _decoded([event("a", 1) + event("a", 2)])
    assert first.headers is second.headers


def test_only_so_many_headers_are_remembered() -> None:
    wire = b"".join(frame({"n": number}) for number in range(200))
    decoder = EventStreamDecoder()
    assert [each.headers["n"] for each in decoder.feed(wire)] == list(range(200))
    assert len(decoder._known) == eventstream._KNOWN


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(place: int, change: int) -> None:
    wire = bytearray(event("contentBlockDelta", {"delta": {"text": "Hello"}, "contentBlockIndex": 0}))
    wire[place % len(wire)] ^= change
    with pytest.raises(MalformedReplyError):
        _decoded([bytes(wire)])


def test_frames_before_a_broken_one_are_handed_out() -> None:
    decoder = EventStreamDecoder()
    assert len(decoder.feed(event("a", 1) + b"<html>Bad gateway</html>")) == 1
    for _ in range(2):
        with pytest.raises(MalformedReplyError, match="none of Amazon's"):
            decoder.feed(b"")
    with pytest.raises(MalformedReplyError, match="none of Amazon's"):
        decoder.end()
    cut = EventStreamDecoder()
    assert cut.feed(event("a", 1)[:-1]) == []
    cut.end()


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (15, 0),
        (16, 1),
        (16 + eventstream.MAX_PAYLOAD + 1, 0),
        (16 + eventstream.MAX_HEADERS + 1, eventstream.MAX_HEADERS + 1),
    ],
)
def test_lengths_that_can_not_be(size: int, head: int) -> None:
    prelude = pack(">II", size, head)
    with pytest.raises(MalformedReplyError, match=f"a frame of {size} bytes"):
        EventStreamDecoder().feed(prelude + pack(">I", crc32(prelude)))


def test_a_frame_of_the_largest_size_is_read() -> None:
    payload = bytes(eventstream.MAX_PAYLOAD)
    assert _decoded([frame({}, payload)])[0].payload == payload


@pytest.mark.parametrize(
    "block",
    [
        b"\1",  # no name
        b"\1a",  # no type
        b"\1a\x0a",  # an unknown type
        b"\1a\4\0\0",  # a number cut short
        b"\1a\6\0\5abc",  # bytes cut short
        b"\1a\7\0",  # a length cut short
        b"\1a\7\0\1\xff",  # no UTF-8
        b"\1\xff\0",  # nor in the name
        b"\1a\x09abc",  # a UUID cut short
        b"\1a\x08\x7f\xff\xff\xff\xff\xff\xff\xff",  # a time beyond all calendars
        b"\1a\0\1a\1",  # one name twice
    ],
)
def test_headers_that_can_not_be_read(block: bytes) -> None:
    prelude = pack(">II", len(block) + 16, len(block))
    body = prelude + pack(">I", crc32(prelude)) + block
    with pytest.raises(MalformedReplyError, match="headers"):
        EventStreamDecoder().feed(body + pack(">I", crc32(body)))
