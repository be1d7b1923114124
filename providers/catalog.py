"""Which vendors there are: the provider that translates for each, and where its address and key come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from providers.azure import Azure
from providers.azure_ai import AzureAI
from providers.base import Provider
from providers.openai import HostedVLLM, OpenAI
from providers.types import Deployment, Dialect


@dataclass(frozen=True, slots=True)
class Vendor:
    """What a `provider/` prefix of `litellm_params.model` stands for."""

    name: str
    provider: Provider
    key_env: tuple[str, ...] = ()
    """Environment variables that may hold the key, first found wins."""
    base_env: tuple[str, ...] = ()
    version_env: tuple[str, ...] = ()
    default_base: str | None = None
    key_required: bool = True
    dialects: Mapping[Dialect, Provider] = field(default_factory=dict)
    """What translates for those of its deployments that speak something else than `provider` does."""

    @property
    def base_required(self) -> bool:
        """Whether `api_base` must be given: the vendor has no address of its own."""
        return self.default_base is None


def _compatible(name: str, base: str) -> Vendor:
    env = name.upper()
    keys = (f"{env}_API_KEY", f"{env.removesuffix('_AI')}_API_KEY") if env.endswith("_AI") else (f"{env}_API_KEY",)
    return Vendor(name, OpenAI(name, base), keys, (f"{env}_API_BASE",), default_base=base)


_OPENAI_BASE = "https://api.openai.com/v1"

_ALL = (
    Vendor(
        "openai",
        OpenAI("openai", _OPENAI_BASE),
        ("OPENAI_API_KEY",),
        ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        default_base=_OPENAI_BASE,
    ),
    Vendor(
        "azure",
        Azure("azure"),
        ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"),
        ("AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT"),
        ("AZURE_API_VERSION",),
    ),
    Vendor("azure_ai", AzureAI("azure_ai"), ("AZURE_AI_API_KEY",), ("AZURE_AI_API_BASE",)),
    Vendor(
        "hosted_vllm",
        HostedVLLM("hosted_vllm"),
        ("HOSTED_VLLM_API_KEY",),
        ("HOSTED_VLLM_API_BASE",),
        key_required=False,
    ),
    Vendor("litellm_proxy", OpenAI("litellm_proxy"), ("LITELLM_PROXY_API_KEY",), ("LITELLM_PROXY_API_BASE",)),
    _compatible("openrouter", "https://openrouter.ai/api/v1"),
    _compatible("xai", "https://api.x.ai/v1"),
    _compatible("fireworks_ai", "https://api.fireworks.ai/inference/v1"),
)

VENDORS: Mapping[str, Vendor] = {vendor.name: vendor for vendor in _ALL}
"""By the prefix of `litellm_params.model`."""


def provider_of(deployment: Deployment) -> Provider:
    """What translates for a deployment."""
    found = deployment.memo.get("provider")
    if found is None:
        vendor = VENDORS[deployment.provider]
        found = deployment.memo["provider"] = vendor.dialects.get(deployment.dialect, vendor.provider)
    return cast("Provider", found)
