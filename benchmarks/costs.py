"""What it costs to know what a call costs: our cards against genai-prices' `calc_price`, microseconds a call.

python benchmarks/costs.py
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter

from genai_prices import Usage, calc_price

from providers.rates import Rates
from providers.types import Deployment
from providers.usage import TokenUsage
from router.pricing.prices import Prices

ROUNDS = 7
AT = datetime(2026, 11, 1, tzinfo=UTC)
USAGE = TokenUsage(1_000, 200, 300)
GENAI = Usage(input_tokens=1_000, output_tokens=200, cache_read_tokens=300)
MODELS = (("openai", "gpt-4o"), ("deepseek", "deepseek-chat"))
OWN = Rates({"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6})


def micros(work: Callable[[], object], calls: int) -> float:
    """Of several rounds the best, so that what else the machine does counts least."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = perf_counter()
        for _ in range(calls):
            work()
        best = min(best, perf_counter() - began)
    return best / calls * 1e6


def main() -> None:
    """Print the figures."""
    prices = Prices()
    for provider, model in MODELS:
        place = Deployment("d", "g", provider, model)
        ours = micros(lambda: prices.cost(USAGE, place, model=model, service_tier="default", at=AT.timestamp()), 20_000)  # noqa: B023 - called at once
        theirs = micros(lambda: calc_price(GENAI, model, provider_id=provider, genai_request_timestamp=AT), 500)  # noqa: B023 - called at once
        print(f"{model:16} {ours:7.2f} us   calc_price {theirs:7.1f} us")
    own = Deployment("d", "g", "hosted_vllm", "mine", prices=OWN)
    ours = micros(lambda: prices.cost(USAGE, own, model="mine", service_tier=None, at=AT.timestamp()), 20_000)
    print(f"{'own prices':16} {ours:7.2f} us")


if __name__ == "__main__":
    main()
