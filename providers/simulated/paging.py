"""Cursor pages, as `input_items` serves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers.simulated import refusals
from providers.types import Json, JsonObject

_LARGEST = 100
_DEFAULT = 20


def page(items: Sequence[JsonObject], query: Mapping[str, str]) -> JsonObject:
    """The page of `items` (oldest first) that `after`, `limit` and `order` ask for. Raises `WireError`."""
    order, after = query.get("order", "desc"), query.get("after")
    if order not in ("asc", "desc"):
        message = f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'."
        raise refusals.invalid(message, param="order", code="invalid_value")
    limit = _limit(query.get("limit"))
    ordered = list(items) if order == "asc" else list(reversed(items))
    if after is not None:
        places = [place for place, item in enumerate(ordered) if item["id"] == after]
        if not places:
            message = f"Invalid 'after': no item with id '{after}' in this list."
            raise refusals.invalid(message, param="after", code="invalid_value")
        ordered = ordered[places[0] + 1 :]
    data: list[Json] = [*ordered[:limit]]
    return {
        "object": "list",
        "data": data,
        "first_id": ordered[0]["id"] if ordered else None,
        "last_id": ordered[:limit][-1]["id"] if ordered else None,
        "has_more": len(ordered) > limit,
    }


def _limit(text: str | None) -> int:
    if text is None:
        return _DEFAULT
    if not text.lstrip("-").isdecimal():
        raise refusals.invalid("Invalid type for 'limit': expected an integer.", param="limit", code="invalid_type")
    refusal = refusals.number_out_of_range("limit", int(text), 1, _LARGEST)
    if refusal is not None:
        raise refusal
    return int(text)
