"""The decoder of streams, against a naive reading of the whole body at once."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsons import OBJECTS

from providers import sse
from providers.errors import MalformedReplyError
from providers.sse import SseDecoder


def decode(*chunks: bytes) -> list[dict[str, Any]]:
    """The events of a body in these chunks."""
    decoder = SseDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [event.to_dict() for event in (*events, *decoder.end())]


def reference(body: bytes) -> list[dict[str, Any]]:
    """What the WHATWG rules make of a whole body: slow, plain, and unlike the decoder in every step."""
    text = body.decode().removeprefix("\ufeff")
    events: list[dict[str, Any]] = []
    name, data = "", list[str]()
    for line in [*re.split("\r\n|\r|\n", text), ""]:
        field, colon, value = line.partition(":")
        if value.startswith(" "):
            value = value[1:]
        if not line:
            found = "\n".join(data)
            if found and found != "[DONE]":
                event = json.loads(found)
                events.append({"type": "error", **event} if name == "error" else event)
            name, data = "", []
        elif colon and not field:
            continue
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
    return events


def cut(body: bytes, places: list[int]) -> list[bytes]:
    """The body in chunks, cut at places given as any integers."""
    ends = sorted(place % (len(body) + 1) for place in places)
    return [body[start:end] for start, end in zip([0, *ends], [*ends, len(body)], strict=True)]


LINE_ENDS = st.sampled_from(["\n", "\r", "\r\n"])
IGNORED = st.sampled_from(
    [": ping", ":", "id: 7", "id", "retry: 3000", "event: ping", "event", "data", "data:", "xdata: {", ""]
)
WORDS = st.dictionaries(
    st.sampled_from(["type", "delta", "error", "n"]), st.text(st.characters(codec="utf-8")) | st.none() | st.integers()
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Streams of events as servers may write them, line ends mixed, ended with a blank line or not."""
    lines: list[str] = []
    for event in draw(st.lists(WORDS, max_size=4)):
        lines += draw(st.lists(IGNORED, max_size=2))
        lines += draw(st.sampled_from([[], ["event: response.created"], ["event:error"], ["event: error"]]))
        text = json.dumps(event, ensure_ascii=False, indent=draw(st.sampled_from([None, 1])))
        space = draw(st.sampled_from(["", " "]))
        lines += [f"data:{space}{line}" for line in text.split("\n")]
        lines += draw(st.sampled_from([[], [": comment"], ["id: 1"]]))
        lines.append("")
    lines += draw(st.sampled_from([[], ["data: [DONE]"], ["data: [DONE]", ""], ["data:[DONE]", "", ": bye"]]))
    if not draw(st.booleans()):
        lines = lines[:-1] if lines and not lines[-1] else lines  # the last blank line is missing
    text = draw(st.sampled_from(["", "\ufeff"]))
    for line in lines:
        end = draw(LINE_ENDS)
        # a CR and a LF that ends the next, empty line would be one line end
        text += line + ("\r\n" if end == "\n" and not line and text.endswith("\r") else end)
    return text.encode()


@given(bodies(), st.lists(st.integers(0, 10**6), max_size=12))
@example(b"\xef\xbb\xbfdata: {}\n\n", [1, 2])
@example(b"data: {}\r\n\r\n", [9, 10, 11])
@example(b"data: {}\r\rdata: {}\n\r\n", [9, 10, 20])
@example(b'data: {"delta":"\xf0\x9f\x8f\xa0"}\n\n', [17, 18, 19])
@example(b'\r\n\n\ndata: {"n":1}', [])
def test_any_chunking_gives_what_the_whole_gives(body: bytes, places: list[int]) -> None:
    expected = reference(body)
    assert decode(*cut(body, places)) == expected
    assert decode(body) == expected


@given(bodies())
def test_byte_by_byte(body: bytes) -> None:
    assert decode(*(body[i : i + 1] for i in range(len(body)))) == reference(body)


@given(st.lists(OBJECTS, max_size=4), st.lists(st.integers(0, 10**6), max_size=6))
def test_any_json_arrives_as_it_was_sent(events: list[dict[str, Any]], places: list[int]) -> None:
    body = b"".join(b"event: x\ndata: %b\n\n" % json.dumps(event).encode() for event in events)
    assert decode(*cut(body, places)) == events


@given(st.binary(max_size=60), st.lists(st.integers(0, 100), max_size=5))
def test_garbage_is_refused_with_one_kind_of_error(body: bytes, places: list[int]) -> None:
    def outcome(chunks: list[bytes]) -> object:
        try:
            return decode(*chunks)
        except MalformedReplyError as error:
            return str(error)

    assert outcome(cut(body, places)) == outcome([body])


