"""What ids that translators mint tell: a response and its items share a stem of 32 characters."""

from __future__ import annotations

import re
from typing import Final

_RESPONSE: Final = re.compile(r"resp_[0-9a-z]{32}")
_ITEM: Final = re.compile(r"[a-z]+_([0-9a-z]{32})[0-9a-f]{4}")


def is_minted(response_id: str) -> bool:
    """Whether a translator may have minted the id. Other vendors' differ in length, but not all of them."""
    return _RESPONSE.fullmatch(response_id) is not None


def response_of(item_id: str) -> str | None:
    """The id of the response that an item with this id would be of; None if no translator minted it."""
    match = _ITEM.fullmatch(item_id)
    return None if match is None else f"resp_{match[1]}"
