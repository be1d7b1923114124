"""Pages of items: every item once, in either order, whatever the size of the page."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import BadRequestError
from providers.paging import page
from providers.types import JsonObject


def items(count: int) -> list[JsonObject]:
    return [{"id": f"msg_{place}"} for place in range(count)]


@given(count=st.integers(0, 250), limit=st.integers(1, 100) | st.none(), order=st.sampled_from(["asc", "desc", None]))
def test_the_pages_are_all_there_is_in_order(count: int, limit: int | None, order: str | None) -> None:
    all_of_them = items(count)
    seen: list[Any] = []
    query: dict[str, object] = {"limit": limit if count % 2 else str(limit or 20), "order": order}
    while True:
        found: Any = page(all_of_them, query)
        assert len(found["data"]) <= (limit or 20)
        assert found["object"] == "list"
        ends = [each["id"] for each in found["data"]] or [None]
        assert (found["first_id"], found["last_id"]) == (ends[0], ends[-1])
        seen += found["data"]
        if not found["has_more"]:
            break
        query["after"] = found["last_id"]
    assert seen == (all_of_them if order == "asc" else all_of_them[::-1])


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ({"limit": 0}, "limit", "integer_below_min_value"),
        ({"limit": "-5"}, "limit", "integer_below_min_value"),
        ({"limit": 101}, "limit", "integer_above_max_value"),
        ({"limit": "9" * 10_000}, "limit", "integer_above_max_value"),
        ({"limit": "many"}, "limit", "invalid_type"),
        ({"limit": True}, "limit", "invalid_type"),
        ({"order": "up"}, "order", "invalid_value"),
        ({"order": ""}, "order", "invalid_value"),
        ({"after": "msg_9"}, "after", "invalid_value"),
    ],
)
def test_what_is_no_page_is_refused_in_openais_words(query: dict[str, object], param: str, code: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        page(items(3), query)
    error = raised.value
    assert (error.param, error.code, error.type) == (param, code, "invalid_request_error")
    assert error.body == {"error": {"message": error.message, "type": error.type, "param": param, "code": code}}
