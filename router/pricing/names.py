"""What genai-prices calls the vendors and models that deployments name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

VENDORS: Final[Mapping[str, str]] = {
    "openai": "openai",
    "azure": "azure",
    "azure_ai": "azure",  # which, for models it does not list, has the prices of those who make them: Claude, Grok, …
    "anthropic": "anthropic",
    "bedrock": "aws",  # the model's name says the region or the inference profile
    "gemini": "google",
    "vertex_ai": "google",  # Claude at Anthropic's prices
    "groq": "groq",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "xai": "x-ai",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "perplexity": "perplexity",
    "cerebras": "cerebras",
    "openrouter": "openrouter",
}
"""By our name. For the others there are no prices: what they cost is for their owner to say."""

Reference = tuple[str | None, str]
"""A vendor, by genai-prices' name, and a model; None: whoever is known for the model."""


def references(provider: str, base: str | None, answered: str, model: str) -> list[Reference]:
    """What a call's model may be listed as, the best first.

    `base`: the deployment's `base_model`, which says what a name of one's own stands for, with or without a vendor
    before it; `answered`: what the vendor says answered; `model`: what the deployment was asked for.
    """
    vendor = VENDORS.get(provider)
    found: list[Reference] = []
    if base:
        prefix, _, rest = base.partition("/")
        found.append((VENDORS[prefix], rest) if rest and prefix in VENDORS else (vendor, base))
    if vendor is not None:
        found += [(vendor, name) for name in dict.fromkeys((answered, model)) if name]
    # Google's models may stand behind their publisher, or be named as a resource
    bare = [(listed, name.rpartition("/")[2]) for listed, name in found if listed == "google" and "/" in name]
    return found + bare
