"""The judge of streams finds what is wrong with a stream."""

import copy
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from responses_protocol import check_stream, parse_sse

from providers.simulated import Behaviour, SimulatedUpstream

Events = list[dict[str, Any]]


@pytest.fixture(scope="module")
def good() -> Events:
    """A stream with reasoning and a message, in the background, each kind of event in it."""
    with SimulatedUpstream.in_thread("east", seed=6, behaviour=Behaviour(tokens=4)) as upstream:
        body = {"input": "x", "stream": True, "background": True, "reasoning": {"summary": "auto"}}
        return parse_sse(httpx.post(f"{upstream.url}/v1/responses", json=body).content)


@pytest.fixture(scope="module")
def call() -> Events:
    """A stream with a function call."""
    with SimulatedUpstream.in_thread("west", seed=6) as upstream:
        tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": {"const": 1}}}}
        body = {"input": "x", "stream": True, "tools": [tool], "tool_choice": "required"}
        return parse_sse(httpx.post(f"{upstream.url}/v1/responses", json=body).content)


def renumbered(events: Events) -> Events:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def test_a_good_stream_passes(good: Events, call: Events) -> None:
    assert check_stream(good)["status"] == "completed"
    assert check_stream(call)["output"][0]["arguments"] == '{"a":1}'
    later = [{**event, "sequence_number": event["sequence_number"] + 3} for event in good]
    assert check_stream(later, first=3)


@given(data=st.data())
def test_no_event_may_be_lost_doubled_or_moved(good: Events, call: Events, data: st.DataObject) -> None:
    events = data.draw(st.sampled_from([good, call]))
    place = data.draw(st.integers(0, len(events) - 1))
    other = data.draw(st.integers(0, len(events) - 1))
    kind = data.draw(st.sampled_from(["drop", "double", "move"]))
    spoilt = list(events)
    if kind == "double":
        spoilt.insert(place, spoilt[place])
    else:
        event = spoilt.pop(place)
        if kind == "move":
            spoilt.insert(other, event)
    spoilt = renumbered(spoilt)
    if spoilt != events:
        with pytest.raises(AssertionError):
            check_stream(spoilt)


@given(data=st.data())
def test_the_end_of_a_stream_is_its_end(good: Events, data: st.DataObject) -> None:
    with pytest.raises(AssertionError):
        check_stream(good[: data.draw(st.integers(0, len(good) - 1))])


def _set(place: int, *path: Any) -> Callable[[Events], None]:
    def spoil(events: Events) -> None:
        *way, last, value = path
        found: Any = events[place]
        for step in way:
            found = found[step]
        found[last] = value

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        _set(3, "sequence_number", 9),
        _set(1, "response", "id", "resp_other"),
        _set(2, "response", "status", "queued"),
        _set(0, "response", "usage", {}),
        _set(0, "response", "output", [1]),
        _set(0, "response", "object", "thing"),
        _set(3, "output_index", 1),
        _set(3, "item", "summary", ["x"]),
        _set(4, "summary_index", 1),
        _set(5, "item_id", "rs_other"),
        _set(5, "summary_index", 1),
        _set(5, "delta", ""),
        _set(7, "text", "other"),
        _set(8, "part", "text", "other"),
        _set(8, "summary_index", 1),
        _set(9, "item", "id", "rs_other"),
        _set(9, "item", "summary", []),
        _set(9, "output_index", 1),
        _set(-2, "item", "content", []),
        _set(-2, "item", "status", "in_progress"),
        _set(-1, "response", "output", []),
        _set(-1, "response", "status", "failed"),
        _set(-1, "response", "error", {"message": "x"}),
        _set(-1, "response", "incomplete_details", {}),
        _set(-1, "response", "usage", "total_tokens", 1),
        _set(-1, "response", "created_at", 1),
    ],
)
def test_every_field_counts(good: Events, spoil: Callable[[Events], None]) -> None:
    events = copy.deepcopy(good)
    spoil(events)
    with pytest.raises(AssertionError):
        check_stream(events)


def test_arguments_must_agree(call: Events) -> None:
    events = copy.deepcopy(call)
    events[-2]["item"]["arguments"] = "{}"
    with pytest.raises(AssertionError, match="arguments differ"):
        check_stream(events)


def test_what_fails_does_not_complete(good: Events) -> None:
    error = {"type": "error", "error": {"message": "m", "type": "t", "code": None, "param": None}}
    failed = {**good[-1]["response"], "status": "failed", "error": {"code": "server_error", "message": "m"}}
    end = {"type": "response.failed", "response": failed}
    assert check_stream(renumbered([*good[:7], error, end]))["status"] == "failed"
    for wrong in ([*good[:7], error, *good[7:]], [*good[:7], error, error, end], [good[0], error, end]):
        with pytest.raises(AssertionError):
            check_stream(renumbered(wrong))
    with pytest.raises(AssertionError, match="without an error"):
        check_stream(renumbered([*good[:7], {**end, "response": {**failed, "error": {"message": ""}}}]))


@pytest.mark.parametrize(
    ("body", "done"),
    [
        (b'event: a\ndata: {"type":"b"}\n\n', False),
        (b'data: {"type":"b"}\nevent: b\n\n', False),
        (b'event: b\ndata: {"type":"b"}\n', False),
        (b"event: b\nid: 1\n\n", False),
        (b'event: b\ndata: {"type":"b"}\n\n', True),
    ],
)
def test_framing_is_checked(body: bytes, done: bool) -> None:
    with pytest.raises(AssertionError):
        parse_sse(body, done_marker=done)


def test_comments_and_markers_are_no_events() -> None:
    body = b': ping\n\nevent: b\ndata: {"type":"b"}\n\ndata: [DONE]\n\n'
    assert parse_sse(body, done_marker=True) == [{"type": "b"}]
