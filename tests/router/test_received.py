"""What of a response has arrived, put together from its events."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from router.received import Received


def received(*events: dict[str, Any]) -> dict[str, Any]:
    gathered = Received()
    for event in events:
        gathered.take(event.get("type"), event)
    return gathered.response()


def delta(text: Any, index: Any = 0, part: Any = 0) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "output_index": index, "content_index": part, "delta": text}


def added(item: Any, index: Any = 0, kind: str = "added") -> dict[str, Any]:
    return {"type": f"response.output_item.{kind}", "output_index": index, "item": item}


def texts(response: dict[str, Any]) -> list[list[str]]:
    return [[part["text"] for part in item["content"]] for item in response["output"]]


def test_nothing() -> None:
    assert received() == {"output": []}
    assert received({"type": "response.created", "response": {"id": "r", "output": ["kept"]}}) == {
        "id": "r",
        "output": ["kept"],
    }
    assert received({"type": "response.created", "response": "no object"}) == {"output": []}


def test_an_unfinished_message_has_the_text_so_far() -> None:
    response = received(
        {"type": "response.created", "response": {"id": "r", "output": []}},
        added({"id": "m", "type": "message", "role": "assistant", "content": []}),
        delta("Hel"),
        delta("lo"),
        delta("second", part=1),
    )
    assert response["id"] == "r"
    (message,) = response["output"]
    assert (message["id"], message["role"]) == ("m", "assistant")
    assert texts(response) == [["Hello", "second"]]


def test_a_finished_item_is_as_it_came() -> None:
    item = {"id": "m", "type": "message", "content": [{"type": "output_text", "text": "Hello", "logprobs": [1]}]}
    response = received(added({"id": "m", "type": "message"}), delta("Hello"), added(item, kind="done"))
    assert response["output"] == [item]


def test_items_stand_in_their_order_and_calls_without_text_too() -> None:
    call = {"id": "f", "type": "function_call", "arguments": ""}
    response = received(added(call, 1), delta("late", index=2), delta("early", index=0))
    assert [item.get("id", item["type"]) for item in response["output"]] == ["message", "f", "message"]
    assert response["output"][1] == call


def test_garbage_is_ignored() -> None:
    assert received(delta(None), delta(7), added("no object"), added(None, kind="done")) == {"output": []}
    assert texts(received(delta("a", index="x", part=None), delta("b", index=True))) == [["a"], ["b"]]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.text()), max_size=20))
def test_no_text_is_lost_or_reordered(deltas: list[tuple[int, int, str]]) -> None:
    response = received(*(delta(text, index, part) for index, part, text in deltas))
    expected = {
        (index, part): "".join(text for i, p, text in deltas if (i, p) == (index, part)) for index, part, _ in deltas
    }
    assert [text for item in texts(response) for text in item] == [expected[key] for key in sorted(expected)]
