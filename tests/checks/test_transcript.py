"""Turns: what is kept of a call and its answer, how it is stored, how it is strung together."""

from __future__ import annotations

import random
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsons import OBJECTS

from checks.affinity import transcript
from checks.affinity.transcript import Broken, Turn, chain, decode, encode, items_of
from providers.types import Call, Verb
from providers.views import OutputItem

USER: dict[str, Any] = {"type": "message", "role": "user", "content": "hello"}
SAID: dict[str, Any] = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "hi"}],
}
ANSWER: dict[str, Any] = {"id": "resp_2", "created_at": 1_700_000_000, "status": "completed", "output": [SAID]}


def call(**body: object) -> Call:
    return Call("gpt", body={"input": "hello", **body})


def turn(response_id: str = "resp_2", previous: str | None = None, **more: Any) -> Turn:
    return Turn(response_id, previous, (dict(USER),), (dict(SAID),), **more)


# Turn.of


def test_a_call_and_its_answer_make_a_turn() -> None:
    made = Turn.of(call(previous_response_id="resp_1"), ANSWER)
    assert made == Turn("resp_2", "resp_1", (USER,), (SAID,), group="gpt", created=1_700_000_000.0)


def test_what_is_in_the_extra_body_is_what_was_sent() -> None:
    given = Call("gpt", body={"input": "no", "store": False}, extra_body={"input": "hello", "store": True})
    made = Turn.of(given, ANSWER)
    assert made is not None
    assert made.input == (USER,)


def test_items_may_be_objects_of_an_sdk() -> None:
    made = Turn.of(call(input=[USER, OutputItem(SAID)]), ANSWER)
    assert made is not None
    assert made.input == (USER, SAID)


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (call(store=False), ANSWER),
        (Call("gpt", Verb.COMPACT, {"input": "hello"}), ANSWER),
        (call(input=[1]), ANSWER),
        (call(input=5), ANSWER),
        (call(input=[object()]), ANSWER),
        (call(), {**ANSWER, "id": None}),
        (call(), {**ANSWER, "id": ""}),
        (call(), {**ANSWER, "output": None}),
        (call(), {**ANSWER, "output": ["text"]}),
        (call(), {"id": "resp_2"}),
    ],
)
def test_what_cannot_be_continued_is_no_turn(given: Call, answer: dict[str, Any]) -> None:
    assert Turn.of(given, answer) is None


@pytest.mark.parametrize(("echo", "kept"), [({}, True), ({"store": True}, True), ({"store": False}, False)])
def test_whether_the_deployment_keeps_it(echo: dict[str, Any], kept: bool) -> None:
    made = Turn.of(call(), {**ANSWER, **echo})
    assert made is not None
    assert made.store is kept


@pytest.mark.parametrize("value", ["conv_1", {"id": "conv_1"}])
def test_a_hosted_conversation_is_remembered(value: object) -> None:
    made = Turn.of(call(conversation=value), ANSWER)
    assert made is not None
    assert made.conversation == "conv_1"


@pytest.mark.parametrize("value", [None, "", {}, {"id": 5}, 5])
def test_what_names_no_conversation_is_none(value: object) -> None:
    made = Turn.of(call(conversation=value, previous_response_id=value), ANSWER)
    assert made is not None
    assert (made.conversation, made.previous_response_id) == (None, None)


@pytest.mark.parametrize("value", [None, "now", -1, float("nan"), float("inf"), 10**400])
def test_a_time_that_cannot_be_is_none(value: Any) -> None:
    made = Turn.of(call(), {**ANSWER, "created_at": value})
    assert made is not None
    assert made.created == 0.0


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_background_response_is_told_to_its_end(status: str) -> None:
    begun = Turn.of(call(), {**ANSWER, "status": status, "output": []})
    assert begun is not None
    assert (begun.finished, begun.output) == (False, ())
    assert begun.updated({"id": "resp_2"}) is begun
    ended = begun.updated(ANSWER)
    assert ended == Turn.of(call(), ANSWER)


def test_input_is_items() -> None:
    assert items_of(None) == ()
    assert items_of("hello") == (USER,)
    assert items_of([]) == ()
    assert items_of({"role": "user"}) is None


# bytes


@given(
    input=st.lists(OBJECTS, max_size=3).map(tuple),
    output=st.lists(OBJECTS, max_size=3).map(tuple),
    store=st.booleans(),
    finished=st.booleans(),
    conversation=st.none() | st.text(),
)
def test_a_turn_survives_its_bytes(input: Any, output: Any, **more: Any) -> None:
    kept = Turn("resp_é", None, input, output, group="g", created=1.5, **more)
    data = encode(kept)
    assert data is not None
    assert decode(data) == kept


