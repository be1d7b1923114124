"""Cursor pages, as OpenAI serves `input_items`: `after`, `limit` from 1 to 100 (20), `order` (the newest first)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from providers.errors import BadRequestError
from providers.types import Json, JsonObject

_LARGEST: Final = 100
_DEFAULT: Final = 20


def page(items: Sequence[JsonObject], query: Mapping[str, object]) -> JsonObject:
    """The page of `items`, the oldest first and each with an `id` of its own, that `query` asks for.

    Values may be what they mean, or text as it stands in a URL. Raises `BadRequestError` in OpenAI's words.
    """
    given, after = query.get("order"), query.get("after")
    order = "desc" if given is None else given
    if order not in ("asc", "desc"):
        raise _refusal(f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'.", "order", "invalid_value")
    limit = _limit(query.get("limit"))
    ordered = list(items) if order == "asc" else list(reversed(items))
    if after is not None:
        places = [place for place, item in enumerate(ordered) if item["id"] == after]
        if not places:
            message = f"Invalid 'after': no item with id '{after}' in this list."
            raise _refusal(message, "after", "invalid_value")
        ordered = ordered[places[0] + 1 :]
    data: list[Json] = [*ordered[:limit]]
    return {
        "object": "list",
        "data": data,
        "first_id": ordered[0]["id"] if ordered else None,
        "last_id": ordered[:limit][-1]["id"] if ordered else None,
        "has_more": len(ordered) > limit,
    }


def _limit(value: object) -> int:
    if value is None:
        return _DEFAULT
    text = str(value)
    if not text.removeprefix("-").isdecimal():
        raise _refusal("Invalid type for 'limit': expected an integer.", "limit", "invalid_type")
    limit = int(text[:20])  # so many digits are out of range anyway, and thousands would take long
    if limit < 1:
        raise _refusal(_outside("below minimum", ">= 1", limit), "limit", "integer_below_min_value")
    if limit > _LARGEST:
        raise _refusal(_outside("above maximum", f"<= {_LARGEST}", limit), "limit", "integer_above_max_value")
    return limit


def _outside(where: str, expected: str, value: int) -> str:
    return f"Invalid 'limit': integer {where} value. Expected a value {expected}, but got {value} instead."


def _refusal(message: str, param: str, code: str) -> BadRequestError:
    detail: JsonObject = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return BadRequestError(message, param=param, code=code, type="invalid_request_error", body={"error": detail})
