"""Counts of tokens, which a stream tells twice: at its start, and, cumulative, at its end.

Anthropic's `input_tokens` leave out what was read from and written to a cache; OpenAI's hold it.
Source: Messages API reference, `Usage`, `MessageDeltaUsage`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from providers.translation.narrator import usage_of
from providers.types import Json, JsonObject

_COUNTS: Final = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
_THOUGHT: Final = "thinking_tokens"
_HOUR: Final = "ephemeral_1h_input_tokens"
_TIERS: Final[Mapping[Json, str]] = {"standard": "default", "priority": "priority", "batch": "batch"}


class Counts:
    """What was told so far; of two tellings, the later counts."""

    __slots__ = ("_counts", "_fast", "_known", "_tier")

    def __init__(self) -> None:
        self._counts: dict[str, int] = dict.fromkeys((*_COUNTS, _THOUGHT, _HOUR), 0)
        self._known = False
        self._fast = False
        self._tier: str | None = None

    @property
    def tier(self) -> str | None:
        """OpenAI's name of the tier that served; None if that was not told. `speed: fast` has a price of its own."""
        return "fast" if self._fast else self._tier

    def take(self, told: Json) -> None:
        """Take in a `usage`; what it does not say, stays."""
        if not isinstance(told, dict):
            return
        counts = self._counts
        for name in _COUNTS:
            value = told.get(name)
            if type(value) is int:
                counts[name] = value
                self._known = True
        for field, name in (("output_tokens_details", _THOUGHT), ("cache_creation", _HOUR)):
            details = told.get(field)
            part = details.get(name) if isinstance(details, dict) else None
            if type(part) is int:
                counts[name] = part
        tier = told.get("service_tier")
        if isinstance(tier, str):
            self._tier = _TIERS.get(tier, tier)
        if "speed" in told:
            self._fast = told["speed"] == "fast"

    def whole(self) -> JsonObject | None:
        """`usage` as OpenAI counts; None if nothing was told."""
        if not self._known:
            return None
        counts = self._counts
        read, written = counts["cache_read_input_tokens"], counts["cache_creation_input_tokens"]
        return usage_of(
            counts["input_tokens"] + read + written,
            counts["output_tokens"],
            cached=read,
            written=written,
            written_1h=counts[_HOUR],
            reasoning=counts[_THOUGHT],
        )
