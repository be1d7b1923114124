"""Anthropic's Messages API, for Claude wherever it is hosted."""

from providers.messages.provider import FoundryMessages, Messages, VertexMessages

__all__ = ["FoundryMessages", "Messages", "VertexMessages"]