@pytest.mark.parametrize(
    "frame",
    [
        b": ping",
        b"event: ping",
        b"event: ping\ndata:",
        b"event: ping\ndata: ",
        b"id: 7",
        b"id",
        b"retry: 10",
        b"data",
        b"",
    ],
)
def test_frames_without_data_are_no_events(frame: bytes) -> None:
    assert decode(frame + b"\n\n", b'data: {"n":1}\n\n', frame + b"\n\n") == [{"n": 1}]


@pytest.mark.parametrize("done", [b"data: [DONE]", b"data:[DONE]", b"data: [DONE] ", b"event: done\ndata: [DONE]"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
def test_the_end_mark_is_no_event(done: bytes, end: bytes) -> None:
    assert decode(b'data: {"n":1}\n\n' + done + end) == [{"n": 1}]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n"])
def test_a_last_event_without_its_blank_line_counts(end: bytes) -> None:
    decoder = SseDecoder()
    assert decoder.feed(b'event: x\ndata: {"n":1}' + end) == []
    assert [event.to_dict() for event in decoder.end()] == [{"n": 1}]
    assert decoder.end() == []


@pytest.mark.parametrize(
    "rest", [b'data: {"n":', b"data: nonsense", b"data: 7", b'event: x\ndata: {"n":"\xf0\x9f', b"da"]
)
def test_a_last_event_that_is_cut_off_is_no_event(rest: bytes) -> None:
    assert decode(b'data: {"n":1}\n\n' + rest) == [{"n": 1}]


def test_an_error_frame_without_a_type_gets_one() -> None:
    assert decode(b'event: error\ndata: {"message":"x"}\n\n') == [{"message": "x", "type": "error"}]
    assert decode(b'event: error\ndata: {"type":"own"}\n\n') == [{"type": "own"}]
    assert decode(b'event: other\ndata: {"message":"x"}\n\n') == [{"message": "x"}]


@pytest.mark.parametrize(
    ("frame", "what"),
    [
        (b"data: <html>\n\n", "an event that is not JSON: '<html>'"),
        (b"data: 7\n\n", "an event that is not a JSON object: '7'"),
        (b"data: " + b"[" * 100_000 + b"\n\n", "an event that is not JSON"),
    ],
)
def test_a_malformed_event_is_raised_once_those_before_it_are_out(frame: bytes, what: str) -> None:
    good = b'data: {"n":1}\n\n'
    for rest in (good, b""):
        decoder = SseDecoder()
        assert len(decoder.feed(good + good + frame + rest)) == 2
        for _ in range(2):
            with pytest.raises(MalformedReplyError, match=f"^{re.escape(what)}"):
                decoder.feed(good)
        with pytest.raises(MalformedReplyError, match=f"^{re.escape(what)}"):
            decoder.end()


def test_nothing_follows_a_malformed_event() -> None:
    decoder = SseDecoder()
    with pytest.raises(MalformedReplyError, match="not JSON"):
        decoder.feed(b'data: x\n\ndata: {"n":1}\n\n')
    with pytest.raises(MalformedReplyError, match="not JSON"):
        decoder.feed(b'data: {"n":1}\n\n')


@pytest.mark.parametrize("size", [1, 7, 1_000, 20_000])
def test_an_event_may_not_grow_without_end(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_FRAME", 10_000)
    decoder = SseDecoder()
    for _ in range(10_000 // size):
        assert decoder.feed(b"x" * size) == []
    for _ in range(2):
        with pytest.raises(MalformedReplyError, match="more than 10000 bytes"):
            decoder.feed(b"x" * size)
    with pytest.raises(MalformedReplyError, match="more than 10000 bytes"):
        decoder.feed(b"\n\n")


def test_many_events_may_be_longer_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_FRAME", 100)
    frame = b'data: {"n":"%b"}\n\n' % (b"x" * 50)
    assert len(decode(*[frame[:30], frame[30:]] * 20, frame * 20)) == 40


class CountedBytes(bytearray):
    """A buffer that counts the bytes it is asked to look at and to copy."""

    work = 0

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        CountedBytes.work += len(self) - start
        return super().find(sub, start)

    def __iadd__(self, other: Any) -> CountedBytes:  # type: ignore[misc]  # the base returns Self
        CountedBytes.work += len(other)
        super().__iadd__(other)
        return self

    def __bytes__(self) -> bytes:
        CountedBytes.work += len(self)
        return bytes(memoryview(self))


@pytest.mark.parametrize("size", [1, 1_024])
def test_a_large_event_in_small_chunks_costs_linear_work(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "bytearray", CountedBytes, raising=False)
    length = 200_000 if size == 1 else 2_000_000
    frame = b'data: {"b64":"%b"}\n\n' % (b"x" * length)
    decoder, CountedBytes.work = SseDecoder(), 0
    events = [event for start in range(0, len(frame), size) for event in decoder.feed(frame[start : start + size])]
    assert [len(event["b64"]) for event in events] == [length]
    assert len(frame) <= CountedBytes.work <= 5 * len(frame)
