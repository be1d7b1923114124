"""A deployment's own prices, laid over those that are known of its model."""

from __future__ import annotations

from typing import Final

from providers.rates import Rates
from router.pricing.card import CLASSES, DEPLOYMENT, Band, Card, Priced, Unpriced

_INPUT: Final = "input_cost_per_token"
_OUTPUT: Final = "output_cost_per_token"
_READ: Final = "cache_read_input_token_cost"
_WRITTEN: Final = "cache_creation_input_token_cost"
_HEARD: Final = "input_cost_per_audio_token"
_CHAINS: Final = (
    (_INPUT,),
    (_HEARD, _INPUT),
    (_READ, _INPUT),
    (_READ, _HEARD, _INPUT),
    (_WRITTEN, _INPUT),
    ("cache_creation_input_token_cost_above_1hr", _WRITTEN, _INPUT),
    (_OUTPUT,),
    ("output_cost_per_reasoning_token", _OUTPUT),
    ("output_cost_per_audio_token", _OUTPUT),
    (_OUTPUT,),
    ("input_cost_per_request",),
)
"""For each of a band's prices, the deployment's prices that can stand for it: a class that has none costs what the
class costs that it is part of, as with LiteLLM. Searches are not among what a deployment can price."""


def own_card(own: Rates, known: Priced | None, tier: str | None, model: str) -> Priced:
    """The card of a deployment of `model` with prices of its own, where `known` are those of the model.

    What it does not price costs what is known. A deployment that says what both input and output cost is asked about
    no further: then what it does not price costs nothing.
    """
    beneath = None if own.whole or not isinstance(known, Card) else known
    if not own.whole and beneath is None:
        missing = " and ".join(name for name in (_INPUT, _OUTPUT) if name not in own.given)
        why = known.reason if isinstance(known, Unpriced) else "nothing is known of its model"
        return Unpriced(f"the deployment does not say {missing}, and {why}", model)
    bounds = sorted({*own.thresholds, *(beneath.bounds if beneath is not None else ())})
    bands = [_band(own, beneath, tier, size) for size in (*bounds, bounds[-1] + 1 if bounds else 0)]
    units = [
        next((name for name in chain if own.price(name, tier, 0) is not None), beneath.units[place] if beneath else "")
        for place, chain in enumerate(_CHAINS[:CLASSES])
    ]
    source = DEPLOYMENT if beneath is None else f"{DEPLOYMENT}, {beneath.source}"
    return Card(beneath.model if beneath else model, source, bounds, bands, units)


def _band(own: Rates, beneath: Card | None, tier: str | None, tokens: int) -> Band:
    """The prices for a call with so many tokens of input."""
    known = Band(*[0.0] * len(Band._fields)) if beneath is None else beneath.band(tokens)
    prices = list(known)
    for place, chain in enumerate(_CHAINS):
        found = (own.price(name, tier, tokens - 1) for name in chain)
        prices[place] = next((price for price in found if price is not None), known[place])
    return Band(*prices)
