"""Prices for tests: so much a token."""

from __future__ import annotations

from collections.abc import Collection

from providers.types import Deployment
from providers.usage import Cost, TokenUsage


class PerToken:
    """A `PriceSource` with one price for input and one for output, in US dollars a token."""

    def __init__(self, input: float = 0.0, output: float = 0.5, *, unknown: Collection[str] = ()) -> None:
        """`unknown`: ids of deployments whose price is not known."""
        self.input = input
        self.output = output
        self.unknown = unknown
        self.asked = 0

    def cost(
        self, usage: TokenUsage, deployment: Deployment, *, model: str, service_tier: str | None, at: float
    ) -> Cost:
        """The tokens at their prices."""
        self.asked += 1
        if deployment.id in self.unknown:
            return Cost(None, "not known", model=model)
        spent, given = usage.input_tokens * self.input, usage.output_tokens * self.output
        return Cost(spent + given, input=spent, output=given, source="test", model=model)


class Broken:
    """A `PriceSource` that breaks its promise never to raise."""

    def cost(
        self, usage: TokenUsage, deployment: Deployment, *, model: str, service_tier: str | None, at: float
    ) -> Cost:
        """Raises."""
        raise ZeroDivisionError("no price")
