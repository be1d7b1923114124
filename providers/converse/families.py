"""Whose words a model of Bedrock takes beside Converse's own, by its name. An unknown one takes Converse's only."""

from __future__ import annotations

from enum import Enum

from providers.messages.generations import seal_family
from providers.types import Deployment


class Family(Enum):
    """Models that take the same additional fields."""

    CLAUDE = "claude"
    NOVA = "nova"
    NOVA_2 = "nova_2"
    GPT_OSS = "gpt_oss"
    OTHER = "other"


def family(deployment: Deployment, model: str) -> Family:
    """The family of a model. Where an ARN hides its name, `model_info.base_model` may tell."""
    named = deployment.info.get("base_model")
    name = f"{model} {named}".lower() if isinstance(named, str) else model.lower()
    if "claude" in name or "anthropic." in name:
        return Family.CLAUDE
    if "nova" in name:
        return Family.NOVA_2 if "nova-2" in name else Family.NOVA
    return Family.GPT_OSS if "gpt-oss" in name else Family.OTHER


def seal(deployment: Deployment, model: str) -> str:
    """Under which name its reasoning is sealed: Claude's as wherever else it is hosted."""
    return seal_family(deployment, model) if family(deployment, model) is Family.CLAUDE else "bedrock"
