"""From genai-prices' prices of a model to a rate card."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from router.pricing.card import CLASSES, ENGINE, Band, Card, Priced, Unpriced

if TYPE_CHECKING:
    from decimal import Decimal

    from genai_prices.types import ModelPrice, TieredPrices
    from genai_prices.units import UnitDef, UnitRegistry

    Price = Decimal | TieredPrices

_INPUT: Final = {"family": "tokens", "direction": "input"}
_OUTPUT: Final = {"family": "tokens", "direction": "output"}
_AUDIO: Final = {"modality": "audio"}
_READ: Final = {**_INPUT, "token_type": "cache_read"}
_WRITTEN: Final = {**_INPUT, "token_type": "cache_write"}
_DIMENSIONS: Final[Sequence[Mapping[str, str]]] = (
    _INPUT,
    {**_INPUT, **_AUDIO},
    _READ,
    {**_READ, **_AUDIO},
    {**_WRITTEN, "cache_ttl": "5m"},
    {**_WRITTEN, "cache_ttl": "1h"},
    _OUTPUT,
    {**_OUTPUT, "token_type": "reasoning"},
    {**_OUTPUT, **_AUDIO},
    {**_OUTPUT, "modality": "image"},
)
"""The classes of tokens, in the order of a band, as genai-prices describes units."""
_PIECES: Final = ("requests_kcount", "web_searches_kcount", "storage_searches_kcount")
"""The prices of pieces, in the same order."""


def compile_card(name: str, price: ModelPrice, registry: UnitRegistry) -> Priced:
    """The card of a model that costs `price`; none where genai-prices would refuse to use it, or knows no tokens'."""
    from genai_prices.validation import validate_priced_units

    known = registry.units.values()
    prices: dict[str, Price] = {
        unit.price_key: value for unit in known if (value := getattr(price, unit.price_key)) is not None
    }
    units = [registry.unit_for_price_key(key) for key in prices]
    if not prices and name.endswith(":free"):
        return Card(name, ENGINE, (), (Band(*[0.0] * len(Band._fields)),), ("tokens",) * CLASSES)
    if "input_mtok" not in prices:
        return Unpriced(f"{ENGINE} knows no price of a token of {name!r}", name)
    try:
        validate_priced_units(units, registry)
    except ValueError as error:
        return Unpriced(f"{ENGINE} can't use its prices of {name!r}: {error}", name)
    bounds = sorted({tier.start for value in prices.values() for tier in getattr(value, "tiers", ())})
    found = [_most_special(dimensions, units) for dimensions in _DIMENSIONS]
    # a size that each band holds for: the bound where it ends, or any beyond the last
    bands = [
        Band(
            *(0.0 if unit is None else _rate(prices[unit.price_key], unit.per, size) for unit in found),
            *(_piece(prices, key, registry, size) for key in _PIECES),
        )
        for size in (*bounds, bounds[-1] + 1 if bounds else 0)
    ]
    return Card(name, ENGINE, bounds, bands, ["nothing" if unit is None else unit.usage_key for unit in found])


def _most_special(dimensions: Mapping[str, str], units: Sequence[UnitDef]) -> UnitDef | None:
    """The unit that a class of tokens is priced by: of those that hold it, the one that says most."""
    fitting = [unit for unit in units if unit.dimensions.items() <= dimensions.items()]
    return max(fitting, key=lambda unit: len(unit.dimensions), default=None)


def _piece(prices: Mapping[str, Price], key: str, registry: UnitRegistry, tokens: int) -> float:
    return _rate(prices[key], registry.unit_for_price_key(key).per, tokens) if key in prices else 0.0


def _rate(price: Price, per: int, tokens: int) -> float:
    """Dollars for one, in a call with so many tokens of input."""
    tiers = getattr(price, "tiers", None)
    if tiers is None:
        return float(price) / per  # type: ignore[arg-type]  # it has no tiers, so it is a number
    passed = bisect_left([tier.start for tier in tiers], tokens)
    return float(tiers[passed - 1].price if passed else price.base) / per  # type: ignore[union-attr]  # it has tiers
