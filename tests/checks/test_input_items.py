"""Input items as they are listed: whole, and each under an id of its own, always the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from checks.affinity.input_items import listed

KINDS = ["message", "function_call", "function_call_output", "reasoning", "custom_tool_call", "shell_call", None]
ITEMS = st.lists(
    st.builds(
        lambda kind, name, text: {
            **({} if kind is None else {"type": kind}),
            **({} if name is None else {"id": name}),
            **({"role": "user", "content": text} if kind in ("message", None) else {"output": text}),
        },
        st.sampled_from(KINDS),
        st.sampled_from([None, "", "a", "b"]),
        st.text(max_size=5),
    ),
    max_size=8,
)


@given(items=ITEMS)
def test_every_item_has_an_id_of_its_own_and_keeps_what_it_said(items: list[Any]) -> None:
    found = listed("resp_1", items)
    assert found == listed("resp_1", items)
    names = [item["id"] for item in found]
    assert len(set(names)) == len(items) == len(found)
    for given_item, item in zip(items, found, strict=True):
        assert isinstance(item["type"], str)
        assert (
            given_item.items() - {("id", given_item.get("id"))}
            <= {**item, "content": given_item.get("content")}.items()
        )
    first = next((place for place, item in enumerate(items) if item.get("id") == "a"), None)
    assert first is None or names[first] == "a"


def test_ids_are_of_their_kind_and_of_their_response() -> None:
    items: list[Any] = [
        {"role": "user", "content": "x"},
        {"type": "function_call", "call_id": "c", "name": "n"},
        {"x": 1},
    ]
    one, other = listed("resp_1", items), listed("resp_2", items)
    assert [str(item["id"]).partition("_")[0] for item in one] == ["msg", "fc", "item"]
    assert all(mine["id"] != theirs["id"] for mine, theirs in zip(one, other, strict=True))


def test_text_is_a_part() -> None:
    parts: list[Any] = [{"type": "input_image", "image_url": "https://example.com/a.png"}]
    items: list[Any] = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "y"},
        {"role": "user", "content": parts, "status": "incomplete"},
    ]
    found = listed("resp_1", items)
    assert found[0]["content"] == [{"type": "input_text", "text": "x"}]
    assert found[1]["content"] == [{"type": "output_text", "text": "y", "annotations": []}]
    assert found[2]["content"] is parts
    assert [item["status"] for item in found] == ["completed", "completed", "incomplete"]
