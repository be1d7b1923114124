"""What genai-prices knows, found once for each model and kept as cards."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from providers.types import Deployment
from router.pricing.card import ENGINE, Priced, Unpriced
from router.pricing.compiling import compile_card
from router.pricing.names import VENDORS, Reference, references
from router.pricing.own import own_card
from router.pricing.timetable import Timetable, changes

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider
    from genai_prices.units import UnitRegistry

MOST_CARDS: Final = 1024
"""Models, in their tiers, whose cards are kept; the least recently used is forgotten first."""
_ADVICE: Final = (
    "set input_cost_per_token and output_cost_per_token of the deployment, or say what it is by base_model in its "
    "model_info"
)


class Book:
    """The prices of one snapshot of genai-prices. Loads the rest of genai-prices where that is not loaded yet."""

    def __init__(self, providers: list[Provider]) -> None:
        self.providers = providers
        self._units = _units()
        self._table = lru_cache(MOST_CARDS)(self._find)
        self._mixed = lru_cache(MOST_CARDS)(own_card)

    def card(self, deployment: Deployment, model: str, tier: str | None, at: float) -> Priced:
        """The card for a call that `model` of `deployment` answered in `tier` at the Unix time `at`."""
        base = deployment.info.get("base_model")
        named = base if isinstance(base, str) else None
        card = self._table(deployment.provider, named, model, deployment.model, tier).at(at)
        return card if deployment.prices is None else self._mixed(deployment.prices, card, tier, deployment.model)

    def _find(self, provider: str, base: str | None, answered: str, model: str, tier: str | None) -> Timetable:
        for reference in references(provider, base, answered, model):
            found = self._listed(reference)
            if found is not None:
                return self._timetable(*found, tier)
        if provider in VENDORS:
            unknown = Unpriced(f"{ENGINE} does not know {model[:100]!r} of {provider}; {_ADVICE}")
        else:
            unknown = Unpriced(f"there are no prices of {provider}; {_ADVICE}")
        return Timetable(lambda _: unknown, (), ())

    def _listed(self, reference: Reference) -> tuple[Provider, ModelInfo] | None:
        # not through genai-prices' own look-up: what it remembers has no bound
        from genai_prices.data_snapshot import find_provider_by_id

        name, model = reference
        if name is not None:
            provider = find_provider_by_id(self.providers, name)
        else:
            matches = (each for each in self.providers if each.model_match and each.model_match.is_match(model))
            provider = next(matches, None)
        found = None if provider is None else provider.find_model(model, all_providers=self.providers)
        return None if provider is None or found is None else (provider, found)

    def _timetable(self, provider: Provider, model: ModelInfo, tier: str | None) -> Timetable:
        # a vendor that has its prices from another has not got the other's tiers
        own = any(model is each for each in provider.models)
        context = {"service_tier": tier, "speed": tier} if tier and own else None  # as Anthropic calls its fast tier
        return Timetable(partial(self._compiled, model, context), *changes(model))

    def _compiled(self, model: ModelInfo, context: dict[str, str] | None, when: datetime) -> Priced:
        return compile_card(model.id, model.get_prices(when, context), self._units)


@lru_cache(1)
def _units() -> UnitRegistry:
    """What genai-prices counts in: it comes with the package, nothing changes it, and it takes 2 ms to read."""
    from genai_prices.data_units import unit_data
    from genai_prices.units import UnitRegistry

    return UnitRegistry(unit_data)