@given(st.binary(max_size=200))
def test_garbage_is_no_turn(data: bytes) -> None:
    assert decode(data) is None
    assert decode(b"\x01" + data) is None


def packed(value: object) -> bytes:
    return b"\x01" + zlib.compress(msgspec.json.encode(value))


def test_bytes_of_another_version_or_shape_are_no_turn() -> None:
    data = encode(turn())
    assert data is not None
    assert decode(b"\x02" + data[1:]) is None
    assert decode(data[:-1]) is None
    assert decode(packed(["resp_1"])) is None
    assert decode(packed({"response_id": "resp_1"})) is None
    assert decode(b"\x01" + zlib.compress(b"{not json")) is None


def test_a_turn_above_the_limit_has_no_bytes() -> None:
    data = encode(turn())
    assert data is not None
    assert encode(turn(), limit=len(data)) == data
    assert encode(turn(), limit=len(data) - 1) is None


class Counted:
    """A compressor that counts what it is given."""

    def __init__(self, level: int) -> None:
        self.given = 0
        self._inner = zlib.compressobj(level)

    def compress(self, data: bytes) -> bytes:
        self.given += len(data)
        return self._inner.compress(data)

    def flush(self) -> bytes:
        return self._inner.flush()


def test_packing_stops_as_soon_as_it_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = random.Random(1).randbytes(800_000).hex()
    big = Turn("resp_1", None, ({"role": "user", "content": noise},), ())
    data = encode(big)
    assert data is not None
    assert 800_000 < len(data) < transcript.MAX_TURN_BYTES
    assert decode(data) == big
    made = Counted(1)
    monkeypatch.setattr(zlib, "compressobj", lambda level: made)
    assert encode(big, limit=100_000) is None
    assert made.given < 600_000


def test_nothing_huge_is_packed_or_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(turn(group="g" * 5000))
    assert data is not None
    monkeypatch.setattr(transcript, "_LARGEST", 5000)
    assert encode(turn(group="g" * 5000)) is None
    assert decode(data) is None


def test_what_has_no_json_has_no_bytes() -> None:
    assert encode(Turn("resp_1", None, ({"n": 10**5000},), ())) is None


# chains


class Shelf:
    """A `TranscriptStore` over a dict, which counts what it is asked."""

    def __init__(self, *turns: Turn) -> None:
        self.turns = {turn.response_id: turn for turn in turns}
        self.asked = 0

    async def get(self, response_id: str, *, fresh: bool = False) -> Turn | None:
        self.asked += 1
        return self.turns.get(response_id)

    async def put(self, turn: Turn, *, ttl: float) -> None:
        raise NotImplementedError

    async def delete(self, response_id: str) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


FIRST, SECOND, THIRD = turn("a"), turn("b", "a"), turn("c", "b")


async def test_a_chain_begins_with_its_oldest_turn() -> None:
    assert await chain(Shelf(FIRST, SECOND, THIRD, turn("d", "a")), "c") == [FIRST, SECOND, THIRD]


async def test_a_missing_link_is_named() -> None:
    broken = await chain(Shelf(SECOND, THIRD), "c")
    assert broken == Broken("missing", "a")
    assert str(broken) == "there is no transcript of response 'a'"


async def test_a_cycle_is_named() -> None:
    shelf = Shelf(turn("a", "c"), SECOND, THIRD)
    broken = await chain(shelf, "c")
    assert broken == Broken("cycle", "c")
    assert str(broken) == "response 'c' is its own predecessor"
    assert shelf.asked == 3


async def test_a_chain_of_as_many_turns_as_are_allowed() -> None:
    shelf = Shelf(FIRST, SECOND, THIRD)
    assert await chain(shelf, "c", max_turns=3) == [FIRST, SECOND, THIRD]
    shelf.asked = 0
    broken = await chain(shelf, "c", max_turns=2)
    assert broken == Broken("too long", "a", 2)
    assert str(broken) == "its transcript has more than 2 turns, counted back to 'a'"
    assert shelf.asked == 2


async def test_a_chain_of_as_many_bytes_as_are_allowed() -> None:
    shelf = Shelf(FIRST, SECOND, THIRD)
    size = FIRST.size
    assert size == len(msgspec.json.encode([[USER], [SAID]]))
    assert await chain(shelf, "c", max_bytes=3 * size) == [FIRST, SECOND, THIRD]
    broken = await chain(shelf, "c", max_bytes=3 * size - 1)
    assert broken == Broken("too large", "a", 3 * size - 1)
    assert str(broken) == f"its transcript has more than {3 * size - 1} bytes, counted back to 'a'"
