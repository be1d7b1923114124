"""Answers in the shape of Google's documentation, and the events and responses that they become.

`<name>.sse` is a stream and `<name>.json` the same as a whole reply; `<name>.events.json` are the events of the stream.
`requests/<name>.json` are calls with what they become on the wire.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from gemini_talk import AT_STUDIO, STUDIO, call, encoded, told
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st
from responses_protocol import check_stream

from providers.errors import APIError
from providers.generate_content.signatures import blocks
from providers.types import Call, HttpReply

FIXTURES = Path(__file__).parents[2] / "fixtures" / "generate_content"
STREAMS = sorted(path.stem for path in FIXTURES.glob("*.sse"))
WHOLE = sorted(path.stem for path in FIXTURES.glob("*.json") if not path.stem.endswith(".events"))
REQUESTS = sorted(path.stem for path in FIXTURES.glob("requests/*.json"))

_MINTED = re.compile(r"call_[0-9a-f]{24}")


def body(name: str) -> bytes:
    return (FIXTURES / f"{name}.sse").read_bytes()


def read(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text("utf-8"))


def readable(json_: Any) -> Any:
    """With ids that were minted for calls numbered, for they are random, and with what is sealed unsealed."""
    text = json.dumps(_unsealed(json_))
    for place, minted in enumerate(dict.fromkeys(_MINTED.findall(text))):
        text = text.replace(minted, f"call_{place}")
    return json.loads(text)


def _unsealed(json_: Any) -> Any:
    if isinstance(json_, list):
        return [_unsealed(each) for each in json_]
    if isinstance(json_, dict):
        sealed = json_.get("encrypted_content")
        opened = {"encrypted_content": blocks(sealed)} if sealed is not None else {}
        return {name: _unsealed(value) for name, value in json_.items()} | opened
    return json_


def uncut(json_: Any) -> Any:
    """Without how a signed text was cut: a whole reply does not cut it."""
    if isinstance(json_, list):
        return [uncut(each) for each in json_]
    if isinstance(json_, dict):
        return {
            name: "cut" if name == "text" and isinstance(value, list) else uncut(value) for name, value in json_.items()
        }
    return json_


@pytest.mark.parametrize("name", STREAMS)
def test_streams_become_these_events(name: str) -> None:
    events = told(body(name))
    check_stream(events)
    assert readable(events) == read(f"{name}.events")


@pytest.mark.parametrize("name", sorted({*STREAMS} & {*WHOLE}))
def test_whole_replies_become_the_response_that_ends_the_stream(name: str) -> None:
    response = STUDIO.decode(HttpReply(200, {}, json.dumps(read(name)).encode()), call(), AT_STUDIO)
    final = check_stream(told(body(name)))
    assert uncut(readable(response.to_dict())) == uncut(readable(final))


@pytest.mark.parametrize("name", STREAMS)
def test_fixtures_are_of_the_shape_that_googles_client_knows(name: str) -> None:
    frames = [json.loads(line[6:]) for line in body(name).split(b"\r\n\r\n") if line]
    if name in WHOLE:
        frames.append(read(name))
    for each in frames:
        if "error" not in each:
            types.GenerateContentResponse.model_validate(each)


@given(st.sampled_from(STREAMS), st.data())
def test_any_chunking_of_any_stream_makes_the_same_events(name: str, data: st.DataObject) -> None:
    content = body(name)
    cuts = data.draw(st.lists(st.integers(0, len(content)), max_size=9))
    assert readable(told(content, *cuts)) == read(f"{name}.events")


@given(st.sampled_from(STREAMS), st.data())
def test_a_stream_that_is_cut_anywhere_fails_or_is_whole(name: str, data: st.DataObject) -> None:
    content = body(name)
    end = data.draw(st.integers(0, len(content)))
    try:
        final = check_stream(told(content[:end]))
    except APIError:
        return
    if final["status"] != "failed":
        assert final == check_stream(told(content)) | {"output": final["output"]}


@pytest.mark.parametrize("name", REQUESTS)
def test_calls_become_these_requests(name: str) -> None:
    fixture = read(f"requests/{name}")
    asked = Call("google", body=fixture["body"], history=tuple(fixture.get("history", ())))
    request = encoded(asked, vertex=fixture.get("vertex", False), model=fixture["model"])
    assert json.loads(request.content) == fixture["wire"]
    assert list(request.dropped) == fixture.get("dropped", [])
