"""Pages of items on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers import paging
from providers.errors import BadRequestError
from providers.simulated import refusals
from providers.types import JsonObject


def page(items: Sequence[JsonObject], query: Mapping[str, str]) -> JsonObject:
    """The page of `items` (oldest first) that `after`, `limit` and `order` ask for. Raises `WireError`."""
    try:
        return paging.page(items, query)
    except BadRequestError as error:
        raise refusals.invalid(error.message, param=error.param, code=error.code) from None
