"""A deployment's own prices, by the names that LiteLLM gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

THRESHOLDS: Final[Mapping[str, int]] = {
    "_above_128k_tokens": 128_000,
    "_above_200k_tokens": 200_000,
    "_above_272k_tokens": 272_000,
}
"""Ends of names of prices that hold for all of a call whose input has more tokens than that."""
TIERS: Final = ("flex", "priority")
"""Service tiers that may have prices of their own: their names end in `_flex` and `_priority`."""


@dataclass(frozen=True, eq=False)
class Rates:
    """What one deployment costs, in US dollars: LiteLLM's names, as `input_cost_per_token`, and their prices.

    Compared by identity, so that what is derived from it can be kept.
    """

    given: Mapping[str, float]

    @cached_property
    def whole(self) -> bool:
        """Whether it says what input and output cost, so that nobody else need be asked."""
        return "input_cost_per_token" in self.given and "output_cost_per_token" in self.given

    @cached_property
    def thresholds(self) -> tuple[int, ...]:
        """Sizes of the input, in tokens, beyond which some price is another; ascending."""
        return tuple(size for end, size in THRESHOLDS.items() if any(end in name for name in self.given))

    def price(self, name: str, tier: str | None, above: int) -> float | None:
        """The price by that name where the input has more than `above` tokens; None if there is none.

        The price for large inputs wins over the plain one, and that of the service tier over that of any.
        """
        ends = [end for end, size in sorted(THRESHOLDS.items(), key=lambda each: -each[1]) if size <= above]
        for end in (*ends, ""):
            for tail in (f"_{tier}", "") if tier in TIERS else ("",):
                found = self.given.get(f"{name}{end}{tail}")
                if found is not None:
                    return found
        return None
