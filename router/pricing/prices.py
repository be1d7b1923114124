"""The default price source."""

from __future__ import annotations

from providers.types import Deployment
from providers.usage import Cost, TokenUsage


class Prices:
    """Knows no prices yet."""

    def cost(
        self, usage: TokenUsage, deployment: Deployment, *, model: str, service_tier: str | None, at: float
    ) -> Cost:
        """Unknown."""
        return Cost(None, "no prices are known", model=model)
